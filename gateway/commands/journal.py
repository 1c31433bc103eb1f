"""``gateway journal verify|show``: the audit trail, on the box or on a copied directory.

On the box the keeper reads; with ``--directory`` this process does, with public certificates alone.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from gateway.book.inspection import Authority, inspect
from gateway.book.proofs import Wanted, read_told
from gateway.book.segments import names
from gateway.commands.keeper import ask, common
from gateway.commands.moments import since_moment, until_moment
from gateway.envelope.certificates import load_certificates, load_lists
from gateway.errors import Refused, Scope, naming, os_words
from gateway.follow.moments import stamp
from gateway.follow.timeline import verb_words
from gateway.formats.words import plural, printable
from gateway.journal.chain import ACCESS, CHAINS, EVIDENCE
from gateway.journal.segment import entry_row

T = TypeVar("T")

LOOK_S = 0.2
CHAIN_WORDS = {EVIDENCE: "preuve", ACCESS: "consultation"}


def register(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add ``journal`` and its verbs."""
    journal = subparsers.add_parser("journal", help="le journal : le vérifier, le lire")
    verbs = journal.add_subparsers(required=True, metavar="ACTION")
    verify = common(verbs.add_parser("verify", help="recalculer les chaînes et contrôler tout ce qui est signé"))
    verify.add_argument("--directory", type=Path, metavar="RÉPERTOIRE", help="une copie des segments")
    verify.add_argument("--trust", type=Path, nargs="+", default=[], metavar="RACINE", help="racine, pour une copie")
    verify.add_argument("--chain", type=Path, nargs="+", default=[], metavar="CERTIFICATS", help="intermédiaires")
    verify.add_argument("--crl", type=Path, nargs="+", default=[], metavar="LISTE", help="listes de révocation")
    verify.add_argument("--tsa", type=Path, nargs="+", default=[], metavar="CERTIFICATS", help="autorité d'horodatage")
    verify.add_argument("--receipts", type=Path, nargs="+", default=[], metavar="REÇU", help="reçus signés par l'OCT")
    verify.add_argument("--box", default="", metavar="ID", help="la passerelle dont ce doit être le journal")
    verify.set_defaults(act=verify_journal)
    show = common(verbs.add_parser("show", help="les lignes d'une chaîne"))
    show.add_argument("--chain", choices=CHAINS, default=EVIDENCE, help="preuve ou consultations ; sinon preuve")
    show.add_argument("--fichier", default="", metavar="ID", help="ce qui est arrivé à ce fichier")
    show.add_argument("--since", default="", type=since_moment, metavar="MOMENT", help="AAAA-MM-JJ ou plus précis")
    show.add_argument("--until", default="", type=until_moment, metavar="MOMENT", help="compris")
    show.add_argument("--verb", default="", metavar="ACTE", help="seal, sign, integrate, reveal… (docs/journal.md)")
    show.add_argument("--directory", type=Path, metavar="RÉPERTOIRE", help="une copie des segments")
    show.set_defaults(act=show_journal)


# ---------------------------------------------------------------- verify


def verify_journal(arguments: argparse.Namespace) -> int:
    """Look everything over; 65 when anything is not as it was."""
    told = _verify_copy(arguments) if arguments.directory else verify_here(arguments)
    if arguments.json:
        print(json.dumps(told, ensure_ascii=False, indent=1))
    else:
        _print_verification(told)
    if told["findings"]:
        raise Refused("JRN-001", f"Le journal a été altéré : {told['findings'][0]['text']}.")
    return 0


def verify_here(arguments: argparse.Namespace) -> dict[str, Any]:
    """Have the keeper look its own journal over, and wait for what it finds."""
    told = ask(arguments, {"op": "verify", "start": True})
    while told["running"]:
        time.sleep(LOOK_S)
        told = ask(arguments, {"op": "verify"})
    return told


def _verify_copy(arguments: argparse.Namespace) -> dict[str, Any]:
    if not arguments.trust:
        raise Refused("JRN-002", "Il faut donner la racine de confiance : --trust RACINE.", Scope.BOX)
    _check_segments(arguments.directory)
    authority = Authority(
        _certificates(arguments.trust),
        _certificates(arguments.chain),
        lists=tuple(one for path in arguments.crl for one in _of(path, load_lists)),
        tsa=_certificates(arguments.tsa),
        box=arguments.box,
    )
    receipts = [_read(path) for path in arguments.receipts]
    return inspect(arguments.directory, authority, datetime.now(UTC), receipts=receipts).to_json()


def _check_segments(directory: Path) -> None:
    """A wrong directory must not pass for a sound journal."""
    if not any(names(directory, chain) for chain in CHAINS):
        text = f"{directory} ne contient aucun segment d'un journal (evidence-000001.journal…)."
        raise Refused("JRN-003", text, Scope.BOX)


def _certificates(paths: list[Path]) -> tuple[bytes, ...]:
    return tuple(one for path in paths for one in _of(path, load_certificates))


def _of(path: Path, load: Callable[[bytes], T]) -> T:
    content = _read(path)
    with naming(path):
        return load(content)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Refused("JRN-003", f"{path} ne peut pas être lu : {os_words(error)}.", Scope.BOX) from None


def _print_verification(told: dict[str, Any]) -> None:
    print(f"Journal de la passerelle {printable(told['box']) or 'inconnue'}, points de contrôle signés par :")
    for signer in told["signers"]:
        print(f"  {printable(signer)}")
    for chain, rows in told["rows"].items():
        signed = told["signed_to"][chain]
        print(f"Chaîne {chain} ({CHAIN_WORDS[chain]}) : {plural(rows, 'ligne')}, signées jusqu'à la ligne {signed}.")
    print(f"{plural(told['checkpoints'], 'point')} de contrôle, {plural(told['receipts'], 'reçu')} de l'OCT, "
          f"{plural(told['stamps'], 'contremarque')} de temps.")  # fmt: skip
    for note in told["notes"]:
        print(f"  à savoir : {note}.")
    for finding in told["findings"]:
        where = ", ".join(filter(None, (finding["chain"], finding["where"], finding["at"])))
        print(f"  ALTÉRÉ : {finding['text']} ({where}).")
    if not told["findings"]:
        print("Chaînes intactes.")


# ---------------------------------------------------------------- show


def show_journal(arguments: argparse.Namespace) -> int:
    """Rows, oldest first, in the time of Paris and with the verb in French; what a row tells beside is shown as it
    stands, and with ``--json`` all of it."""
    rows = _rows_of_copy(arguments) if arguments.directory else _rows_here(arguments)
    if arguments.json:
        print(json.dumps(list(rows), indent=1))  # escaped: in a touched copy there may be what UTF-8 cannot write
        return 0
    for row in rows:
        known = ("at", "chain", "fichier", "seq", "verb")
        rest = " ".join(f"{name}={_word(value)}" for name, value in row.items() if name not in known)
        told = f"{verb_words(row['verb'])} : {rest}" if rest else verb_words(row["verb"])
        print(printable(f"{row['seq']:>8}  {_moment(row['at'])}  {row['fichier'][:8] or '-':<8}  {told}"))
    return 0


def _moment(at: str) -> str:
    """A row's own time as people read it; in a touched copy there may be what is none."""
    try:
        return stamp(at)
    except (ValueError, OverflowError):
        return at


def _word(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _wanted(arguments: argparse.Namespace) -> dict[str, str]:
    return {name: getattr(arguments, name) for name in ("fichier", "since", "until", "verb")}


def _rows_here(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    after = 0
    while True:
        question = {"op": "journal", "chain": arguments.chain, "after": after, **_wanted(arguments)}
        told = ask(arguments, question)
        yield from told["rows"]
        after = told["next"]
        if not after:
            return


def _rows_of_copy(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """What the segments say; lines that cannot be read are passed over here: ``verify`` names them."""
    _check_segments(arguments.directory)
    wanted = Wanted(**_wanted(arguments))
    for path in names(arguments.directory, arguments.chain):
        with path.open("rb") as file:
            next(file, None)
            for line in file:
                row = entry_row(line.rstrip(b"\n"), arguments.chain)
                if wanted.has(row):
                    yield read_told(row)

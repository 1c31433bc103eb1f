"""``gateway wipe``: the box leaves the practice, and nothing of the practice stays on it.

Order: the journal is exported, if asked; the keys go first, since all that is at rest is sealed to them and is as good
as gone with them; then book, parts, doors, accounts and views; the configuration, which names practitioners and the
concentrator, last, so that a wipe that was cut can be done again.
Rule 1: nothing is stopped here: while a service runs the wipe is refused, with the command that stops it.
Rule 2: while fichiers are under way, or returns wait for the practice, it is refused too, unless they are given up in
so many words.
Rule 3: the practice's own folders are the practice's: they are left, and said to be.
What overwriting does not reach on flash memory is in docs/conformite/effacement.md.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from gateway.book.backup import BOOK
from gateway.commands.keeper import create
from gateway.commands.sections import DEFAULT, SERVICES, add_config, read_paths
from gateway.config import Paths
from gateway.disk import sync_directory
from gateway.errors import Refused, Scope, os_words
from gateway.formats.words import plural

BLOCK = 1 << 20
PROCESSES = Path("/proc")
UNDER_WAY = "SELECT count(*) FROM fichiers WHERE state NOT IN ('INTEGRATED', 'REFUSED')"
NOT_FETCHED = "SELECT count(*) FROM returns WHERE delivery <> '' AND picked = ''"
EVIDENCE = "SELECT seq, text, hash FROM journal WHERE chain = 'evidence' ORDER BY seq"


def register(subparsers: Any) -> None:
    """Add ``wipe``."""
    wipe = subparsers.add_parser("wipe", help="tout effacer : la passerelle quitte le cabinet")
    add_config(wipe)
    wipe.add_argument("--yes", default="", metavar="BOX-ID", help="confirmer sans question")
    wipe.add_argument("--abandon", action="store_true", help="abandonner ce qui est en cours")
    wipe.add_argument("--journal", default="", metavar="SORTIE", help="garder d'abord la chaîne de preuve")
    wipe.set_defaults(act=wipe_box)


def wipe_box(arguments: argparse.Namespace) -> int:
    """Ask, export, destroy, and say what was done and what is left."""
    config = arguments.config
    paths = read_paths(config)
    _refuse_running(config)
    _refuse_under_way(paths, arguments.abandon)
    _confirm(paths, arguments.yes)
    if arguments.journal and (paths.book / BOOK).exists():
        count = _export(paths, Path(arguments.journal))
        print(f"Journal de preuve : {plural(count, 'ligne')} dans {arguments.journal}.")
    elif arguments.journal:
        print("Journal de preuve : le livre n'est plus là, un effacement a déjà commencé.")
    for title, place, act in _steps(paths, config):
        try:
            count = act(place)
        except OSError as error:
            text = f"{error.filename} ne peut pas être détruit : {os_words(error)}. L'effacement est à recommencer."
            raise Refused("WIP-004", text, Scope.BOX) from None
        print(f"{title} : {plural(count, 'fichier')} ({place}).", flush=True)
    print(_remains(paths))
    return 0


def _steps(paths: Paths, config: Path) -> Iterator[tuple[str, Path, Callable[[Path], int]]]:
    yield "Clés écrasées et détruites, tout ce qui est scellé est devenu illisible", paths.keys, shred
    yield "Clés scellées écrasées et détruites", paths.credentials, shred
    yield "Sels des pseudonymes écrasés et détruits", paths.book / "years", shred
    yield "Livre détruit", paths.book, remove
    yield "Copies scellées détruites", paths.parts, remove
    yield "Portes vidées", paths.state / "doors", remove
    yield "Comptes détruits", paths.accounts, shred
    yield "Reste de l'état détruit", paths.state, remove
    yield "Tableau et vues détruits", paths.runtime, remove
    yield "Certificats de la passerelle retirés", paths.trust, remove
    yield "Configuration détruite", config, shred


# -- before


def _refuse_running(config: Path) -> None:
    running = sorted(set(_running(config)))
    if running:
        text = f"Des services tournent encore : {', '.join(running)}. Arrêtez-les (systemctl stop 'gateway*')."
        raise Refused("WIP-001", text, Scope.BOX)


def _running(config: Path) -> Iterator[str]:
    """Services of this configuration that run on this machine, by their command lines."""
    for process in PROCESSES.glob("[0-9]*"):
        with suppress(OSError):
            words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
            given = words[words.index("--config") + 1] if "--config" in words[:-1] else str(DEFAULT)
            if Path(given).resolve() != config.resolve() or not any(
                Path(word).name in ("gateway", "__main__.py") for word in words
            ):
                continue
            if "run" in words[:-1] and (name := words[words.index("run") + 1]) in SERVICES:
                yield name
            elif "dev" in words:
                yield "dev"


def _refuse_under_way(paths: Paths, abandoned: bool) -> None:
    if abandoned:
        return
    try:
        fichiers, returns = _left(paths)
    except (PermissionError, sqlite3.Error) as trouble:
        text = f"Le livre ne peut pas être lu ({trouble}) : à lancer par root ; s'il est perdu, ajoutez --abandon."
        raise Refused("WIP-005", text, Scope.BOX) from None
    if fichiers or returns:
        lost = f"{plural(fichiers, 'fichier')} en cours et {plural(returns, 'retour')} que le cabinet n'a pas relevés"
        raise Refused("WIP-002", f"{lost} seraient perdus : attendez, ou ajoutez --abandon.", Scope.BOX)


def _left(paths: Paths) -> tuple[int, int]:
    """How many fichiers are under way, and how many returns wait for the practice."""
    at_the_door = len(list(paths.door("new").glob("fichier.*")))
    if not (book := paths.book / BOOK).exists():
        return at_the_door, 0
    with closing(sqlite3.connect(book)) as connection:
        fichiers, returns = (int(connection.execute(query).fetchone()[0]) for query in (UNDER_WAY, NOT_FETCHED))
    return at_the_door + fichiers, returns


def _confirm(paths: Paths, given: str) -> None:
    if not given:
        print(f"Tout ce que cette passerelle garde va être détruit. Tapez son identifiant ({paths.box_id}) :")
        with suppress(EOFError):
            given = input().strip()
    if given != paths.box_id:
        raise Refused("WIP-003", "Ce n'est pas l'identifiant de cette passerelle : rien n'est effacé.", Scope.BOX)


def _export(paths: Paths, out: Path) -> int:
    """The evidence chain as JSON lines ``seq``, ``text``, ``hash``, as docs/formats.md has them; its length."""
    count = 0
    with closing(sqlite3.connect(paths.book / BOOK)) as book, create(out) as lines:
        for seq, text, digest in book.execute(EVIDENCE):
            lines.write(json.dumps({"seq": seq, "text": text, "hash": digest.hex()}, ensure_ascii=False) + "\n")
            count += 1
        lines.flush()
        os.fsync(lines.fileno())
    sync_directory(out.resolve().parent)
    return count


# -- destroying


def _files(place: Path) -> list[Path]:
    """Everything under a place that is no directory, or the one file that it is; OSError where it cannot be listed."""
    if not place.is_dir() or place.is_symlink():
        return [place] if place.is_symlink() or place.exists() else []
    found = [Path(top, name) for top, inner, names in os.walk(place, onerror=_raise) for name in (*inner, *names)]
    return sorted(path for path in found if path.is_symlink() or not path.is_dir())


def _raise(error: OSError) -> None:
    raise error


def shred(place: Path) -> int:
    """Overwrite, then remove; how many files.  For keys, which are small and on which all else rests."""
    for path in _files(place):
        if path.is_file() and not path.is_symlink():
            with path.open("r+b") as out:
                left = os.fstat(out.fileno()).st_size
                while left > 0:
                    left -= out.write(bytes(min(left, BLOCK)))
                out.flush()
                os.fsync(out.fileno())
    return remove(place)


def remove(place: Path) -> int:
    """Remove the files of a place, durably; directories stay, with their owners and modes."""
    files = _files(place)
    for path in files:
        path.unlink()
    for parent in sorted({path.parent for path in files}):
        sync_directory(parent)
    return len(files)


def _remains(paths: Paths) -> str:
    folders = sum(1 for path in paths.practice.rglob("*") if path.is_file())
    return (
        f"Reste en place : les dossiers du cabinet ({paths.practice}, {plural(folders, 'fichier')}), qui sont à lui ;"
        " le programme, ses unités, et les journaux du système, sans donnée de patient.\n"
        "Sur une mémoire flash, des blocs réformés peuvent survivre à tout effacement : sans les clés, ce qui était"
        " scellé n'y est pas lisible. Pour finir : fstrim -av, ou détruire la carte mémoire."
    )

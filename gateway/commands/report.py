"""``gateway report security``: the state of the box's protection, written by the box, in Markdown.

Rules.  No personal data: no fichier, no patient, no practitioner, no account of a person, no text that a person or a
payer wrote; conditions appear by their code.  Nor the concentrator's address.  What cannot be found out is said to be
unknown; what is not done is said to be not done.  The report changes nothing.
"""

from __future__ import annotations

import argparse
import shutil
import ssl
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gateway.book.board import BoardReader
from gateway.book.moves import utc_now
from gateway.commands.journal import verify_here
from gateway.commands.keeper import ask, common, create
from gateway.commands.sections import read_paths, read_settings
from gateway.config import Paths
from gateway.errors import Trouble
from gateway.follow.moments import moment, moment_words, on_words
from gateway.formats.days import day_words, iso
from gateway.process import machine

UNKNOWN = "non établi"
SOON = 90
"""Days before its end from which a certificate is pointed out."""


@dataclass(frozen=True)
class Section:
    """A table with its title; a remark below it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    remark: str = ""


def register(subparsers: Any) -> None:
    """Add ``report security``."""
    family = subparsers.add_parser("report", help="les rapports").add_subparsers(required=True, metavar="RAPPORT")
    security = common(
        family.add_parser("security", help="le rapport de sécurité de la passerelle, sans donnée nominative")
    )
    security.add_argument("out", nargs="?", default="-", metavar="SORTIE", help="sinon la sortie standard")
    security.set_defaults(act=write_security)


def write_security(arguments: argparse.Namespace) -> int:
    """Gather and write."""
    paths = read_paths(arguments.config)
    if arguments.out == "-":
        print(render(gather(arguments), paths.box_id, utc_now()))
        return 0
    path = Path(arguments.out)
    with create(path) as out:  # before all is gathered, which takes seconds
        try:
            out.write(render(gather(arguments), paths.box_id, utc_now()))
        except BaseException:
            path.unlink()
            raise
    print(path)
    return 0


def render(sections: Iterable[Section], box: str, now: datetime) -> str:
    """Markdown."""
    lines = [f"# Rapport de sécurité de la passerelle {box}", "",
             f"Établi par la passerelle {on_words(iso(now))}. Sans donnée nominative."]  # fmt: skip
    for section in sections:
        lines += ["", f"## {section.title}", ""]
        lines += [_line(section.columns), _line(["---"] * len(section.columns)), *map(_line, section.rows)]
        lines += ["", section.remark] if section.remark else []
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/').replace(chr(10), ' ') for cell in cells)} |"


def gather(arguments: argparse.Namespace) -> Iterator[Section]:
    """All sections, in the order of the report."""
    paths, now = read_paths(arguments.config), utc_now()
    yield _machine(now)
    yield _algorithms(paths, arguments.config)
    yield _certificates(paths, now)
    yield _lists(paths, now)
    yield _keys(paths)
    yield _accounts()
    yield _ports()
    yield _disk(paths)
    yield from _of_keeper(arguments)
    yield _conditions(paths)


# -- the machine


def _machine(now: datetime) -> Section:
    updates, lists = machine.pending_updates(), machine.lists_read()
    waiting = UNKNOWN if updates is None else f"{len(updates)} ({', '.join(updates[:20]) or 'aucun'})"
    age = UNKNOWN if lists is None else f"{(now - lists).days} jours ({day_words(lists)})"
    rows = (
        ("programme", f"oct-gateway {version('oct-gateway')}"), ("système", machine.system_name() or UNKNOWN),
        ("noyau", machine.kernel() or UNKNOWN), ("paquets à mettre à jour", waiting),
        ("âge des listes de paquets", age), ("OpenSSL", ssl.OPENSSL_VERSION),
        ("cryptography", version("cryptography")),
    )  # fmt: skip
    return Section("Système et mises à jour", ("élément", "état"), rows)


def _accounts() -> Section:
    services, people = machine.users("gw-"), machine.people()
    rows = (
        ("comptes de service", ", ".join(services) or "aucun : les services tournent sous le compte de l'installateur"),
        ("comptes qui peuvent ouvrir une session", str(len(people))),
    )  # fmt: skip
    return Section("Comptes", ("élément", "état"), rows)


def _ports() -> Section:
    found = machine.listening()
    rows = tuple((one.address, str(one.port), one.user, "oui" if one.reachable else "non") for one in found)
    remark = "" if rows else "Aucun port TCP à l'écoute."
    return Section("Ports TCP à l'écoute", ("adresse", "port", "utilisateur", "joignable du réseau"), rows, remark)


def _disk(paths: Paths) -> Section:
    rows = []
    for title, place in (("état", paths.state), ("cabinet", paths.practice)):
        if place.exists():
            usage = shutil.disk_usage(place)
            rows.append((title, f"{usage.free >> 20} Mio libres sur {usage.total >> 20}"))
    rows += [
        ("échange (swap)", ", ".join(machine.swap()) or "aucun"),
        ("chiffrement au repos", "copies et retours scellés (CMS, AES-256-GCM) ; identités sous pseudonymes à clé"),
        ("sauvegarde", "à la demande (gateway backup), scellée au certificat de recours"),
    ]  # fmt: skip
    return Section("Disque et sauvegardes", ("élément", "état"), tuple(rows))


# -- cryptography


def _algorithms(paths: Paths, config: Path) -> Section:
    from gateway.envelope.algorithms import SIGNATURES

    rows = (
        ("scellement", "AES-256-GCM, nonce de 12 octets, sceau de 16 (RFC 5084)"),
        ("transport de clé", "RSA-OAEP-SHA256 ; ECDH P-256 ou P-384 avec SHA-256"),
        ("signatures de fichiers et de retours", ", ".join(sorted(SIGNATURES))),
        ("clés admises", "RSA de 2048 bits au moins, P-256, P-384"),
        ("chaînes du journal", "SHA-256"), ("pseudonymes", "HMAC-SHA-256, clé propre à la passerelle"),
        *_tls(paths, config),
    )  # fmt: skip
    return Section("Algorithmes en vigueur", ("usage", "algorithme"), rows)


def _tls(paths: Paths, config: Path) -> Iterator[tuple[str, str]]:
    """The line to the concentrator as forward would open it now."""
    from gateway.services.forward.pesit import client_context

    settings = read_settings("forward", config)
    try:
        context = client_context(paths, settings)
    except (OSError, Trouble):
        yield "liaison (TLS)", f"{UNKNOWN} : ses certificats ou sa clé ne sont pas lisibles d'ici"
        return
    older = context.minimum_version < ssl.TLSVersion.TLSv1_3
    ciphers = [str(cipher["name"]) for cipher in context.get_ciphers() if older or cipher["protocol"] == "TLSv1.3"]
    yield "liaison (TLS)", f"{context.minimum_version.name.replace('_', '.')} au moins, certificats des deux côtés"
    yield "suites TLS offertes", ", ".join(ciphers)


def _certificates(paths: Paths, now: datetime) -> Section:
    from cryptography import x509

    from gateway.envelope.certificates import load_certificates

    rows = []
    for path in sorted(paths.trust.glob("*.pem")):
        for found in map(x509.load_der_x509_certificate, _loaded(load_certificates, path)):
            left = (found.not_valid_after_utc - now).days
            word = "expiré" if left < 0 else "à renouveler" if left < SOON else "valable"
            rows.append((path.name, _key_words(found), day_words(found.not_valid_after_utc), f"{left} jours", word))
    return Section("Certificats", ("fichier", "clé", "fin", "reste", "état"), tuple(rows))


def _lists(paths: Paths, now: datetime) -> Section:
    """The newest of each authority, whether it was put by hand or came by the line."""
    from cryptography import x509

    from gateway.envelope.certificates import load_lists

    files = (path for place in (paths.trust / "crl", paths.lists) for path in sorted(place.glob("*.crl")))
    lists = [(x509.load_der_x509_crl(found), path) for path in files for found in _loaded(load_lists, path)]
    newest = {one.issuer: (one, path) for one, path in sorted(lists, key=lambda each: each[0].last_update_utc)}
    rows = []
    for found, path in sorted(newest.values(), key=lambda each: each[1].name):
        end = found.next_update_utc
        word = UNKNOWN if end is None else "périmée" if end < now else "en cours"
        rows.append((path.name, str(len(list(found))), moment_words(iso(end)) if end else UNKNOWN, word))
    return Section("Listes de révocation", ("fichier", "révoqués", "prochaine", "état"), tuple(rows))


def _loaded(load: Callable[[bytes], Sequence[bytes]], path: Path) -> Sequence[bytes]:
    try:
        return load(path.read_bytes())
    except (OSError, Trouble):
        return ()


def _key_words(certificate: Any) -> str:
    key = certificate.public_key()
    curve = getattr(key, "curve", None)
    return str(curve.name) if curve else f"RSA {key.key_size}"


def _keys(paths: Paths) -> Section:
    files = sorted(path for path in paths.keys.rglob("*") if path.is_file())
    rows = []
    for path in files:
        mode = path.stat().st_mode & 0o777
        rows.append(
            (str(path.relative_to(paths.keys)), f"{mode:04o}", "à corriger" if mode & 0o077 else "son seul service")
        )
    for path in sorted(path for path in paths.credentials.rglob("*") if path.is_file()):
        rows.append((str(path.relative_to(paths.credentials)), f"{path.stat().st_mode & 0o777:04o}", "scellé"))
    remark = (
        "Ce qui est scellé n'est ouvert que par systemd, pour son service. Le reste est en clair : qui emporte le"
        " disque l'emporte (gateway keys seal)."
    )
    return Section("Clés privées et secrets", ("fichier", "mode", "lisible de"), tuple(rows), remark)


# -- the keeper and the board


CLASSES = {
    "copies": ("copies scellées de fichiers", "copies_days"), "under_way": ("dont fichiers en cours", ""),
    "signatures": ("signatures de carte (preuve)", "signatures_days"), "returns": ("retours scellés", "returns_days"),
    "follow": ("factures suivies", "follow_days"), "digests": ("empreintes de fichiers", "digests_days"),
    "destroying": ("destructions à terminer", ""),
}  # fmt: skip


def _of_keeper(arguments: argparse.Namespace) -> Iterator[Section]:
    """Journal and retention; one section that says so where the keeper does not answer."""
    try:
        figures, journal = ask(arguments, {"op": "figures"}), verify_here(arguments)
    except Trouble as trouble:
        yield Section("Journal et durées", ("élément", "état"), (("gardien du livre", trouble.code),))
        return
    breaks = " ; ".join(finding["text"] for finding in journal["findings"]) or "aucune"
    rows = (
        ("lignes vérifiées", str(sum(journal["rows"].values()))), ("ruptures", breaks),
        ("points de contrôle, reçus contresignés", f"{journal['checkpoints']}, {journal['receipts']}"),
        ("vérifié le", moment_words(journal["at"])),
    )  # fmt: skip
    yield Section("Journal", ("élément", "état"), rows)
    kept, settings = figures["kept"], figures["settings"]
    yield Section(
        "Ce qui est gardé", ("classe", "nombre", "le plus ancien", "durée"),
        tuple((words, str(kept[name]["count"]), _day(kept[name]["oldest"]),
               f"{settings[setting]} jours" if setting else "") for name, (words, setting) in CLASSES.items()),
        f"Le journal des accès nomme les personnes des années {', '.join(map(str, figures['years'])) or '(aucune)'}.",
    )  # fmt: skip
    told = (("dans l'heure", "lately"), ("alarme à", "alarm"), ("limite", "limit"))
    shown = tuple((words, str(figures["reveals"][name])) for words, name in told)
    yield Section("Consultations en clair", ("élément", "nombre"), shown)


def _day(at: str) -> str:
    """The day of a moment as it is kept, '' of none."""
    return day_words(moment(at)) if at else ""


def _conditions(paths: Paths) -> Section:
    try:
        rows = BoardReader(paths.board).conditions()
    except FileNotFoundError:
        return Section("États signalés", ("portée", "nom", "code", "depuis"), (("tableau", UNKNOWN, "", ""),))
    told = tuple((row["scope"], row["name"], row["code"], moment_words(row["since"])) for row in rows if row["code"])
    return Section("États signalés", ("portée", "nom", "code", "depuis"), told, "" if told else "Aucun.")

"""``gateway concentrator code|enrolments|revoke``: boxes in and out of force, at the OCT.

They work on the store of a concentrator that may be running: what they change counts at the next word that a box
says.  A code is printed once and is kept nowhere.
"""

from __future__ import annotations

import argparse
import json
import re
import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import Any

from gateway.book.moves import utc_now
from gateway.commands.sections import SECTIONS, add_config
from gateway.concentrator.boxes import MOST_TRIES, Boxes, MandateRow
from gateway.concentrator.disk import OctDiskFull
from gateway.concentrator.keys import load_trust
from gateway.concentrator.publishing import publish
from gateway.concentrator.settings import ConcentratorSettings
from gateway.concentrator.store import Store
from gateway.config import read_document, read_section
from gateway.disk import room
from gateway.envelope.box_keys import BY_NAME
from gateway.envelope.succession import first_root
from gateway.errors import Refused, Scope
from gateway.follow.moments import moment, moment_words
from gateway.formats.codes import RANDOM_BYTES, proof_key, read_code, write_code
from gateway.formats.days import day_words, iso
from gateway.formats.enrolment import fingerprint, fingerprint_words
from gateway.formats.words import plural

_PARTNER = re.compile(r"[0-9A-Za-z._-]{1,40}")


def register(actions: Any) -> None:
    """Add the three actions to ``concentrator``; each sets ``act``."""
    code = actions.add_parser("code", help="un code d'enrôlement pour le boîtier d'un cabinet")
    code.add_argument("partner", metavar="PARTENAIRE", help="identifiant PeSIT du boîtier (PI 3)")
    code.add_argument("--rpps", required=True, metavar="RPPS", help="le praticien dont la carte signera la demande")
    code.add_argument(
        "--mandate", action="append", default=[], metavar="RPPS:ÉMETTEUR:RÔLE",
        help="qui signe pour quel numéro, pour un partenaire que les réglages ne déclarent pas",
    )  # fmt: skip
    code.set_defaults(act=make_code)
    listing = actions.add_parser("enrolments", help="les boîtiers enrôlés et l'empreinte de leur demande")
    listing.add_argument("--json", action="store_true", help="pour un programme")
    listing.set_defaults(act=list_enrolments)
    revoke = actions.add_parser("revoke", help="mettre un boîtier hors de vigueur, et ses certificats sur la liste")
    revoke.add_argument("partner", metavar="PARTENAIRE", help="identifiant PeSIT du boîtier (PI 3)")
    revoke.add_argument(
        "--certificate", default="", metavar="NOM", choices=tuple(BY_NAME),
        help="celui-là seulement (box-seal, recovery…) ; le partenaire reste en vigueur avec les autres",
    )  # fmt: skip
    revoke.set_defaults(act=revoke_box)
    for parser in (code, listing, revoke):
        add_config(parser)


@contextmanager
def _store(arguments: argparse.Namespace) -> Iterator[tuple[ConcentratorSettings, Store]]:
    """Settings and store of the concentrator; Refused ENR-011 where no boxes are enrolled."""
    document = read_document(arguments.config, SECTIONS)
    settings = read_section(ConcentratorSettings, document.get("concentrator", {}), "[concentrator]")
    if not settings.enrolment.enabled:
        text = "Ce concentrateur n'enrôle pas de boîtiers : réglage [concentrator.enrolment] enabled."
        raise Refused("ENR-011", text, Scope.BOX)
    settings.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with room(OctDiskFull), closing(Store(settings.database)) as store:
        yield settings, store


def make_code(arguments: argparse.Namespace) -> int:
    """Print a new code for a partner, and what the technician needs with it."""
    if not _PARTNER.fullmatch(arguments.partner) or not re.fullmatch(r"\d{11}", arguments.rpps):
        text = "Il faut un identifiant de partenaire (lettres, chiffres, . _ -) et un RPPS de onze chiffres."
        raise Refused("ENR-012", text, Scope.BOX)
    mandates = [_mandate(text) for text in arguments.mandate]
    with _store(arguments) as (settings, store):
        made = utc_now()
        until = made + timedelta(hours=settings.enrolment.code_hours)
        code = write_code(secrets.token_bytes(RANDOM_BYTES))
        key = proof_key(read_code(code), arguments.partner)
        Boxes(store).add_code(arguments.partner, arguments.rpps, mandates, key, iso(made), iso(until))
        root = fingerprint(first_root(load_trust(settings).roots, made))
    print(f"Partenaire   {arguments.partner}, demande signée par la carte du RPPS {arguments.rpps}")
    print(f"Code         {code}")
    print(f"Valable      une fois, jusqu'au {moment_words(iso(until))}, {MOST_TRIES} essais")
    print(f"Racine       {fingerprint_words(root)}")
    print(f"Au boîtier   gateway enrol https://HÔTE:PORT --code {code} --root-fingerprint {root}")
    return 0


def _mandate(text: str) -> MandateRow:
    parts = text.split(":")
    if len(parts) != 3 or not all(parts):
        raise Refused("ENR-012", f"--mandate {text} : il faut RPPS:ÉMETTEUR:RÔLE.", Scope.BOX)
    return (parts[0], parts[1], parts[2])


def list_enrolments(arguments: argparse.Namespace) -> int:
    """One line for each enrolment, the oldest first."""
    with _store(arguments) as (_, store):
        rows = [dict(row) for row in Boxes(store).listing()]
    for row in rows:
        row["in_force"] = bool(row.pop("last")) and not row.pop("excluded")
    if arguments.json:
        print(json.dumps(rows, ensure_ascii=False, indent=2))
    else:
        print("\n".join(map(_line, rows)) or "Aucun boîtier enrôlé.")
    return 0


def _line(row: dict[str, Any]) -> str:
    word = "en vigueur" if row["in_force"] else "hors de vigueur"
    revoked = f", {plural(row['revoked'], 'certificat révoqué', 'certificats révoqués')}" if row["revoked"] else ""
    return (
        f"{row['at']}  {row['partner']:<8}  {row['box']}  {word} jusqu'au {day_words(moment(row['until']))}{revoked}, "
        f"demande signée par {row['holder']} ({row['rpps']})\n    empreinte {fingerprint_words(row['request'])}"
    )


def revoke_box(arguments: argparse.Namespace) -> int:
    """Out of force at once; then the list is published."""
    with _store(arguments) as (settings, store):
        at = utc_now()
        boxes = Boxes(store)
        known = boxes.last(arguments.partner) or any(one.identifier == arguments.partner for one in settings.partners)
        if not known:
            raise Refused("ENR-013", f"Le partenaire {arguments.partner} est inconnu ici.", Scope.BOX)
        names = boxes.revoke(arguments.partner, at, arguments.certificate)
        publish(settings, store, at)
    if not arguments.certificate:
        print(f"{arguments.partner} est hors de vigueur jusqu'à un nouvel enrôlement.")
    print(f"Révoqués et publiés dans {settings.enrolment.crl} : {', '.join(sorted(names)) or 'aucun certificat'}.")
    return 0

"""``gateway concentrator``: what the receiving end has integrated, and the hash of a partner's password.

The database is only read; it holds no name and no NIR.
"""

from __future__ import annotations

import argparse
import getpass
import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from gateway.book.moves import utc_now
from gateway.commands import concentrator_alarms, concentrator_boxes
from gateway.commands.moments import since_day
from gateway.concentrator.disk import OctDiskFull
from gateway.concentrator.schema import known, open_reading
from gateway.concentrator.settings import ConcentratorSettings
from gateway.concentrator.store import Store
from gateway.concentrator.witness import forget
from gateway.disk import room
from gateway.formats.words import plural
from gateway.link.passwords import password_hash

VERDICTS = """
SELECT verdicts.id, verdicts.fichier, verdicts.sender, verdicts.transmission, verdict, code, text, kind, verdicts.size,
       substr(digest, 1, 12) AS digest, received, at, doubles
FROM verdicts JOIN transfers ON transfers.id = verdicts.id ORDER BY verdicts.id
"""
LOTS = "SELECT emitter, destination, number, date, factures, amo, amc FROM lots WHERE verdict = ? ORDER BY rank"

WORDS = {"integrated": "pris en charge", "refused": "refusé", "unopened": "non ouvert"}


DIRECTORY: dict[str, Any] = {
    "default": ConcentratorSettings.directory, "metavar": "RÉPERTOIRE",
    "help": f"[concentrator] directory ; sinon {ConcentratorSettings.directory}",
}  # fmt: skip


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``concentrator list`` and ``concentrator password``; each sets ``act``."""
    parser = subparsers.add_parser("concentrator", help="le concentrateur de réception")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="les fichiers intégrés")
    listing.add_argument("--directory", type=Path, **DIRECTORY)
    listing.add_argument("--json", action="store_true", help="pour un programme")
    listing.set_defaults(act=list_verdicts)
    password = actions.add_parser("password", help="l'empreinte d'un mot de passe, pour le réglage partners")
    password.set_defaults(act=print_hash)
    accept = actions.add_parser("accept-journal", help="le journal d'un boîtier restauré ou remplacé repart de zéro")
    accept.add_argument("sender", metavar="PARTENAIRE", help="identifiant PeSIT du boîtier (PI 3)")
    accept.add_argument("--why", required=True, metavar="RAISON", help="pourquoi ; gardée parmi les alarmes")
    accept.add_argument("--directory", type=Path, **DIRECTORY)
    accept.set_defaults(act=accept_journal)
    again = actions.add_parser("redeliver", help="remettre de nouveau à un boîtier restauré ce qu'il a eu depuis")
    again.add_argument("sender", metavar="PARTENAIRE", help="identifiant PeSIT du boîtier (PI 3)")
    again.add_argument("--since", required=True, type=since_day, metavar="AAAA-MM-JJ", help="le jour de sa sauvegarde")
    again.add_argument("--directory", type=Path, **DIRECTORY)
    again.set_defaults(act=redeliver)
    concentrator_alarms.register(actions, DIRECTORY)
    concentrator_boxes.register(actions)


def list_verdicts(arguments: argparse.Namespace) -> int:
    """Print every verdict with its lots, oldest first."""
    with closing(open_reading(arguments.directory / "concentrator.db")) as connection:
        found = [_verdict(connection, row) for row in connection.execute(VERDICTS)]
    if arguments.json:
        print(json.dumps(found, ensure_ascii=False, indent=2))
    else:
        print("\n".join(_line(verdict) for verdict in found) or "Aucun fichier.")
    return 0


def accept_journal(arguments: argparse.Namespace) -> int:
    """Forget the heads of one box's journal: the next one is taken as the first; said among the alarms."""
    path = known(arguments.directory / "concentrator.db")
    with room(OctDiskFull), closing(Store(path)) as store, store.transaction() as connection:
        done = forget(connection, arguments.sender, arguments.why, utc_now())
    print(f"{arguments.sender} : {plural(done, 'tête')} de journal oubliées.")
    return 0


def redeliver(arguments: argparse.Namespace) -> int:
    """Returns that a box had, and confirmed, wait for it again; a box that has them knows them."""
    settings = ConcentratorSettings(directory=arguments.directory)
    with room(OctDiskFull), closing(Store(known(settings.database))) as store:
        done = store.redeliver(arguments.sender, arguments.since, [file.name for file in settings.returns.iterdir()])
    print(f"{arguments.sender} : {plural(done, 'retour sera remis', 'retours seront remis')} de nouveau.")
    return 0


def print_hash(_: argparse.Namespace) -> int:
    """Ask for a password on the terminal, or take a line of standard input, and print its hash."""
    password = getpass.getpass("Mot de passe : ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    print(password_hash(password))
    return 0


def _verdict(connection: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Any]:
    verdict = dict(row)
    lots = connection.execute(LOTS, (verdict.pop("id"),))
    return {**verdict, "lots": [dict(lot) for lot in lots]}


def _line(verdict: dict[str, Any]) -> str:
    reason = f" ({verdict['code']} {verdict['text']})" if verdict["code"] else ""
    doubles = f", {plural(verdict['doubles'], 'double')}" if verdict["doubles"] else ""
    return (
        f"{verdict['at']}  {verdict['sender']:<8}  {verdict['fichier'][:16]:<16}  "
        f"n° {verdict['transmission']}  {WORDS[verdict['verdict']]}{reason}, "
        f"{plural(len(verdict['lots']), 'lot')}, {verdict['size']} octets, {verdict['digest'] or 'illisible'}{doubles}"
    )

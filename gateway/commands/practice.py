"""The practice's daily work from a shell: where things stand (from the board) and what a person may ask.

Every listing takes ``--json``.  What changes something goes to the keeper by ``admin.sock``; a fichier is
handed over by HTTP to ``intake``, as the practice's software would.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gateway.book.board import BoardReader
from gateway.book.moves import utc_now
from gateway.commands.keeper import ask, common, print_rows, reason
from gateway.commands.moments import since_day
from gateway.commands.sections import SECTIONS, read_paths
from gateway.config import read_document, read_section
from gateway.errors import Deferred, Refused, Scope, os_words
from gateway.follow import timeline
from gateway.follow.figures import read_facts
from gateway.follow.headline import LEVEL_WORDS, fichier_words, headline
from gateway.follow.moments import stamp
from gateway.formats.words import euros

Row = dict[str, Any]


def register(subparsers: Any) -> None:
    """Add the family."""
    listings = {
        "status": (show_status, "le mot du jour et l'échelle de diagnostic"),
        "fichiers": (list_fichiers, "les fichiers et où ils en sont"),
        "lots": (list_lots, "les lots et leurs ARL"),
        "factures": (list_factures, "les factures et leurs règlements"),
    }
    for name, (act, words) in listings.items():
        parser = common(subparsers.add_parser(name, help=words))
        parser.set_defaults(act=act)
    show = common(subparsers.add_parser("show", help="la vie d'un fichier"))
    show.add_argument("id", metavar="ID", help="le fichier, ou le début de son identifiant")
    show.set_defaults(act=show_fichier)
    submit = common(subparsers.add_parser("submit", help="remettre un fichier"))
    submit.add_argument("file", type=Path, metavar="FICHIER", help="B2 ou document numérisé")
    submit.set_defaults(act=submit_file)
    for op, words in (("resend", "renvoyer"), ("hold", "retenir"), ("release", "libérer")):
        told = f"{words} un fichier ; la raison reste au journal de preuve : n'y nommez personne"
        parser = common(subparsers.add_parser(op, help=f"{words} un fichier", description=told))
        parser.add_argument("id", metavar="ID", help="le fichier, ou le début de son identifiant")
        reason(parser)
        parser.set_defaults(act=ask_about_one, op=op)
    returns = common(subparsers.add_parser("returns", help="les retours ; redeliver les remet à disposition"))
    returns.add_argument("action", nargs="?", choices=("list", "redeliver"), default="list", help="sinon list")
    returns.add_argument("--since", default="", type=since_day, metavar="AAAA-MM-JJ", help="redeliver : depuis ce jour")
    returns.set_defaults(act=list_returns)


# -- reading the board


def _board(arguments: argparse.Namespace) -> BoardReader:
    return BoardReader(read_paths(arguments.config).board)


def _read(rows: Any, *given: Any) -> Any:
    """What a question to the board answers; Deferred while there is no board."""
    try:
        return rows(*given)
    except FileNotFoundError:
        raise Deferred("BOX-003", "La passerelle redémarre ou n'est pas lancée : pas de tableau.", Scope.BOX) from None


def show_status(arguments: argparse.Namespace) -> int:
    """The headline, then each rung of the ladder."""
    now = utc_now()
    told = headline(_read(read_facts, _board(arguments), now), now)
    if arguments.json:
        rungs = [vars(rung) for rung in told.rungs]
        print(json.dumps({"level": told.level, "sentence": told.sentence, "rungs": rungs}, ensure_ascii=False))
        return 0
    print(told.sentence)
    for rung in told.rungs:
        print(f"  {LEVEL_WORDS[rung.level]:<9} {rung.title} : {rung.text}")
    return 0


def list_fichiers(arguments: argparse.Namespace) -> int:
    """Fichiers, newest first, each with its present word."""
    rows = _read(_board(arguments).fichiers)
    for row in rows:
        row["words"], row["short"], row["euros"] = fichier_words(row), row["id"][:8], euros(row["total"])
    columns = (("id", "short"), ("reçu", "received"), ("nom", "name"), ("lots", "lots"), ("total", "euros"),
               ("état", "state"), ("où il en est", "words"))  # fmt: skip
    return print_rows(arguments, rows, columns)


def list_lots(arguments: argparse.Namespace) -> int:
    """Lots with their ARL."""
    rows = _read(_board(arguments).lots)
    for row in rows:
        row["short"], row["total"] = row["fichier"][:8], euros(row["amo"] + row["amc"])
        row["word"] = _ARL[row["arl"]] + (f" : {row['arl_code']} {row['arl_text']}" if row["arl_code"] else "")
    columns = (("fichier", "short"), ("lot", "number"), ("destination", "destination"), ("date", "date"),
               ("factures", "factures"), ("demandé", "total"), ("ARL", "word"))  # fmt: skip
    return print_rows(arguments, rows, columns)


_ARL = {"": "attendu", "positive": "positif", "negative": "négatif"}
_PART = {"": "sans nouvelle", "P": "réglée", "R": "rejetée", "D": "différée"}


def list_factures(arguments: argparse.Namespace) -> int:
    """Factures with both parts."""
    rows = _read(_board(arguments).factures)
    for row in rows:
        for part in ("amo", "amc"):
            row[f"{part}_word"] = f"{euros(row[part])} {_PART[row[f'{part}_state']]}" if row[part] else "–"
    columns = (("facture", "number"), ("lot", "lot_number"), ("soins", "care_date"), ("AMO", "amo_word"),
               ("AMC", "amc_word"), ("rejet", "reject_text"))  # fmt: skip
    return print_rows(arguments, rows, columns)


def show_fichier(arguments: argparse.Namespace) -> int:
    """One fichier: its words, findings, lots and the moves of its life."""
    board = _board(arguments)
    found = _read(board.fichier, arguments.id)
    if len(found) != 1:
        raise Refused("CMD-001", f"« {arguments.id} » désigne {len(found)} fichiers : il en faut un seul.")
    row = found[0]
    tables = {name: board.of_fichier(name, row["id"]) for name in ("findings", "lots", "factures", "events")}
    if arguments.json:
        print(json.dumps({**row, **tables}, ensure_ascii=False, indent=1))
        return 0
    print(f"{row['name']}  ({row['id']})\n{fichier_words(row)}")
    for finding in tables["findings"]:
        print(f"  {finding['code']} enregistrement {finding['record']}, position {finding['position']} : "
              f"{finding['text']}")  # fmt: skip
    for lot in tables["lots"]:
        print(f"  lot {lot['number']} : {lot['factures']} factures, {euros(lot['amo'] + lot['amc'])}, "
              f"ARL {_ARL[lot['arl']]}")  # fmt: skip
    for event in tables["events"]:
        told = timeline.event(event["text"])
        print(f"  {stamp(told['at'])}  {told['text']}")
    return 0


# -- asking


def list_mandates(arguments: argparse.Namespace) -> int:
    """Mandates with whether they hold today, then whose certificates have signed here."""
    told = ask(arguments, {"op": "mandates"})
    if arguments.json:
        print(json.dumps(told, ensure_ascii=False, indent=1))
        return 0
    if told["rule"] == "open":
        print("Règle « open » : la carte de toute personne qui n'est pas absente signe.")
    if told["changed"]:
        print(f"Tables de {told['changed']}, qui l'emporte sur celles de la configuration.")
    names = {row["holder"]: row["name"] for row in told["practitioners"]}
    for row in told["mandates"]:
        row["name"], row["now"] = names[row["holder"]], "oui" if row["in_force"] else "non"
    print_rows(arguments, told["mandates"], (
        ("nom", "name"), ("porteur", "holder"), ("émetteur", "emitter"), ("rôle", "role"), ("du", "since"),
        ("au", "until"), ("aujourd'hui", "now"),
    ))  # fmt: skip
    print()
    columns = (("a signé", "name"), ("porteur", "holder"), ("valable du", "since"), ("au", "until"),
               ("certificat", "certificate"))  # fmt: skip
    return print_rows(arguments, told["signers"], columns)


def submit_file(arguments: argparse.Namespace) -> int:
    """Hand a file over; says the fichier's id and its present word."""
    from gateway.services.intake import IntakeSettings

    path: Path = arguments.file
    document = read_document(arguments.config, SECTIONS)
    settings: IntakeSettings = read_section(IntakeSettings, document.get("intake", {}), "[intake]")
    connection = http.client.HTTPConnection(settings.host, settings.port, timeout=120)
    try:
        body = path.open("rb")
    except OSError as error:
        raise Refused("CMD-006", f"{path} ne peut pas être lu : {os_words(error)}.") from None
    try:
        with body:
            size = str(os.fstat(body.fileno()).st_size)
            address = f"/api/v1/fichiers?name={quote(path.name)}"
            connection.request("POST", address, body, {"Content-Length": size})
            response = connection.getresponse()
            told = json.loads(response.read())
    except OSError as error:
        text = f"La passerelle ne prend pas de fichier : {os_words(error)}."
        raise Deferred("CMD-007", text, Scope.BOX) from None
    if response.status >= 400:
        raise Refused(told.get("code", "CMD-008"), told.get("text", "Dépôt refusé."))
    print(json.dumps(told, ensure_ascii=False) if arguments.json else f"{told['id'][:8]}  {told['text']}")
    return 0


def ask_about_one(arguments: argparse.Namespace) -> int:
    """Resend, hold or release one fichier."""
    told = ask(arguments, {"op": arguments.op, "id": arguments.id, "why": arguments.why})
    print(json.dumps(told, ensure_ascii=False) if arguments.json else f"{told['id'][:8]} : fait.")
    return 0


def list_returns(arguments: argparse.Namespace) -> int:
    """Returns for the practice; ``redeliver`` offers those since a day again."""
    if arguments.action == "redeliver":
        if not arguments.since:
            raise Refused("CMD-015", "Il faut dire depuis quel jour : --since AAAA-MM-JJ.")
        told = ask(arguments, {"op": "redeliver", "since": arguments.since})
        print(f"{told['returns']} retours remis à disposition.")
        return 0
    columns = (("arrivé", "arrived"), ("sorte", "kind"), ("nom", "name"), ("octets", "size"), ("relevé", "picked"))
    return print_rows(arguments, _read(_board(arguments).returns), columns)

"""Persons, from a shell: *reveal* one facture, list who saw what, export all that the box knows of somebody.

A NIR is read from a file or from standard input, never from the command line, which every process can list.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from gateway.commands.keeper import Row, aligned, ask, common, create, print_rows, reason
from gateway.commands.moments import since_day
from gateway.errors import Refused
from gateway.follow.moments import stamp
from gateway.follow.timeline import PART_WORDS, verb_words
from gateway.formats.words import day, euros, plural

REQUEST = "demande d'accès de la personne"


def register(subparsers: Any) -> None:
    """Add the family."""
    reveal = common(subparsers.add_parser("reveal", help="montrer en clair une facture, en disant pourquoi"))
    reveal.add_argument("id", nargs="?", default="", metavar="ID", help="le fichier, ou le début de son identifiant")
    reveal.add_argument("--lot", type=int, default=0, metavar="N", help="rang du lot dans le fichier")
    reveal.add_argument("--facture", type=int, default=0, metavar="N", help="rang de la facture dans le lot")
    reason(reveal)
    reveal.add_argument("--alarm-seen", action="store_true", help="l'alarme de consultation a été vue")
    reveal.set_defaults(act=show_facture)
    accesses = common(subparsers.add_parser("accesses", help="qui a vu quoi, d'après le journal des accès"))
    accesses.add_argument("--account", default="", metavar="COMPTE", help="celles de ce compte")
    accesses.add_argument("--since", default="", type=since_day, metavar="AAAA-MM-JJ", help="depuis ce jour")
    reason(accesses)
    accesses.set_defaults(act=list_accesses)
    export = common(subparsers.add_parser("export", help="tout ce que la passerelle sait d'une personne"))
    person = export.add_mutually_exclusive_group(required=True)
    person.add_argument("--nir-file", metavar="FICHIER", help="fichier qui contient son NIR ; - : entrée standard")
    person.add_argument("--holder", default="", metavar="ID", help="un porteur de carte (docs/mandats.md)")
    reason(export, REQUEST)
    export.add_argument("out", metavar="SORTIE", help="nom sans extension : SORTIE.json et SORTIE.txt")
    export.set_defaults(act=export_person)


def show_facture(arguments: argparse.Namespace) -> int:
    """The clear fields of one facture; or end the alarm."""
    if arguments.alarm_seen:
        ask(arguments, {"op": "alarm seen", "why": arguments.why})
        print("L'alarme est levée ; c'est au journal des accès.")
        return 0
    question = {name: getattr(arguments, name) for name in ("id", "lot", "facture", "why")}
    told = ask(arguments, {"op": "reveal", **question})
    if not arguments.json:
        print(f"Facture {told['number']} (consultation inscrite au journal des accès)")
        if told["complements"]:
            print(f"{plural(told['complements'], 'enregistrement')} de complément, non lus.")
    columns = (("enregistrement", "record"), ("type", "kind"), ("zone", "meaning"), ("valeur", "value"))
    return print_rows(arguments, told["zones"], columns)


def list_accesses(arguments: argparse.Namespace) -> int:
    """Rows of the access chain, with who and why as long as the key of their year lives."""
    question = {"op": "accesses", "account": arguments.account, "since": arguments.since, "why": arguments.why}
    rows = ask(arguments, question)["rows"]
    for row in rows:
        row["who"], row["reason"] = row["said"].get("account", "(effacé)"), row["said"].get("why", "(effacé)")
        row["what"] = row.get("about", "")[:8] + (f" {row['lot']}/{row['facture']}" if "lot" in row else "")
        row["local"], row["words"] = stamp(row["at"]), verb_words(row["verb"])
    columns = (("moment", "local"), ("acte", "words"), ("compte", "who"), ("objet", "what"), ("raison", "reason"))
    return print_rows(arguments, rows, columns)


# -- export


def export_person(arguments: argparse.Namespace) -> int:
    """SORTIE.json with every row, SORTIE.txt to be read; both readable by their owner only."""
    paths = [Path(f"{arguments.out}.{kind}") for kind in ("json", "txt")]
    for path in paths:
        if path.exists():
            raise Refused("CMD-011", f"{path} existe déjà.")
    question = {"op": "export", "holder": arguments.holder, "why": arguments.why}
    if arguments.nir_file:
        question["nir"] = _read_nir(arguments.nir_file)
    told = ask(arguments, question)
    told.pop("ok")
    for path, text in zip(paths, (json.dumps(told, ensure_ascii=False, indent=1), _in_words(told)), strict=True):
        with create(path) as out:
            out.write(text + "\n")
        print(path)
    return 0


def _read_nir(name: str) -> str:
    try:
        return sys.stdin.read(100) if name == "-" else Path(name).read_text(encoding="ascii")[:100]
    except (OSError, UnicodeDecodeError):
        raise Refused("CMD-006", f"{name} ne peut pas être lu.") from None


def _in_words(told: Row) -> str:
    rows = told["rows"]
    parts = _patient(rows) if told["of"] == "patient" else _practitioner(rows)
    head = (
        "Ce que la passerelle sait de cette personne",
        f"Elle y figure sous : {told['person']}",
        "Le détail de chaque ligne est dans le fichier JSON du même nom.",
    )
    return "\n".join((*head, *parts))


def _patient(rows: Row) -> Iterator[str]:
    yield "Un NIR est celui d'un assuré : des lignes peuvent être celles d'un ayant droit (enfant, conjoint)."
    yield "Ni documents numérisés, ni retours de payeurs encore scellés : ils ne se cherchent pas par personne."
    yield f"\n{plural(len(rows['factures']), 'facture')}"
    yield from _table(
        ("fichier", "lot", "facture", "soins", "demandé AMO", "demandé AMC", "AMO", "AMC"),
        (
            (row["fichier"][:8], row["lot_number"], row["number"], day(row["care_date"]), euros(row["amo"]),
             euros(row["amc"]), *(PART_WORDS.get(row[part], row[part]) for part in ("amo_state", "amc_state")))
            for row in rows["factures"]
        ),
    )  # fmt: skip
    yield f"\n{plural(len(rows['settlements']), 'retour')} de payeurs"
    yield from _table(("moment", "facture", "rejets"), (
        (stamp(row["at"]), row["facture"], " ".join(row["rejects"])) for row in rows["settlements"]))  # fmt: skip
    yield f"\n{plural(len(rows['accesses']), 'accès', 'accès')} à ses données en clair"
    yield from _table(("moment", "acte", "raison"), (
        (stamp(row["at"]), verb_words(row["verb"]), row["said"].get("why", "(effacé)"))
        for row in rows["accesses"]))  # fmt: skip
    yield f"\n{plural(len(rows['sealed_copies']), 'copie scellée gardée', 'copies scellées gardées')} ; le contenu s'en"
    yield "montre facture par facture, par « gateway reveal FICHIER --lot N --facture N --why … »."
    yield from _table(("fichier", "lot", "facture"), (
        (row["fichier"][:8], str(row["lot"]), str(row["facture"])) for row in rows["sealed_copies"]))  # fmt: skip


TITLES = {
    "practitioners": "Praticien déclaré", "emitters": "Numéros d'émetteur", "cards": "Cartes admises",
    "mandates": "Mandats", "absences": "Absences", "signers": "Certificats qui ont signé",
    "fichiers": "Fichiers signés", "journal": "Lignes du journal",
}  # fmt: skip


COLUMNS = {
    "rpps": "porteur", "name": "nom", "since": "depuis", "until": "jusqu'au", "number": "numéro",
    "emitter": "émetteur", "role": "rôle", "certificate": "certificat", "id": "fichier", "received": "reçu",
    "state": "état", "at": "moment", "verb": "acte",
}  # fmt: skip
"""What a column is called, where its own name is not French."""


def _practitioner(rows: Row) -> Iterator[str]:
    for name, title in TITLES.items():
        found = rows[name]
        yield f"\n{title} : {len(found)}"
        keys = ("at", "verb", "fichier") if name == "journal" else tuple(found[0]) if found else ()
        yield from _table(
            tuple(COLUMNS.get(key, key) for key in keys), (tuple(_cell(key, row[key]) for key in keys) for row in found)
        )


def _cell(key: str, value: object) -> str:
    """A value as people read it: a verb in French, a moment in the time of Paris."""
    text = verb_words(str(value)) if key == "verb" else str(value)
    return stamp(text) if _MOMENT.fullmatch(text) else text


_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def _table(titles: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    lines = [list(row) for row in rows]
    return (f"  {line}" for line in aligned([list(titles), *lines])) if lines else iter(())

"""``gateway mandates`` and ``gateway mandates change FILE``: who may sign, shown and changed.

The keeper says what a change is and verifies its proof; this command shows the one and has the CPS in the reader give
the other.  Typing the code is the consent: nothing else is asked.
"""

from __future__ import annotations

import argparse
import json
from base64 import b64encode
from functools import partial
from pathlib import Path
from typing import Any

from gateway.card.proof import change_message
from gateway.commands import practice
from gateway.commands.card import add_card_options, bounded, prove
from gateway.commands.keeper import ask, common
from gateway.commands.sections import DEFAULT
from gateway.config import read_document, write_toml


def register(subparsers: Any) -> None:
    """Add ``mandates``, a listing, and ``mandates change``."""
    listing = subparsers.add_parser(
        "mandates", help="qui signe pour quel émetteur, et qui a signé ; change : le changer"
    )
    common(listing)
    listing.add_argument("--toml", action="store_true", help="les tables, telles que change les lit")
    listing.set_defaults(act=show)
    change = listing.add_subparsers(metavar="[change]").add_parser("change", help="changer les tables, par la carte")
    change.add_argument("file", type=Path, metavar="FICHIER", help="TOML : section [keeper], les tables qui changent")
    add_card_options(change, "pin")
    change.add_argument("--config", type=Path, default=argparse.SUPPRESS, metavar="FICHIER", help=f"sinon {DEFAULT}")
    change.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="pour un programme")
    change.set_defaults(act=partial(bounded, change_tables))


def show(arguments: argparse.Namespace) -> int:
    """The mandates and the signers, or the tables to be edited."""
    if not arguments.toml:
        return practice.list_mandates(arguments)
    print(write_toml({"keeper": ask(arguments, {"op": "declared"})["tables"]}), end="")
    return 0


def change_tables(arguments: argparse.Namespace) -> int:
    """Propose the tables of a file, show what changes, have the card prove it; 65 where it is refused."""
    tables = read_document(arguments.file, ("keeper",)).get("keeper", {})
    told = ask(arguments, {"op": "propose", "tables": tables})
    if not arguments.json:
        _print(told)
    message = change_message(
        told["box"], bytes.fromhex(told["challenge"]), bytes.fromhex(told["before"]), bytes.fromhex(told["after"])
    )
    contents, signature = prove(arguments, message)
    done = ask(arguments, {
        "op": "prove", "challenge": told["challenge"], "signature": b64encode(signature).decode(),
        "certificate": b64encode(contents.authentication.certificate).decode(),
    })  # fmt: skip
    if arguments.json:
        print(json.dumps({**told, **done}, ensure_ascii=False))
    else:
        print(f"Changé par la carte de {done['name']} : en vigueur ici.")
        print("Le concentrateur a ses propres mandats : lui annoncer ceux qui changent, sinon il refuse (OCT-011).")
    return 0


def _print(told: dict[str, Any]) -> None:
    print("\n".join(told["changes"]))
    if told["last"]:
        print("Attention : après ce changement, aucun titulaire n'aura mandat, et nul ne pourra en faire d'autre ici.")
    print(f"À prouver par la carte de {' ou '.join(told['provers'])}, dans les dix minutes.", flush=True)

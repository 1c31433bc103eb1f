"""``gateway clock``: whether the keeper trusts the clock, and a person's word that it is right."""

from __future__ import annotations

import argparse
import json
from typing import Any

from gateway.commands.keeper import ask, common
from gateway.follow.moments import on_words


def register(subparsers: Any) -> None:
    """Add ``clock``; it sets ``act``."""
    words = "l'horloge tient-elle ; --why la confirme, quand ce qui la contredit était faux"
    parser = common(subparsers.add_parser("clock", help=words))
    parser.add_argument("--why", default="", metavar="RAISON", help="pourquoi l'heure d'à présent est la bonne")
    parser.set_defaults(act=show_clock)


def show_clock(arguments: argparse.Namespace) -> int:
    """Print what the clock shows, what is known to be past, and whether both agree."""
    told = ask(arguments, {"op": "clock", "why": arguments.why})
    if arguments.json:
        print(json.dumps(told, ensure_ascii=False))
        return 0
    print(f"Il est {on_words(told['now'])} à l'horloge de la passerelle.")
    print(f"Il est au moins {on_words(told['witness'])} : {told['what']}.")
    print(told["text"] or "Les deux s'accordent.")
    return 0

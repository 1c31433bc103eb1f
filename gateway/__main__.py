"""``gateway``: the command line; exit codes are those of sysexits.

0 done, 64 usage, 65 refused, 69 the other side or the card is not there, 75 try later, 70 a bug.  Only the
module of the family that was typed is loaded.
"""

from __future__ import annotations

import argparse
import importlib
import io
import sys
import traceback
from collections.abc import Sequence

from gateway.commands.parser import Parser
from gateway.errors import Deferred, Refused, Scope

REFUSED, UNAVAILABLE, BUG, LATER = 65, 69, 70, 75

PRACTICE = (
    "status", "fichiers", "lots", "factures", "show", "submit", "resend", "hold", "release", "returns",
)  # fmt: skip

FAMILIES = {
    **dict.fromkeys(PRACTICE, "practice"),
    "mandates": "mandates",
    "journal": "journal",
    "evidence": "evidence",
    **dict.fromkeys(("reveal", "accesses", "export"), "personal"),
    "wipe": "wipe",
    "report": "report",
    "clock": "clock",
    "flux": "flux",
    "envelope": "envelope",
    "card": "card",
    "concentrator": "concentrator",
    "enrol": "enrol",
    "keys": "keys",
    "pesit": "pesit",
    "config": "configuration",
    "backup": "backup",
    "restore": "backup",
    "run": "run",
    "dev": "run",
}
"""First word → module of ``gateway.commands``, in the order of the help."""


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    parser = Parser(prog="gateway", description="Passerelle de télétransmission d'un cabinet vers son OCT.")
    subparsers = parser.add_subparsers(required=True, metavar="COMMANDE", parser_class=Parser)
    wanted = [FAMILIES[words[0]]] if words and words[0] in FAMILIES else dict.fromkeys(FAMILIES.values())
    for module in wanted:
        importlib.import_module(f"gateway.commands.{module}").register(subparsers)
    return parser


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    words = sys.argv[1:] if words is None else words
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file name in Latin-1, a terminal without accents
    arguments = _parser(words).parse_args(words)
    try:
        return int(arguments.act(arguments))
    except Refused as refusal:
        print(f"gateway : {refusal.code} {refusal.text}", file=sys.stderr)
        return REFUSED
    except Deferred as deferral:
        print(f"gateway : {deferral.code} {deferral.text}", file=sys.stderr)
        return UNAVAILABLE if deferral.scope in (Scope.CARD, Scope.ROUTE) else LATER
    except KeyboardInterrupt:
        return 130
    except Exception:  # a bug or a broken disk: said as Python says it, and the end all the same
        traceback.print_exc()
        print("gateway : ce n'était pas prévu ; les lignes ci-dessus sont à transmettre.", file=sys.stderr)
        return BUG


if __name__ == "__main__":
    sys.exit(main())

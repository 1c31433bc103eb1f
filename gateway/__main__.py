"""``gateway``: the command line; exit codes are those of sysexits.

0 done, 64 usage, 65 refused, 69 the other side or the card is not there, 75 try later, 70 a bug.  Only the
module of the family that was typed is loaded.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from gateway.errors import Deferred, Refused, Scope

USAGE, REFUSED, UNAVAILABLE, LATER = 64, 65, 69, 75

PRACTICE = (
    "status", "fichiers", "lots", "factures", "show", "submit", "resend", "hold", "release", "returns",
)  # fmt: skip

FAMILIES = {
    "run": "run",
    "dev": "run",
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
}
"""First word → module of ``gateway.commands``."""


class _Parser(argparse.ArgumentParser):
    """argparse, with the exit code of sysexits for a usage error."""

    def error(self, message: str) -> None:  # type: ignore[override]
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    parser = _Parser(prog="gateway", description="Passerelle de télétransmission d'un cabinet vers son OCT.")
    subparsers = parser.add_subparsers(required=True, metavar="COMMANDE", parser_class=_Parser)
    wanted = {FAMILIES[words[0]]} if words and words[0] in FAMILIES else set(FAMILIES.values())
    for module in sorted(wanted):
        importlib.import_module(f"gateway.commands.{module}").register(subparsers)
    return parser


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    words = sys.argv[1:] if words is None else words
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


if __name__ == "__main__":
    sys.exit(main())

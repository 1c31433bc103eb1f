"""``gateway concentrator alarms|alarm-seen``: what a person should look at, at the OCT, and the word that it is done.

``alarms`` only reads, so that it answers while the concentrator runs and while its disk is full.
"""

from __future__ import annotations

import argparse
import json
from contextlib import closing
from pathlib import Path
from typing import Any

from gateway.book.moves import utc_now
from gateway.concentrator.alarms import alarms, settle
from gateway.concentrator.disk import OctDiskFull
from gateway.concentrator.schema import known, open_reading
from gateway.concentrator.store import Store
from gateway.disk import room
from gateway.follow.moments import stamp
from gateway.formats.words import printable

OPEN = 1
"""The exit code while an alarm is open."""


def register(actions: Any, directory: dict[str, Any]) -> None:
    """Add both actions to ``concentrator``; each sets ``act``.  ``directory``: that option, as its others have it."""
    listing = actions.add_parser("alarms", help="les alarmes ouvertes ; code de sortie 1 s'il y en a")
    listing.add_argument("--directory", type=Path, **directory)
    listing.add_argument("--all", action="store_true", help="celles qui sont finies aussi")
    listing.add_argument("--json", action="store_true", help="pour un programme")
    listing.set_defaults(act=list_alarms)
    seen = actions.add_parser("alarm-seen", help="une alarme est traitée ; elle reste avec alarms --all")
    seen.add_argument("alarm", metavar="CODE", help="son code (OCT-…)")
    seen.add_argument("about", metavar="OBJET", nargs="+", help="de quoi elle parle, comme alarms l'écrit")
    seen.add_argument("--why", required=True, metavar="RAISON", help="ce qui a été fait ; gardé avec elle")
    seen.add_argument("--directory", type=Path, **directory)
    seen.set_defaults(act=settle_alarm)


def list_alarms(arguments: argparse.Namespace) -> int:
    """Alarms, the oldest first: since when, code, about what; what it is; what to do.  OPEN while one is open."""
    with closing(open_reading(arguments.directory / "concentrator.db")) as connection:
        found = alarms(connection)
    shown = [row for row in found if row["open"] or arguments.all]
    if arguments.json:
        print(json.dumps(shown, ensure_ascii=False, indent=2))
    else:
        print("\n".join(map(_lines, shown)) or "Aucune alarme ouverte.")
    return OPEN if any(row["open"] for row in found) else 0


def settle_alarm(arguments: argparse.Namespace) -> int:
    """A person's word that an alarm is dealt with."""
    about = " ".join(arguments.about)
    path = known(arguments.directory / "concentrator.db")
    with room(OctDiskFull), closing(Store(path)) as store, store.transaction() as connection:
        settle(connection, arguments.alarm, about, arguments.why, utc_now())
    print(f"{arguments.alarm} {about} : traitée.")
    return 0


def _lines(row: dict[str, Any]) -> str:
    lines = [f"depuis le {stamp(row['at'])}  {row['code']}  {row['about']}", f"    {row['text']}"]
    if row["open"]:
        lines.append(f"    À faire : {row['advice']}")
    elif row["settled"]:
        lines.append(f"    Finie le {stamp(row['settled'])} : {row['word']}")
    else:
        lines.append("    Finie.")
    return "\n".join(map(printable, lines))

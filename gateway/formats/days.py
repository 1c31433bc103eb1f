"""The days of the practice: a fichier, a mandate and a certificate's end are dated as its people count, in the time
of Paris.  Moments are kept in UTC; from 22 or 23 h UTC on, the two disagree about which day it is."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

PARIS = ZoneInfo("Europe/Paris")


def day_of(at: datetime) -> str:
    """The day of Paris, 'YYYY-MM-DD', in which the aware moment ``at`` lies."""
    return at.astimezone(PARIS).date().isoformat()

"""Moments as they are kept, and the days of the practice.

Moments are kept in UTC.  A fichier, a mandate and a certificate's end are dated as people count, in the time of Paris:
from 22 or 23 h UTC on, the two disagree about which day it is.
"""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

PARIS = ZoneInfo("Europe/Paris")


def iso(at: datetime) -> str:
    """An aware moment as it is kept: ISO 8601, UTC, seconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def day_of(at: datetime) -> str:
    """The day of Paris, 'YYYY-MM-DD', in which the aware moment ``at`` lies."""
    return at.astimezone(PARIS).date().isoformat()


def day_words(at: datetime) -> str:
    """'24/11/2026', the day of Paris in which the aware moment ``at`` lies, as people read it."""
    return f"{at.astimezone(PARIS):%d/%m/%Y}"

"""Moments as people read them: French, in the time of Paris, near ones by name.

Moments come as the book writes them, ISO 8601 in UTC; the present is an argument.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from gateway.formats.days import PARIS, day_words

_NEAR = {-1: "hier ", 0: "", 1: "demain "}


def moment(iso: str) -> datetime:
    """The moment of an ISO 8601 text, in the time of Paris; one without a zone is UTC."""
    at = datetime.fromisoformat(iso)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(PARIS)


def clock(at: datetime) -> str:
    """'14 h 02', with no-break spaces."""
    return f"{at.hour}\u00a0h\u00a0{at.minute:02d}"


def at_words(iso: str, now: datetime) -> str:
    """'à 14 h 02', 'hier à 14 h 02', 'demain à 9 h 00', 'le 21/11/2025 à 14 h 02'."""
    at = moment(iso)
    return f"{_day(at, now)}à {clock(at)}"


def since_words(iso: str, now: datetime) -> str:
    """'depuis 14 h 02', 'depuis hier 14 h 02', 'depuis le 21/11/2025 14 h 02'."""
    at = moment(iso)
    return f"depuis {_day(at, now)}{clock(at)}"


def moment_words(iso: str) -> str:
    """'22/11/2025 à 14 h 02'."""
    at = moment(iso)
    return f"{day_words(at)} à {clock(at)}"


def on_words(iso: str) -> str:
    """'le 22/11/2025 à 14 h 02'."""
    return f"le {moment_words(iso)}"


def stamp(iso: str) -> str:
    """'22/11/2025 14:02:33 +01:00', where each second and the hour that comes twice count."""
    at = moment(iso)
    return f"{at:%d/%m/%Y %H:%M:%S} {at.isoformat()[-6:]}"


def midnight(now: datetime) -> datetime:
    """When today began in Paris."""
    return now.astimezone(PARIS).replace(hour=0, minute=0, second=0, microsecond=0)


def _day(at: datetime, now: datetime) -> str:
    today: date = now.astimezone(PARIS).date()
    return _NEAR.get((at.date() - today) // timedelta(days=1), f"le {day_words(at)} ")

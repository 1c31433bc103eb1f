"""Days and moments as they are typed on a command line: types for argparse, which give what is kept."""

from __future__ import annotations

import argparse
from calendar import monthrange
from collections.abc import Collection
from datetime import UTC, datetime

from gateway.formats.days import PARIS, iso


def since_day(text: str) -> str:
    """The type of the day of Paris, YYYY-MM-DD and no other way, from which on: its first moment, ISO 8601 in UTC."""
    return _bound(text, "un jour est attendu : AAAA-MM-JJ", (10,), last=False)


def since_moment(text: str) -> str:
    """The type of a month, day, hour, minute or second from which on: its first moment, ISO 8601 in UTC.  It is one
    of Paris, or of UTC with a ``Z`` behind it."""
    return _bound(text, _MOMENT, (7, 10, 13, 16, 19), last=False)


def until_moment(text: str) -> str:
    """As ``since_moment``, up to and with it: its last second."""
    return _bound(text, _MOMENT, (7, 10, 13, 16, 19), last=True)


_MOMENT = "un moment est attendu : AAAA-MM-JJ, ou AAAA-MM-JJTHH:MM"
_FIRST, _LAST = "2000-01-01T00:00:00", "2000-01-{}T23:59:59"
"""What is left unsaid of a moment."""


def _bound(text: str, wanted: str, lengths: Collection[int], last: bool) -> str:
    """The first or last second of what is so long and begins a moment; '' stays '', which is none."""
    told = text.removesuffix("Z")
    if not text:
        return ""
    try:
        if len(told) not in lengths:
            raise ValueError
        at = datetime.strptime(f"{told}{_FIRST[len(told) :]}", "%Y-%m-%dT%H:%M:%S")
        if last:
            filled = _LAST.format(monthrange(at.year, at.month)[1])
            at = datetime.fromisoformat(f"{told}{filled[len(told) :]}")
        # the hour that comes twice: from its first, up to its second
        return iso(at.replace(tzinfo=UTC if told != text else PARIS, fold=int(last)))
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(wanted) from None

"""The days of the practice."""

from __future__ import annotations

from datetime import UTC, datetime

from gateway.formats.days import day_of, day_words


def test_a_day_is_one_of_paris() -> None:
    assert day_words(datetime(2026, 7, 31, 22, 30, tzinfo=UTC)) == "01/08/2026"
    assert day_of(datetime(2026, 7, 31, 22, 30, tzinfo=UTC)) == "2026-08-01"
    assert day_of(datetime(2026, 12, 31, 22, 30, tzinfo=UTC)) == "2026-12-31"
    assert day_of(datetime(2026, 12, 31, 23, 30, tzinfo=UTC)) == "2027-01-01"

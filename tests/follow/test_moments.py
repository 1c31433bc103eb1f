"""Moments in words, on both sides of midnight and of the change of hour in Paris."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway.follow.moments import at_words, midnight, on_words, since_words, stamp

NOW = datetime(2026, 11, 23, 13, 30, tzinfo=UTC)
H = "\u00a0h\u00a0"


@pytest.mark.parametrize(
    ("iso", "at", "since"),
    [
        ("2026-11-23T13:02:00Z", f"à 14{H}02", f"depuis 14{H}02"),
        ("2026-11-23T15:20:00+02:00", f"à 14{H}20", f"depuis 14{H}20"),
        ("2026-11-22T23:05:00Z", f"à 0{H}05", f"depuis 0{H}05"),
        ("2026-11-22T22:59:59Z", f"hier à 23{H}59", f"depuis hier 23{H}59"),
        ("2026-11-24T08:00:00Z", f"demain à 9{H}00", f"depuis demain 9{H}00"),
        ("2026-11-21T08:00:00", f"le 21/11/2026 à 9{H}00", f"depuis le 21/11/2026 9{H}00"),
        ("2026-07-01T08:00:00Z", f"le 01/07/2026 à 10{H}00", f"depuis le 01/07/2026 10{H}00"),
    ],
)
def test_near_moments_have_names(iso: str, at: str, since: str) -> None:
    assert (at_words(iso, NOW), since_words(iso, NOW)) == (at, since)


def test_on_words_name_the_day_always() -> None:
    assert on_words("2026-11-23T13:02:00Z") == f"le 23/11/2026 à 14{H}02"


def test_today_begins_at_midnight_in_paris() -> None:
    assert midnight(NOW).astimezone(UTC) == datetime(2026, 11, 22, 23, 0, tzinfo=UTC)
    assert midnight(datetime(2026, 11, 22, 23, 30, tzinfo=UTC)) == midnight(NOW)


@pytest.mark.parametrize(("iso", "words"), [
    ("2025-10-26T00:30:05Z", "26/10/2025 02:30:05 +02:00"),
    ("2025-10-26T01:30:05Z", "26/10/2025 02:30:05 +01:00"),
    ("2025-12-31T23:00:00", "01/01/2026 00:00:00 +01:00"),
])  # fmt: skip
def test_a_stamp_says_which_of_two_same_hours_it_is(iso: str, words: str) -> None:
    assert stamp(iso) == words

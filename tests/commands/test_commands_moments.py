"""Days and moments as they are typed."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from itertools import product

import pytest

from gateway.commands.moments import since_day, since_moment, until_moment


@pytest.mark.parametrize(("kind", "told", "meant"), [
    (since_day, "2026-08-31", "2026-08-30T22:00:00Z"),
    (since_day, "2026-12-31", "2026-12-30T23:00:00Z"),
    (since_moment, "2026-02", "2026-01-31T23:00:00Z"),
    (until_moment, "2026-02", "2026-02-28T22:59:59Z"),
    (until_moment, "2026-08-31", "2026-08-31T21:59:59Z"),
    (since_moment, "2026-08-31T10", "2026-08-31T08:00:00Z"),
    (until_moment, "2026-08-31T10", "2026-08-31T08:59:59Z"),
    (until_moment, "2026-08-31T10:05", "2026-08-31T08:05:59Z"),
    (until_moment, "2026-08-31T10:05:07", "2026-08-31T08:05:07Z"),
    (since_moment, "2026-10-25T02:30", "2026-10-25T00:30:00Z"),  # this hour comes twice: both are meant
    (until_moment, "2026-10-25T02:30", "2026-10-25T01:30:59Z"),
    (since_moment, "2026-08-31T10:05:07Z", "2026-08-31T10:05:07Z"),
    (until_moment, "2026-08Z", "2026-08-31T23:59:59Z"),
    (since_day, "", ""), (since_moment, "", ""), (until_moment, "", ""),
])  # fmt: skip
def test_a_day_or_moment_of_paris_is_one_of_utc(kind: Callable[[str], str], told: str, meant: str) -> None:
    assert kind(told) == meant


DAYS = ["31/08/2026", "2026-8-31", "2026-02-30", "2026-08", "2026-08-31T10:00", "hier", "Z", "0001-01-01"]
MOMENTS = ["31/08/2026", "2026-13", "2026-08-31T25", "2026-08-31 10:05", "2026-08-3", "hier", "Z", "0001-01"]


@pytest.mark.parametrize(
    ("kind", "told"), [*product([since_day], DAYS), *product([since_moment, until_moment], MOMENTS[:-1]),
                       (since_moment, MOMENTS[-1])],
)  # fmt: skip
def test_no_day_and_no_moment(kind: Callable[[str], str], told: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="AAAA-MM-JJ"):
        kind(told)

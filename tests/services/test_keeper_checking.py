"""The check of a fichier, by the day of the practice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import samples
from development_pki import Pki
from keeper_bench import KeeperBench
from personal_bench import received

LATE = datetime.now(UTC).replace(hour=23, minute=30)
"""In Paris it is the next day already."""


@pytest.mark.parametrize(("days", "found"), [(1, set()), (2, {"B2-037"})])
def test_a_lot_of_the_first_hour_of_the_day_is_not_of_the_future(
    days: int, found: set[str], pki: Pki, tmp_path: Path
) -> None:
    bench = KeeperBench(tmp_path / "s", pki, LATE)
    fichier = received(bench, samples.b2(1, day=LATE.date() + timedelta(days=days)))
    rows = bench.desk.book.connection.execute("SELECT code FROM findings WHERE fichier = ?", (fichier,))
    assert {row["code"] for row in rows} == found

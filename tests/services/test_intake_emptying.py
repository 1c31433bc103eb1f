"""processed/ and refused/ are emptied after keep_days, never of what is still under way."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import samples
from development_pki import Pki
from keeper_bench import KeeperBench
from personal_bench import integrated, received

from gateway.process.runtime import Runtime
from gateway.services import intake as module
from gateway.services.intake import Intake, IntakeSettings


@pytest.mark.parametrize(("keep_days", "days", "left"), [(30, 29, 2), (30, 31, 1), (0, 999, 2)])
def test_it_looks_at_the_age_and_at_the_board(
    pki: Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep_days: int, days: int, left: int
) -> None:
    bench = KeeperBench(tmp_path / "s", pki)
    done, waiting = integrated(bench, samples.b2(7)), received(bench, samples.b2(8))
    intake = Intake(Runtime("intake", {}), bench.stage.paths, IntakeSettings(keep_days=keep_days))
    for fichier in (done, waiting):
        (bench.stage.paths.practice / "processed" / f"{fichier}_x.b2").write_bytes(b"x")
    real = time.time()
    monkeypatch.setattr(module.time, "time", lambda: real + days * 86400)
    bench.now += timedelta(days=days)
    assert bench.desk.clock_holds()
    intake.empty()
    assert len(list((bench.stage.paths.practice / "processed").iterdir())) == left
    assert (bench.stage.paths.practice / "processed" / f"{waiting}_x.b2").exists()


def test_a_clock_that_the_keeper_doubts_empties_nothing(
    pki: Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = KeeperBench(tmp_path / "s", pki)
    kept = bench.stage.paths.practice / "processed" / f"{integrated(bench, samples.b2(7))}_x.b2"
    intake = Intake(Runtime("intake", {}), bench.stage.paths, IntakeSettings())
    kept.write_bytes(b"x")
    assert bench.desk.clock_holds()
    monkeypatch.setattr(module.time, "time", lambda: 9e9)
    intake.empty()
    assert kept.exists(), "it leapt after the keeper's last word"
    bench.now = datetime.fromtimestamp(9e9, UTC)
    assert not bench.desk.clock_holds()
    intake.empty()
    assert kept.exists(), "the keeper doubts it"
    bench.settings["clock_ahead_days"] = 1e5
    bench.open()
    assert bench.desk.clock_holds()
    intake.empty()
    assert not kept.exists(), "it looks again as soon as the clock holds"


def test_a_start_with_a_wrong_clock_empties_nothing_before_the_keepers_word(
    pki: Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The board of a keeper that begins still says what the book last said: that the clock held."""
    bench = KeeperBench(tmp_path / "s", pki)
    kept = bench.stage.paths.practice / "processed" / f"{integrated(bench, samples.b2(7))}_x.b2"
    kept.write_bytes(b"x")
    assert bench.desk.clock_holds()
    bench.now += timedelta(days=40)
    monkeypatch.setattr(module.time, "time", bench.now.timestamp)
    bench.open(clock_ahead_days=30.0)
    intake = Intake(Runtime("intake", {}), bench.stage.paths, IntakeSettings())
    assert not [row for row in intake.board.conditions() if row["name"] == "clock" and row["code"]]
    intake.empty()
    assert kept.exists()


def test_without_a_board_nothing_goes(pki: Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = KeeperBench(tmp_path / "s", pki)
    intake = Intake(Runtime("intake", {}), bench.stage.paths, IntakeSettings())
    kept = bench.stage.paths.practice / "processed" / f"{'a' * 32}_x.b2"
    kept.write_bytes(b"x")
    bench.stage.paths.board.unlink()
    monkeypatch.setattr(module.time, "time", lambda: 9e9)
    intake.empty()
    assert kept.exists()

"""Real SIGKILL of every service at every instant that matters: exactly once, none lost, none signed twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from stage_root import stage_root

from tests.power.kills import Outcome, run_kills
from tests.power.mortal import INSTANTS


@pytest.fixture
def root() -> Iterator[Path]:
    with stage_root() as directory:
        yield directory


def check(outcome: Outcome, fichiers: int, faulty: int, large: int, kills: int) -> None:
    good = fichiers - faulty
    assert sorted(outcome.states.values()) == ["INTEGRATED"] * (good + large) + ["REFUSED"] * faulty
    assert len(outcome.integrated) == good + large
    assert set(outcome.integrated.values()) == {1}
    assert len(outcome.signatures) == good + large
    assert set(outcome.signatures.values()) == {1}
    assert (outcome.doubled, outcome.void) == ([], {})
    assert len(outcome.inbox) == len(set(outcome.inbox)) == 2 * good
    assert outcome.altered == []
    assert outcome.unwanted == []
    assert sum(outcome.kills.values()) >= kills


@pytest.mark.timeout(400)
def test_each_instant_twice(root: Path) -> None:
    outcome = run_kills(root, fichiers=48, times=2, seconds=180)
    check(outcome, 48, 6, 1, kills=2 * 2 * sum(map(len, INSTANTS.values())))


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_thousand(root: Path) -> None:
    outcome = run_kills(root, fichiers=320, times=13, seconds=1500, large=4)
    check(outcome, 320, 40, 4, kills=1000)

"""Real SIGKILL around the withdrawal of signatures: at most one is in force, and each fichier arrives once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from stage_root import stage_root

from tests.power.kills import Outcome
from tests.power.withdrawals import run_withdrawal

AROUND = ("keeper:move-sign", "keeper:withdraw-outgoing-part", "keeper:move-retract")
"""With the line down: the card keeps answers that the keeper died before confirming."""

BETWEEN = ("keeper:withdraw-outgoing-part", "keeper:remove-arrived-begun", "forward:put-arrived-begun")
"""With the line up: who was quicker?"""


@pytest.fixture
def root() -> Iterator[Path]:
    with stage_root() as directory:
        yield directory


def lines(instants: tuple[str, ...], times: int) -> list[str]:
    return [f"{instant}:{side} {times}\n" for instant in instants for side in ("before", "after")]


def check(outcome: Outcome, fichiers: int) -> None:
    assert list(outcome.states.values()) == ["INTEGRATED"] * fichiers
    assert (len(outcome.integrated), set(outcome.integrated.values())) == (fichiers, {1})
    assert (len(outcome.signatures), set(outcome.signatures.values())) == (fichiers, {1})
    assert outcome.doubled == []
    assert outcome.unwanted == []


@pytest.mark.timeout(300)
def test_the_keeper_dies_at_each_instant_around_a_withdrawal(root: Path) -> None:
    outcome = run_withdrawal(root, 6, lines(AROUND, 2), 90, line_up=False)
    check(outcome, 6)
    assert set(outcome.void.values()) == {1}, "each was withdrawn once"
    assert sum(outcome.kills.values()) == 2 * 2 * len(AROUND)


@pytest.mark.timeout(300)
def test_what_was_leaving_when_the_list_came_is_integrated_once_all_the_same(root: Path) -> None:
    outcome = run_withdrawal(root, 12, lines(BETWEEN, 1), 120, line_up=True)
    check(outcome, 12)

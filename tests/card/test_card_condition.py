"""What a failure makes of the card, for a person."""

from __future__ import annotations

import pytest

from gateway.card.condition import RANKS, condition_of
from gateway.card.failures import FAILURES, failure
from gateway.errors import Deferred, Refused, Scope, Trouble
from gateway.follow.headline import CARD_STATES

ABSENT = {"CPS-ABSENT", "CPS-REMOVED"}


@pytest.mark.parametrize("result", [*FAILURES, 0x80109999])
def test_a_card_is_missing_only_where_none_is_there(result: int) -> None:
    trouble = failure(result)
    assert (condition_of(trouble).state == "absent") == (trouble.code in ABSENT)


@pytest.mark.parametrize(
    ("trouble", "state"),
    [
        (Refused("CPS-6985", "Non.", Scope.CARD), "foreign"),
        (Refused("CPS-UPDATE", "Non.", Scope.CARD), "unfinished"),
        (Deferred("CPS-SW", "Non.", Scope.CARD), "trouble"),
        (Deferred("CPS-HUNG", "Non.", Scope.CARD), "trouble"),
        (Refused("CPS-6983", "Non.", Scope.CARD), "blocked"),
        (Refused("CPS-ACCESS", "Non.", Scope.CARD), "no-service"),
        (Deferred("CPS-BUSY", "Non.", Scope.CARD), "busy"),
    ],
    ids=lambda value: getattr(value, "code", value),
)
def test_the_state_of_a_trouble(trouble: Trouble, state: str) -> None:
    told = condition_of(trouble)
    assert (told.state, told.code, told.text) == (state, trouble.code, trouble.text)


def test_every_state_has_its_words_on_the_ladder() -> None:
    assert set(RANKS) <= CARD_STATES.keys()

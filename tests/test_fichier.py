"""The table of arrows is the whole truth about legal moves."""

from __future__ import annotations

import itertools

import pytest

from gateway.fichier import ARROWS, FINAL, State, Verb, may, target

LEGAL = {(arrow.source, arrow.verb): arrow.target for arrow in ARROWS}


def test_each_pair_has_one_target() -> None:
    assert len(LEGAL) == len(ARROWS)


@pytest.mark.parametrize(("source", "verb"), list(itertools.product((None, *State), Verb)))
def test_only_the_arrows_move(source: State | None, verb: Verb) -> None:
    if (source, verb) in LEGAL:
        assert target(source, verb) is LEGAL[source, verb]
        assert may(source, verb)
    else:
        assert not may(source, verb)
        with pytest.raises(LookupError):
            target(source, verb)


def test_every_state_is_reached_and_leads_to_an_end() -> None:
    reached = {arrow.target for arrow in ARROWS}
    assert reached == set(State)
    onward = {state: {a.target for a in ARROWS if a.source is state} for state in State}
    for state in State:
        seen, front = {state}, {state}
        while front:
            front = set().union(*(onward[each] for each in front)) - seen
            seen |= front
        assert seen & FINAL


def test_nothing_leaves_a_final_state_but_a_persons_resend() -> None:
    assert {arrow.verb for arrow in ARROWS if arrow.source in FINAL} == {Verb.RESEND}

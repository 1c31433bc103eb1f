"""The state table: every absent pair raises, and two machines that obey it never surprise each other."""

from __future__ import annotations

from collections import deque
from itertools import product

import pytest
from pesit_vectors import samples

from gateway.pesit.codec import Fpdu, decode, encode
from gateway.pesit.diagnostics import Violation
from gateway.pesit.fpdus import DATA
from gateway.pesit.framing import Framing
from gateway.pesit.session import Event, Session
from gateway.pesit.states import (
    DISCARDED,
    EVENTS,
    REQUESTER,
    SERVER,
    STATES,
    TABLE,
    IllegalTransition,
    State,
    step,
)

SAMPLES = samples()

ABSENT = sorted((state, event) for state, event in product(STATES, EVENTS) if (state, event) not in TABLE)


def hear(session: Session, data: bytes) -> list[Event]:
    """All that ``data`` makes a session say."""
    session.feed(data)
    return list(iter(session.next, None))


def sample(event: str) -> Fpdu:
    name = event.strip("!?-")
    found = SAMPLES[name]
    if event.endswith("-"):
        return Fpdu(name, {**found.values, 2: b"\x02\x00\xe2"})
    return Fpdu(name, {**found.values, 2: b"\0\0\0"}) if 2 in found.values else found


@pytest.mark.fact("F-57")
def test_every_absent_pair_raises() -> None:
    assert len(ABSENT) > 2000
    for state, event in ABSENT:
        with pytest.raises(IllegalTransition):
            step(state, event)


def test_every_absent_pair_of_ours_raises_in_a_session() -> None:
    for state, event in ABSENT:
        if event[0] == "!":
            session = Session(state, Framing.RAW)
            session.resync = True
            with pytest.raises(IllegalTransition):
                if event[1:] in DATA:
                    session.send_article(b"x")
                    raise IllegalTransition(state, "fragments are the session's own choice")
                session.send(sample(event))


def test_every_absent_pair_of_theirs_is_answered_by_abort() -> None:
    for state, event in ABSENT:
        if event[0] == "?":
            session = Session(state, Framing.RAW)
            session.resync = True
            (violation,) = hear(session, encode(sample(event)))
            assert isinstance(violation, Violation), (state, event)
            assert violation.diagnostic == "3.311"
            answer = session.abort(violation.diagnostic)
            assert state == "CN01A" or decode(answer).diagnostic == "3.311"
            assert hear(session, encode(SAMPLES["ABORT"])) == []


@pytest.mark.fact("F-51", "F-52", "F-53", "F-61", "F-62")
@pytest.mark.parametrize(
    ("role", "events"),
    [
        (
            REQUESTER,
            "!CONNECT CN02A ?ACONNECT CN03A !CREATE SF01A ?ACK(CREATE) SF03A !ORF OF01A ?ACK(ORF) OF02A "
            "!WRITE TDE01A ?ACK(WRITE) TDE02A !DTF TDE02A !SYN TDE02A ?ACK(SYN) TDE02A !DTF.END TDE07A "
            "?ACK(SYN) TDE07A !TRANS.END TDE08A ?ACK(SYN) TDE08A ?ACK(TRANS.END) OF02A !CRF OF03A ?ACK(CRF) SF03A "
            "!DESELECT SF04A ?ACK(DESELECT) CN03A !RELEASE CN04A ?RELCONF CN01A",
        ),
        (
            REQUESTER,
            "!CONNECT CN02A ?ACONNECT CN03A !SELECT SF02A ?ACK(SELECT) SF03A !ORF OF01A ?ACK(ORF) OF02A "
            "!READ TDL01A ?ACK(READ) TDL02A ?DTF TDL02A ?SYN TDL02A !ACK(SYN) TDL02A ?DTF.END TDL07A "
            "!TRANS.END TDL08A ?ACK(TRANS.END) OF02A",
        ),
        (
            SERVER,
            "?CONNECT CN02B !ACONNECT CN03B ?CREATE SF01B !ACK(CREATE) SF03B ?ORF OF01B !ACK(ORF) OF02B "
            "?WRITE TDE01B !ACK(WRITE) TDE02B ?DTF TDE02B ?IDT TDE06B !ACK(IDT) OF02abB ?CRF OF03abB "
            "!ACK(CRF) SF03abB ?DESELECT SF04B !ACK(DESELECT) CN03B ?MSG MG01B !ACK(MSG) CN03B",
        ),
        (REQUESTER, "!CONNECT CN02A ?RCONNECT CN01A"),
        (REQUESTER, "!CONNECT CN02A ?ACONNECT CN03A !CREATE SF01A ?ACK(CREATE)- CN03A "
         "!SELECT SF02A ?ACK(SELECT)- CN03A"),
        (State("SF03A"), "!ORF OF01A ?ACK(ORF)- SF03A !DESELECT SF04A"),
        (State("OF02A"), "!WRITE TDE01A ?ACK(WRITE)- OF02A !READ TDL01A ?ACK(READ)- OF02A !CRF OF03A"),
        (State("TDE02A"), "!RESYN TDE03A ?ACK(SYN) TDE03A ?RESYN TDE03A ?ACK(RESYN) TDE02A"),
        (State("TDE02B"), "!RESYN TDE03B ?DTF TDE03B ?RESYN TDE04B !ACK(RESYN) TDE02B"),
        (State("TDL02B"), "!IDT TDL05B ?IDT TDL06B !ACK(IDT) OF02abB"),
        (State("TDE08B"), "!RESYN TDE03B ?ACK(RESYN) TDE02B"),
        (State("TDL02A"), "?ABORT CN01A"),
    ],
)  # fmt: skip
def test_walks_of_the_standard(role: State, events: str) -> None:
    state, words = role, events.split()
    for event, expected in zip(words[::2], words[1::2], strict=True):
        state = step(state, event)
        assert state == expected, event


@pytest.mark.fact("F-52")
def test_every_state_is_reached_and_left() -> None:
    for start in (REQUESTER, SERVER):
        reached, waiting = {start}, [start]
        while waiting:
            here = waiting.pop()
            targets = {target for (state, _), target in TABLE.items() if state == here} - reached
            reached |= targets
            waiting += targets
        assert reached == {state for state in STATES if state[-1] == start[-1]}


def test_discards_move_nothing() -> None:
    assert all(TABLE[pair] == pair[0] for pair in DISCARDED)


SAID = {state: [(e, t) for (s, e), t in TABLE.items() if s == state and e[0] == "!"] for state in STATES}

Pair = tuple[State, State, tuple[str, ...], tuple[str, ...]]
"""Requester, server, FPDUs on their way up and down."""


@pytest.mark.fact("F-52", "F-58", "F-59")
def test_two_machines_that_obey_the_table_never_hear_what_it_forbids() -> None:
    """Every interleaving of both roles, with up to two FPDUs on their way in each direction."""
    start: Pair = (REQUESTER, SERVER, (), ())
    seen, waiting = {start}, deque([start])
    holes: set[tuple[State, str, State]] = set()
    while waiting:
        a, b, up, down = waiting.popleft()
        following: list[Pair] = []
        if len(up) < 2:
            following += [(t, b, (*up, e[1:]), down) for e, t in SAID[a] if e != "!ABORT"]
        if len(down) < 2:
            following += [(a, t, up, (*down, e[1:])) for e, t in SAID[b] if e != "!ABORT"]
        if up:
            heard = TABLE.get((b, "?" + up[0]))
            following += [(a, heard, up[1:], down)] if heard else []
            holes |= {(b, up[0], a)} if not heard else set()
        if down:
            heard = TABLE.get((a, "?" + down[0]))
            following += [(heard, b, up, down[1:])] if heard else []
            holes |= {(a, down[0], b)} if not heard else set()
        for one in following:
            if one not in seen:
                seen.add(one)
                waiting.append(one)
    assert holes == set()
    assert len(seen) > 1000

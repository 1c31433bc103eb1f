"""Two sessions back to back, without a line."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.pesit import states
from gateway.pesit.codec import Fpdu, encode
from gateway.pesit.diagnostics import Violation
from gateway.pesit.framing import Framing
from gateway.pesit.session import Acknowledged, Article, Event, Session
from gateway.pesit.states import REQUESTER, SERVER, IllegalTransition
from gateway.pesit.transfer import Identity, Sync, SyncPoint, create

FRAMES = json.loads((Path(__file__).parent.parent / "vectors/pesit/frames.json").read_text())["frames"]
OK = {2: b"\0\0\0"}
SYNC = Sync(1, 3)


def hear(session: Session, data: bytes) -> list[Event]:
    """All that ``data`` makes a session say."""
    session.feed(data)
    return list(iter(session.next, None))


def dialogue(framing: Framing, entity: int, start: SyncPoint = SyncPoint()) -> tuple[Session, Session]:  # noqa: B008
    """A requester and a server at the beginning of a write."""
    a, b = Session(REQUESTER, framing, own_id=7), Session(SERVER, Framing.AUTO, own_id=82)
    connect = Fpdu("CONNECT", {3: "BOX", 4: "OCT", 6: 2, 7: Sync(32, 5).coded(), 22: 2})
    steps = [
        (a, b, connect),
        (b, a, Fpdu("ACONNECT", {6: 2, 7: SYNC.coded()})),
        (a, b, create(Identity("FSE", 9, created="260101120000", entity=60000), restart=False)),
        (b, a, Fpdu("ACK(CREATE)", {**OK, 25: entity})),
        (a, b, Fpdu("ORF")),
        (b, a, Fpdu("ACK(ORF)", OK)),
        (a, b, Fpdu("WRITE")),
        (b, a, Fpdu("ACK(WRITE)", {**OK, 18: start.number})),
    ]
    for speaker, hearer, fpdu in steps:
        if fpdu.name == "ACK(WRITE)":
            speaker.begin(start)
        (heard,) = hear(hearer, speaker.send(fpdu))
        assert isinstance(heard, Fpdu)
        assert (heard.name, heard.notes) == (fpdu.name, ())
    a.begin(start)
    return a, b


def data_flight(a: Session, sizes: list[int]) -> bytes:
    stream = b""
    for index, size in enumerate(sizes):
        if a.transfer.due(size):
            stream += a.send_point()
        stream += a.send_article(bytes([index % 251]) * size)
    return stream + a.send(Fpdu("DTF.END", OK)) + a.send(Fpdu("TRANS.END", a.transfer.counts))


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    marks = sorted({0, len(stream), *(place % len(stream) for place in places)})
    return [stream[x:y] for x, y in pairwise(marks)]


@settings(deadline=None)
@given(
    framing=st.sampled_from([Framing.PREFIXED, Framing.RAW]),
    entity=st.integers(7, 2000),
    sizes=st.lists(st.integers(1, 1500), max_size=12),
    places=st.lists(st.integers(0, 1 << 16), max_size=20),
)
def test_any_cutting_gives_the_same_events(framing: Framing, entity: int, sizes: list[int], places: list[int]) -> None:
    a, whole = dialogue(framing, entity)
    stream = data_flight(a, sizes)
    expected = hear(whole, stream)
    _, pieced = dialogue(framing, entity)
    events = [event for piece in cut(stream, places) for event in hear(pieced, piece)]
    assert events == expected
    assert isinstance(expected[-1], Fpdu) and expected[-1].name == "TRANS.END"
    articles = [event for event in expected if isinstance(event, Article)]
    assert sum(len(article.data) for article in articles) == sum(sizes) == whole.transfer.offset
    assert sum(article.ends for article in articles) == len(sizes) == whole.transfer.articles
    assert whole.transfer.matches(expected[-1])
    assert whole.transfer.point == a.transfer.point


@settings(deadline=None)
@given(st.sampled_from(list(Framing)), st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_random_bytes_give_nothing_but_violations(framing: Framing, noise: bytes, places: list[int]) -> None:
    for start in (REQUESTER, SERVER):
        session = Session(start, framing)
        events: list[Event] = []
        for piece in cut(noise, places) if noise else []:
            events += hear(session, piece)
        assert [e for e in events if isinstance(e, Violation)] == [e for e in events[-1:] if isinstance(e, Violation)]


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([f for f in FRAMES if f["kind"] in ("fpdu", "entity")]), max_size=6),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=3),
)
def test_sound_frames_in_any_order_give_nothing_but_violations(
    frames: list[dict[str, str]], damage: list[tuple[int, int]]
) -> None:
    stream = bytearray(b"".join(bytes.fromhex(frame["hex"]) for frame in frames))
    for place, value in damage:
        if place < len(stream):
            stream[place] = value
    for state in ("CN01A", "CN03A", "CN03B", "TDE02B", "TDL02A", "TDE02A", "TDE05B"):
        session = Session(states.State(state), Framing.RAW)
        events = hear(session, bytes(stream))
        assert not any(isinstance(event, Violation) for event in events[:-1])


def test_ids_are_the_receivers() -> None:
    a, b = dialogue(Framing.RAW, 4096)
    assert a.send(Fpdu("DTF.END", OK))[4:6] == b"\x52\x00"
    assert b.abort("3.317")[4:6] == b"\x07\x52"
    assert Session(SERVER, Framing.RAW).abort("3.311")[4] == 0


def test_negotiation_takes_the_smaller() -> None:
    a, b = dialogue(Framing.PREFIXED, 4096)
    assert (a.sync, a.entity) == (b.sync, b.entity) == (SYNC, 4096)


def test_numbering_goes_on_after_a_restart() -> None:
    a, b = dialogue(Framing.PREFIXED, 4096, SyncPoint(3, 3072, 3))
    a.send_article(bytes(1024))
    b.transfer.add(1024)
    (event,) = hear(b, a.send_point())
    assert event == SyncPoint(4, 4096, 4)
    (answer,) = hear(a, b.send(Fpdu("ACK(SYN)", {20: 4})))
    assert answer == Acknowledged(SyncPoint(4, 4096, 4))


def test_late_acknowledgements_are_taken() -> None:
    a, b = dialogue(Framing.RAW, 4096)
    stream = a.send_article(b"x") + a.send_point() + a.send_article(b"y") + a.send(Fpdu("DTF.END", OK))
    hear(b, stream)
    late = b.send(Fpdu("ACK(SYN)", {20: 1}))
    assert hear(a, late) == [Acknowledged(SyncPoint(1, 1, 1))]
    a.send(Fpdu("TRANS.END", a.transfer.counts))
    assert hear(a, late) == []


@pytest.mark.parametrize(
    ("stream", "pieces"),
    [
        ("000a0000520161626364", [(b"abcd", True)]),
        ("000a0000520100026364", [(b"cd", True)]),
        ("000a004152007461696c000a0042520061626364", [(b"tail", False), (b"abcd", True)]),
        ("00060000520a", None),
        ("000a004252007461696c", None),
        ("000a004152007461696c0009c0035200140101", None),
        ("0009c0035200140102", None),
        ("000ec00552000203010064120100", None),
    ],
)
def test_what_other_software_sends(stream: str, pieces: list[tuple[bytes, bool]] | None) -> None:
    _, b = dialogue(Framing.RAW, 4096)
    events = hear(b, bytes.fromhex(stream))
    if pieces is None:
        assert isinstance(events[-1], Violation)
        assert events[-1].diagnostic == "3.311"
    else:
        assert events == [Article(data, ends) for data, ends in pieces]


def test_interruptions_that_cross_leave_both_at_rest() -> None:
    a, b = dialogue(Framing.RAW, 4096)
    idt = Fpdu("IDT", {2: b"\x02\0\xd8", 19: 4})
    ours, theirs = a.send(idt), b.send(idt)
    assert hear(a, theirs) == []
    assert len(hear(b, a_data := ours)) == 1 and a_data
    (answer,) = hear(a, b.send(Fpdu("ACK(IDT)")))
    assert isinstance(answer, Fpdu)
    assert (a.state, b.state) == ("OF02abA", "OF02abB")


def test_resync_needs_consent() -> None:
    a, _ = dialogue(Framing.RAW, 4096)
    with pytest.raises(IllegalTransition):
        a.send(Fpdu("RESYN", {2: b"\x01\0\x64", 18: 0}))


def test_entity_too_small_to_hold_anything() -> None:
    a, b = dialogue(Framing.RAW, 4096)
    for session, state in ((a, "SF01A"), (b, "SF01B")):
        session.state = states.State(state)
    frame = encode(Fpdu("ACK(CREATE)", {**OK, 25: 6}, destination=7))
    (violation,) = hear(a, frame)
    assert isinstance(violation, Violation) and violation.diagnostic == "3.318"

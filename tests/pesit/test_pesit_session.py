"""Two sessions back to back, without a line."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.pesit import states
from gateway.pesit.checksum import check_bytes
from gateway.pesit.codec import Fpdu, encode
from gateway.pesit.compression import Compression, longest
from gateway.pesit.diagnostics import Violation
from gateway.pesit.framing import Damaged, Framing
from gateway.pesit.packing import CONSERVATIVE, Sending
from gateway.pesit.session import Acknowledged, Article, Event, Session
from gateway.pesit.states import REQUESTER, SERVER, IllegalTransition
from gateway.pesit.transfer import Identity, Sync, SyncPoint, create

OK = {2: b"\0\0\0"}
SYNC = Sync(1, 3)


def hear(session: Session, data: bytes) -> list[Event]:
    """All that ``data`` makes a session say."""
    session.feed(data)
    return list(iter(session.next, None))


def dialogue(
    framing: Framing,
    entity: int,
    start: SyncPoint = SyncPoint(),  # noqa: B008
    *,
    sending: Sending = CONSERVATIVE,
    crc: bool = False,
    compression: Compression = Compression.NONE,
    resync: int = 0,
) -> tuple[Session, Session]:
    """A requester and a server at the beginning of a write."""
    a = Session(REQUESTER, framing, own_id=7, sending=sending, crc=crc)
    b = Session(SERVER, Framing.AUTO, own_id=82)
    connect = {1: int(crc), 3: "BOX", 4: "OCT", 6: 2, 7: Sync(32, 5).coded(), 22: 2, 23: resync}
    steps = [
        (a, b, Fpdu("CONNECT", connect)),
        (b, a, Fpdu("ACONNECT", {6: 2, 7: SYNC.coded(), 23: resync})),
        (a, b, create(Identity("FSE", 9, created="260101120000", entity=60000), restart=False)),
        (b, a, Fpdu("ACK(CREATE)", {**OK, 25: entity})),
        (a, b, Fpdu("ORF", {21: compression.coded()})),
        (b, a, Fpdu("ACK(ORF)", {**OK, 21: compression.coded()})),
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


def article(index: int, size: int) -> bytes:
    """Something to compress, and something not."""
    return bytes([index % 251]) * (size // 2) + bytes((index * place) % 251 for place in range(size - size // 2))


def data_flight(a: Session, sizes: list[int]) -> bytes:
    stream = b""
    for index, size in enumerate(sizes):
        if a.transfer.due(size):
            stream += a.send_point()
        stream += a.send_article(article(index, size))
    return stream + a.send(Fpdu("DTF.END", OK)) + a.send(Fpdu("TRANS.END", a.transfer.counts))


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    marks = sorted({0, len(stream), *(place % len(stream) for place in places)})
    return [stream[x:y] for x, y in pairwise(marks)]


@pytest.mark.fact("F-04", "F-80", "F-82", "F-83", "F-84", "F-86", "F-92", "F-95")
@settings(deadline=None)
@given(
    framing=st.sampled_from([Framing.PREFIXED, Framing.RAW]),
    entity=st.integers(9, 2000),
    sending=st.builds(Sending, st.booleans(), st.booleans(), st.booleans()),
    crc=st.booleans(),
    compression=st.sampled_from(Compression),
    sizes=st.lists(st.integers(1, 1500), max_size=12),
    places=st.lists(st.integers(0, 1 << 16), max_size=20),
)
def test_any_form_and_any_cutting_give_the_same_events(
    framing: Framing,
    entity: int,
    sending: Sending,
    crc: bool,
    compression: Compression,
    sizes: list[int],
    places: list[int],
) -> None:
    a, whole = dialogue(framing, entity, sending=sending, crc=crc, compression=compression)
    stream = data_flight(a, sizes)
    expected = hear(whole, stream)
    _, pieced = dialogue(framing, entity, sending=sending, crc=crc, compression=compression)
    events = [event for piece in cut(stream, places) for event in hear(pieced, piece)]
    assert events == expected
    assert isinstance(expected[-1], Fpdu) and expected[-1].name == "TRANS.END"
    articles = [event for event in expected if isinstance(event, Article)]
    assert b"".join(found.data for found in articles) == b"".join(article(i, size) for i, size in enumerate(sizes))
    assert sum(found.ends for found in articles) == len(sizes) == whole.transfer.articles
    assert whole.transfer.counts == a.transfer.counts
    assert whole.crc is crc
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


@pytest.mark.fact("F-80", "F-95")
@pytest.mark.parametrize(
    ("crc", "entity", "wrong"), [(False, 6, True), (False, 7, False), (True, 8, True), (True, 9, False)]
)
def test_entity_too_small_to_hold_anything(crc: bool, entity: int, wrong: bool) -> None:
    a, _ = dialogue(Framing.RAW, 4096, crc=crc)
    a.state = states.State("SF01A")
    frame = encode(Fpdu("ACK(CREATE)", {**OK, 25: entity}, destination=7))
    (event,) = hear(a, frame + (check_bytes(frame) if crc else b""))
    assert isinstance(event, Violation) is wrong
    if isinstance(event, Violation):
        assert event.diagnostic == "3.318"
        assert f"{entity} octets" in event.text


@pytest.mark.fact("F-87")
def test_an_empty_article_is_nobodys_dtf() -> None:
    a, _ = dialogue(Framing.RAW, 4096)
    with pytest.raises(ValueError):
        a.send_article(b"")


def test_what_is_held_back_goes_before_a_wait() -> None:
    a, b = dialogue(Framing.PREFIXED, 4096, sending=Sending(True, True, True))
    assert a.send_article(b"one") + a.send_article(b"two") == b""
    assert hear(b, a.flush()) == [Article(b"one", True), Article(b"two", True)]
    assert a.flush() == b""


@pytest.mark.fact("F-109")
def test_what_is_held_back_when_both_go_back_is_never_said() -> None:
    a, b = dialogue(Framing.PREFIXED, 4096, sending=Sending(multi_article=True), resync=1)
    a.send_article(b"void")
    hear(a, b.send(Fpdu("RESYN", {2: b"\1\0\x64", 18: 0})))
    hear(b, a.send(Fpdu("ACK(RESYN)", {18: 0})))
    assert hear(b, a.send_article(b"again") + a.flush()) == [Article(b"again", True)]


# --- compression ----------------------------------------------------------------------------------------------------


@pytest.mark.fact("F-71", "F-92")
def test_counts_are_those_of_the_line() -> None:
    a, b = dialogue(Framing.RAW, 4096, compression=Compression.BOTH)
    events = hear(b, a.send_article(b"A" * 100) + a.send_article(b"A" * 99 + b"B"))
    assert events == [Article(b"A" * 100, True), Article(b"A" * 99 + b"B", True)]
    # bf 41 a5 41, then ff e4 01 42
    assert a.transfer.counts == b.transfer.counts == {27: 8, 28: 2}
    assert (a.transfer.offset, b.transfer.offset) == (200, 200)


@pytest.mark.fact("F-71", "F-93", "F-103")
@settings(deadline=None)
@given(st.sampled_from(Compression), st.lists(st.integers(1, 400), max_size=30))
def test_points_lie_within_the_interval_and_data_can_begin_again_at_each(
    compression: Compression, sizes: list[int]
) -> None:
    a, b = dialogue(Framing.RAW, 65535, compression=compression)
    stream = data_flight(a, sizes)
    events = hear(b, stream)
    points = iter([event for event in events if isinstance(event, SyncPoint)])
    at = since = 0
    while at < len(stream):
        length, kind = int.from_bytes(stream[at : at + 2], "big"), stream[at + 2 : at + 4]
        at += length
        since += length - 6 if kind == b"\0\0" else 0
        assert since <= 1024
        if kind == b"\xc0\x03":
            since, point = 0, next(points)
            _, again = dialogue(Framing.RAW, 65535, start=point, compression=compression)
            assert hear(again, stream[at:]) == events[events.index(point) + 1 :]
            assert again.transfer.counts == b.transfer.counts


@pytest.mark.parametrize(
    ("proposed", "answered", "wrong"),
    [("0103", "0101", False), ("0103", "0000", False), ("0101", "0102", True), ("0000", "0101", True)],
)
@pytest.mark.fact("F-91")
def test_compression_is_never_more_than_was_proposed(proposed: str, answered: str, wrong: bool) -> None:
    a, b = Session(REQUESTER, Framing.RAW), Session(SERVER, Framing.RAW)
    a.state, b.state = states.State("SF03A"), states.State("SF03B")
    hear(b, a.send(Fpdu("ORF", {21: bytes.fromhex(proposed)})))
    (event,) = hear(a, encode(Fpdu("ACK(ORF)", {**OK, 21: bytes.fromhex(answered)})))
    assert isinstance(event, Violation) is wrong
    if isinstance(event, Violation):
        assert event.diagnostic == "3.315"


# --- check bytes ----------------------------------------------------------------------------------------------------


DAMAGE = [
    # the state of the hearer, resynchronisation agreed, what is heard
    ("TDE02B", 1, "Damaged"),
    ("TDE07B", 1, "Damaged"),
    ("TDE02B", 0, "3.310"),
    ("CN03B", 1, "3.310"),
    ("OF02B", 1, "3.310"),
    ("TDE03B", 1, None),
    ("TDE05B", 1, None),
    ("TDL02B", 1, "Damaged"),
    ("TDL03B", 0, None),
]


@pytest.mark.fact("F-58", "F-95")
@pytest.mark.parametrize("framing", [Framing.PREFIXED, Framing.RAW])
@pytest.mark.parametrize(("state", "resync", "meaning"), DAMAGE)
def test_damage(framing: Framing, state: str, resync: int, meaning: str | None) -> None:
    a, b = dialogue(framing, 4096, crc=True, resync=resync)
    stream = bytearray(a.send_article(b"whole"))
    stream[-3] ^= 1
    b.state = states.State(state)
    events = hear(b, bytes(stream))
    found = [event.diagnostic if isinstance(event, Violation) else type(event).__name__ for event in events]
    assert found == ([meaning] if meaning else [])
    assert not events or isinstance(events[0], Violation | Damaged)


@pytest.mark.fact("F-95")
def test_a_damaged_connect_is_answered_by_abort_alone() -> None:
    a, b = Session(REQUESTER, Framing.PREFIXED, crc=True), Session(SERVER, Framing.AUTO)
    stream = bytearray(a.send(Fpdu("CONNECT", {1: 1, 3: "BOX", 4: "OCT", 6: 2, 22: 2})))
    stream[-1] ^= 1
    (event,) = hear(b, bytes(stream))
    assert isinstance(event, Violation) and event.diagnostic == "3.310"
    assert b.abort(event.diagnostic)[4:6] == b"\x40\x25"


def test_an_article_is_at_most_what_it_is_taken_for() -> None:
    assert [longest(size) for size in (1, 63, 64, 1024)] == [2, 64, 66, 1041]

"""Every file of ``tests/vectors/pesit`` does what its header says."""

from __future__ import annotations

import pytest
from pesit_notation import quoted, shown
from pesit_vectors import Vector, cases

from gateway.pesit import checksum
from gateway.pesit.codec import Fpdu, articles, decode, encode
from gateway.pesit.compression import Compression, Compressor, Expander
from gateway.pesit.diagnostics import Violation
from gateway.pesit.framing import Frame, Framing, Preconnection, Reader
from gateway.pesit.session import Acknowledged, Article, Event, Session
from gateway.pesit.states import State
from gateway.pesit.transfer import Sync, SyncPoint


@pytest.mark.parametrize("vector", cases("fpdu"))
def test_fpdus(vector: Vector) -> None:
    """``decoded`` or ``violation``; ``articles`` of a DTF; ``notes``; ``sent``: whether we would send it so."""
    head = vector.head
    if "violation" in head:
        with pytest.raises(Violation) as violation:
            decode(vector.data)
        assert violation.value.diagnostic == head["violation"]
        return
    fpdu = decode(vector.data)
    assert shown(fpdu) == head["decoded"]
    assert len(fpdu.notes) == int(head.get("notes", 0))
    if head.get("articles") == "violation":
        with pytest.raises(Violation):
            articles(fpdu.body, fpdu.source)
    elif "articles" in head:
        assert " ".join(map(quoted, articles(fpdu.body, fpdu.source))) == head["articles"]
    if "sent" in head:
        assert (encode(fpdu) == vector.data) is (head["sent"] == "yes")
        assert encode(decode(encode(fpdu))) == encode(fpdu)


def seen(frame: Frame) -> str:
    """One thing that a reader gave."""
    if isinstance(frame, Preconnection):
        return f"PRE {frame.protocol} {frame.requester} {frame.password} {frame.answer(accepted=True).hex()}"
    assert isinstance(frame, bytes)
    return decode(frame).name


@pytest.mark.parametrize("step", [1, 7, 1 << 20], ids=["by one", "by seven", "whole"])
@pytest.mark.parametrize("vector", cases("stream"))
def test_streams(vector: Vector, step: int) -> None:
    """``framing`` before and after, the ``frames`` found or the ``violation``, however the bytes are cut."""
    before, *after = vector.head["framing"].split()
    reader = Reader(Framing(before))
    found: list[str] = []
    try:
        for at in range(0, len(vector.data), step):
            reader.feed(vector.data[at : at + step])
            while frame := reader.next():
                found.append(seen(frame))
    except Violation as violation:
        assert violation.diagnostic == vector.head["violation"]
        return
    assert " | ".join(found) == vector.head["frames"]
    assert reader.framing == after[0]
    assert reader.waiting == 0


def heard(event: Event) -> str:
    """One event in words."""
    match event:
        case Article(data, ends):
            return f"{'article' if ends else 'part'} {quoted(data)}"
        case SyncPoint():
            return f"point {event.number}"
        case Acknowledged(point):
            return f"acknowledged {point.number}"
        case Violation():
            return f"violation {event.diagnostic}"
        case Fpdu():
            return shown(event, ids=False)
    return type(event).__name__.lower()


@pytest.mark.parametrize("framing", [Framing.RAW, Framing.PREFIXED])
@pytest.mark.parametrize("vector", cases("session"))
def test_sessions(vector: Vector, framing: Framing) -> None:
    """What a session ``heard`` that stands in ``state``, with ``sync`` agreed and ``points`` laid by us."""
    interval, window = vector.head.get("sync", "1KB/5").split("KB/")
    session = Session(State(vector.head["state"]), framing)
    session.sync, session.resync = Sync(int(interval), int(window)), "resync" in vector.head
    session.begin(SyncPoint())
    for number in range(1, int(vector.head.get("points", 0)) + 1):
        session.transfer.add(1)
        session.transfer.mark(number)
    data = vector.data
    session.feed(data if framing is Framing.RAW else len(data).to_bytes(2, "big") + data)
    events: list[str] = []
    while event := session.next():
        events.append(heard(event))
    assert " | ".join(events) == vector.head["heard"]


@pytest.mark.parametrize("vector", cases("compression"))
def test_compression(vector: Vector) -> None:
    """The strings of an ``article`` of a ``kind``, one ``before`` it or none; ``sent``: whether we say it so."""
    kind, before = Compression[vector.head["kind"]], bytes.fromhex(vector.head.get("before", ""))
    compressor, expander = Compressor(kind), Expander(kind)
    if before:
        assert expander.feed(compressor.article(before), ends=True) == before
    if "violation" in vector.head:
        with pytest.raises(Violation) as violation:
            expander.feed(vector.data, ends=True)
        assert violation.value.diagnostic == vector.head["violation"]
        return
    article = bytes.fromhex(vector.head["article"])
    assert expander.feed(vector.data, ends=True) == article
    assert (compressor.article(article) == vector.data) is (vector.head["sent"] == "yes")


@pytest.mark.parametrize("vector", cases("checksum"))
def test_checksums(vector: Vector) -> None:
    """Whether an FPDU and the two bytes behind it are ``sound``."""
    assert checksum.sound(vector.data) is (vector.head["sound"] == "yes")

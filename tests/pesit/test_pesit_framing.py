"""Framing is found out, however the bytes are cut."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.pesit.diagnostics import Violation
from gateway.pesit.framing import Damaged, Framing, Preconnection, Reader
from gateway.pesit.packing import entity_of

CONNECT = "002b402000010304434c493104055057535256050853454352455431200601020703002002160102170101"
EBCDIC = "d7c5e2c9e3404040c3d3c9f140404040e2c5c3d9c5e3f140"
ASCII = "5045534954202020434c4931202020205345435245543120"
WRITE = "0006c0025200"
REQUEST = ("PESIT", "CLI1", "SECRET1")


def read(reader: Reader, data: bytes) -> Iterator[bytes | Preconnection]:
    reader.feed(data)
    while frame := reader.next():
        yield frame


OPENINGS = [
    ("raw", CONNECT, Framing.RAW, None),
    ("prefixed", "002b" + CONNECT, Framing.PREFIXED, None),
    ("EBCDIC then raw", EBCDIC + CONNECT, Framing.RAW, "c1c3d2f0"),
    ("EBCDIC then prefixed", EBCDIC + "002b" + CONNECT, Framing.PREFIXED, "c1c3d2f0"),
    ("prefixed EBCDIC", "0018" + EBCDIC + "002b" + CONNECT, Framing.PREFIXED, "0004c1c3d2f0"),
    ("ASCII", ASCII + "002b" + CONNECT, Framing.PREFIXED, b"ACK0".hex()),
    ("prefixed ASCII", "0018" + ASCII + "002b" + CONNECT, Framing.PREFIXED, "0004" + b"ACK0".hex()),
]


@pytest.mark.parametrize(("name", "opening", "framing", "answer"), OPENINGS, ids=[row[0] for row in OPENINGS])
@given(cuts=st.lists(st.integers(1, 130), max_size=8))
def test_openings(name: str, opening: str, framing: Framing, answer: str | None, cuts: list[int]) -> None:
    entity = WRITE if framing is Framing.RAW else "0006" + WRITE
    stream = bytes.fromhex(opening + entity)
    marks = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    reader = Reader(Framing.AUTO)
    found = [frame for a, b in pairwise(marks) for frame in read(reader, stream[a:b])]
    if answer:
        request = found.pop(0)
        assert isinstance(request, Preconnection)
        assert (request.protocol, request.requester, request.password) == REQUEST
        assert request.answer(accepted=True).hex() == answer
    assert found == [bytes.fromhex(CONNECT), bytes.fromhex(WRITE)]
    assert reader.framing is framing


def test_refused_preconnection() -> None:
    assert Preconnection("PESIT", "X", "Y", True, False).answer(accepted=False).hex() == "d5c1d2f0"


def test_entities_hold_several_fpdus() -> None:
    entity = bytes.fromhex("000a004252007461696c000c00005202000161000162000a0041520068656164")
    frames = list(read(Reader(Framing.PREFIXED), len(entity).to_bytes(2, "big") + entity))
    assert [frame[3] for frame in frames if isinstance(frame, bytes)] == [0x42, 0x00, 0x41]


CHECKED = "00" + "2e" + CONNECT[4:12] + "010101" + CONNECT[12:]


@pytest.mark.fact("F-02", "F-95")
@pytest.mark.parametrize("asked", [Framing.AUTO, Framing.PREFIXED, Framing.RAW])
@pytest.mark.parametrize("prefixed", [True, False])
@pytest.mark.parametrize("announced", [True, False])
@given(cuts=st.lists(st.integers(1, 130), max_size=8))
def test_connect_tells_whether_check_bytes_follow(
    asked: Framing, prefixed: bool, announced: bool, cuts: list[int]
) -> None:
    framing = Framing.PREFIXED if prefixed else Framing.RAW
    if asked not in (Framing.AUTO, framing):
        return
    frames = [bytes.fromhex(CHECKED if announced else CONNECT), bytes.fromhex(WRITE)]
    stream = b"".join(entity_of(frame, prefixed=prefixed, checked=announced) for frame in frames)
    marks = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    reader = Reader(asked, checked=None)
    assert [frame for a, b in pairwise(marks) for frame in read(reader, stream[a:b])] == frames
    assert (reader.checked, reader.framing) == (announced, framing)


@pytest.mark.fact("F-95")
def test_damage_is_told_and_what_follows_is_read() -> None:
    write = bytes.fromhex(WRITE)
    whole = entity_of(write, prefixed=True, checked=True)
    damaged = whole[:-1] + bytes([whole[-1] ^ 1])
    assert list(read(Reader(Framing.PREFIXED, checked=True), damaged + whole)) == [Damaged(), write]


@pytest.mark.parametrize(
    ("framing", "stream"),
    [
        (Framing.AUTO, "160301020001"),
        (Framing.AUTO, "474554202f20"),
        (Framing.AUTO, "0018d7c40000"),
        (Framing.RAW, "0005c0025200"),
        (Framing.PREFIXED, "0000"),
        (Framing.PREFIXED, "00080006c002520019cb"),
        (Framing.PREFIXED, "00060009c0035200"),
    ],
)
def test_what_cannot_be_pesit(framing: Framing, stream: str) -> None:
    with pytest.raises(Violation):
        list(read(Reader(framing), bytes.fromhex(stream)))


def test_long_lengths_are_unsigned() -> None:
    frame = b"\xff\xff\x00\x00\x01\x00" + bytes(65529)
    assert list(read(Reader(Framing.PREFIXED), b"\xff\xff" + frame)) == [frame]

"""Articles in entities: the orders that are recorded, the limits, and all of it found again by a reader."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.pesit.codec import HEADER, articles
from gateway.pesit.framing import Framing, Reader
from gateway.pesit.packing import CONSERVATIVE, Packer, Sending, entity_of, smallest

NAMES = {0x00: "DTF", 0x41: "DTFDA", 0x40: "DTFMA", 0x42: "DTFFA", 0x03: "SYN", 0x04: "DTF.END"}
SYN, END = bytes.fromhex("0009c0035200140101"), bytes.fromhex("000bc00452000203000000")
MULTI, BESIDE = Sending(multi_article=True), Sending(concatenate=True)
BOTH, LIKE_EXPRESS = Sending(multi_article=True, concatenate=True), Sending(True, True, True)


def entities(stream: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(stream):
        length = int.from_bytes(stream[at : at + 2], "big")
        yield stream[at + 2 : at + 2 + length]
        at += 2 + length
    assert at == len(stream)


def shown(entity: bytes) -> str:
    """An entity as ``DTF(3) DTFDA``."""
    words, at = [], 0
    while at < len(entity):
        count = entity[at + 5]
        words.append(NAMES[entity[at + 3]] + (f"({count})" if count else ""))
        at += int.from_bytes(entity[at : at + 2], "big")
    return " ".join(words)


def packed(sending: Sending, entity: int, sizes: list[int], *, checked: bool = False) -> bytes:
    """Articles of those sizes, a SYN for each 0, and DTF.END."""
    packer = Packer(sending, entity, 0x52, prefixed=True, checked=checked)
    stream = b"".join(
        packer.article(bytes([n % 256]) * size) if size else packer.end(SYN) for n, size in enumerate(sizes)
    )
    return stream + packer.end(END)


ORDERS = [
    # how, entity, articles (0 a point), entities
    (CONSERVATIVE, 4096, [1024, 1024, 0, 1024], ["DTF", "DTF", "SYN", "DTF", "DTF.END"]),
    (CONSERVATIVE, 106, [100, 101, 250], ["DTF", "DTFDA", "DTFFA", "DTFDA", "DTFMA", "DTFFA", "DTF.END"]),
    (MULTI, 4096, [1024] * 4, ["DTF(3)", "DTF", "DTF.END"]),
    (MULTI, 4096, [1024, 1024, 0, 1024], ["DTF(2)", "SYN", "DTF", "DTF.END"]),
    (MULTI, 200, [50, 300, 50, 50], ["DTF", "DTFDA", "DTFFA", "DTF(2)", "DTF.END"]),
    (MULTI, 65535, [1] * 300, ["DTF(255)", "DTF(45)", "DTF.END"]),
    (BESIDE, 4096, [1024, 1024, 0, 1024], ["DTF DTF SYN", "DTF DTF.END"]),
    (BESIDE, 106, [40, 250], ["DTF", "DTFDA", "DTFMA", "DTFFA DTF.END"]),
    (BOTH, 4096, [1024] * 4 + [0], ["DTF(3)", "DTF SYN", "DTF.END"]),
    (BOTH, 41, [10, 10], ["DTF(2) DTF.END"]),
    (BOTH, 40, [10, 10], ["DTF(2)", "DTF.END"]),
    (Sending(segment_to_fill=True), 4096, [1024] * 2, ["DTF", "DTF", "DTF.END"]),
    (Sending(concatenate=True, segment_to_fill=True), 126, [100, 50], ["DTF DTFDA", "DTFFA DTF.END"]),
    (Sending(concatenate=True, segment_to_fill=True), 9, [1, 1], ["DTF", "DTF", "DTF.END"]),
    # As recorded from Connect:Express: records of 1024 bytes in entities of 4096.
    (
        LIKE_EXPRESS,
        4096,
        [1024] * 16,
        ["DTF(3) DTFDA", "DTFFA DTF(3) DTFDA", "DTFFA DTF(3) DTFDA", "DTFFA DTF(3) DTFDA", "DTFFA DTF.END"],
    ),
]


@pytest.mark.fact("F-82", "F-83", "F-84", "F-85", "F-86")
@pytest.mark.parametrize(("sending", "entity", "sizes", "expected"), ORDERS)
def test_orders(sending: Sending, entity: int, sizes: list[int], expected: list[str]) -> None:
    assert [shown(found) for found in entities(packed(sending, entity, sizes))] == expected


@pytest.mark.fact("F-86", "F-95")
def test_check_bytes_leave_each_fpdu_alone() -> None:
    stream = packed(LIKE_EXPRESS, 4096, [1024] * 4 + [0], checked=True)
    found = [shown(entity[:-2]) for entity in entities(stream)]
    assert found == ["DTF(3)", "DTF", "SYN", "DTF.END"]


FORMS = st.builds(Sending, st.booleans(), st.booleans(), st.booleans())


@pytest.mark.fact("F-80", "F-81", "F-83", "F-84", "F-86")
@given(FORMS, st.integers(9, 400), st.lists(st.integers(0, 700), max_size=30), st.booleans(), st.booleans())
def test_whatever_the_form_the_same_articles_come_out(
    sending: Sending, entity: int, sizes: list[int], checked: bool, prefixed: bool
) -> None:
    packer = Packer(sending, entity, 0x52, prefixed=prefixed, checked=checked)
    reader = Reader(Framing.PREFIXED if prefixed else Framing.RAW, checked=checked)
    expected: list[bytes | str] = []
    for number, size in enumerate(sizes):
        article = bytes([number]) * size
        reader.feed(packer.article(article) if size else packer.end(SYN))
        expected.append(article if size else "SYN")
    reader.feed(packer.end(END))
    assert packer.flush() == b""
    found: list[bytes | str] = []
    begun = b""
    while frame := reader.next():
        assert isinstance(frame, bytes) and len(frame) > HEADER
        assert len(frame) + 2 * checked <= max(entity, len(END) + 2 * checked)
        name, body = NAMES[frame[3]], frame[HEADER:]
        assert name != "DTF" or frame[5] != 1
        if name == "DTF":
            found += articles(body, frame[5])
        elif name in ("DTFDA", "DTFMA"):
            begun += body
        elif name == "DTFFA":
            found.append(begun + body)
            begun = b""
        else:
            found.append(name)
    assert found == [*expected, "DTF.END"]


@pytest.mark.fact("F-80")
@given(FORMS, st.integers(12, 400), st.lists(st.integers(0, 700), max_size=30))
def test_no_entity_is_longer_than_agreed(sending: Sending, entity: int, sizes: list[int]) -> None:
    assert all(len(found) <= entity for found in entities(packed(sending, entity, sizes)))


@pytest.mark.fact("F-80")
@pytest.mark.parametrize("checked", [False, True])
def test_the_smallest_entity_carries_one_byte(checked: bool) -> None:
    stream = packed(LIKE_EXPRESS, smallest(checked=checked), [3], checked=checked)
    assert [len(entity) for entity in entities(stream)][:3] == [smallest(checked=checked)] * 3


@pytest.mark.fact("F-01", "F-95")
def test_the_prefix_counts_the_check_bytes() -> None:
    write = bytes.fromhex("0006c0025200")
    assert entity_of(write, prefixed=True, checked=True).hex() == "00080006c002520019cb"
    assert entity_of(write, prefixed=False, checked=True).hex() == "0006c002520019cb"
    assert entity_of(write, prefixed=True, checked=False).hex() == "00060006c0025200"

"""The lines of a segment: one writing each, and nothing else is read as one."""

from __future__ import annotations

import base64

import pytest

from gateway.errors import Refused
from gateway.formats import canonical
from gateway.journal.chain import EVIDENCE, START, Row
from gateway.journal.merkle import Frontier
from gateway.journal.segment import (
    Proof,
    SegmentHead,
    entry_line,
    entry_row,
    read_entry,
    read_head,
    read_name,
    read_proof,
    segment_name,
)

HASH = bytes(range(32))


def test_names() -> None:
    assert segment_name("access", 12) == "access-000012.journal"
    assert read_name("access-000012.journal") == ("access", 12)
    for name in ("other-000001.journal", "access-1.journal", "access-000001.journal.bak", ".access-000001.journal"):
        assert read_name(name) is None


def test_an_entry_is_written_and_read() -> None:
    line = entry_line(HASH, '{"a":"é"}')
    assert line == HASH.hex().encode() + ' {"a":"é"}\n'.encode()
    assert read_entry(line[:-1]) == (HASH, '{"a":"é"}')
    assert entry_row(line[:-1], EVIDENCE) == Row(0, EVIDENCE, '{"a":"é"}', HASH)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        HASH.hex().encode(),
        HASH.hex().encode() + b" ",
        HASH.hex().encode() + b"  {}",
        HASH.hex().upper().encode() + b" {}",
        HASH.hex().encode() + b" {} ",
        HASH.hex().encode()[:-1] + b"g {}",
        HASH.hex().encode() + b" {\xff}",
        bytes(80),
    ],
)
def test_anything_else_is_no_entry(line: bytes) -> None:
    assert read_entry(line) is None
    assert entry_row(line, EVIDENCE).text == "", "a row that cannot be read, and is found so"


def test_a_head_says_where_a_reading_begins() -> None:
    frontier = Frontier()
    for number in range(5):
        frontier.add(bytes([number]) * 32)
    peaks = tuple(peak.hex() for peak in frontier.peaks)
    head = SegmentHead("box-0001", EVIDENCE, 2, 6, HASH.hex(), peaks, "ab" * 32)
    assert read_head(head.to_line()[:-1]) == head
    start = head.start()
    assert start.previous == HASH and start.frontier.root() == frontier.root()
    with pytest.raises(ValueError, match="peaks"):
        SegmentHead("box-0001", EVIDENCE, 2, 5, HASH.hex(), peaks, None).start()


@pytest.mark.parametrize("line", [b"", b"{}", b'{"version":2}', b"\xff"])
def test_another_head_is_refused(line: bytes) -> None:
    with pytest.raises(Refused, match="JRN-020"):
        read_head(line)


def test_a_proof_is_read_strictly() -> None:
    proof = Proof(3, "receipt", EVIDENCE, 41, "f1", "2026-11-23T08:00:00Z", base64.b64encode(HASH).decode())
    text = canonical.encode(proof).decode()
    assert read_proof(text) == proof and proof.signed == HASH
    for wrong in (text.replace("receipt", "rumour"), text.replace('"size":41', '"size":"41"'), "{}", "x"):
        with pytest.raises(Refused, match="JRN-021"):
            read_proof(wrong)
    with pytest.raises(ValueError, match="base64"):
        _ = Proof(3, "stamp", EVIDENCE, 0, "", "2026-11-23T08:00:00Z", "%").signed


def test_a_row_of_zeros_has_no_place() -> None:
    assert entry_row(bytes(10), EVIDENCE).hash == START

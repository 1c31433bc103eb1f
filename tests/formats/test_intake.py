"""The header in front of a fichier: strict, bounded, and any file name fits."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Refused
from gateway.formats.intake import MOST_HEADER, IntakeHeader, clean_name, pack_header, read_intake, unpack_header

HEADER = IntakeHeader("lot du 1er août.b2", "folder", "2026-08-01T12:00:00Z", 5)
WRITTEN = '{"channel":"folder","name":"lot du 1er août.b2","received":"2026-08-01T12:00:00Z","size":5,"v":1}\n'.encode()


def test_its_one_writing() -> None:
    assert pack_header(HEADER) == WRITTEN
    assert unpack_header(WRITTEN) == HEADER
    assert unpack_header(WRITTEN[:-1]) == HEADER


def test_the_content_follows() -> None:
    header, content = read_intake(io.BytesIO(WRITTEN + b"a\nb\nc"))
    assert header == HEADER
    assert content.read(100) == b"a\nb\nc"
    assert content.read(100) == b""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"v":1', b'"v":2'),
        (b'"size":5', b'"size":-5'),
        (b'"size":5', b'"size":5.0'),
        (b'"channel":"folder"', b'"channel":"fax"'),
        (b'"name":"lot', b'"name":"\\nlot'),
        (b"{", b" {"),
        (b"}", b"} {"),
        (b"lot", b"\xff"),
        (b"lot", b"l" * MOST_HEADER),
    ],
)
def test_anything_else_is_refused(old: bytes, new: bytes) -> None:
    assert old in WRITTEN
    with pytest.raises(Refused, match="INT-010"):
        unpack_header(WRITTEN.replace(old, new))


@pytest.mark.parametrize("data", [b"", WRITTEN[:-1], b"x" * 10_000])
def test_a_stream_without_header_is_refused(data: bytes) -> None:
    with pytest.raises(Refused, match="INT-010"):
        read_intake(io.BytesIO(data))


@given(st.text() | st.binary().map(lambda name: name.decode("utf-8", "surrogateescape")))
def test_any_file_name_can_be_written(name: str) -> None:
    header = IntakeHeader(clean_name(name), "http", "2026-08-01T12:00:00Z", 0)
    line = pack_header(header)
    assert len(line) <= MOST_HEADER
    assert unpack_header(line) == header

"""The file that travels back: its header is strict, its body untouched."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Refused
from gateway.formats.returns import MOST_HEADER, ReturnHeader, pack, read_return, unpack

AT = "2026-08-01T12:00:00Z"
HEADER = b'{"about":"0f3c","at":"2026-08-01T12:00:00Z","kind":"arl","name":"x","v":1}\n'


@given(
    st.sampled_from(["receipt", "arl", "rsp", "opaque"]),
    st.none() | st.text("0123456789abcdef", max_size=32),
    st.binary(),
)
def test_the_body_is_untouched(kind: str, about: str | None, body: bytes) -> None:
    back = unpack(pack(kind, "retour.noe", about, AT, body))  # type: ignore[arg-type]
    assert back.header == ReturnHeader(kind, "retour.noe", about, AT)  # type: ignore[arg-type]
    assert back.body == body


def test_a_body_longer_than_a_header_line_is_streamed_whole() -> None:
    body = bytes(range(256)) * 100
    header, rest = read_return(io.BytesIO(pack("rsp", "x", None, AT, body)))
    pieces = list(iter(lambda: rest.read(1000), b""))
    assert header.kind == "rsp"
    assert b"".join(pieces) == body
    assert unpack(pack("rsp", "x", None, AT, body)).body == body


def test_its_one_writing() -> None:
    assert pack("arl", "x", "0f3c", AT, b"body\n") == HEADER + b"body\n"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        HEADER[:-1],
        b"{}\n",
        HEADER.replace(b'"v":1', b'"v":2'),
        HEADER.replace(b'"arl"', b'"b2"'),
        b" " * MOST_HEADER + HEADER,
    ],
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(Refused, match="RET-001"):
        unpack(data)

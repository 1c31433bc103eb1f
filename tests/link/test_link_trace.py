"""The trace: every FPDU in words and bytes, and no password anywhere."""

from __future__ import annotations

import io
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.link.trace import Trace
from gateway.pesit import checksum, codec
from gateway.pesit.codec import Fpdu
from gateway.pesit.framing import Preconnection, prefix

SECRET = "S3CRETPW"
CONNECT = codec.encode(Fpdu("CONNECT", {3: "BOX", 4: "SRV", 5: SECRET, 6: 2, 7: b"\0\x20\x02", 22: 0}, source=1))
ACONNECT = codec.encode(Fpdu("ACONNECT", {5: SECRET, 6: 2}, destination=1, source=9))
DTF = codec.encode(Fpdu("DTF", body=bytes(range(200)), destination=9))
RCONNECT = codec.encode(Fpdu("RCONNECT", {2: b"\3\1\x30"}, destination=1))


def traced(*passed: tuple[str, bytes], requester: str = ">") -> str:
    out = io.StringIO()
    trace = Trace(out, lambda: datetime(2026, 1, 2, 3, 4, 5, 678), requester, "n° 1 ")
    for way, data in passed:
        trace(way, data)
    text = out.getvalue()
    hidden = "".join(text.split())
    assert SECRET not in text and SECRET.encode().hex() not in hidden, "in neither form"
    assert SECRET.encode("cp500").hex() not in hidden
    return text


@pytest.mark.parametrize("framed", [prefix, bytes], ids=["prefixed", "raw"])
def test_both_ways_are_read(framed: type[bytes]) -> None:
    text = traced((">", framed(CONNECT)), ("<", framed(ACONNECT)), (">", framed(DTF)))
    assert "03:04:05.000678 n° 1 > envoyé CONNECT" in text and "< reçu ACONNECT" in text
    assert "PI 3  requester                 'BOX'" in text
    assert "PI 7  sync option               32 Ko, fenêtre 2" in text
    assert text.count("access control            ***") == 2
    assert "05 08 ** ** ** ** ** ** ** **" in text
    assert "... 168 octets de plus" in text and bytes(range(33)).hex(" ") not in text


def test_the_server_sees_the_other_way_round() -> None:
    text = traced(("<", prefix(CONNECT)), (">", prefix(RCONNECT)), requester="<")
    assert "< reçu CONNECT" in text and "> envoyé RCONNECT" in text and "3.304 demandeur non autorisé" in text


@pytest.mark.parametrize("ebcdic", [True, False])
@pytest.mark.parametrize("prefixed", [True, False])
def test_a_pre_connection_shows_no_password(ebcdic: bool, prefixed: bool) -> None:
    request = Preconnection("PESIT", "BOX", SECRET, ebcdic, prefixed)
    text = traced(
        (">", request.request()), ("<", request.answer(accepted=True)), (">", prefix(CONNECT)), ("<", prefix(ACONNECT))
    )
    assert f"pré-connexion PESIT BOX *** ({'EBCDIC' if ebcdic else 'ASCII'})" in text and "< reçu ACK0" in text
    assert "ACONNECT" in text


def test_check_bytes_are_read_over() -> None:
    def checked(frame: bytes) -> bytes:
        return prefix(frame + checksum.check_bytes(frame))

    text = traced((">", checked(CONNECT)), ("<", checked(ACONNECT)), (">", prefix(DTF + b"\1\2")))
    assert "ACONNECT" in text and "CRC est faux" in text


BROKEN = [
    CONNECT[:6] + b"\x05\xff" + SECRET.encode(),
    CONNECT[:6] + b"\x05\x20" + SECRET.encode(),
    CONNECT[:6] + b"\x03\x01A\x05",
    CONNECT[:6] + b"\x05\x08" + SECRET.encode() + b"\x05\x08" + SECRET.encode(),
    CONNECT[:6] + b"\x63\x00\x05\x08" + SECRET.encode() + b"\x07",
]


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_connect_shows_no_password(broken: bytes) -> None:
    frame = len(broken).to_bytes(2, "big") + broken[2:]
    assert "CONNECT" in traced((">", prefix(frame)))


def test_what_is_no_pesit_is_said_once_and_not_shown() -> None:
    text = traced((">", b"GET / " + SECRET.encode()), (">", SECRET.encode()))
    assert text.count("illisible") == 1


@given(st.lists(st.integers(1, 12), max_size=20))
def test_any_chunks_give_the_same_trace(sizes: list[int]) -> None:
    whole = prefix(CONNECT) + prefix(DTF)
    chunks, at = [], 0
    for size in sizes:
        chunks.append(whole[at : at + size])
        at += size
    assert traced(*((">", chunk) for chunk in [*chunks, whole[at:]])) == traced((">", whole))


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_nothing_that_passes_breaks_it(up: bytes, down: bytes) -> None:
    traced((">", prefix(CONNECT) + up), ("<", down))

"""The trace for support: everything but codes."""

from __future__ import annotations

import pytest

from gateway.card.apdu import Apdu
from gateway.card.trace import CODES, line, traced

CODE = b"0739"


def test_a_plain_command() -> None:
    assert line(b"\x00\xb0\x00\x00\x02", b"\x5a\x0a\x90\x00") == "> 00 B0 00 00 02  < 5A 0A 90 00"


@pytest.mark.parametrize("cla", [0x00, 0x10, 0x0C, 0x80])
@pytest.mark.parametrize("ins", sorted(CODES))
def test_no_code(cla: int, ins: int) -> None:
    for data in (CODE, CODE + b"1234", b"12345678" + CODE):
        said = line(Apdu(cla, ins, 0, 1, data).tpdu(), b"\x90\x00")
        assert said == f"> {cla:02X} {ins:02X} 00 01 …  < 90 00"


@pytest.mark.parametrize("tpdu", [b"", b"\x00", b"\x00\x20"])
def test_a_stump(tpdu: bytes) -> None:
    assert line(tpdu, b"\x67\x00").endswith("< 67 00")


def test_traced() -> None:
    lines: list[str] = []
    transmit = traced(lambda tpdu: tpdu[:1] + b"\x90\x00", lines.append)
    assert transmit(b"\x00\xa4") == b"\x00\x90\x00"
    assert lines == ["> 00 A4  < 00 90 00"]

"""Data objects, as cases: what is asked of which bytes, and what is found."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.card import tlv

FCP = "6225800200 0C820101 8302D003 8801E0 A112 8C077BFFFFFFFFFF00 9C077BFFFFFFFFFF00 8A0105"
PIN = "7016BF810112A0109A01039B0102A1088C06F3000013FF00"

CASES = [
    (FCP, (0x62, 0x80), "000C"),
    (FCP, (0x62, 0x83), "D003"),
    (FCP, (0x62, 0xA1, 0x8C), "7BFFFFFFFFFF00"),
    (FCP, (0x62, 0x81), ""),
    (PIN, (0x70, 0xBF8101, 0xA0, 0x9B), "02"),
    (PIN, (0x70, 0xBF8102, 0xA0, 0x9B), ""),
    ("81820003010203", (0x81,), "010203"),
    ("8105010203", (0x81,), ""),
    ("BF", (0xBF,), ""),
    ("BF81", (0xBF81,), ""),
    ("", (0x62,), ""),
]


@pytest.mark.parametrize(("data", "tags", "value"), CASES)
def test_find(data: str, tags: tuple[int, ...], value: str) -> None:
    assert tlv.find(bytes.fromhex(data), *tags).hex().upper() == value


@given(st.binary(max_size=60))
def test_any_bytes_end(data: bytes) -> None:
    assert sum(len(value) for _, value in tlv.objects(data)) <= len(data)

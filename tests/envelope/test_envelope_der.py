"""Strict DER: what is written reads back, agrees with another encoder, and nothing else is taken."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
from asn1crypto import core
from hypothesis import given
from hypothesis import strategies as st

from gateway.envelope import der
from gateway.errors import Refused


@given(st.integers(-(2**200), 2**200))
def test_integers_agree_with_another_encoder_and_read_back(value: int) -> None:
    encoded = der.integer(value)
    assert encoded == core.Integer(value).dump()
    assert der.parse(encoded).integer() == value


@given(st.integers(0, 1), st.integers(0, 39), st.lists(st.integers(0, 2**128), max_size=8))
def test_identifiers_agree_with_another_encoder(first: int, second: int, rest: list[int]) -> None:
    dotted = ".".join(map(str, (first, second, *rest)))
    assert der.oid(dotted) == core.ObjectIdentifier(dotted).dump()


@given(st.datetimes(datetime(1950, 1, 1), datetime(2120, 1, 1), timezones=st.just(UTC)))
def test_times_read_back_to_the_second(at: datetime) -> None:
    encoded = der.time(at)
    assert encoded[0] == (der.UTC_TIME if at.year < 2050 else der.GENERALIZED_TIME)
    assert der.parse(encoded).time() == at.replace(microsecond=0)


@given(st.binary(max_size=400), st.binary(max_size=300), st.binary(max_size=300))
def test_a_frame_is_the_element_without_its_content(content: bytes, left: bytes, right: bytes) -> None:
    frame = der.Frame(len(content)).inside(der.OCTET_STRING).inside(der.SEQUENCE, left, right)
    whole = frame.before + content + frame.after
    assert whole == der.sequence(left, der.octets(content), right)
    assert frame.total == len(whole)


@given(st.integers(0, 2**40))
def test_lengths_are_minimal_and_read_back(size: int) -> None:
    reader = der.parse(der.header(der.OCTET_STRING, size))
    assert reader.enter(der.OCTET_STRING) == size


@given(st.binary(max_size=60))
def test_any_bytes_are_read_back_alike_or_refused(junk: bytes) -> None:
    reader = der.parse(junk)
    try:
        element = reader.element()
    except Refused as refused:
        assert refused.code.startswith("CMS-00")
        return
    assert junk.startswith(element)


@given(st.lists(st.binary(max_size=20).map(der.octets), max_size=6, unique=True))
def test_sets_are_sorted(elements: list[bytes]) -> None:
    assert der.read_set_of(der.set_of(elements)) == sorted(elements)


class Trickle(io.RawIOBase):
    """Gives one byte at a time, as a pipe may."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def read(self, size: int = -1, /) -> bytes:
        return self._data.read(min(size, 1))


def test_short_reads_are_put_together() -> None:
    reader = der.Reader(Trickle(der.sequence(der.octets(b"abcdef"), der.integer(7))))
    reader.enter(der.SEQUENCE)
    assert (reader.content(der.OCTET_STRING), reader.integer()) == (b"abcdef", 7)
    reader.leave()
    reader.finish()


WRONG = {
    "indefinite length": ("3080 0000", "CMS-002"),
    "length 5 in two bytes": ("308105 0500050000", "CMS-003"),
    "length with a leading zero": ("30820081" + "05" * 129, "CMS-003"),
    "length of nine bytes": ("3089" + "01" * 9, "CMS-003"),
    "tag above 30": ("3F2101 00", "CMS-004"),
    "another tag": ("310100", "CMS-004"),
    "nothing": ("", "CMS-004"),
    "tag only": ("30", "CMS-001"),
    "length cut": ("3082 01", "CMS-001"),
    "content cut": ("3003 0201", "CMS-001"),
    "inner element too long": ("3003 020401020304", "CMS-004"),
    "inner length outside": ("3001 0201 05", "CMS-004"),
    "integer of no byte": ("3002 0200", "CMS-003"),
    "integer with a leading zero": ("3004 02020005", "CMS-003"),
    "integer with leading ones": ("3004 0202FF85", "CMS-003"),
    "integer too long": ("3023 0221" + "01" * 33, "CMS-005"),
    "left over inside": ("3005 020105 0500", "CMS-006"),
    "left over after": ("3003 020105 00", "CMS-006"),
}


@pytest.mark.parametrize(("encoded", "code"), WRONG.values(), ids=WRONG)
def test_what_is_not_der_is_refused_by_name(encoded: str, code: str) -> None:
    reader = der.parse(bytes.fromhex(encoded))
    with pytest.raises(Refused) as refused:
        reader.enter(der.SEQUENCE)
        reader.integer()
        reader.leave()
        reader.finish()
    assert refused.value.code == code


def test_a_high_tag_is_refused_whatever_is_expected() -> None:
    with pytest.raises(Refused, match="CMS-003"):
        der.parse(bytes.fromhex("1F2100")).element()


def test_nesting_has_a_depth() -> None:
    nested = b""
    for _ in range(der.MAX_DEPTH + 1):
        nested = der.sequence(nested)
    reader = der.parse(nested)
    with pytest.raises(Refused, match="CMS-005"):
        for _ in range(der.MAX_DEPTH + 1):
            reader.enter(der.SEQUENCE)


def test_a_large_element_is_refused_before_it_is_read() -> None:
    with pytest.raises(Refused, match="CMS-005"):
        der.parse(der.header(der.OCTET_STRING, 2**40)).content(der.OCTET_STRING)


TIMES = {
    "without seconds": (der.UTC_TIME, "2611230645Z"),
    "with an offset": (der.UTC_TIME, "261123064500+0100"),
    "thirteenth month": (der.UTC_TIME, "261323064500Z"),
    "blank in place of a zero": (der.UTC_TIME, "26112306450 Z"),
    "generalized before 2050": (der.GENERALIZED_TIME, "20261123064500Z"),
    "not ASCII": (der.UTC_TIME, "26112306450\xe9"),
}


@pytest.mark.parametrize(("tag", "text"), TIMES.values(), ids=TIMES)
def test_other_times_are_refused(tag: int, text: str) -> None:
    with pytest.raises(Refused, match=r"CMS-00[57]"):
        der.parse(der.tlv(tag, text.encode("latin-1"))).time()


def test_sets_out_of_order_or_with_a_double_are_refused() -> None:
    one, two = der.integer(1), der.integer(2)
    for elements in ((two, one), (one, one)):
        with pytest.raises(Refused, match="CMS-003"):
            der.read_set_of(der.tlv(der.SET, *elements))


def test_text_must_be_utf8() -> None:
    with pytest.raises(Refused, match="CMS-007"):
        der.parse(der.tlv(der.UTF8_STRING, b"\xff")).utf8(10)

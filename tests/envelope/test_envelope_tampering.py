"""Touched seals: each bit of each byte, each cut, each byte more or less; refused, and nothing is released."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from development_pki import Pki
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway.envelope import der, oids
from gateway.envelope.algorithms import PrivateKey
from gateway.envelope.recipients import recipient_info
from gateway.envelope.seal import open_sealed, seal
from gateway.envelope.signed import read_signed
from gateway.errors import Refused

CONTENT = b"0123456789"
RECIPIENTS = {"RSA 3072": "oct-seal", "P-256": "box-seal", "P-384": "recovery"}
BITS = tuple(1 << bit for bit in range(8))


@dataclass(frozen=True)
class Owner:
    """Who opens."""

    certificate: bytes
    key: PrivateKey

    def open(self, envelope: bytes) -> bytes:
        """The content; when refused, nothing of it has been released."""
        out = io.BytesIO()
        try:
            open_sealed(io.BytesIO(envelope), out, self.certificate, self.key)
        except Refused:
            assert out.getvalue() == b""
            raise
        return out.getvalue()

    def refuses(self, envelope: bytes) -> bool:
        try:
            self.open(envelope)
        except Refused:
            return True
        return False


def owner(pki: Pki, name: str) -> Owner:
    return Owner(pki.certificate(name), pki.key(name))


def sealed(pki: Pki, *names: str, content: bytes = CONTENT) -> bytes:
    out = io.BytesIO()
    seal(io.BytesIO(content), len(content), out, [pki.certificate(name) for name in names])
    return out.getvalue()


def flips(envelope: bytes, positions: range | list[int], masks: tuple[int, ...]) -> Iterator[tuple[int, bytes]]:
    for position in positions:
        for mask in masks:
            touched = bytearray(envelope)
            touched[position] ^= mask
            yield position, bytes(touched)


@pytest.mark.parametrize("name", RECIPIENTS.values(), ids=RECIPIENTS)
def test_every_flipped_bit_and_byte_is_refused(pki: Pki, name: str) -> None:
    envelope, reader = sealed(pki, name), owner(pki, name)
    assert reader.open(envelope) == CONTENT
    let_through = [
        position
        for position, touched in flips(envelope, range(len(envelope)), (*BITS, 0xFF))
        if not reader.refuses(touched)
    ]
    assert let_through == []


@pytest.mark.parametrize("name", RECIPIENTS.values(), ids=RECIPIENTS)
def test_every_cut_and_every_byte_more_or_less_is_refused(pki: Pki, name: str) -> None:
    envelope, reader = sealed(pki, name), owner(pki, name)
    places = range(len(envelope))
    touched = {f"cut at {place}": envelope[:place] for place in places}
    touched |= {f"without {place}": envelope[:place] + envelope[place + 1 :] for place in places}
    touched |= {f"zero before {place}": envelope[:place] + b"\0" + envelope[place:] for place in places}
    touched |= {"zero after": envelope + b"\0", "twice": envelope * 2, "nothing": b""}
    assert [what for what, one in touched.items() if not reader.refuses(one)] == []


@pytest.mark.parametrize("name", RECIPIENTS.values(), ids=RECIPIENTS)
def test_with_several_recipients_every_byte_but_the_others_own_is_guarded(pki: Pki, name: str) -> None:
    """What was written for others is not looked into; it can be spoilt, but never change what we read."""
    envelope, reader = sealed(pki, *RECIPIENTS.values()), owner(pki, name)
    others = {position for start, end in spans_of_others(envelope, reader) for position in range(start, end)}
    ours = [position for position in range(len(envelope)) if position not in others]
    assert len(others) > 500 and len(ours) > 350
    assert [place for place, touched in flips(envelope, ours, (0x01, 0x80, 0xFF)) if not reader.refuses(touched)] == []
    for _, touched in flips(envelope, sorted(others), (0x01, 0xFF)):
        assert reader.refuses(touched) or reader.open(touched) == CONTENT


def spans_of_others(envelope: bytes, reader: Owner) -> Iterator[tuple[int, int]]:
    """Where the RecipientInfos stand that this reader can do without: refused when alone, it is not his."""
    for info in recipients_of(envelope):
        start = envelope.index(info)
        if reader.refuses(with_recipients(envelope, [info])):
            yield start, start + len(info)


def parts_of(envelope: bytes) -> list[bytes]:
    """version, recipientInfos, content, tag."""
    reader = der.parse(envelope)
    reader.enter(der.SEQUENCE)
    reader.element(der.OID)
    reader.enter(der.context(0))
    reader.enter(der.SEQUENCE)
    return [reader.element() for _ in range(4)]


def recipients_of(envelope: bytes) -> list[bytes]:
    return der.read_set_of(parts_of(envelope)[1])


def made_of(*parts: bytes) -> bytes:
    return der.sequence(der.oid(oids.AUTH_ENVELOPED_DATA), der.tlv(der.context(0), der.sequence(*parts)))


def with_recipients(envelope: bytes, infos: list[bytes]) -> bytes:
    version, _, content, tag = parts_of(envelope)
    return made_of(version, der.set_of(infos), content, tag)


def test_each_part_of_another_seal_is_refused(pki: Pki) -> None:
    """Key, content and tag belong together, even among seals to one owner."""
    one, two = (parts_of(sealed(pki, "box-seal")) for _ in range(2))
    reader = owner(pki, "box-seal")
    assert reader.open(made_of(*one)) == CONTENT
    for place in (1, 2, 3):
        assert reader.refuses(made_of(*one[:place], two[place], *one[place + 1 :]))


@pytest.mark.parametrize("size", [0, 1, 4, 12, 15, 17])
def test_a_tag_of_another_size_is_refused_even_where_its_bytes_are_right(pki: Pki, size: int) -> None:
    version, infos, content, tag = parts_of(sealed(pki, "box-seal"))
    short = der.octets((tag[2:] + b"\0")[:size])
    said = der.sequence(content[2:].replace(der.integer(16), der.integer(size)))
    for body in (content, said):
        with pytest.raises(Refused, match="CMS-023"):
            owner(pki, "box-seal").open(made_of(version, infos, body, short))


# ---------------------------------------------------------------- hostile structure


MEMORY = 4 << 20
"""Bytes that reading a hostile envelope of a few kilobytes may take."""

LENGTHS = [bytes((0x80 | size,)) + b"\x7f" * size for size in range(1, 9)]


def headers(envelope: bytes, start: int = 0) -> Iterator[tuple[int, int, int]]:
    """Offset, size of the header and of the content of each element, inside the constructed ones too."""
    reader, position = der.parse(envelope[start:]), 0
    while (tag := reader.peek()) is not None:
        size = reader.enter(tag)
        header = reader.position - position
        yield start + position, header, size
        if tag & 0x20:
            yield from headers(envelope[: start + position + header + size], start + position + header)
        reader.take(size)
        reader.leave()
        position = reader.position


def test_lengths_that_are_lies_allocate_nothing(pki: Pki) -> None:
    envelope, reader = sealed(pki, "box-seal"), owner(pki, "box-seal")
    places = list(headers(envelope))
    assert len(places) > 25
    tracemalloc.start()
    try:
        for offset, header, _ in places:
            for length in LENGTHS:
                touched = envelope[: offset + 1] + length + envelope[offset + header :]
                assert reader.refuses(touched), (offset, length)
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()


def test_a_huge_content_that_is_not_there_is_cut(pki: Pki) -> None:
    """Every length agrees with the others; only the file ends."""
    reader = owner(pki, "box-seal")
    version, infos, content, _ = parts_of(sealed(pki, "box-seal"))
    inner = der.parse(content)
    inner.enter(der.SEQUENCE)
    before = inner.element() + inner.element()
    for size, code in ((1 << 35, "CMS-001"), (1 << 40, "CMS-005")):
        frame = der.Frame(size).inside(der.context(0, constructed=False)).inside(der.SEQUENCE, before=before)
        frame = frame.inside(der.SEQUENCE, version + infos, der.octets(bytes(16))).inside(der.context(0))
        frame = frame.inside(der.SEQUENCE, before=der.oid(oids.AUTH_ENVELOPED_DATA))
        tracemalloc.start()
        try:
            with pytest.raises(Refused, match=code):
                reader.open(frame.before + bytes(100))
            assert tracemalloc.get_traced_memory()[1] < MEMORY
        finally:
            tracemalloc.stop()


def test_a_crowd_of_recipients_is_refused_before_it_is_held(pki: Pki) -> None:
    version, _, content, tag = parts_of(sealed(pki, "box-seal"))
    crowd = der.tlv(der.SET, *(der.octets(number.to_bytes(3, "big")) for number in range(200_000)))
    with pytest.raises(Refused, match="CMS-005"):
        owner(pki, "box-seal").open(made_of(version, crowd, content, tag))


def test_the_first_recipient_of_our_name_decides(pki: Pki) -> None:
    """One use of the key: a crowd that bears our name cannot keep it busy."""
    version, infos, content, tag = parts_of(sealed(pki, "oct-seal"))
    (right,) = der.read_set_of(infos)
    wrong = recipient_info(pki.certificate("oct-seal"), bytes(32))
    while wrong > right:
        wrong = recipient_info(pki.certificate("oct-seal"), bytes(32))
    with pytest.raises(Refused, match="CMS-022"):
        owner(pki, "oct-seal").open(made_of(version, der.set_of([right, wrong]), content, tag))


@st.composite
def touches(draw: st.DrawFn) -> list[tuple[int, int, bytes]]:
    """Places (in thousandths), bytes taken out there, and bytes put in."""
    one = st.tuples(st.integers(0, 1000), st.integers(0, 6), st.binary(max_size=6))
    return draw(st.lists(one, min_size=1, max_size=4))


def touched_by(envelope: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    for place, out, put in changes:
        at = place * len(envelope) // 1000
        envelope = envelope[:at] + put + envelope[at + out :]
    return envelope


FUZZ = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FUZZ
@given(touches())
@example([(0, 0, b"")])
def test_a_seal_touched_anyhow_is_refused_or_gives_the_content(pki: Pki, changes: list[tuple[int, int, bytes]]) -> None:
    """Nothing but ``Refused`` comes out of hostile bytes, and no other content."""
    reader = owner(pki, "box-seal")
    touched = touched_by(sealed(pki, "box-seal", "recovery"), changes)
    assert reader.refuses(touched) or reader.open(touched) == CONTENT


@FUZZ
@given(st.binary(max_size=200))
def test_junk_in_place_of_any_part_is_refused(pki: Pki, junk: bytes) -> None:
    reader, parts = owner(pki, "box-seal"), parts_of(sealed(pki, "box-seal"))
    for place, part in enumerate(parts):
        for other in (junk, der.tlv(part[0], junk), der.set_of([der.tlv(der.context(1), junk)])):
            assert other == part or reader.refuses(made_of(*parts[:place], other, *parts[place + 1 :]))


@FUZZ
@given(st.binary(max_size=200), st.sampled_from([oids.SIGNED_DATA, oids.AUTH_ENVELOPED_DATA]))
def test_junk_in_any_wrapping_is_refused(pki: Pki, junk: bytes, kind: str) -> None:
    reader = owner(pki, "box-seal")
    for inner in (junk, der.sequence(der.integer(1), junk), der.sequence(der.integer(0), der.tlv(der.SET, junk))):
        envelope = der.sequence(der.oid(kind), der.tlv(der.context(0), inner))
        assert reader.refuses(envelope)
        with pytest.raises(Refused):
            read_signed(io.BytesIO(envelope), None, 1 << 20)

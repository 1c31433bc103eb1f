"""Cutting a return into entities: labels with @, prefixes, line ends, gzip, garbage."""

from __future__ import annotations

import gzip

import pytest
from b2_edits import SAMPLES
from hypothesis import given
from hypothesis import strategies as st

from gateway.formats.noemie_entities import MOST_BYTES, entities, unpack
from gateway.formats.noemie_tables import LAYOUTS

RETURN = (SAMPLES / "noemie_new_form_paid_and_rejected.noe").read_bytes()
CODES = ["000", "040", "071", "081", "102", "103", "198", "102", "103", "198", "294", "990", "999"]


def test_the_sample_is_cut() -> None:
    cut = list(entities(RETURN))
    assert [one.code for one in cut] == CODES
    assert "".join(one.raw for one in cut).encode("latin-1") == RETURN
    assert all(RETURN[one.offset :].startswith(one.raw.encode("latin-1")) for one in cut)
    assert all(one.values is not None for one in cut)


@pytest.mark.parametrize("end", ["\r\n", "\n"])
@pytest.mark.parametrize("prefixed", [True, False])
def test_what_other_writers_add_is_tolerated(end: str, prefixed: bool) -> None:
    cut = list(entities(RETURN))
    text = "".join((f"{len(one.raw):04d}" if prefixed else "") + one.raw + end for one in cut)
    again = list(entities(text.encode("latin-1")))
    assert [one.raw for one in again] == [one.raw for one in cut]
    assert all(text[one.offset :].startswith(one.raw) for one in again)


def test_a_known_entity_may_hold_an_at_sign() -> None:
    comment = LAYOUTS["295"].write({"text": "ecrire a caisse@exemple.fr"})
    cut = list(entities(RETURN[:128] + comment.encode() + b"990@"))
    assert [(one.code, one.values is not None) for one in cut] == [("000", True), ("295", True), ("990", False)]


def test_garbage_is_an_entity_of_its_own() -> None:
    cut = list(entities(b"abc@de"))
    assert [(one.code, one.offset, one.raw, one.values) for one in cut] == [
        ("abc", 0, "abc@", None),
        ("de", 4, "de", None),
    ]


def test_gzip() -> None:
    assert unpack(RETURN) == RETURN
    assert unpack(memoryview(gzip.compress(RETURN))) == RETURN


@pytest.mark.parametrize("data", [b"\x1f\x8b", b"\x1f\x8bnonsense", gzip.compress(RETURN)[:-20]])
def test_broken_gzip(data: bytes) -> None:
    with pytest.raises(ValueError, match="gzip"):
        unpack(data)


def test_a_bomb_is_cut_off() -> None:
    assert len(unpack(gzip.compress(bytes(MOST_BYTES * 2), 1))) == MOST_BYTES + 1


@given(st.binary())
def test_nothing_is_lost(data: bytes) -> None:
    """What is not a line end is in exactly one entity, in order."""
    cut = b"".join(one.raw.encode("latin-1") for one in entities(b"@" + data))
    assert cut.replace(b"\r", b"").replace(b"\n", b"") == (b"@" + data).replace(b"\r", b"").replace(b"\n", b"")

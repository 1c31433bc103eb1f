"""Canonical JSON: one writing, and a reader that refuses every other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Refused
from gateway.formats import canonical
from gateway.formats.canonical import Digest, Moment, Short


@dataclass(frozen=True)
class Inner:
    name: str
    count: int


@dataclass(frozen=True)
class Outer:
    inner: Inner
    many: tuple[Inner, ...]
    word: Literal["a", "b"]
    yes: bool
    perhaps: int | None
    version: int = 1


VALUE = Outer(Inner("é", 1), (Inner("x", 2), Inner("y", 3)), "a", True, None)
WRITTEN = (
    '{"inner":{"count":1,"name":"é"},"many":[{"count":2,"name":"x"},{"count":3,"name":"y"}],'
    '"perhaps":null,"version":1,"word":"a","yes":true}'
).encode()


def decode(data: bytes) -> Outer:
    return canonical.decode(Outer, data, "X-001", "Le document", version=("version", 1))


def test_one_writing() -> None:
    assert canonical.encode(VALUE) == WRITTEN
    assert decode(WRITTEN) == VALUE


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ('"version":1', '"version":2', "version 2 inconnue"),
        ('"version":1', '"version":true', "version true inconnue"),
        ('"version":1,', "", "version null inconnue"),
        ('"count":1', '"count":"1"', "inner.count"),
        ('"count":1', '"count":true', "inner.count"),
        ('"count":1', f'"count":{1 << 63}', "inner.count"),
        ('"count":1', f'"count":{-1 << 64}', "inner.count"),
        ('"count":1', '"count":1.0', "inner.count"),
        ('"count":3', '"count":null', "many[1].count"),
        ('"name":"é"', '"nom":"é"', "« name »"),
        ('"perhaps":null', '"more":1,"perhaps":null', "« more »"),
        ('"perhaps":null,', "", "« perhaps »"),
        ('"word":"a"', '"word":"c"', "word"),
        ('"word":"a"', '"word":["a"]', "word"),
        ('"yes":true', '"yes":1', "yes"),
        ('"yes":true', '"yes":true,"yes":true', "deux fois"),
        ('"many":[', '"many": [', "canonique"),
        ("é", "\\u00e9", "canonique"),
        ('"many":[{"count":2,"name":"x"},{"count":3,"name":"y"}]', '"many":{}', "liste"),
        ("{", "[", "JSON"),
    ],
)
def test_every_other_writing_is_refused(old: str, new: str, word: str) -> None:
    text = WRITTEN.decode()
    assert old in text
    with pytest.raises(Refused) as refused:
        decode(text.replace(old, new, 1).encode())
    assert refused.value.code == "X-001"
    assert word in refused.value.text


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"7",
        b"\xff",
        b"[" * 100_000,
        b'{"version":1}',
        b'{"version":' + b"9" * 5000 + b"}",
        WRITTEN + b"\n",
    ],
)
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(Refused):
        decode(data)


@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_are_refused_or_canonical(data: bytes) -> None:
    try:
        value = decode(data)
    except Refused:
        return
    assert canonical.encode(value) == data


@dataclass(frozen=True)
class Forms:
    digest: Digest
    at: Moment
    name: Short


@pytest.mark.parametrize(
    ("field", "text", "good"),
    [
        ("digest", "0f" * 32, True),
        ("digest", "0F" * 32, False),
        ("digest", "0f" * 32 + "\n", False),
        ("at", "2026-08-01T12:00:00Z", True),
        ("at", "2026-08-01T12:00:00.123456Z", True),
        ("at", "2026-08-01T12:00:00.1Z", True),
        ("at", "2026-02-30T12:00:00Z", False),
        ("at", "2026-08-01T25:00:00Z", False),
        ("at", "0000-08-01T12:00:00Z", False),
        ("at", "2026-08-01 12:00:00", False),
        ("at", "2026-08-01T12:00:00+00:00", False),
        ("name", "lots d'été.b2", True),
        ("name", "a\nb", False),
        ("name", "x" * 256, False),
    ],
)
def test_forms(field: str, text: str, good: bool) -> None:
    value = Forms("00" * 32, "2026-08-01T12:00:00Z", "")
    data = canonical.encode({**vars(value), field: text})
    if good:
        assert vars(canonical.decode(Forms, data, "X-002", "Le document"))[field] == text
    else:
        with pytest.raises(Refused, match=field):
            canonical.decode(Forms, data, "X-002", "Le document")


def test_a_lone_surrogate_cannot_be_written() -> None:
    with pytest.raises(ValueError):
        canonical.encode({"name": "\ud800"})

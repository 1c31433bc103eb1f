"""The row of a chain: one writing, and a hash over all before it."""

from __future__ import annotations

import hashlib

from gateway.journal.chain import START, row_hash, row_text


def test_text_is_canonical() -> None:
    assert row_text(1, "evidence", "t", {"b": 1, "a": "é"}) == '{"a":"é","at":"t","b":1,"chain":"evidence","seq":1}'


def test_a_hash_covers_the_row_before() -> None:
    first = row_hash(START, "é")
    assert first == hashlib.sha256(bytes(32) + "é".encode()).digest()
    assert row_hash(first, "é") != first

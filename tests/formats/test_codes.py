"""Enrolment codes: what a person gets wrong is noticed before it counts; what is read as meant is read."""

from __future__ import annotations

import hashlib
from random import Random

import pytest

from gateway.errors import Refused
from gateway.formats.codes import ALPHABET, RANDOM_BYTES, SYMBOLS, proof, proof_key, read_code, write_code

RANDOM = Random(95)

CODES = [write_code(RANDOM.randbytes(RANDOM_BYTES)) for _ in range(20)] + [
    write_code(bytes(RANDOM_BYTES)), write_code(b"\xff" * RANDOM_BYTES)
]  # fmt: skip


def test_every_bit_but_one_counts() -> None:
    """95 bits: all single-bit changes of the random bytes give other codes, but for the one that is left out."""
    random = RANDOM.randbytes(RANDOM_BYTES)
    changed = {write_code((int.from_bytes(random) ^ 1 << bit).to_bytes(RANDOM_BYTES)) for bit in range(96)}
    assert len(changed | {write_code(random)}) == 96
    assert SYMBOLS * 5 >= 80


@pytest.mark.parametrize("code", CODES)
def test_read_as_written_and_as_meant(code: str) -> None:
    symbols = code.replace("-", "")
    assert read_code(code) == symbols
    spoken = symbols.lower().replace("0", "o").replace("1", "l")
    assert read_code(f" {spoken[:7]} {spoken[7:]}\n") == symbols


@pytest.mark.parametrize("code", CODES[:3])
def test_any_one_wrong_symbol_is_noticed(code: str) -> None:
    symbols = code.replace("-", "")
    for place in range(len(symbols)):
        for other in ALPHABET.replace(symbols[place], ""):
            with pytest.raises(Refused, match="ENR-001"):
                read_code(symbols[:place] + other + symbols[place + 1 :])


@pytest.mark.parametrize("code", CODES)
def test_any_two_neighbours_swapped_are_noticed(code: str) -> None:
    symbols = code.replace("-", "")
    for place in range(len(symbols) - 1):
        one, two = symbols[place], symbols[place + 1]
        if one != two:
            with pytest.raises(Refused, match="ENR-001"):
                read_code(symbols[:place] + two + one + symbols[place + 2 :])


@pytest.mark.parametrize("text", ["", "ABCD", "U" * 20, "0" * 19, "0" * 21, "é" * 20])
def test_what_is_none(text: str) -> None:
    with pytest.raises(Refused, match="ENR-001"):
        read_code(text)


def test_a_proof_says_nothing_of_another_partner_code_or_content() -> None:
    keys = {proof_key(code, partner) for code in ("0" * 20, "1" * 20) for partner in ("A", "B")}
    assert len({proof(key, content) for key in keys for content in (b"x", b"y")}) == 8
    assert all(hashlib.sha256(b"0" * 20).digest() != key for key in keys)

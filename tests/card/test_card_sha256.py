"""The state before the last block, finished by a plain reading of FIPS 180-4, is hashlib's digest."""

from __future__ import annotations

import hashlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.card.sha256 import BLOCK, INITIAL, State, compress, hash_input


def finish(state: bytes | None, done: int, tail: bytes) -> bytes:
    current: State = INITIAL if state is None else struct.unpack(">8I", state)  # type: ignore[assignment]
    padded = tail + b"\x80" + bytes((55 - len(tail)) % 64) + (done + len(tail) * 8).to_bytes(8, "big")
    for start in range(0, len(padded), BLOCK):
        current = compress(current, padded[start : start + BLOCK])
    return struct.pack(">8I", *current)


@pytest.mark.parametrize("size", [*range(132), 191, 192, 193, 1000])
def test_finished_is_hashlib(size: int) -> None:
    message = bytes(value & 0xFF for value in range(size))
    assert finish(*hash_input(message)) == hashlib.sha256(message).digest()


@given(st.binary(max_size=400))
def test_any_message(message: bytes) -> None:
    state, done, tail = hash_input(message)
    assert finish(state, done, tail) == hashlib.sha256(message).digest()
    assert done // 8 + len(tail) == len(message)
    assert done % 512 == 0
    assert (state is None) == (done == 0)


@pytest.mark.parametrize(
    ("size", "hashed", "left"), [(1, 0, 1), (64, 0, 64), (65, 64, 1), (128, 64, 64), (129, 128, 1)]
)
def test_the_card_always_gets_a_byte(size: int, hashed: int, left: int) -> None:
    _, done, tail = hash_input(bytes(size))
    assert (done // 8, len(tail)) == (hashed, left)

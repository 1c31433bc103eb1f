"""What the card calculates: the end of a SHA-256 that was begun outside, and RSA."""

from __future__ import annotations

import struct

from cryptography.hazmat.primitives.asymmetric import rsa

from gateway.card.sha256 import State, compress


def state_of(words: bytes) -> State:
    """The intermediate state in the 32 bytes that PSO HASH brings."""
    a, b, c, d, e, f, g, h = struct.unpack(">8I", words)
    return a, b, c, d, e, f, g, h


def finish(state: State, done: int, tail: bytes) -> bytes:
    """The digest from ``state`` after ``done`` bits, with ``tail`` to come (FIPS 180-4 §5.1.1)."""
    bits = done + len(tail) * 8
    padded = tail + b"\x80" + bytes((55 - len(tail)) % 64) + bits.to_bytes(8, "big")
    for place in range(0, len(padded), 64):
        state = compress(state, padded[place : place + 64])
    return struct.pack(">8I", *state)


def raw_signature(key: rsa.RSAPrivateKey, block: bytes) -> bytes:
    """RSASP1 of the PKCS#1 type 1 block around ``block``, whatever it is: that is what the card signs."""
    numbers = key.private_numbers()
    size = key.key_size // 8
    padded = b"\x00\x01" + b"\xff" * (size - 3 - len(block)) + b"\x00" + block
    value = int.from_bytes(padded, "big")
    first, second = pow(value, numbers.dmp1, numbers.p), pow(value, numbers.dmq1, numbers.q)
    whole = second + numbers.q * ((first - second) * numbers.iqmp % numbers.p)
    return whole.to_bytes(size, "big")

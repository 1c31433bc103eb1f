"""SHA-256 up to the last block, whose round the card does itself.

The signature key of a CPS signs only what the card has hashed: the host hashes all but the last block and
hands over the state (FIPS 180-4 §6.2.2); the card pads and finishes.  ``hashlib`` does not give that state.

It deliberately does not pad and does not finish a digest: use ``hashlib`` for digests.
"""

from __future__ import annotations

import struct

BLOCK = 64

State = tuple[int, int, int, int, int, int, int, int]

INITIAL: State = (
    0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19,
)  # fmt: skip
"""FIPS 180-4 §5.3.3."""

_K = (
    0x428A2F98, 0x71374491, 0xB5C0FBCF, 0xE9B5DBA5, 0x3956C25B, 0x59F111F1, 0x923F82A4, 0xAB1C5ED5,
    0xD807AA98, 0x12835B01, 0x243185BE, 0x550C7DC3, 0x72BE5D74, 0x80DEB1FE, 0x9BDC06A7, 0xC19BF174,
    0xE49B69C1, 0xEFBE4786, 0x0FC19DC6, 0x240CA1CC, 0x2DE92C6F, 0x4A7484AA, 0x5CB0A9DC, 0x76F988DA,
    0x983E5152, 0xA831C66D, 0xB00327C8, 0xBF597FC7, 0xC6E00BF3, 0xD5A79147, 0x06CA6351, 0x14292967,
    0x27B70A85, 0x2E1B2138, 0x4D2C6DFC, 0x53380D13, 0x650A7354, 0x766A0ABB, 0x81C2C92E, 0x92722C85,
    0xA2BFE8A1, 0xA81A664B, 0xC24B8B70, 0xC76C51A3, 0xD192E819, 0xD6990624, 0xF40E3585, 0x106AA070,
    0x19A4C116, 0x1E376C08, 0x2748774C, 0x34B0BCB5, 0x391C0CB3, 0x4ED8AA4A, 0x5B9CCA4F, 0x682E6FF3,
    0x748F82EE, 0x78A5636F, 0x84C87814, 0x8CC70208, 0x90BEFFFA, 0xA4506CEB, 0xBEF9A3F7, 0xC67178F2,
)  # fmt: skip

_WORD = 0xFFFFFFFF


def _turn(word: int, bits: int) -> int:
    return (word >> bits | word << (32 - bits)) & _WORD


def _schedule(block: bytes) -> list[int]:
    words = list(struct.unpack(">16I", block))
    for index in range(16, 64):
        early, late = words[index - 15], words[index - 2]
        sigma0 = _turn(early, 7) ^ _turn(early, 18) ^ early >> 3
        sigma1 = _turn(late, 17) ^ _turn(late, 19) ^ late >> 10
        words.append((words[index - 16] + sigma0 + words[index - 7] + sigma1) & _WORD)
    return words


def compress(state: State, block: bytes) -> State:
    """The state after one 64-byte ``block`` (FIPS 180-4 §6.2.2)."""
    a, b, c, d, e, f, g, h = state
    for constant, word in zip(_K, _schedule(block), strict=True):
        choice = e & f ^ ~e & g
        one = h + (_turn(e, 6) ^ _turn(e, 11) ^ _turn(e, 25)) + choice + constant + word
        two = (_turn(a, 2) ^ _turn(a, 13) ^ _turn(a, 22)) + (a & b ^ a & c ^ b & c)
        a, b, c, d, e, f, g, h = (one + two) & _WORD, a, b, c, (d + one) & _WORD, e, f, g
    a0, b0, c0, d0, e0, f0, g0, h0 = state
    return (
        a0 + a & _WORD, b0 + b & _WORD, c0 + c & _WORD, d0 + d & _WORD,
        e0 + e & _WORD, f0 + f & _WORD, g0 + g & _WORD, h0 + h & _WORD,
    )  # fmt: skip


def hash_input(message: bytes) -> tuple[bytes | None, int, bytes]:
    """``message`` as PSO HASH wants it: (state of 32 bytes, bits hashed so far, the 1 to 64 bytes that remain).

    The state is None where no block is full before the last byte.  At least one byte is always left for the
    card, since the official library never sends an empty end (CPS facts §4).
    """
    hashed = max(0, len(message) - 1) // BLOCK * BLOCK
    if not hashed:
        return None, 0, message
    state = INITIAL
    for start in range(0, hashed, BLOCK):
        state = compress(state, message[start : start + BLOCK])
    return struct.pack(">8I", *state), hashed * 8, message[hashed:]

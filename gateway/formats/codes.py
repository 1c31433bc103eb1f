"""One-time codes that a person copies: 95 random bits in Crockford's alphabet, with a check symbol, in groups of four.

Rule 1: what is easily misread is read as what was meant (O is 0, I and L are 1, case and dashes do not count).
Rule 2: one symbol that is wrong, or two neighbours in each other's place, is noticed before a try is spent: the check
symbol makes the code, as a polynomial over GF(32), vanish at a generator of that field.
Rule 3: the code itself is never sent: what is sent is a MAC under a key that is derived from it (``proof``).
"""

from __future__ import annotations

import hashlib
import hmac

from gateway.errors import Refused, Scope

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
SYMBOLS = 19
"""Symbols that carry the secret, five bits each; the twentieth checks them."""

RANDOM_BYTES = 12
"""What ``write_code`` wants: 96 bits, of which it uses 95."""

_MEANT = str.maketrans("OIL", "011", "- \t\n")
_FIELD = 0b100101  # x^5 + x^2 + 1, of which x is a generator
_N, _R, _P = 1 << 14, 8, 1


def write_code(random: bytes) -> str:
    """The code of ``RANDOM_BYTES`` random bytes, as it is printed."""
    if len(random) != RANDOM_BYTES:
        raise ValueError(f"{RANDOM_BYTES} random bytes are needed")
    number = int.from_bytes(random) >> 1
    values = [number >> 5 * place & 31 for place in range(SYMBOLS)]
    symbols = "".join(ALPHABET[value] for value in (*values, _times_x(_horner(values))))
    return "-".join(symbols[start : start + 4] for start in range(0, len(symbols), 4))


def read_code(text: str) -> str:
    """The symbols of a code as it was typed; Refused ENR-001 (scope box) when it cannot be one of ours."""
    symbols = text.upper().translate(_MEANT)
    if len(symbols) != SYMBOLS + 1 or not set(symbols) <= set(ALPHABET):
        text = f"Un code d'enrôlement a {SYMBOLS + 1} lettres et chiffres : il en manque, ou l'un d'eux n'en est pas."
        raise Refused("ENR-001", text, Scope.BOX)
    values = [ALPHABET.index(symbol) for symbol in symbols]
    if _horner(values) != 0:
        raise Refused("ENR-001", "Ce code d'enrôlement est mal recopié : sa clé de contrôle est fausse.", Scope.BOX)
    return symbols


def proof_key(code: str, partner: str) -> bytes:
    """What the concentrator keeps of a code (as ``read_code`` gives it), and what proves that one has it."""
    salt = f"oct-gateway/enrolment-code/1/{partner}".encode()
    return hashlib.scrypt(code.encode(), salt=salt, n=_N, r=_R, p=_P, maxmem=64 << 20, dklen=32)


def proof(key: bytes, content: bytes) -> str:
    """The MAC of a content under a code's key, hexadecimal."""
    return hmac.new(key, content, hashlib.sha256).hexdigest()


def _times_x(value: int) -> int:
    value <<= 1
    return value ^ _FIELD if value & 32 else value


def _horner(values: list[int]) -> int:
    """The value at x of the polynomial with these coefficients, the highest first."""
    total = 0
    for value in values:
        total = _times_x(total) ^ value
    return total

"""Passwords of partners at rest: salted scrypt hashes.  It counts no tries and knows no partner."""

from __future__ import annotations

import hashlib
import hmac
import secrets

_N, _R, _P = 1 << 14, 8, 1
SALT = 16
"""Bytes of salt."""


def password_hash(password: str) -> str:
    """The hash of a partner's password as settings hold it: ``scrypt$salt$digest``, hexadecimal."""
    salt = secrets.token_bytes(SALT)
    return f"scrypt${salt.hex()}${_scrypt(password, salt).hex()}"


def password_fits(password: str, hashed: str) -> bool:
    """Whether ``password`` is the hashed one, in a time that tells nothing; a hash of another form fits none."""
    kind, _, rest = hashed.partition("$")
    salt, _, digest = rest.partition("$")
    try:
        expected = _scrypt(password, bytes.fromhex(salt))
    except ValueError:
        return False
    return kind == "scrypt" and hmac.compare_digest(expected.hex().encode(), digest.encode())


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=_N, r=_R, p=_P, maxmem=64 << 20)

"""Persons in the access chain: pseudonyms under the key of their year, which is destroyed on schedule.

A row names an account and a patient by HMAC only, and carries who it was and why in words that only that year's
key opens.  Once the key is gone the row still proves that it is unchanged and names nobody.
Rule 1: a year's key is HMAC(pseudonym key, salt of the year): neither a copy of the salts nor the pseudonym key
alone gives it, and destroying the salt destroys it everywhere, on copies of the book too.
Rule 2: the year is that of the row's own ``at`` (UTC), so that a row tells which key it is under.
What an unlinked file leaves on flash memory is said in docs/conformite; this module cannot change it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.disk import sync_directory

SALT, NONCE = 32, 12
LENGTH = 32
"""Hexadecimal digits of a pseudonym: 128 bits."""


class Persons:
    """The years' keys, in a directory of the keeper's own."""

    def __init__(self, directory: Path, secret: bytes) -> None:
        """``secret`` is the pseudonym key."""
        self._directory, self._secret = directory, secret

    # -- keys

    def years(self) -> list[int]:
        """Years whose key there is."""
        return sorted(int(path.stem) for path in self._directory.glob("[0-9][0-9][0-9][0-9].salt"))

    def _salt(self, year: int) -> Path:
        return self._directory / f"{year:04d}.salt"

    def _key(self, year: int) -> bytes | None:
        with suppress(FileNotFoundError):
            return hmac.new(self._secret, b"access year " + self._salt(year).read_bytes(), hashlib.sha256).digest()
        return None

    def begin(self, year: int) -> None:
        """Make the key of a year, durably, before a row is written under it."""
        path = self._salt(year)
        if path.exists():
            return
        self._directory.mkdir(mode=0o700, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        with temporary.open("wb") as out:
            os.fchmod(out.fileno(), 0o600)
            out.write(secrets.token_bytes(SALT))
            out.flush()
            os.fsync(out.fileno())
        temporary.rename(path)
        sync_directory(self._directory)

    def destroy(self, year: int) -> None:
        """Overwrite and remove the key of a year; gone already is as good."""
        path = self._salt(year)
        with suppress(FileNotFoundError):
            with path.open("r+b") as out:
                out.write(bytes(SALT))
                out.flush()
                os.fsync(out.fileno())
            path.unlink()
            sync_directory(self._directory)

    # -- rows

    def name(self, year: int, kind: str, person: str) -> str:
        """The pseudonym of a person of a ``kind`` (account, patient) in that year; '' without a key or a person."""
        key = self._key(year)
        if key is None or not person:
            return ""
        return hmac.new(key, f"{kind}\0{person}".encode(), hashlib.sha256).hexdigest()[:LENGTH]

    def fact(self, year: int, account: str, patient: str, why: str) -> dict[str, str]:
        """What a row of that year says of persons; ``patient`` is the book's pseudonym, or ''."""
        self.begin(year)
        key = self._key(year)
        assert key is not None
        nonce = secrets.token_bytes(NONCE)
        words = json.dumps({"account": account, "why": why}, ensure_ascii=False).encode()
        sealed = AESGCM(key).encrypt(nonce, words, str(year).encode())
        return {
            "account": self.name(year, "account", account),
            "patient": self.name(year, "patient", patient),
            "words": base64.b64encode(nonce + sealed).decode(),
        }

    def words(self, row: dict[str, Any]) -> dict[str, str]:
        """Who and why of a row (``account``, ``why``), by its year's key; {} once that is destroyed."""
        year, sealed = int(row["at"][:4]), base64.b64decode(row.get("words", ""))
        key = self._key(year)
        if key is None or not sealed:
            return {}
        with suppress(InvalidTag):  # the key of another life of this year: its clock was set back
            told: dict[str, str] = json.loads(AESGCM(key).decrypt(sealed[:NONCE], sealed[NONCE:], str(year).encode()))
            return told
        return {}

"""Temporary storage for a pipe: what lies on the disk is unreadable without this process.

A length or a verdict is often needed before a byte may be passed on, and a pipe can be read once only.  The
bytes wait in an unlinked file, under a key that is never written; authenticity is not its business, since
nobody else has the file.
"""

from __future__ import annotations

import secrets
import tempfile

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


class Spool:
    """Written once from the beginning, then read from the beginning after each ``rewind``."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by ``close``
        self._cipher = Cipher(algorithms.AES256(secrets.token_bytes(32)), modes.CTR(bytes(16)))
        self._stream = self._cipher.encryptor()
        self.size = 0

    def write(self, data: bytes, /) -> int:
        self.size += len(data)
        return self._file.write(self._stream.update(data))

    def rewind(self) -> None:
        """The next read starts at the first byte."""
        self._file.seek(0)
        self._stream = self._cipher.decryptor()

    def read(self, size: int, /) -> bytes:
        return self._stream.update(self._file.read(size))

    def close(self) -> None:
        self._file.close()

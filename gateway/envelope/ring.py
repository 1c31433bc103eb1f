"""A key and those that it took the place of: what was sealed to any of them is opened by the one that it names.

Rule: the envelope's recipient (issuer and serial number) decides which key is tried; no key is tried in vain.  Only
``open_by`` tries: a recovery key opens what was sealed to any certificate that it ever had.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

from gateway.envelope.algorithms import PrivateKey
from gateway.envelope.seal import Opened
from gateway.errors import Refused

_NOT_FOR_US = "CMS-020"


class Ring:
    """Certificates (DER) with their private keys, the one in force first."""

    def __init__(self, pairs: Sequence[tuple[bytes, PrivateKey]]) -> None:
        if not pairs:
            raise ValueError("a ring holds one key at least")
        self.pairs = tuple(pairs)

    def open(self, src: BinaryIO) -> Opened:
        """The content of a seal (see ``Opened``); Refused CMS-020 when it names none of our certificates."""
        start = src.tell()
        for certificate, key in self.pairs:
            try:
                return Opened(src, certificate, key)
            except Refused as refusal:
                if refusal.code != _NOT_FOR_US:
                    raise
                missed = refusal
                src.seek(start)
        raise missed


def open_by(keys: Sequence[PrivateKey], src: BinaryIO) -> Opened:
    """The content of a seal, by whichever of the keys opens it, whatever its certificate was; Refused CMS-020 when
    none does."""
    start = src.tell()
    for key in keys:
        src.seek(start)
        try:
            return Opened(src, None, key)
        except Refused as refusal:
            if refusal.code != _NOT_FOR_US:
                raise
    raise Refused(_NOT_FOR_US, "Aucune des clés données n'ouvre cette enveloppe.")

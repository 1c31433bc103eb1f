"""Our private ARL: a payer's acknowledgement of one lot, positive or negative.

Private to oct-gateway, version 1: canonical JSON, ``application/vnd.oct-gateway.arl+json;v=1``, described in
docs/formats.md.  The national ARL layout is not public: a foreign ARL is carried and shown raw, never here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gateway.formats import canonical
from gateway.formats.canonical import Moment, Sentence, Short

MEDIA_TYPE = "application/vnd.oct-gateway.arl+json;v=1"


@dataclass(frozen=True)
class ArlLot:
    """The lot that is acknowledged."""

    emitter: Short
    destination: Short
    number: Short
    date: Short


@dataclass(frozen=True)
class Arl:
    """The payer's word on one lot; ``code`` and ``text`` are empty when positive."""

    fichier: Short
    lot: ArlLot
    verdict: Literal["positive", "negative"]
    code: Short
    text: Sentence
    at: Moment
    payer: Short
    version: int = 1

    def to_bytes(self) -> bytes:
        """The canonical writing."""
        return canonical.encode(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> Arl:
        """The ARL that ``data`` writes; Refused ARL-001 when it is not one of version 1."""
        return canonical.decode(cls, data, "ARL-001", "L'ARL", version=("version", 1))

"""What an OCT announces to its boxes of itself and of those above it; it travels as a return of the kind ``trust``.

Private to oct-gateway, version 1: canonical JSON (docs/formats.md).  What of it a box believes, and why, is decided
by ``envelope.succession`` and the keeper.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gateway.formats import canonical
from gateway.formats.canonical import Moment
from gateway.formats.enrolment import Base64


@dataclass(frozen=True)
class Announcement:
    """Certificates, DER in base64: ``roots``; ``chain``, the sector authorities and what links a new root to an old
    one; the OCT's own two.  ``at``: the last one counts."""

    at: Moment
    roots: tuple[Base64, ...]
    chain: tuple[Base64, ...]
    oct_seal: Base64
    oct_sign: Base64
    kind: Literal["announcement"] = "announcement"
    version: int = 1

    def to_bytes(self) -> bytes:
        """The canonical writing."""
        return canonical.encode(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> Announcement:
        """The announcement that ``data`` writes; Refused ANN-001."""
        return canonical.decode(cls, data, "ANN-001", "L'annonce du concentrateur", version=("version", 1))

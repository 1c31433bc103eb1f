"""The OCT's receipt for one fichier: taken, refused with the reason, or a seal that could not be opened.

Private to oct-gateway, version 1: canonical JSON, ``application/vnd.oct-gateway.receipt+json;v=1``, described
in docs/formats.md.  Not an ARL: that is the payer's, per lot.  It holds the digest of a plaintext and
therefore travels only signed by the OCT and sealed to the box.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gateway.errors import Refused
from gateway.formats import canonical
from gateway.formats.canonical import Digest, Moment, Sentence, Short

MEDIA_TYPE = "application/vnd.oct-gateway.receipt+json;v=1"


@dataclass(frozen=True)
class ReceiptLot:
    """A lot as the OCT took it; ``factures`` is their count."""

    emitter: Short
    destination: Short
    number: Short
    date: Short
    factures: int


@dataclass(frozen=True)
class JournalHead:
    """What the OCT countersigns of the box's journal: the last head that it holds to be good.

    ``size`` rows with the Merkle ``root``, as the box signed them at its time ``at``.  ``word`` says how the head
    that came with this fichier follows from those before: ``first``, ``consistent``, ``known`` (an older one that
    came late), or an alarm, ``backwards`` (fewer rows than before) or ``inconsistent`` (other rows).
    """

    size: int
    root: Digest
    at: Moment
    word: Literal["first", "consistent", "known", "backwards", "inconsistent"]

    @property
    def good(self) -> bool:
        """Whether the head is countersigned; otherwise its word is an alarm."""
        return self.word in ("first", "consistent", "known")


@dataclass(frozen=True)
class Receipt:
    """The OCT's word on one fichier.

    ``fichier``, ``transmission`` and ``seal`` name what was received, ``sender`` who sent it.  ``code`` and
    ``text`` are empty when integrated.  ``integrated_at`` is None unless integrated; ``size`` and ``digest``
    (SHA-256 of the plaintext) are 0 and None when the seal could not be opened.  ``original`` is False when
    it answers a double.  ``journal_head`` is None where no checkpoint that could be checked came with it.
    """

    fichier: Short
    transmission: int
    seal: Short
    sender: Short
    verdict: Literal["integrated", "refused", "unopened"]
    code: Short
    text: Sentence
    received_at: Moment
    integrated_at: Moment | None
    size: int
    digest: Digest | None
    lots: tuple[ReceiptLot, ...]
    original: bool
    journal_head: JournalHead | None
    version: int = 1

    def to_bytes(self) -> bytes:
        """The canonical writing, which is what is signed."""
        return canonical.encode(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> Receipt:
        """The receipt that ``data`` writes; Refused RCT-001 when it is not one of version 1."""
        found = canonical.decode(cls, data, "RCT-001", "Le reçu de l'OCT", version=("version", 1))
        if found.journal_head is not None and found.journal_head.size < 1:
            raise Refused("RCT-001", "Le reçu de l'OCT est refusé : il contresigne un journal sans ligne.")
        return found

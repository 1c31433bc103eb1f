"""What a box and the concentrator tell each other to put its keys in force: a request, and the answer to it.

Private to oct-gateway, version 1: canonical JSON (docs/formats.md), each inside a CMS SignedData.  The request of a
new box is signed by the practitioner's card and proves that its sender has the one-time code; a renewal is signed by
box-sign.  The answer is signed by the OCT and names the request that it answers by its SHA-256, which is the
fingerprint that people compare.  ``kind`` keeps any of them from being taken for anything else that is signed.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Annotated, Literal

from gateway.formats import canonical
from gateway.formats.canonical import Digest, Form, Moment, Short

Base64 = Annotated[str, Form("[A-Za-z0-9+/]+={0,2}")]
"""DER in base64; how much of it there may be is the reader's limit on the whole."""
Identifier = Annotated[str, Form("[0-9A-Za-z._-]{1,40}")]
"""Of a box, a partner or a key: it becomes a part of names."""
PasswordHash = Annotated[str, Form(r"(scrypt\$[0-9a-f]{32}\$[0-9a-f]{128})?")]

RENEWAL = "cles-"
"""How the id of what is carried to the OCT begins when it is a renewal and no fichier."""

REQUEST_LIMIT = 64 << 10
ANSWER_LIMIT = 32 << 20
"""Bytes; an answer carries revocation lists, which grow."""


@dataclass(frozen=True)
class Named:
    """A key by its name in the table, and DER of its certificate request, or of its certificate."""

    name: Identifier
    der: Base64


@dataclass(frozen=True)
class Bundle:
    """All that a box asks for at once; ``password`` is the hash of its PeSIT password, '' where that stays."""

    box: Identifier
    partner: Identifier
    at: Moment
    keys: tuple[Named, ...]
    password: PasswordHash

    def to_bytes(self) -> bytes:
        """The canonical writing, of which the proof is made."""
        return canonical.encode(self)


@dataclass(frozen=True)
class EnrolmentRequest:
    """A bundle, and the proof that its sender has the code."""

    bundle: Bundle
    proof: Digest
    kind: Literal["enrolment-request"] = "enrolment-request"
    version: int = 1

    def to_bytes(self) -> bytes:
        """The canonical writing, which is what the card signs."""
        return canonical.encode(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> EnrolmentRequest:
        """The request that ``data`` writes; Refused ENR-007."""
        return canonical.decode(cls, data, "ENR-007", "La demande d'enrôlement", version=("version", 1))


@dataclass(frozen=True)
class RenewalRequest:
    """Certificates for new keys of a box that is in force, signed by box-sign; the recovery key, which the box does
    not hold, is named in ``again``: it gets another certificate for the same key."""

    bundle: Bundle
    again: tuple[Identifier, ...]
    kind: Literal["renewal-request"] = "renewal-request"
    version: int = 1

    def to_bytes(self) -> bytes:
        """The canonical writing, which is what box-sign signs."""
        return canonical.encode(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> RenewalRequest:
        """The request that ``data`` writes; Refused ENR-007."""
        return canonical.decode(cls, data, "ENR-007", "La demande de renouvellement", version=("version", 1))


@dataclass(frozen=True)
class RenewalAnswer:
    """The certificates for a renewal request, by its SHA-256; it travels as a return of the kind ``keys``."""

    request: Digest
    certificates: tuple[Named, ...]
    kind: Literal["renewal-answer"] = "renewal-answer"
    version: int = 1

    def to_bytes(self) -> bytes:
        """The canonical writing."""
        return canonical.encode(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> RenewalAnswer:
        """The answer that ``data`` writes; Refused ENR-030."""
        return canonical.decode(cls, data, "ENR-030", "La réponse au renouvellement", version=("version", 1))


@dataclass(frozen=True)
class EnrolmentAnswer:
    """Certificates for the keys of the request, and all that a box must know to check what it gets.

    ``request`` is the SHA-256 of the request.  ``server`` is the OCT's PeSIT identifier.  ``root``, ``chain``,
    ``oct_seal``, ``oct_sign`` are certificates, ``lists`` revocation lists: DER in base64.
    """

    request: Digest
    partner: Identifier
    server: Short
    at: Moment
    certificates: tuple[Named, ...]
    root: Base64
    chain: tuple[Base64, ...]
    oct_seal: Base64
    oct_sign: Base64
    lists: tuple[Base64, ...]
    kind: Literal["enrolment-answer"] = "enrolment-answer"
    version: int = 1

    def to_bytes(self) -> bytes:
        """The canonical writing, which is what the OCT signs."""
        return canonical.encode(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> EnrolmentAnswer:
        """The answer that ``data`` writes; Refused ENR-030."""
        return canonical.decode(cls, data, "ENR-030", "La réponse à l'enrôlement", version=("version", 1))


def to_base64(der: bytes) -> str:
    """As the documents write DER."""
    return base64.b64encode(der).decode()


def from_base64(text: str) -> bytes:
    """DER out of a document; b'' where the base64 is none, which nobody takes for DER."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""


def fingerprint(content: bytes) -> str:
    """The SHA-256 by which people compare a request on both sides, hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def fingerprint_words(digest: str) -> str:
    """A fingerprint as it is shown and read aloud: groups of four."""
    return " ".join(digest[start : start + 4] for start in range(0, len(digest), 4))


def read_fingerprint(text: str) -> str:
    """A fingerprint as it was typed, without blanks and colons, in lower case."""
    return "".join(one for one in text.lower() if one not in " :-\t")

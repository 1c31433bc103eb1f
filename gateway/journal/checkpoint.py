"""Checkpoints: what the box says of a chain of its journal, signed by box-sign; and how one travels to the OCT.

A checkpoint is canonical JSON inside an ordinary CMS SignedData, so that ``openssl cms -verify`` checks it.  Each
names the one before it of the same chain.  In a fichier's signature it travels as the one unsigned attribute
(``signed``), with the proof that the box's later checkpoints begin with its earlier ones:

CarriedCheckpoint ::= SEQUENCE {            -- private, under oids.ARC
    version    INTEGER,                     -- 1
    checkpoint OCTET STRING,                -- the SignedData
    steps      SEQUENCE OF Step }           -- ascending; the first is the last that the OCT confirmed
Step ::= SEQUENCE {
    size INTEGER,
    root OCTET STRING (SIZE (32)),
    path OCTET STRING }                     -- consistency with the next step (the last: with the checkpoint)

Who may sign is not asked here: ``envelope.certificates`` does.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.envelope import der
from gateway.envelope.algorithms import PrivateKey
from gateway.envelope.signed import SignedContent, read_signed, sign_with_key, write_signed
from gateway.errors import Refused
from gateway.formats import canonical
from gateway.formats.canonical import Digest, Moment, Short
from gateway.journal.merkle import extends

MOST_STEPS = 32
"""Steps that one carried checkpoint may have."""

_TEXT_LIMIT, _SIGNED_LIMIT, _HASH = 4096, 16 * 1024, 32
_VERSION = 1


@dataclass(frozen=True)
class Checkpoint:
    """Rows 1 … ``size`` of ``chain`` have this Merkle ``root``, the last of them the hash ``head``.

    ``number`` counts the checkpoints of the chain from 1; ``previous`` is the SHA-256 of the text of the one
    before, None for the first.  ``at`` is the box's own time.
    """

    box: Short
    chain: Short
    number: int
    size: int
    root: Digest
    head: Digest
    at: Moment
    previous: Digest | None
    version: int = 1

    def to_bytes(self) -> bytes:
        """The canonical writing, which is what is signed."""
        return canonical.encode(self)

    @property
    def digest(self) -> str:
        """SHA-256 of the text; the next one names it."""
        return hashlib.sha256(self.to_bytes()).hexdigest()


@dataclass(frozen=True)
class Step:
    """An earlier checkpoint (size, root) and the proof that the next begins with it."""

    size: int
    root: bytes
    path: tuple[bytes, ...]


@dataclass(frozen=True)
class Carried:
    """A checkpoint on its way: its SignedData, and how it follows from earlier ones."""

    signed: bytes
    steps: tuple[Step, ...]


def sign_checkpoint(
    checkpoint: Checkpoint, at: datetime, certificate: bytes, key: PrivateKey, chain: Sequence[bytes]
) -> bytes:
    """The SignedData (DER); ``chain`` are the certificates above the signer's that go with it."""
    text, out = checkpoint.to_bytes(), io.BytesIO()
    signature = sign_with_key(hashlib.sha256(text).digest(), at, certificate, key)
    write_signed(io.BytesIO(text), len(text), out, signature, chain)
    return out.getvalue()


def read_checkpoint(signed: bytes) -> tuple[Checkpoint, SignedContent]:
    """The checkpoint and its signature, all checked but the signer's path; Refused CMS-…, or JRN-010."""
    out = io.BytesIO()
    content = read_signed(io.BytesIO(signed), out, _TEXT_LIMIT)
    told = canonical.decode(Checkpoint, out.getvalue(), "JRN-010", "Le point de contrôle", version=("version", 1))
    if told.size < 1 or told.number < 1:
        raise Refused("JRN-010", "Le point de contrôle est refusé : il ne couvre aucune ligne.")
    return told, content


def pack_carried(carried: Carried) -> bytes:
    """The value of the attribute."""
    steps = (
        der.sequence(der.integer(step.size), der.octets(step.root), der.octets(b"".join(step.path)))
        for step in carried.steps
    )
    return der.sequence(der.integer(_VERSION), der.octets(carried.signed), der.sequence(*steps))


def read_carried(value: bytes) -> Carried:
    """Read what ``pack_carried`` wrote; Refused CMS-001 … CMS-007, JRN-011."""
    reader = der.parse(value)
    reader.enter(der.SEQUENCE)
    if reader.integer() != _VERSION:
        raise Refused("JRN-011", "Le point de contrôle joint est d'une version inconnue.")
    signed, steps = reader.content(der.OCTET_STRING, _SIGNED_LIMIT), []
    reader.enter(der.SEQUENCE)
    while reader.peek() is not None:
        steps.append(_read_step(reader))
    reader.leave()
    reader.leave()
    reader.finish()
    return Carried(signed, tuple(steps))


def _read_step(reader: der.Reader) -> Step:
    reader.enter(der.SEQUENCE)
    size, root, path = reader.integer(), reader.content(der.OCTET_STRING), reader.content(der.OCTET_STRING)
    reader.leave()
    if size < 1 or len(root) != _HASH or len(path) % _HASH:
        raise Refused("JRN-011", "La preuve de cohérence jointe au point de contrôle est mal formée.")
    return Step(size, root, tuple(path[at : at + _HASH] for at in range(0, len(path), _HASH)))


def check_steps(checkpoint: Checkpoint, steps: Sequence[Step]) -> dict[int, bytes]:
    """Size → root of each step that the checkpoint is proven to begin with, and its own; Refused JRN-012 otherwise."""
    known = {step.size: step.root for step in steps}
    known[checkpoint.size] = bytes.fromhex(checkpoint.root)
    sizes = [*(step.size for step in steps), checkpoint.size]
    if sizes != sorted(set(sizes)) or len(steps) > MOST_STEPS:
        raise Refused("JRN-012", "Les étapes jointes au point de contrôle ne se suivent pas.")
    for step, size in zip(steps, sizes[1:], strict=True):
        if not extends(step.size, step.root, size, known[size], step.path):
            raise Refused("JRN-012", f"Le journal de {size} lignes ne commence pas par celui de {step.size} lignes.")
    return known

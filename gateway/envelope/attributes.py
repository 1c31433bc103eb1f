"""The signed attributes: what a practitioner's card really signs.

The signature covers the DER of this SET and, through messageDigest, the content.  The card service builds
the SET itself from values that were shown to a person, so this module needs nothing but ``der`` and
``hashlib`` (no certificate library is loaded for it).

Rule 1: written in one way only, read strictly: each attribute once, with one value, in DER order.
Rule 2: attributes that are not ours are signed too; they are let through and not interpreted.
Rule 3: it does not check a signature, a path or the content: ``signed`` and ``certificates`` do.

SigningContext ::= SEQUENCE {               -- private, under oids.ARC
    version   INTEGER,                      -- 1
    fichier   UTF8String (SIZE (1..128)),   -- id of the fichier
    count     INTEGER,                      -- factures in it
    total     INTEGER,                      -- cents
    policy    UTF8String (SIZE (1..64)),    -- signing policy in force
    origin    ENUMERATED { oct(0), local(1) },
    challenge OCTET STRING (SIZE (0..64)) } -- of the OCT, or a local nonce
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from gateway.envelope import der, oids
from gateway.errors import Refused

Origin = Literal["oct", "local"]
_ORIGINS: tuple[Origin, ...] = ("oct", "local")

VERSION = 1
_FICHIER_LIMIT, _POLICY_LIMIT, _CHALLENGE_LIMIT = 128, 64, 64  # bytes


@dataclass(frozen=True)
class SigningContext:
    """What was shown to the person who signed; ``total`` in cents."""

    version: int
    fichier: str
    count: int
    total: int
    policy: str
    origin: Origin
    challenge: bytes


@dataclass(frozen=True)
class SignedAttributes:
    """The attributes read back; ``certificate_hash`` is the SHA-256 of the signer's certificate."""

    digest: bytes
    at: datetime
    certificate_hash: bytes
    context: SigningContext | None


def signed_attributes(digest: bytes, at: datetime, certificate: bytes, context: SigningContext | None) -> bytes:
    """DER of SET OF Attribute (tag 0x31), exactly the bytes that are hashed and signed (RFC 5652 §5.4).

    ``digest`` is the SHA-256 of the content, ``at`` an aware time (whole seconds are kept),
    ``certificate`` the signer's, DER.  A value out of bounds is a ValueError.
    """
    if len(digest) != 32 or at.tzinfo is None:
        raise ValueError("a SHA-256 and an aware time are needed")
    certificate_id = der.sequence(der.octets(hashlib.sha256(certificate).digest()))
    values = {
        oids.CONTENT_TYPE: der.oid(oids.DATA),
        oids.MESSAGE_DIGEST: der.octets(digest),
        oids.SIGNING_TIME: der.time(at),
        # RFC 5035 §4: SHA-256 is the default and so not written; the hash alone identifies
        oids.SIGNING_CERTIFICATE_V2: der.sequence(der.sequence(certificate_id)),
        oids.COMMITMENT_TYPE: der.sequence(der.oid(oids.PROOF_OF_ORIGIN)),
    }
    if context is not None:
        values[oids.SIGNING_CONTEXT] = _write_context(context)
    return der.set_of(der.sequence(der.oid(kind), der.set_of([value])) for kind, value in values.items())


def read_attributes(encoded: bytes) -> SignedAttributes:
    """Read the SET that ``signed_attributes`` writes; Refused CMS-001 … CMS-007, CMS-012 (RFC 5652 §11)."""
    values = _values(encoded)
    if _required(values, oids.CONTENT_TYPE, "contentType") != der.oid(oids.DATA):
        raise Refused("CMS-012", "L'attribut contentType ne dit pas « data ».")
    digest = _sole(_required(values, oids.MESSAGE_DIGEST, "messageDigest"))
    at = der.parse(_required(values, oids.SIGNING_TIME, "signingTime")).time()
    certificate_hash = _read_certificate_id(_required(values, oids.SIGNING_CERTIFICATE_V2, "signingCertificateV2"))
    context = values.get(der.oid(oids.SIGNING_CONTEXT))
    return SignedAttributes(digest, at, certificate_hash, None if context is None else _read_context(context))


def _values(encoded: bytes) -> dict[bytes, bytes]:
    values: dict[bytes, bytes] = {}
    for attribute in der.read_set_of(encoded):
        reader = der.parse(attribute)
        reader.enter(der.SEQUENCE)
        kind = reader.element(der.OID)
        found = der.read_set_of(reader.element(der.SET))
        reader.leave()
        if kind in values or len(found) != 1:
            raise Refused("CMS-012", f"Un attribut signé est en double ou sans valeur unique ({kind.hex()}).")
        values[kind] = found[0]
    return values


def _required(values: dict[bytes, bytes], kind: str, name: str) -> bytes:
    try:
        return values[der.oid(kind)]
    except KeyError:
        raise Refused("CMS-012", f"L'attribut signé {name} manque.") from None


def _sole(encoded: bytes) -> bytes:
    digest = der.parse(encoded).content(der.OCTET_STRING, 32)
    if len(digest) != 32:
        raise Refused("CMS-012", "L'empreinte signée n'est pas un SHA-256 (32 octets).")
    return digest


def _read_certificate_id(encoded: bytes) -> bytes:
    """certHash of the first ESSCertIDv2, which names the signer (RFC 5035 §3); what follows it is not used."""
    reader = der.parse(encoded)
    for _ in ("SigningCertificateV2", "certs", "ESSCertIDv2"):
        reader.enter(der.SEQUENCE)
    if reader.peek() == der.SEQUENCE:  # hashAlgorithm: only another than the default may be written
        raise Refused("CMS-012", "L'attribut signingCertificateV2 n'est pas fondé sur SHA-256.")
    return _sole(reader.element(der.OCTET_STRING))


def _write_context(context: SigningContext) -> bytes:
    _check_bounds(context)
    return der.sequence(
        der.integer(context.version),
        der.utf8(context.fichier),
        der.integer(context.count),
        der.integer(context.total),
        der.utf8(context.policy),
        der.integer(_ORIGINS.index(context.origin), der.ENUMERATED),
        der.octets(context.challenge),
    )


def _check_bounds(context: SigningContext) -> None:
    if (
        context.version != VERSION
        or not 1 <= len(context.fichier.encode()) <= _FICHIER_LIMIT
        or not 1 <= len(context.policy.encode()) <= _POLICY_LIMIT
        or len(context.challenge) > _CHALLENGE_LIMIT
        or context.count < 0
    ):
        raise ValueError("signing context out of bounds")


def _read_context(encoded: bytes) -> SigningContext:
    reader = der.parse(encoded)
    reader.enter(der.SEQUENCE)
    version = reader.integer()
    if version != VERSION:
        raise Refused("CMS-012", f"Contexte de signature de version {version}, inconnue ici.")
    fichier, count, total = reader.utf8(_FICHIER_LIMIT), reader.integer(), reader.integer()
    policy, origin = reader.utf8(_POLICY_LIMIT), reader.integer(der.ENUMERATED)
    challenge = reader.content(der.OCTET_STRING, _CHALLENGE_LIMIT)
    reader.leave()
    if origin not in range(len(_ORIGINS)) or count < 0 or not fichier or not policy:
        raise Refused("CMS-012", "Contexte de signature hors des bornes.")
    return SigningContext(version, fichier, count, total, policy, _ORIGINS[origin], challenge)

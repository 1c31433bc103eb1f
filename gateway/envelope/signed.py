"""SignedData around a fichier (RFC 5652 §5): one signer, SHA-256, the content inside, DER.

Rule 1: the content passes through in blocks; its size is known before the first byte is written.
Rule 2: one signer, named by issuer and serial number (read by its key identifier too), with signed attributes and
none unsigned but one, the box's journal checkpoint, which proves itself; its certificate included and bound by
signingCertificateV2.
Rule 3: what ``read_signed`` has written is worth nothing before it returns; the caller keeps it back.

Whether the signer's certificate may be trusted, and for what, is ``certificates``' part.  The part that the
card service uses loads no certificate library; that is why ``algorithms`` is imported where it is used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from gateway.envelope import der, oids
from gateway.envelope.attributes import SignedAttributes, SigningContext, read_attributes, signed_attributes
from gateway.envelope.identifiers import issuer_and_serial
from gateway.errors import Refused

if TYPE_CHECKING:
    from gateway.envelope.algorithms import PrivateKey

BLOCK = 256 * 1024
"""Bytes of content handled at a time."""

_CERTIFICATES_LIMIT = 256 * 1024
_MOST_CERTIFICATES = 16
"""A path has three; each one more is one more path to try, of whoever sends them."""
_SIGNATURE_LIMIT = 1024
_SIGNER_TAGS = {1: der.SEQUENCE, 3: der.context(0, constructed=False)}
"""SignerIdentifier by version: issuer and serial number, or subjectKeyIdentifier (RFC 5652 §5.3)."""


@dataclass(frozen=True)
class Signature:
    """A signature and what it covers: ``attributes`` is the DER SET OF (tag 0x31) that was signed; empty where
    the content itself was (``directly_signed``).

    ``checkpoint`` is the value of the one unsigned attribute (``journal.checkpoint``); empty: there is none.
    """

    attributes: bytes
    signature: bytes
    certificate: bytes
    algorithm: str
    checkpoint: bytes = b""


@dataclass(frozen=True)
class SignedContent:
    """What was read: the signature, its attributes, the other certificates, SHA-256 and size of the content."""

    signature: Signature
    attributes: SignedAttributes
    chain: tuple[bytes, ...]
    digest: bytes
    size: int


def sign_with_key(
    digest: bytes,
    at: datetime,
    certificate: bytes,
    key: PrivateKey,
    context: SigningContext | None = None,
    *,
    pkcs1: bool = False,
) -> Signature:
    """Sign a content by its SHA-256: RSA-PSS (or PKCS #1 v1.5 on demand) or ECDSA, as the key is."""
    from gateway.envelope import algorithms

    attributes = signed_attributes(digest, at, certificate, context)
    rsa_name = "rsa-pkcs1-sha256" if pkcs1 else "rsa-pss-sha256"
    is_rsa = isinstance(key.public_key(), algorithms.SIGNATURES[rsa_name].key)
    name = rsa_name if is_rsa else "ecdsa-sha256"
    return Signature(attributes, algorithms.sign(name, key, attributes), certificate, name)


def signed_size(size: int, signature: Signature, chain: Sequence[bytes]) -> int:
    """Bytes that ``write_signed`` writes for a content of ``size`` bytes."""
    return _frame(size, signature, chain).total


def write_signed(
    content: der.Readable, size: int, out: der.Writable, signature: Signature, chain: Sequence[bytes]
) -> None:
    """Write the SignedData; ValueError when the content has another length or digest than was signed."""
    frame = _frame(size, signature, chain)
    out.write(frame.before)
    digest = hashlib.sha256()
    left = size
    while block := content.read(min(BLOCK, left + 1)):  # + 1: a content that is too long must show
        left -= len(block)
        if left < 0:
            break
        digest.update(block)
        out.write(block)
    if left or digest.digest() != read_attributes(signature.attributes).digest:
        raise ValueError("the content is not the one that was signed")
    out.write(frame.after)


def detached(signature: Signature, chain: Sequence[bytes]) -> bytes:
    """The SignedData of a signature without the content (RFC 5652 §5.2), for who has the content elsewhere."""
    return _in_memory(b"", signature, chain)


def directly_signed(content: bytes, signature: Signature, chain: Sequence[bytes]) -> bytes:
    """The SignedData of a small content that was signed itself, not by way of attributes (RFC 5652 §5.4):
    ``signature`` has none.  Others read it; ``read_signed``, which wants attributes, does not."""
    return _in_memory(der.tlv(der.context(0), der.octets(content)), signature, chain)


def read_signed(src: der.Readable, out: der.Writable | None, limit: int) -> SignedContent:
    """Read a SignedData, copy its content of at most ``limit`` bytes to ``out`` and check all but the path.

    Checked: strict DER, the digest, the signature by the certificate inside, signingCertificateV2.
    Refused CMS-001 … CMS-018, CMS-030.  ``out`` has received everything when the last check fails.
    """
    reader = der.Reader(src)
    version = _enter_signed_data(reader)
    digest, size = _read_content(reader, out, limit)
    certificates = _read_certificates(reader)
    signature = _read_signer(reader, certificates, version)
    reader.leave()
    reader.leave()
    reader.leave()
    reader.finish()
    attributes = _check(signature, digest)
    chain = tuple(certificate for certificate in certificates if certificate != signature.certificate)
    return SignedContent(signature, attributes, chain, digest, size)


# ---------------------------------------------------------------- writing


def _in_memory(content: bytes, signature: Signature, chain: Sequence[bytes]) -> bytes:
    return der.sequence(
        der.oid(oids.SIGNED_DATA),
        der.tlv(
            der.context(0),
            der.sequence(
                der.integer(1),
                der.set_of([_digest_identifier()]),
                der.sequence(der.oid(oids.DATA), content),
                der.set_of({signature.certificate, *chain}, der.context(0)),
                der.set_of([_signer_info(signature)]),
            ),
        ),
    )


def _frame(size: int, signature: Signature, chain: Sequence[bytes]) -> der.Frame:
    certificates = der.set_of({signature.certificate, *chain}, der.context(0))
    signers = der.set_of([_signer_info(signature)])
    head = der.integer(1) + der.set_of([_digest_identifier()])
    return (
        der.Frame(size)
        .inside(der.OCTET_STRING)
        .inside(der.context(0))
        .inside(der.SEQUENCE, before=der.oid(oids.DATA))
        .inside(der.SEQUENCE, before=head, after=certificates + signers)
        .inside(der.context(0))
        .inside(der.SEQUENCE, before=der.oid(oids.SIGNED_DATA))
    )


def _digest_identifier() -> bytes:
    return der.sequence(der.oid(oids.SHA256))


def _signer_info(signature: Signature) -> bytes:
    from gateway.envelope import algorithms

    return der.sequence(
        der.integer(1),
        issuer_and_serial(signature.certificate),
        _digest_identifier(),
        # [0] IMPLICIT in place of the tag that was hashed (RFC 5652 §5.4)
        signature.attributes and bytes((der.context(0),)) + signature.attributes[1:],
        algorithms.SIGNATURES[signature.algorithm].encodings[0],
        der.octets(signature.signature),
        _unsigned(signature.checkpoint),
    )


def _unsigned(checkpoint: bytes) -> bytes:
    if not checkpoint:
        return b""
    attribute = der.sequence(der.oid(oids.CARRIED_CHECKPOINT), der.set_of([checkpoint]))
    return der.set_of([attribute], der.context(1))


# ---------------------------------------------------------------- reading


def _enter_signed_data(reader: der.Reader) -> int:
    """The version, which is that of the one SignerInfo (RFC 5652 §5.1); leaves the reader before the content."""
    reader.enter(der.SEQUENCE)
    if reader.element(der.OID) != der.oid(oids.SIGNED_DATA):
        raise Refused("CMS-010", "Ce n'est pas un contenu signé (CMS SignedData).")
    reader.enter(der.context(0))
    reader.enter(der.SEQUENCE)
    version = reader.integer()
    if version not in _SIGNER_TAGS:
        raise Refused("CMS-010", "Version de SignedData autre que 1 et 3.")
    _check_digest_identifiers(der.read_set_of(reader.element(der.SET)))
    return version


def _check_digest_identifiers(identifiers: list[bytes]) -> None:
    from gateway.envelope import algorithms

    if not identifiers or not set(identifiers) <= set(algorithms.SHA256_IDENTIFIERS):
        raise Refused("CMS-011", "L'empreinte du contenu n'est pas SHA-256.")


def _read_content(reader: der.Reader, out: der.Writable | None, limit: int) -> tuple[bytes, int]:
    reader.enter(der.SEQUENCE)
    if reader.element(der.OID) != der.oid(oids.DATA):
        raise Refused("CMS-010", "Le contenu signé n'est pas de type « data ».")
    if reader.peek() is None:
        raise Refused("CMS-010", "Signature détachée : le contenu n'est pas dans l'enveloppe.")
    reader.enter(der.context(0))
    size = reader.enter(der.OCTET_STRING)
    if size > limit:
        raise Refused("CMS-018", f"Contenu de {size} octets, plus que les {limit} admis.")
    digest = hashlib.sha256()
    while block := reader.take(BLOCK):
        digest.update(block)
        if out is not None:
            out.write(block)
    for _ in ("OCTET STRING", "[0]", "EncapsulatedContentInfo"):
        reader.leave()
    return digest.digest(), size


def _read_certificates(reader: der.Reader) -> list[bytes]:
    if reader.peek() != der.context(0):
        raise Refused("CMS-017", "Le certificat du signataire n'est pas dans l'enveloppe.")
    found = der.read_set_of(reader.element(der.context(0), _CERTIFICATES_LIMIT), der.context(0))
    if len(found) > _MOST_CERTIFICATES:
        raise Refused("CMS-005", f"{len(found)} certificats dans l'enveloppe, {_MOST_CERTIFICATES} au plus.")
    return found


def _read_signer(reader: der.Reader, certificates: list[bytes], version: int) -> Signature:
    from gateway.envelope import algorithms

    signers = der.read_set_of(reader.element(der.SET))
    if len(signers) != 1:
        raise Refused("CMS-016", f"{len(signers)} signataires : il en faut un seul.")
    signer = der.parse(signers[0])
    signer.enter(der.SEQUENCE)
    if signer.integer() != version:
        raise Refused("CMS-016", "Le signataire n'est pas nommé comme le veut la version de SignedData.")
    certificate = _certificate_of(signer.element(_SIGNER_TAGS[version]), certificates)
    _check_digest_identifiers([signer.element(der.SEQUENCE)])
    if signer.peek() != der.context(0):
        raise Refused("CMS-012", "La signature est sans attributs signés.")
    attributes = bytes((der.SET,)) + signer.element(der.context(0))[1:]
    name = algorithms.signature_name(signer.element(der.SEQUENCE))
    value = signer.content(der.OCTET_STRING, _SIGNATURE_LIMIT)
    checkpoint = _read_unsigned(signer.element(der.context(1))) if signer.peek() is not None else b""
    signer.leave()
    return Signature(attributes, value, certificate, name, checkpoint)


def _read_unsigned(encoded: bytes) -> bytes:
    reader = der.parse(encoded)
    reader.enter(der.context(1))
    reader.enter(der.SEQUENCE)
    if reader.element(der.OID) != der.oid(oids.CARRIED_CHECKPOINT):
        raise Refused("CMS-006", "Un attribut non signé qui n'est pas un point de contrôle suit la signature.")
    values = der.read_set_of(reader.element(der.SET))
    reader.leave()
    reader.leave()
    reader.finish()
    if len(values) != 1:
        raise Refused("CMS-012", "Le point de contrôle joint à la signature n'est pas seul.")
    return values[0]


def _certificate_of(identifier: bytes, certificates: list[bytes]) -> bytes:
    from gateway.envelope import algorithms

    by_key = identifier[0] != der.SEQUENCE
    for certificate in certificates:
        if by_key:
            subject = algorithms.key_identifier(certificate)
            found = None if subject is None else der.tlv(identifier[0], subject)
        else:
            found = issuer_and_serial(certificate)
        if found == identifier:
            return certificate
    raise Refused("CMS-017", "Le certificat du signataire n'est pas dans l'enveloppe.")


def _check(signature: Signature, digest: bytes) -> SignedAttributes:
    from gateway.envelope import algorithms

    algorithms.check(signature.algorithm, signature.certificate, signature.signature, signature.attributes)
    attributes = read_attributes(signature.attributes)
    if attributes.certificate_hash != hashlib.sha256(signature.certificate).digest():
        raise Refused("CMS-015", "La signature a été faite pour un autre certificat (signingCertificateV2).")
    if attributes.digest != digest:
        raise Refused("CMS-013", "Le contenu n'est pas celui qui a été signé : empreinte différente.")
    return attributes

"""The signature algorithms that are written and accepted, one row each; all others are refused by name.

Rule 1: an algorithm is accepted when its AlgorithmIdentifier is, byte for byte, one of the encodings below;
so parameters cannot be weakened (another hash, another salt) without being refused.
Rule 2: RSA keys have 2048 bits or more, elliptic curves are P-256 and P-384.

Whose key it is and whether it may sign is not asked here: ``certificates`` does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from gateway.envelope import der, oids
from gateway.errors import Refused, Scope

Name = Literal["rsa-pkcs1-sha256", "rsa-pss-sha256", "ecdsa-sha256"]
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

UNREADABLE = (
    ValueError,
    TypeError,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    UnsupportedAlgorithm,
)
"""What pyca raises for hostile bytes, on loading or when a part is first looked at."""

_NULL = der.tlv(der.NULL)
SHA256_IDENTIFIERS = (der.sequence(der.oid(oids.SHA256)), der.sequence(der.oid(oids.SHA256), _NULL))
"""Without and with NULL: RFC 5754 §2 has the first written and both accepted."""


def _mgf1(sha256: bytes) -> bytes:
    return der.sequence(der.oid(oids.MGF1), sha256)


def _pss(sha256: bytes) -> bytes:
    salt = der.tlv(der.context(2), der.integer(32))
    hash_, mask = der.tlv(der.context(0), sha256), der.tlv(der.context(1), _mgf1(sha256))
    return der.sequence(der.oid(oids.RSASSA_PSS), der.sequence(hash_, mask, salt))


def _oaep(sha256: bytes) -> bytes:
    hash_, mask = der.tlv(der.context(0), sha256), der.tlv(der.context(1), _mgf1(sha256))
    return der.sequence(der.oid(oids.RSAES_OAEP), der.sequence(hash_, mask))


OAEP_IDENTIFIERS = tuple(_oaep(sha256) for sha256 in SHA256_IDENTIFIERS)
"""RSAES-OAEP with SHA-256 twice, written out (RFC 4055 §4.1)."""


@dataclass(frozen=True)
class Row:
    """One algorithm: its encodings, the first of which is written, and the arguments of pyca's calls."""

    encodings: tuple[bytes, ...]
    key: type[PublicKey]
    arguments: Callable[[], tuple[Any, ...]]


SIGNATURES: dict[str, Row] = {
    "rsa-pkcs1-sha256": Row(
        # RFC 5754 §3.2: the second is what OpenSSL writes, the digest being named beside it
        (der.sequence(der.oid(oids.SHA256_WITH_RSA), _NULL), der.sequence(der.oid(oids.RSA_ENCRYPTION), _NULL)),
        rsa.RSAPublicKey,
        lambda: (padding.PKCS1v15(), hashes.SHA256()),
    ),
    "rsa-pss-sha256": Row(
        tuple(_pss(sha256) for sha256 in SHA256_IDENTIFIERS),
        rsa.RSAPublicKey,
        lambda: (padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256()),
    ),
    "ecdsa-sha256": Row(
        (der.sequence(der.oid(oids.ECDSA_WITH_SHA256)),),
        ec.EllipticCurvePublicKey,
        lambda: (ec.ECDSA(hashes.SHA256()),),
    ),
}

_BY_ENCODING = {encoding: name for name, row in SIGNATURES.items() for encoding in row.encodings}


def signature_name(identifier: bytes) -> str:
    """The name of a DER AlgorithmIdentifier; Refused CMS-011 when it is not in the table."""
    try:
        return _BY_ENCODING[identifier]
    except KeyError:
        raise Refused("CMS-011", f"Algorithme de signature non admis ({identifier.hex()[:60]}).") from None


def read_certificate(encoded: bytes, scope: Scope = Scope.FICHIER) -> x509.Certificate:
    """A DER certificate whose names, dates and extensions can be read; Refused CMS-030."""
    try:
        certificate = x509.load_der_x509_certificate(encoded)
        _ = certificate.subject, certificate.issuer, certificate.extensions  # pyca reads them when asked
        _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    except UNREADABLE:
        raise Refused("CMS-030", "Un certificat est illisible.", scope) from None
    return certificate


def is_signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether the certificate names the issuer and the issuer's key signed it; nothing else of either is asked."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def admitted(key: object) -> TypeGuard[PublicKey]:
    """Whether a public key is of an admitted kind and size (rule 2)."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.curve.name in ("secp256r1", "secp384r1")
    return isinstance(key, rsa.RSAPublicKey) and key.key_size >= 2048


def public_key(certificate: bytes) -> PublicKey:
    """The public key of a DER certificate; Refused CMS-030 unreadable, CMS-011 not of an admitted kind."""
    try:
        key = read_certificate(certificate).public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise Refused("CMS-030", "La clé du certificat est illisible.") from None
    if admitted(key):
        return key
    raise Refused("CMS-011", "La clé du certificat n'est ni RSA de 2048 bits au moins, ni P-256, ni P-384.")


def key_identifier(certificate: bytes) -> bytes | None:
    """subjectKeyIdentifier of a DER certificate (RFC 5280 §4.2.1.2), if it has one; Refused CMS-030."""
    try:
        extensions = read_certificate(certificate).extensions
        return extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return None


def sign(name: str, key: PrivateKey, data: bytes) -> bytes:
    """The signature value of ``data``."""
    row = SIGNATURES[name]
    if not isinstance(key.public_key(), row.key):
        raise ValueError(f"{name} needs another kind of key")
    signature: bytes = key.sign(data, *row.arguments())
    return signature


def check(name: str, certificate: bytes, signature: bytes, data: bytes) -> None:
    """Refused CMS-014 unless the certificate's key made ``signature`` over ``data``."""
    row, key = SIGNATURES[name], public_key(certificate)
    if not isinstance(key, row.key):
        raise Refused("CMS-011", "L'algorithme de signature ne va pas avec la clé du certificat.")
    try:
        key.verify(signature, data, *row.arguments())
    except InvalidSignature:
        raise Refused("CMS-014", "La signature est fausse.") from None

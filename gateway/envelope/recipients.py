"""The content key for each recipient: RSA-OAEP or ECDH (RFC 5652 §6.2, RFC 4055 §4, RFC 5753 §3.1).

Rule 1: a recipient is a certificate; the kind of its key decides the row.  It is named by issuer and serial
number, and found by its key identifier too.
Rule 2: SHA-256 everywhere, its parameters written out; ECDH on P-256 or P-384 with a key used once and
AES-256 key wrap.  PKCS #1 v1.5, other hashes and other curves are refused by name.
Rule 3: what is written for other recipients is not looked into; only a key whose certificate is not at hand, as the
practice's recovery key after years, is tried on each recipient of its kind.

Whether a certificate may be sealed to is ``certificates``' part.
"""

from __future__ import annotations

from collections.abc import Container

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.envelope import der, oids
from gateway.envelope.algorithms import OAEP_IDENTIFIERS, PrivateKey, key_identifier, public_key
from gateway.envelope.identifiers import issuer_and_serial
from gateway.errors import Refused, Scope

KEY_SIZE = 32
_OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
_CURVES = {"secp256r1": oids.P256, "secp384r1": oids.P384}
_NULL = der.tlv(der.NULL)
_WRAP = der.sequence(der.oid(oids.AES256_WRAP))
_WRAP_IDENTIFIERS = (_WRAP, der.sequence(der.oid(oids.AES256_WRAP), _NULL))


def recipient_info(certificate: bytes, content_key: bytes) -> bytes:
    """DER of the RecipientInfo that gives ``content_key`` to the owner of the certificate."""
    key = public_key(certificate)
    if isinstance(key, rsa.RSAPublicKey):
        return _transport_info(issuer_and_serial(certificate), key, content_key)
    return _agreement_info(issuer_and_serial(certificate), key, content_key)


class _Anybody:
    """Names among which everybody is."""

    def __contains__(self, name: object) -> bool:
        return True


def content_key(infos: list[bytes], certificate: bytes | None, key: PrivateKey) -> bytes:
    """The content key out of the RecipientInfos, for this certificate; without one, by whichever the key opens (the
    first key of each RecipientInfo: we write one).

    Refused CMS-020 (scope route: not for us), CMS-021 (cannot be opened), CMS-011 (not our algorithms).
    """
    for info in infos:
        try:
            found = _read(info, certificate, key)
        except Refused:
            if certificate is None:
                continue
            raise
        if found is None:
            continue
        if len(found) != KEY_SIZE:
            raise _cannot_open()
        return found
    raise Refused("CMS-020", "Cette enveloppe n'est pas scellée pour nous.", Scope.ROUTE)


def _read(info: bytes, certificate: bytes | None, key: PrivateKey) -> bytes | None:
    """What the key finds in one RecipientInfo; None where it is for somebody else."""
    if isinstance(key, rsa.RSAPrivateKey):
        return _read_transport(info, _transport_names(certificate), key)
    return _read_agreement(info, _agreement_names(certificate), key)


def _cannot_open() -> Refused:
    return Refused("CMS-021", "Notre clé n'ouvre pas cette enveloppe : elle est altérée, ou la clé est une autre.")


# ---------------------------------------------------------------- RSA: KeyTransRecipientInfo


def _transport_info(identifier: bytes, key: rsa.RSAPublicKey, content_key: bytes) -> bytes:
    encrypted = key.encrypt(content_key, _OAEP)
    return der.sequence(der.integer(0), identifier, OAEP_IDENTIFIERS[0], der.octets(encrypted))


def _transport_names(certificate: bytes | None) -> Container[tuple[int, bytes]]:
    """Version and RecipientIdentifier, by issuer and serial number or by subjectKeyIdentifier (RFC 5652 §6.2.1)."""
    if certificate is None:
        return _Anybody()
    subject = key_identifier(certificate)
    by_key = set() if subject is None else {(2, der.tlv(der.context(0, constructed=False), subject))}
    return {(0, issuer_and_serial(certificate))} | by_key


def _read_transport(info: bytes, names: Container[tuple[int, bytes]], key: rsa.RSAPrivateKey) -> bytes | None:
    reader = der.parse(info)
    if reader.peek() != der.SEQUENCE:
        return None
    reader.enter(der.SEQUENCE)
    if (reader.integer(), reader.element()) not in names:
        return None
    if reader.element(der.SEQUENCE) not in OAEP_IDENTIFIERS:
        raise Refused("CMS-011", "La clé de l'enveloppe n'est pas chiffrée par RSA-OAEP avec SHA-256.")
    encrypted = reader.content(der.OCTET_STRING)
    reader.leave()
    try:
        return key.decrypt(encrypted, _OAEP)
    except ValueError:
        raise _cannot_open() from None


# ---------------------------------------------------------------- ECDH: KeyAgreeRecipientInfo


def _agreement_info(identifier: bytes, key: ec.EllipticCurvePublicKey, content_key: bytes) -> bytes:
    once = ec.generate_private_key(key.curve)
    point = once.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    wrapped = aes_key_wrap(_wrapping_key(once, key, _WRAP, b""), content_key)
    algorithm = der.sequence(der.oid(oids.EC_PUBLIC_KEY), der.oid(_CURVES[key.curve.name]))
    originator = der.tlv(der.context(1), algorithm, der.tlv(der.BIT_STRING, b"\0", point))
    return der.tlv(
        der.context(1),
        der.integer(3),
        der.tlv(der.context(0), originator),
        der.sequence(der.oid(oids.STD_DH_SHA256_KDF), _WRAP),
        der.sequence(der.sequence(identifier, der.octets(wrapped))),
    )


def _wrapping_key(
    private: ec.EllipticCurvePrivateKey, public: ec.EllipticCurvePublicKey, wrap: bytes, material: bytes
) -> bytes:
    """X9.63 key derivation over ECC-CMS-SharedInfo (RFC 5753 §7.2); ``wrap`` as it stands in the message."""
    bits = der.tlv(der.context(2), der.octets((8 * KEY_SIZE).to_bytes(4, "big")))
    shared = der.sequence(wrap, material, bits)
    return X963KDF(hashes.SHA256(), KEY_SIZE, shared).derive(private.exchange(ec.ECDH(), public))


def _agreement_names(certificate: bytes | None) -> Container[bytes]:
    """KeyAgreeRecipientIdentifier, by issuer and serial number or by rKeyId without date (RFC 5652 §6.2.2)."""
    if certificate is None:
        return _Anybody()
    subject = key_identifier(certificate)
    by_key = set() if subject is None else {der.tlv(der.context(0), der.octets(subject))}
    return {issuer_and_serial(certificate)} | by_key


def _read_agreement(info: bytes, names: Container[bytes], key: ec.EllipticCurvePrivateKey) -> bytes | None:
    reader = der.parse(info)
    if reader.peek() != der.context(1):
        return None
    reader.enter(der.context(1))
    if reader.integer() != 3:
        raise Refused("CMS-010", "Destinataire de version inconnue (KeyAgreeRecipientInfo).")
    originator = reader.element(der.context(0))
    material = reader.element(der.context(1)) if reader.peek() == der.context(1) else b""
    algorithm, wrapped_keys = reader.element(der.SEQUENCE), reader.element(der.SEQUENCE)
    reader.leave()
    wrapped = _wrapped_key(wrapped_keys, names)
    if wrapped is None:
        return None
    wrapping_key = _wrapping_key(key, _originator(originator, key.curve), _wrap(algorithm), _entity(material))
    try:
        return aes_key_unwrap(wrapping_key, wrapped)
    except (InvalidUnwrap, ValueError):
        raise _cannot_open() from None


def _entity(material: bytes) -> bytes:
    """The optional ukm, an OCTET STRING under [1] in the message and under [0] in the derivation."""
    return bytes((der.context(0),)) + material[1:] if material else b""


def _wrapped_key(encoded: bytes, names: Container[bytes]) -> bytes | None:
    reader = der.parse(encoded)
    reader.enter(der.SEQUENCE)
    while reader.peek() is not None:
        reader.enter(der.SEQUENCE)
        found, wrapped = reader.element(), reader.content(der.OCTET_STRING, 256)
        reader.leave()
        if found in names:
            return wrapped
    return None


def _wrap(algorithm: bytes) -> bytes:
    for wrap in _WRAP_IDENTIFIERS:
        if algorithm == der.sequence(der.oid(oids.STD_DH_SHA256_KDF), wrap):
            return wrap
    raise Refused("CMS-011", "La clé de l'enveloppe n'est pas convenue par ECDH avec SHA-256 et AES-256.")


def _originator(encoded: bytes, curve: ec.EllipticCurve) -> ec.EllipticCurvePublicKey:
    """The sender's public key, used once; its parameters are absent, NULL or our curve (RFC 5753 §7.1.2)."""
    reader = der.parse(encoded)
    reader.enter(der.context(0))
    if reader.peek() != der.context(1):
        raise Refused(
            "CMS-011", "La clé de l'expéditeur est celle d'un certificat : il en faut une pour un seul usage."
        )
    reader.enter(der.context(1))
    algorithm, bits = reader.element(der.SEQUENCE), reader.content(der.BIT_STRING, 256)
    reader.leave()
    reader.leave()
    parameters = (b"", _NULL, der.oid(_CURVES[curve.name]))
    if algorithm not in [der.sequence(der.oid(oids.EC_PUBLIC_KEY), parameter) for parameter in parameters]:
        raise Refused("CMS-011", "La clé de l'expéditeur n'est pas sur la courbe de notre certificat.")
    if bits[:2] != b"\x00\x04":  # no unused bits, uncompressed point
        raise _cannot_open()
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(curve, bits[1:])
    except ValueError:
        raise _cannot_open() from None

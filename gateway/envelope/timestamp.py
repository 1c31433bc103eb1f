"""Time stamps (RFC 3161): the request, and whether the answer is a stamp of an authority that we trust.

Rule 1: a token counts when its imprint and nonce are ours, it is signed by the one signer it names, and that
certificate is for time stamping alone (RFC 3161 §2.3) and is, or is issued by, a certificate we were given.
Rule 2: what the authority may sign with is a table; SHA-1 and what is not in it is refused.
Rule 3: revocation of the authority is not asked here: a stamp is renewed by later stamps that cover it.

It knows no network and no clock.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from asn1crypto import algos, cms, tsp
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.envelope import der
from gateway.envelope.algorithms import UNREADABLE, is_signed_by
from gateway.envelope.profile import extension
from gateway.errors import Refused, Scope

HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512(),
}  # fmt: skip
"""What an authority may hash with."""

GRANTED = (0, 1)
"""PKIStatus (RFC 3161 §2.4.2): granted, granted with modifications."""

LARGEST = 64 * 1024
"""Bytes of an answer."""


@dataclass(frozen=True)
class Stamp:
    """What a token says: the time ``at``, and until when the authority's certificate (DER) is valid."""

    at: datetime
    imprint: bytes
    nonce: int | None
    certificate: bytes
    until: datetime


def request(imprint: bytes, nonce: int) -> bytes:
    """The DER of a TimeStampReq for a SHA-256, asking for the authority's certificate."""
    body = tsp.TimeStampReq({
        "version": "v1",
        "message_imprint": {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": imprint},
        "nonce": nonce,
        "cert_req": True,
    })  # fmt: skip
    encoded: bytes = body.dump()
    return encoded


def nonce_of(asked: bytes) -> int:
    """The nonce of a request of ours."""
    return int(tsp.TimeStampReq.load(asked)["nonce"].native)


def token_of(answer: bytes) -> bytes:
    """The token (DER ContentInfo) in a TimeStampResp; Refused TSA-001 no stamp was given, TSA-002 unreadable."""
    reader, token = der.parse(answer), b""  # by hand: asn1crypto knows no answer without a token
    try:
        reader.enter(der.SEQUENCE)
        reader.enter(der.SEQUENCE)
        status = reader.integer()
        while reader.peek() is not None:
            reader.element()
        reader.leave()
        if reader.peek() is not None:
            token = reader.element(der.SEQUENCE, LARGEST)
        reader.leave()
        reader.finish()
    except Refused:
        raise _unreadable() from None
    if status not in GRANTED or not token:
        raise Refused("TSA-001", f"Le serveur d'horodatage n'a pas donné de contremarque (état {status}).", Scope.BOX)
    return token


def read_token(token: bytes, trusted: Sequence[bytes]) -> Stamp:
    """The stamp of a token, its signature and signer checked; Refused TSA-002 … TSA-005 (scope box)."""
    try:
        signed, info, signer = _parts(token)
        certificate = _signer_certificate(signed, signer)
        _check_signature(signed, signer, certificate)
        stamp = Stamp(
            info["gen_time"].native, _imprint(info), info["nonce"].native,
            certificate.public_bytes(Encoding.DER), certificate.not_valid_after_utc,
        )  # fmt: skip
    except (*UNREADABLE, KeyError, IndexError, OverflowError):
        raise _unreadable() from None
    _check_trust(certificate, [x509.load_der_x509_certificate(one) for one in trusted], stamp.at)
    return stamp


def _unreadable() -> Refused:
    return Refused("TSA-002", "La réponse du serveur d'horodatage est illisible.", Scope.BOX)


def _parts(token: bytes) -> tuple[Any, Any, Any]:
    """SignedData, TSTInfo and the one SignerInfo."""
    content = cms.ContentInfo.load(token, strict=True)
    if content["content_type"].native != "signed_data":
        raise _unreadable()
    signed = content["content"]
    if signed["encap_content_info"]["content_type"].native != "tst_info" or len(signed["signer_infos"]) != 1:
        raise _unreadable()
    info = tsp.TSTInfo.load(bytes(signed["encap_content_info"]["content"]), strict=True)
    return signed, info, signed["signer_infos"][0]


def _imprint(info: Any) -> bytes:
    imprint = info["message_imprint"]
    if imprint["hash_algorithm"]["algorithm"].native != "sha256":
        raise Refused("TSA-003", "La contremarque de temps ne porte pas sur une empreinte SHA-256.", Scope.BOX)
    return bytes(imprint["hashed_message"])


def _signer_certificate(signed: Any, signer: Any) -> x509.Certificate:
    """The certificate that the SignerInfo names and its signing-certificate attribute binds (RFC 5816)."""
    attributes = _attributes(signer)
    if "signing_certificate_v2" in attributes:
        bound = attributes["signing_certificate_v2"]["certs"][0]
        name = bound["hash_algorithm"]["algorithm"].native
    else:
        bound, name = attributes["signing_certificate"]["certs"][0], "sha1"  # of RFC 3161 itself: it only names
    for choice in signed["certificates"]:
        encoded = choice.chosen.dump()
        if hashlib.new(name, encoded).digest() == bound["cert_hash"].native:
            return x509.load_der_x509_certificate(encoded)
    raise Refused("TSA-004", "Le certificat du serveur d'horodatage n'est pas dans sa réponse.", Scope.BOX)


def _attributes(signer: Any) -> dict[str, Any]:
    return {one["type"].native: one["values"][0] for one in signer["signed_attrs"]}


def _check_signature(signed: Any, signer: Any, certificate: x509.Certificate) -> None:
    """The attributes cover the TSTInfo, and the certificate's key signed them."""
    name = signer["digest_algorithm"]["algorithm"].native
    content = bytes(signed["encap_content_info"]["content"])
    attributes = _attributes(signer)
    wrong = Refused("TSA-004", "La signature de la contremarque de temps est fausse.", Scope.BOX)
    if name not in HASHES or attributes["content_type"].native != "tst_info":
        raise wrong
    if attributes["message_digest"].native != hashlib.new(name, content).digest():
        raise wrong
    covered = b"\x31" + signer["signed_attrs"].dump()[1:]
    try:
        _verify(certificate.public_key(), signer["signature_algorithm"], name, signer["signature"].native, covered)
    except InvalidSignature:
        raise wrong from None


def _verify(key: Any, algorithm: algos.SignedDigestAlgorithm, digest: str, signature: bytes, data: bytes) -> None:
    """InvalidSignature, also for a kind of key or signature that is not in the table."""
    kind = algorithm.signature_algo
    named = digest if algorithm["algorithm"].native == "rsassa_pkcs1v15" else algorithm.hash_algo
    hash_ = HASHES.get(named)
    if hash_ is None:
        raise InvalidSignature
    if kind == "ecdsa" and isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, data, ec.ECDSA(hash_))
    elif kind == "rsassa_pkcs1v15" and isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, data, padding.PKCS1v15(), hash_)
    elif kind == "rsassa_pss" and isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, data, padding.PSS(padding.MGF1(hash_), padding.PSS.AUTO), hash_)
    else:
        raise InvalidSignature


def _check_trust(certificate: x509.Certificate, trusted: Sequence[x509.Certificate], at: datetime) -> None:
    """For time stamping and nothing else, valid then, and ours or of one of ours."""
    try:
        purpose = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
        alone = purpose.critical and list(purpose.value) == [ExtendedKeyUsageOID.TIME_STAMPING]
    except x509.ExtensionNotFound:
        alone = False
    if not alone or not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
        raise Refused("TSA-005", "Le certificat du serveur d'horodatage ne permet pas d'horodater.", Scope.BOX)
    if not any(certificate == one or _issued(certificate, one, at) for one in trusted):
        raise Refused("TSA-005", "La contremarque de temps ne vient pas d'une autorité de confiance.", Scope.BOX)


def _issued(certificate: x509.Certificate, issuer: x509.Certificate, at: datetime) -> bool:
    """Whether an authority of ours, valid then, made the certificate."""
    basic = extension(issuer, x509.BasicConstraints)
    able = basic is not None and basic.ca and issuer.not_valid_before_utc <= at <= issuer.not_valid_after_utc
    return able and is_signed_by(certificate, issuer)

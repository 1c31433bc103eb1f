"""Certificates: loading them, and whether one may be used for something now.

Rule 1: three levels, root, sector intermediate, end entity; every step is checked by pyca's verifier
(signatures, dates, constraints), then use and sector, then revocation.
Rule 2: a use is a row of ``USES``: the key usage it needs and the extended key usage that the certificate
must have (or must not contradict).  An intermediate that lists purposes can only give those: a sector's
authority cannot make what belongs to another sector.
Rule 3: "no" is Refused with the scope of the use; "cannot tell now" is Deferred.

It fetches nothing and remembers nothing; the time is an argument.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.envelope import oids
from gateway.envelope.algorithms import PrivateKey, read_certificate
from gateway.envelope.names import display_name, holder
from gateway.envelope.revocation import check_revocation
from gateway.errors import Deferred, Refused, Scope

__all__ = ["Path", "Use", "check_path", "holder", "load_certificates", "load_key", "load_lists"]

LEVELS = 3
_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


class Use(StrEnum):
    """What a certificate is to be used for."""

    SIGN_FICHIER = "sign-fichier"
    AUTHENTICATE = "authenticate"
    SEAL = "seal"
    SIGN_RETURN = "sign-return"
    SIGN_JOURNAL = "sign-journal"
    TRANSPORT = "transport"


@dataclass(frozen=True)
class Row:
    """One use: any of ``usage``, none of ``without``, any of ``purposes``, which must be
    declared or (``declared`` False) only not be contradicted."""

    words: str
    usage: tuple[str, ...]
    purposes: tuple[x509.ObjectIdentifier, ...]
    declared: bool
    scope: Scope
    without: tuple[str, ...] = ()


_EMAIL, _CLIENT, _SERVER = (
    ExtendedKeyUsageOID.EMAIL_PROTECTION,
    ExtendedKeyUsageOID.CLIENT_AUTH,
    ExtendedKeyUsageOID.SERVER_AUTH,
)
_SEAL, _RETURN, _JOURNAL = (
    x509.ObjectIdentifier(oid) for oid in (oids.PURPOSE_SEAL, oids.PURPOSE_SIGN_RETURN, oids.PURPOSE_SIGN_JOURNAL)
)

# Extended key usages of a real CPS are not established: for the two uses of a card they need not be declared.
USES = {
    Use.SIGN_FICHIER: Row("signer des fichiers", ("content_commitment",), (_EMAIL,), False, Scope.CARD),
    Use.AUTHENTICATE: Row(
        "s'authentifier", ("digital_signature",), (_CLIENT,), False, Scope.CARD, without=("content_commitment",)
    ),
    Use.SEAL: Row("recevoir du scellé", ("key_encipherment", "key_agreement"), (_SEAL,), True, Scope.ROUTE),
    Use.SIGN_RETURN: Row("signer des retours", ("digital_signature",), (_RETURN,), True, Scope.ROUTE),
    Use.SIGN_JOURNAL: Row("signer le journal", ("digital_signature",), (_JOURNAL,), True, Scope.BOX),
    Use.TRANSPORT: Row("sécuriser la ligne", ("digital_signature",), (_SERVER, _CLIENT), True, Scope.ROUTE),
}


@dataclass(frozen=True)
class Path:
    """A path that holds: DER certificates from the end entity to the root, and until when the lists serve."""

    certificates: tuple[bytes, ...]
    lists_until: datetime


def check_path(
    leaf: bytes, chain: Sequence[bytes], roots: Sequence[bytes], crls: Sequence[bytes], at: datetime, use: Use
) -> Path:
    """Whether the owner of ``leaf`` may do ``use`` at the moment ``at`` (aware); all certificates and lists DER.

    Refused CMS-030 unreadable, CMS-031 unknown issuer or broken path, CMS-032 expired, CMS-034 wrong use,
    CMS-035 not three levels, CMS-036 revoked: all at the scope of the use.  Deferred CMS-033 not valid yet
    (scope box: our clock), CMS-037 … CMS-039 no usable list (scope of the use).
    """
    row = USES[use]
    loaded, *others = (read_certificate(one, row.scope) for one in (leaf, *chain))
    anchors = [read_certificate(one, row.scope) for one in roots]
    path = _build(loaded, others, anchors, at)
    if path is None:
        raise _broken(loaded, others, anchors, at, row.scope)
    if len(path) != LEVELS:
        raise Refused(
            "CMS-035", f"« {display_name(loaded)} » est au niveau {len(path)} au lieu de {LEVELS}.", row.scope
        )
    _check_use(path, row)
    until = check_revocation(path, crls, at, row.scope)
    return Path(tuple(one.public_bytes(Encoding.DER) for one in path), until)


def _build(
    leaf: x509.Certificate, others: list[x509.Certificate], anchors: list[x509.Certificate], at: datetime
) -> list[x509.Certificate] | None:
    """The path by RFC 5280 §6 as pyca checks it; purposes are ours to check, so they are let through here."""
    any_purpose = (x509.ExtendedKeyUsage, verification.Criticality.AGNOSTIC, None)
    authorities = verification.ExtensionPolicy.webpki_defaults_ca().may_be_present(*any_purpose)
    verifier = (
        verification.PolicyBuilder()
        .store(verification.Store(anchors))
        .time(at.astimezone(UTC).replace(tzinfo=None))
        .max_chain_depth(LEVELS - 2)
        .extension_policies(ca_policy=authorities, ee_policy=verification.ExtensionPolicy.permit_all())
        .build_client_verifier()
    )
    try:
        return verifier.verify(leaf, others).chain
    except verification.VerificationError:
        return None


def _broken(
    leaf: x509.Certificate,
    others: list[x509.Certificate],
    anchors: list[x509.Certificate],
    at: datetime,
    scope: Scope,
) -> Exception:
    """Why there is no path now: a date, where there is one at the edge of some certificate; else the issuer.

    A stranger's certificate must not make us doubt our clock: the path has to hold at that edge.
    """
    for one in (leaf, *(issuer for issuer in (*others, *anchors) if issuer.subject == leaf.issuer)):
        title, start, end = display_name(one), one.not_valid_before_utc, one.not_valid_after_utc
        if end < at and _build(leaf, others, anchors, end):
            return Refused("CMS-032", f"Le certificat « {title} » a expiré le {end:%d/%m/%Y}.", scope)
        if start > at and _build(leaf, others, anchors, start):
            text = f"Le certificat « {title} » ne vaut qu'à partir du {start:%d/%m/%Y} : vérifier l'horloge."
            return Deferred("CMS-033", text, Scope.BOX)
    text = f"Le certificat « {display_name(leaf)} » ne vient pas d'une autorité de confiance."
    return Refused("CMS-031", text, scope)


def _check_use(path: list[x509.Certificate], row: Row) -> None:
    leaf = path[0]
    usage = _extension(leaf, x509.KeyUsage)
    purposes = [_extension(one, x509.ExtendedKeyUsage) for one in path[:-1]]
    allowed = {*row.purposes, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    wrong = (
        usage is None
        or not any(getattr(usage, bit) for bit in row.usage)
        or any(getattr(usage, bit) for bit in row.without)
        or (row.declared and purposes[0] is None)
        or any(one is not None and allowed.isdisjoint(one) for one in purposes)
    )
    if wrong:
        text = f"Le certificat « {display_name(leaf)} » n'est pas fait pour {row.words}."
        raise Refused("CMS-034", text, row.scope)


def _extension(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


# ---------------------------------------------------------------- loading


def load_certificates(data: bytes) -> list[bytes]:
    """DER of the certificates in a file: one DER or any number of PEM; Refused CMS-030 (scope box)."""
    try:
        if data.lstrip().startswith(b"-----"):
            return [one.public_bytes(Encoding.DER) for one in x509.load_pem_x509_certificates(data)]
    except ValueError:
        raise Refused("CMS-030", "Fichier de certificat illisible (PEM ou DER attendu).", Scope.BOX) from None
    read_certificate(data, Scope.BOX)
    return [data]


def load_lists(data: bytes) -> list[bytes]:
    """DER of the revocation lists in a file: one DER or any number of PEM; Refused CMS-039 (scope box)."""
    end = b"-----END X509 CRL-----"
    parts = [part + end for part in data.split(end)[:-1]]
    try:
        if parts:
            return [x509.load_pem_x509_crl(part).public_bytes(Encoding.DER) for part in parts]
        x509.load_der_x509_crl(data)
    except ValueError:
        raise Refused("CMS-039", "Liste de révocation illisible (PEM ou DER attendu).", Scope.BOX) from None
    return [data]


def load_key(data: bytes, password: bytes | None = None) -> PrivateKey:
    """A private key in PEM, RSA or elliptic; Refused CMS-041 (scope box)."""
    try:
        key = load_pem_private_key(data, password)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Refused("CMS-041", "Clé privée illisible, ou phrase secrète fausse.", Scope.BOX) from None
    if isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        return key
    raise Refused("CMS-041", "La clé privée n'est ni RSA ni elliptique.", Scope.BOX)

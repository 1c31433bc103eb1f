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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.envelope import oids
from gateway.envelope.algorithms import UNREADABLE, PrivateKey, is_signed_by, read_certificate
from gateway.envelope.constraints import names_fault
from gateway.envelope.constraints import policies as policies_of
from gateway.envelope.names import display_name, holder
from gateway.envelope.profile import end_entity_fault, extension, fault
from gateway.envelope.revocation import NONE_SEEN, check_revocation, known_lists
from gateway.errors import Deferred, Refused, Scope, Trouble
from gateway.formats.days import day_words

__all__ = ["Path", "Use", "check_path", "holder", "load_certificates", "load_key", "load_lists"]

LEVELS = 3
LONGEST = timedelta(days=732)
"""24 months with a leap day, and a day for a start that was set back a little."""


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
    declared or (``declared`` False) only not be contradicted; valid for ``longest`` at most."""

    words: str
    usage: tuple[str, ...]
    purposes: tuple[x509.ObjectIdentifier, ...]
    declared: bool
    scope: Scope
    without: tuple[str, ...] = ()
    longest: timedelta | None = None


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
    Use.SEAL: Row(
        "recevoir du scellé", ("key_encipherment", "key_agreement"), (_SEAL,), True, Scope.ROUTE, longest=LONGEST
    ),
    Use.SIGN_RETURN: Row("signer des retours", ("digital_signature",), (_RETURN,), True, Scope.ROUTE, longest=LONGEST),
    Use.SIGN_JOURNAL: Row("signer le journal", ("digital_signature",), (_JOURNAL,), True, Scope.BOX, longest=LONGEST),
    Use.TRANSPORT: Row(
        "sécuriser la ligne", ("digital_signature",), (_SERVER, _CLIENT), True, Scope.ROUTE, longest=LONGEST
    ),
}


@dataclass(frozen=True)
class Path:
    """A path that holds: DER certificates from the end entity to the root, and until when the lists serve."""

    certificates: tuple[bytes, ...]
    lists_until: datetime


def check_path(
    leaf: bytes,
    chain: Sequence[bytes],
    roots: Sequence[bytes],
    crls: Sequence[bytes],
    at: datetime,
    use: Use,
    *,
    policies: frozenset[str] = frozenset(),
    seen: Mapping[str, int] = NONE_SEEN,
) -> Path:
    """Whether the owner of ``leaf`` may do ``use`` at the moment ``at`` (aware); all certificates and lists DER.

    ``policies`` (dotted), where there are any: the path must have been issued under one of them.  ``seen`` is
    the last number seen of each authority's lists (``revocation.authority_of``).

    Refused CMS-030 unreadable, CMS-031 unknown issuer or broken path, CMS-032 expired, CMS-034 wrong use,
    CMS-035 not three levels, CMS-036 revoked, CMS-043 a name or policy that its authority does not allow,
    CMS-044 outside the profile: all at the scope of the use.  Deferred CMS-033 not valid yet (scope box: our
    clock), CMS-037 … CMS-039 no usable list (scope of the use).
    """
    row = USES[use]
    loaded, *others = (read_certificate(one, row.scope) for one in (leaf, *chain))
    anchors = [read_certificate(one, row.scope) for one in roots]
    paths = _paths(loaded, others, anchors, at)
    if not paths:
        raise _broken(loaded, others, anchors, at, row.scope)
    troubles: list[Trouble] = []
    for path in paths:
        try:
            _check_profile(path, row, policies)
            until = check_revocation(path, crls, at, row.scope, seen)
            return Path(tuple(one.public_bytes(Encoding.DER) for one in path), until)
        except Trouble as trouble:
            troubles.append(trouble)
    raise min(troubles, key=lambda one: isinstance(one, Refused))  # one that may hold later outweighs one that never


def _paths(
    leaf: x509.Certificate, others: list[x509.Certificate], anchors: list[x509.Certificate], at: datetime
) -> list[list[x509.Certificate]]:
    """Every path: one authority may have several certificates, of which one is revoked or was renewed."""
    issuers = dict.fromkeys(one for one in others if one.subject == leaf.issuer)
    found = [_build(leaf, [issuer], anchors, at) for issuer in issuers] or [_build(leaf, [], anchors, at)]
    return [path for path in found if path is not None]


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
) -> Trouble:
    """Why there is no path now: a date, where there is one at the edge of some certificate; what is wrong with
    one of them in itself; else the issuer.

    A stranger's certificate must not make us doubt our clock: the path has to hold at that edge.
    """
    issuers = [one for one in (*others, *anchors) if one.subject == leaf.issuer]
    line = (leaf, *issuers, *(one for one in anchors if one.subject in {issuer.issuer for issuer in issuers}))
    for one in line:
        title, start, end = display_name(one), one.not_valid_before_utc, one.not_valid_after_utc
        if end < at and _paths(leaf, others, anchors, end):
            return Refused("CMS-032", f"Le certificat « {title} » a expiré le {day_words(end)}.", scope)
        if start > at and _paths(leaf, others, anchors, start):
            text = f"Le certificat « {title} » ne vaut qu'à partir du {day_words(start)} : vérifier l'horloge."
            return Deferred("CMS-033", text, Scope.BOX)
    for one in line:
        words = fault(one)
        if words is not None:
            return Refused("CMS-044", f"Le certificat « {display_name(one)} » {words}.", scope)
    text = f"Le certificat « {display_name(leaf)} » ne vient pas d'une autorité de confiance."
    return Refused("CMS-031", text, scope)


def _check_profile(path: list[x509.Certificate], row: Row, policies: frozenset[str]) -> None:
    """All but revocation that pyca's verifier leaves open; Refused at the scope of the use."""
    title = f"Le certificat « {display_name(path[0])} »"
    if len(path) != LEVELS:
        raise Refused("CMS-035", f"{title} est au niveau {len(path)} au lieu de {LEVELS}.", row.scope)
    for certificate, issuer in zip(path, (*path[1:], None), strict=True):
        words = fault(certificate, issuer)
        if words is not None:
            raise Refused("CMS-044", f"Le certificat « {display_name(certificate)} » {words}.", row.scope)
    words = end_entity_fault(path[0], row.longest)
    if words is not None:
        raise Refused("CMS-044", f"{title} {words}.", row.scope)
    if not _serves(path, row):
        raise Refused("CMS-034", f"{title} n'est pas fait pour {row.words}.", row.scope)
    words = names_fault(path)
    if words is not None:
        raise Refused("CMS-043", f"{title} {words}.", row.scope)
    issued = policies_of(path)
    if policies and issued is not None and issued.isdisjoint(policies):
        raise Refused("CMS-043", f"{title} n'a pas été délivré selon une politique admise.", row.scope)


def _serves(path: list[x509.Certificate], row: Row) -> bool:
    usage = extension(path[0], x509.KeyUsage)
    purposes = [extension(one, x509.ExtendedKeyUsage) for one in path[:-1]]
    if usage is None or (row.declared and (purposes[0] is None or set(row.purposes).isdisjoint(purposes[0]))):
        return False
    allowed = {*row.purposes, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    return (
        any(getattr(usage, bit) for bit in row.usage)
        and not any(getattr(usage, bit) for bit in row.without)
        and not any(one is not None and allowed.isdisjoint(one) for one in purposes)
    )


# ---------------------------------------------------------------- loading


def lists_of(certificates: Sequence[bytes], crls: Sequence[bytes]) -> tuple[bytes, ...]:
    """The lists among ``crls`` (DER) that the authorities of a path (end entity first) made."""
    authorities = {x509.load_der_x509_certificate(one).subject for one in certificates[1:]}
    return tuple(one for one, known in known_lists(crls).items() if known.found.issuer in authorities)


def line_of(leaf: bytes, known: Sequence[bytes], at: datetime) -> tuple[bytes, ...]:
    """A certificate and those above it up to a root, by who signed whom, as far as ``known`` (DER) has them valid at
    the moment ``at`` (aware).  Whether the path holds is not asked."""
    others = [x509.load_der_x509_certificate(one) for one in known]
    current = [one for one in others if one.not_valid_before_utc <= at <= one.not_valid_after_utc]
    found = [x509.load_der_x509_certificate(leaf)]
    while found[-1].issuer != found[-1].subject:
        above = next((one for one in current if one not in found and is_signed_by(found[-1], one)), None)
        if above is None:
            break
        found.append(above)
    return tuple(one.public_bytes(Encoding.DER) for one in found)


def load_certificates(data: bytes) -> list[bytes]:
    """DER of the certificates in a file: one DER or any number of PEM; Refused CMS-030 (scope box)."""
    try:
        if data.lstrip().startswith(b"-----"):
            return [one.public_bytes(Encoding.DER) for one in x509.load_pem_x509_certificates(data)]
    except UNREADABLE:
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
    except UNREADABLE:
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

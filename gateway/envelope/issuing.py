"""An authority at work: it makes certificates for the keys of boxes, and the list of those that it revoked.

Rule 1: what a certificate says comes from the table of keys; of the request only the public key is taken, and names
of hosts that were checked.
Rule 2: nothing is valid longer than ``MOST_DAYS`` days, nor longer than the authority itself.
Rule 3: the number of a list is one more than that of the list before it, and nobody who was on it gets off.

Where the authority's key lies, and who may ask, is not decided here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from gateway.envelope.algorithms import PrivateKey, read_certificate
from gateway.envelope.box_keys import BoxKey
from gateway.envelope.certificates import load_lists
from gateway.envelope.requests import certified_hosts, host_name
from gateway.errors import Refused, Scope

MOST_DAYS = 730
"""The 24 months of the requirement."""

SKEW = timedelta(minutes=5)
"""A certificate is valid a little before it is made: clocks differ."""

_USAGES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip


@dataclass(frozen=True)
class Authority:
    """A sector's certificate and its private key."""

    certificate: x509.Certificate
    key: PrivateKey


@dataclass(frozen=True)
class Asked:
    """What of a request counts: the public key that its sender holds, and names of hosts."""

    key: CertificatePublicKeyTypes
    hosts: tuple[str, ...]


def asked_in(request: x509.CertificateSigningRequest) -> Asked:
    """What counts of a request that was checked (``requests.read_request``)."""
    return Asked(request.public_key(), certified_hosts(request))


def asked_before(certificate: bytes) -> Asked:
    """The same key again: what a certificate (DER) of ours was made for."""
    loaded = read_certificate(certificate, Scope.BOX)
    return Asked(loaded.public_key(), certified_hosts(loaded))


def authority_of(certificate: bytes, key: PrivateKey) -> Authority:
    """Certificate (DER) and key; Refused ENR-040 (scope box) when they do not belong together."""
    loaded = read_certificate(certificate, Scope.BOX)
    if loaded.public_key() != key.public_key():
        raise Refused("ENR-040", "La clé de l'autorité n'est pas celle de son certificat.", Scope.BOX)
    return Authority(loaded, key)


def issue(
    authority: Authority, row: BoxKey, asked: Asked, partner: str, box: str, at: datetime, days: int = MOST_DAYS
) -> bytes:  # fmt: skip
    """DER of the certificate of one key of the box ``box`` of ``partner``."""
    issuer = authority.certificate
    end = min(at + timedelta(days=min(days, MOST_DAYS)), issuer.not_valid_after_utc)
    builder = (
        x509.CertificateBuilder(
            issuer.subject, _subject(issuer, row, partner, box), asked.key, x509.random_serial_number()
        )
        .not_valid_before(at - SKEW)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(False, None), critical=True)
        .add_extension(x509.KeyUsage(**{name: name in row.usage for name in _USAGES}), critical=True)
        .add_extension(x509.ExtendedKeyUsage([row.purpose]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(asked.key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False)  # type: ignore[arg-type]
    )
    if asked.hosts:
        names = x509.SubjectAlternativeName([host_name(host) for host in asked.hosts])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(authority.key, hashes.SHA256()).public_bytes(Encoding.DER)


def _subject(issuer: x509.Certificate, row: BoxKey, partner: str, box: str) -> x509.Name:
    """Country and organisation of the authority, the partner with its key, the box."""
    inherited = [
        attribute for attribute in issuer.subject if attribute.oid in (NameOID.COUNTRY_NAME, NameOID.ORGANIZATION_NAME)
    ]
    own = {NameOID.COMMON_NAME: f"{partner} {row.name}", NameOID.SERIAL_NUMBER: box}
    return x509.Name([*inherited, *(x509.NameAttribute(kind, value) for kind, value in own.items())])


def revocation_list(
    authority: Authority, former: bytes | None, revoked: Mapping[int, datetime], at: datetime, days: int
) -> bytes:
    """DER of the full list from ``at`` for ``days`` days: all of the ``former`` one (DER or PEM), and ``revoked`` by
    serial number.  Refused CMS-039 (scope box) when the former one is unreadable or another authority's."""
    entries, number = _former(authority, former)
    builder = x509.CertificateRevocationListBuilder(
        authority.certificate.subject, at - SKEW, at + timedelta(days=days)
    ).add_extension(x509.CRLNumber(number + 1), critical=False)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    builder = builder.add_extension(identifier, critical=False)
    for serial, since in {**revoked, **entries}.items():
        entry = x509.RevokedCertificateBuilder(serial, since)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(authority.key, hashes.SHA256()).public_bytes(Encoding.DER)


def _former(authority: Authority, former: bytes | None) -> tuple[dict[int, datetime], int]:
    """Who is on the list before, and its number."""
    if former is None:
        return {}, 0
    found = x509.load_der_x509_crl(load_lists(former)[0])
    if found.issuer != authority.certificate.subject:
        raise Refused("CMS-039", "La liste de révocation à continuer n'est pas celle de cette autorité.", Scope.BOX)
    number = found.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    return {entry.serial_number: entry.revocation_date_utc for entry in found}, number


def named_in(listed: bytes) -> frozenset[int]:
    """The serial numbers on a list (DER or PEM)."""
    return frozenset(entry.serial_number for entry in x509.load_der_x509_crl(load_lists(listed)[0]))


def ends_of_list(listed: bytes) -> tuple[datetime, datetime | None]:
    """From when to when a list (DER or PEM) says that it serves."""
    found = x509.load_der_x509_crl(load_lists(listed)[0])
    return found.last_update_utc, found.next_update_utc

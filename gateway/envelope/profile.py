"""The profile of a certificate at its place in a path: what RFC 5280 asks and pyca's verifier leaves open.

Rule 1: what a certificate demands and nobody here can do (an extension that is critical or that restrains
those below, and that is not evaluated) is a fault, never ignored.
Rule 2: every key of the path is of an admitted kind and size, that of the end entity and of the root too.
Rule 3: identifiers of the authority, where they are given, name the very issuer in the path.

Names and policies across a path are ``constraints``; what a certificate may be used for is ``certificates``.
Faults are French words that go on after "Le certificat « X »".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtensionOID

from gateway.envelope.algorithms import admitted

LONGEST_SERIAL = 20
"""Octets of a serial number (RFC 5280 §4.1.2.2)."""

DIGESTS = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
"""With which certificates and lists may be signed."""

_EVALUATED = {
    ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
    ExtensionOID.BASIC_CONSTRAINTS,
    ExtensionOID.EXTENDED_KEY_USAGE,
    ExtensionOID.KEY_USAGE,
    ExtensionOID.NAME_CONSTRAINTS,
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    ExtensionOID.SUBJECT_KEY_IDENTIFIER,
}
"""Looked at here or by pyca's verifier: these may be critical."""

_RESTRAINING = {
    ExtensionOID.POLICY_CONSTRAINTS: "impose des contraintes de politique",
    ExtensionOID.INHIBIT_ANY_POLICY: "interdit la politique générale",
    ExtensionOID.POLICY_MAPPINGS: "met des politiques en correspondance",
}

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


def extension(holder: x509.Certificate | x509.CertificateRevocationList, kind: type[_Extension]) -> _Extension | None:
    """The extension of that kind of a certificate or a list, None where there is none."""
    try:
        return holder.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def fault(certificate: x509.Certificate, issuer: x509.Certificate | None = None) -> str | None:
    """What is wrong with a certificate, under its issuer where one is known, in words; None when nothing is."""
    own = next(filter(None, (check(certificate) for check in _CHECKS)), None)
    return own or (_foreign(certificate, issuer) if issuer else None)


def end_entity_fault(certificate: x509.Certificate, longest: timedelta | None) -> str | None:
    """What is wrong with it as the last of a path that may be valid for ``longest``, in words; or None."""
    basic, usage = extension(certificate, x509.BasicConstraints), extension(certificate, x509.KeyUsage)
    if (basic and basic.ca) or (usage and (usage.key_cert_sign or usage.crl_sign)):
        return "est celui d'une autorité"
    if extension(certificate, x509.NameConstraints):
        return "contraint des noms sans être celui d'une autorité"
    if longest and certificate.not_valid_after_utc - certificate.not_valid_before_utc > longest:
        return "vaut plus de 24 mois"
    return None


def _serial(certificate: x509.Certificate) -> str | None:
    number = certificate.serial_number
    if 0 < number < 1 << (8 * LONGEST_SERIAL - 1):
        return None
    return f"a un numéro de série nul, négatif ou de plus de {LONGEST_SERIAL} octets"


def _key(certificate: x509.Certificate) -> str | None:
    try:
        sound = admitted(certificate.public_key())
    except (ValueError, UnsupportedAlgorithm):
        sound = False
    return None if sound else "a une clé qui n'est ni RSA de 2048 bits au moins, ni P-256, ni P-384"


def _digest(certificate: x509.Certificate) -> str | None:
    try:
        sound = isinstance(certificate.signature_hash_algorithm, DIGESTS)
    except UnsupportedAlgorithm:
        sound = False
    return None if sound else "est signé avec une empreinte qui n'est pas SHA-256, SHA-384 ou SHA-512"


def _demands(certificate: x509.Certificate) -> str | None:
    for found in certificate.extensions:
        if found.oid in _RESTRAINING:
            return f"{_RESTRAINING[found.oid]}, ce que le boîtier ne sait pas appliquer"
        if found.critical and found.oid not in _EVALUATED:
            return f"a une extension critique inconnue ({found.oid.dotted_string})"
    return None


def _names(certificate: x509.Certificate) -> str | None:
    """Constraints of directory names bind every subject below, and pyca's verifier does not apply them; a field
    that it does not read (minimum, maximum) is not there when the extension is written again."""
    found = extension(certificate, x509.NameConstraints)
    if found is None:
        return None
    if any(
        isinstance(one, x509.DirectoryName)
        for one in (*(found.permitted_subtrees or ()), *(found.excluded_subtrees or ()))
    ):
        return "restreint des noms d'annuaire, ce que le boîtier ne sait pas appliquer"
    whole = found.public_bytes() in certificate.tbs_certificate_bytes
    return None if whole else "restreint des noms d'une façon que la norme interdit"


_CHECKS: tuple[Callable[[x509.Certificate], str | None], ...] = (_serial, _key, _digest, _demands, _names)


def _foreign(certificate: x509.Certificate, issuer: x509.Certificate) -> str | None:
    """Whether the authority key identifier (RFC 5280 §4.2.1.1) names another certificate than the issuer."""
    named = extension(certificate, x509.AuthorityKeyIdentifier)
    if named is not None and not all(_matches(named, issuer)):
        return "désigne une autre clé d'autorité que celle qui l'a signé"
    return None


def _matches(named: x509.AuthorityKeyIdentifier, issuer: x509.Certificate) -> Iterator[bool]:
    key = extension(issuer, x509.SubjectKeyIdentifier)
    if named.key_identifier is not None and key is not None:
        yield named.key_identifier == key.digest
    if named.authority_cert_serial_number is not None:
        yield named.authority_cert_serial_number == issuer.serial_number
    if named.authority_cert_issuer:
        yield x509.DirectoryName(issuer.issuer) in named.authority_cert_issuer

"""What the authorities of a path allow those below them: directory names and certificate policies.

Rule 1: pyca's verifier applies name constraints to DNS names, addresses and mailboxes of subjectAltName, and
refuses other forms there; directory names, and mailboxes written into a subject, are checked here.
Rule 2: a constrained form of name that cannot be evaluated is a fault (RFC 5280 §4.2.1.10).
Rule 3: policies are those of RFC 5280 §6.1 where nobody maps or restrains them: ``profile`` lets no path
through in which somebody does.

Pure functions over parsed certificates, end entity first and root last.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from cryptography import x509
from cryptography.x509.oid import CertificatePoliciesOID, NameOID

from gateway.envelope.profile import extension

_ANY_POLICY = CertificatePoliciesOID.ANY_POLICY


def names_fault(path: Sequence[x509.Certificate]) -> str | None:
    """The name that an authority of the path does not allow, in words; None when all are allowed."""
    for position, authority in enumerate(path):
        constraints = extension(authority, x509.NameConstraints)
        if constraints is None:
            continue
        if constraints.public_bytes() not in authority.tbs_certificate_bytes:  # a minimum or maximum is not read
            return "descend d'une autorité dont les contraintes de noms ne se lisent pas entièrement"
        permitted, excluded = constraints.permitted_subtrees or (), constraints.excluded_subtrees or ()
        mailboxes = any(isinstance(one, x509.RFC822Name) for one in (*permitted, *excluded))
        for below in path[:position]:
            if mailboxes and below.subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS):
                return "porte une adresse de messagerie dans son nom, où son autorité en restreint l'usage"
            if not all(_allowed(name, permitted, excluded) for name in _directory_names(below)):
                return "porte un nom que son autorité n'a pas le droit de donner"
    return None


def policies(path: Sequence[x509.Certificate]) -> frozenset[str] | None:
    """The policies (dotted) under which the whole path below the root was issued; None is any policy."""
    valid: frozenset[str] | None = None
    for certificate in path[:-1]:
        declared = extension(certificate, x509.CertificatePolicies)
        here = frozenset(one.policy_identifier.dotted_string for one in declared or ())
        if _ANY_POLICY.dotted_string not in here:
            valid = here if valid is None else valid & here
    return valid


def _directory_names(certificate: x509.Certificate) -> Iterator[x509.Name]:
    if certificate.subject.rdns:
        yield certificate.subject
    alternative = extension(certificate, x509.SubjectAlternativeName)
    if alternative is not None:
        yield from alternative.get_values_for_type(x509.DirectoryName)


def _allowed(name: x509.Name, permitted: Iterable[x509.GeneralName], excluded: Iterable[x509.GeneralName]) -> bool:
    inside = [_begins(name, one.value) for one in permitted if isinstance(one, x509.DirectoryName)]
    outside = [_begins(name, one.value) for one in excluded if isinstance(one, x509.DirectoryName)]
    return (any(inside) or not inside) and not any(outside)


def _begins(name: x509.Name, subtree: x509.Name) -> bool:
    """Whether the name lies in the subtree: its first sets of attributes are those (RFC 5280 §7.1)."""
    wanted = [_comparable(rdn) for rdn in subtree.rdns]
    return [_comparable(rdn) for rdn in name.rdns[: len(wanted)]] == wanted


def _comparable(rdn: x509.RelativeDistinguishedName) -> set[tuple[str, str | bytes]]:
    """Case, compatible forms and runs of blanks do not matter (RFC 4518 §2)."""
    return {(one.oid.dotted_string, _folded(one.value)) for one in rdn}


def _folded(value: str | bytes) -> str | bytes:
    if isinstance(value, bytes):
        return value
    return " ".join(unicodedata.normalize("NFKC", value).casefold().split())

"""What holds across a path: the names that authorities allow those below them, and certificate policies.

Rule 1: pyca's verifier applies name constraints to DNS names, addresses and mailboxes of subjectAltName, and
refuses what it cannot apply there; a mailbox written into a subject is looked at here, and directory names
are ``profile``'s to refuse.
Rule 2: policies are those of RFC 5280 §6.1 where nobody maps or restrains them: ``profile`` lets no path
through in which somebody does.

Pure functions over parsed certificates, end entity first and root last.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509
from cryptography.x509.oid import CertificatePoliciesOID, NameOID

from gateway.envelope.profile import extension

_ANY_POLICY = CertificatePoliciesOID.ANY_POLICY.dotted_string


def names_fault(path: Sequence[x509.Certificate]) -> str | None:
    """Whether a subject has a mailbox where an authority restrains mailboxes (RFC 5280 §4.2.1.10), in words."""
    for position, authority in enumerate(path):
        found = extension(authority, x509.NameConstraints)
        subtrees = (*(found.permitted_subtrees or ()), *(found.excluded_subtrees or ())) if found else ()
        restrained = any(isinstance(one, x509.RFC822Name) for one in subtrees)
        if restrained and any(one.subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS) for one in path[:position]):
            return "porte une adresse de messagerie dans son nom, où son autorité en restreint l'usage"
    return None


def policies(path: Sequence[x509.Certificate]) -> frozenset[str] | None:
    """The policies (dotted) under which the whole path below the root was issued; None is any policy."""
    valid: frozenset[str] | None = None
    for certificate in path[:-1]:
        declared = extension(certificate, x509.CertificatePolicies)
        here = frozenset(one.policy_identifier.dotted_string for one in declared or ())
        if _ANY_POLICY not in here:
            valid = here if valid is None else valid & here
    return valid

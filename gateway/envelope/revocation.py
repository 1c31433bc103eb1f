"""Revocation: every certificate below the root needs a sound list of its issuer that does not name it.

Rule 1: a certificate that is listed is refused, whatever the date of the entry; nothing else refuses.
Rule 2: where the lists cannot tell (none, out of date, false signature, not a full list) the answer is
"later", never "good".
Rule 3: full lists only (RFC 5280 §5): signed by the very issuer in the path, which has cRLSign; deltas,
indirect and partial lists and unknown critical extensions are refused by name.
Rule 4: a list serves ``GRACE`` beyond its nextUpdate, for the nights on which its publisher is late.

Where lists come from, and that their number only grows, is the keeper's part.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtensionOID

from gateway.envelope.algorithms import UNREADABLE
from gateway.envelope.names import display_name
from gateway.errors import Deferred, Refused, Scope

GRACE = timedelta(hours=24)
CLOCK_SKEW = timedelta(minutes=5)

_PARTIAL = {
    ExtensionOID.DELTA_CRL_INDICATOR: "n'est qu'un complément (delta)",
    ExtensionOID.ISSUING_DISTRIBUTION_POINT: "est partielle ou indirecte",
}
_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)


def check_revocation(path: Sequence[x509.Certificate], lists: Sequence[bytes], at: datetime, scope: Scope) -> datetime:
    """Check a path, end entity first and root last, by DER lists; returns the earliest nextUpdate used.

    Refused CMS-036 revoked.  Deferred CMS-037 no list, CMS-038 out of date, CMS-039 unusable, CMS-033 made
    after ``at`` (scope box: our clock).
    """
    loaded = [found for found in map(_load, lists) if found is not None]
    until = datetime.max.replace(tzinfo=UTC)
    for certificate, issuer in pairwise(path):
        current = _sound_list(loaded, issuer, at, scope)
        if current.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None:
            raise Refused("CMS-036", f"Le certificat « {display_name(certificate)} » est révoqué.", scope)
        assert current.next_update_utc is not None
        until = min(until, current.next_update_utc)
    return until


def _load(encoded: bytes) -> x509.CertificateRevocationList | None:
    """An unreadable list is no list: whose it was cannot be told."""
    try:
        found = x509.load_der_x509_crl(encoded)
        _ = found.issuer, found.extensions, found.last_update_utc, found.next_update_utc
        _ = found.signature_hash_algorithm  # pyca reads them when asked
    except UNREADABLE:
        return None
    return found


def _sound_list(
    lists: Sequence[x509.CertificateRevocationList], issuer: x509.Certificate, at: datetime, scope: Scope
) -> x509.CertificateRevocationList:
    """The freshest usable list of this issuer, or Deferred with the fault of the freshest unusable one."""
    fault = Deferred("CMS-037", f"Pas de liste de révocation de « {display_name(issuer)} ».", scope)
    theirs = [found for found in lists if found.issuer == issuer.subject]
    for number, found in enumerate(sorted(theirs, key=lambda one: one.last_update_utc, reverse=True)):
        problem = _problem(found, issuer, at, scope)
        if problem is None:
            return found
        fault = problem if number == 0 else fault
    raise fault


def _problem(
    found: x509.CertificateRevocationList, issuer: x509.Certificate, at: datetime, scope: Scope
) -> Deferred | None:
    title = f"La liste de révocation de « {display_name(issuer)} »"
    unsound = _unsound(found, issuer)
    if unsound is not None:
        return Deferred("CMS-039", f"{title} {unsound}.", scope)
    if found.last_update_utc > at + CLOCK_SKEW:
        text = f"{title} est du {found.last_update_utc:%d/%m/%Y} : l'horloge du boîtier retarde."
        return Deferred("CMS-033", text, Scope.BOX)
    if found.next_update_utc is None or found.next_update_utc + GRACE < at:
        return Deferred("CMS-038", f"{title} est périmée.", scope)
    return None


def _unsound(found: x509.CertificateRevocationList, issuer: x509.Certificate) -> str | None:
    """What makes a list unusable at any time, in words; None when it is sound."""
    for extension in found.extensions:
        if extension.oid in _PARTIAL:
            return _PARTIAL[extension.oid]
        if extension.critical:
            return f"a une extension critique inconnue ({extension.oid.dotted_string})"
    if not isinstance(found.signature_hash_algorithm, _HASHES):
        return "est signée par un algorithme non admis"
    if not issuer.extensions.get_extension_for_class(x509.KeyUsage).value.crl_sign:
        return "vient d'une autorité qui ne peut pas en signer"
    if not found.is_signature_valid(issuer.public_key()):  # type: ignore[arg-type]
        return "porte une signature fausse"
    return None

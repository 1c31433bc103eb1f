"""Revocation: every certificate below the root needs a sound list of its issuer that does not name it.

Rule 1: a certificate that is listed is refused, whatever the date and the reason of the entry; nothing else
refuses.
Rule 2: where the lists cannot tell (none, out of date, false signature, not a full list) the answer is
"later", never "good".
Rule 3: full lists only (RFC 5280 §5): signed by the very issuer in the path, which has cRLSign, numbered,
with an end; deltas, indirect and partial lists and what is critical and unknown are refused by name.
Rule 4: a list serves ``GRACE`` beyond its nextUpdate, for the nights on which its publisher is late.
Rule 5: the number of an authority's lists only grows: one below the last number seen is unsound, and a sound one
with a lower number than another never serves, however long it was made for: it may name fewer.

Where lists come from, and remembering the last number seen, is its caller's part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import pairwise
from types import MappingProxyType

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtensionOID

from gateway.envelope.algorithms import UNREADABLE
from gateway.envelope.names import display_name
from gateway.envelope.profile import DIGESTS, extension
from gateway.errors import Deferred, Refused, Scope
from gateway.formats.days import day_words

GRACE = timedelta(hours=24)
CLOCK_SKEW = timedelta(minutes=5)
NONE_SEEN: Mapping[str, int] = MappingProxyType({})


def check_revocation(
    path: Sequence[x509.Certificate],
    lists: Sequence[bytes],
    at: datetime,
    scope: Scope,
    seen: Mapping[str, int] = NONE_SEEN,
) -> datetime:
    """Check a path, end entity first and root last, by DER lists; returns the earliest nextUpdate used.

    ``seen`` is the last number seen of each authority's lists (``authority_of``).
    Refused CMS-036 revoked.  Deferred CMS-037 no list, CMS-038 out of date, CMS-039 unusable, CMS-033 made
    after ``at`` (scope box: our clock).  One list that says revoked outweighs another that cannot tell.
    """
    known = list(known_lists(lists).values())
    doubts: list[Deferred] = []
    until = datetime.max.replace(tzinfo=UTC)
    for certificate, issuer in pairwise(path):
        try:
            current = _sound_list(known, certificate, issuer, at, scope, seen)
        except Deferred as doubt:
            doubts.append(doubt)
            continue
        if current.entry(certificate) is not None:
            raise Refused("CMS-036", f"Le certificat « {display_name(certificate)} » est révoqué.", scope)
        until = min(until, _end(current.found))
    if doubts:
        raise doubts[0]
    return until


def authority_of(issuer: x509.Certificate) -> str:
    """The key under which an authority's last number is remembered: SHA-256 of its public key, hexadecimal."""
    return sha256(issuer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def load_list(encoded: bytes) -> x509.CertificateRevocationList | None:
    """An unreadable list is no list: whose it was cannot be told."""
    try:
        found = x509.load_der_x509_crl(encoded)
        _ = found.issuer, found.extensions, found.last_update_utc, found.next_update_utc
        _ = found.signature_hash_algorithm  # pyca reads them when asked
    except UNREADABLE:
        return None
    return found


def issued(found: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    """By name, and by key identifier where both have one: two keys may serve under one name (RFC 5280 §5.2.1)."""
    named = extension(found, x509.AuthorityKeyIdentifier)
    key = extension(issuer, x509.SubjectKeyIdentifier)
    other = named is not None and key is not None and named.key_identifier not in (None, key.digest)
    return found.issuer == issuer.subject and not other


@dataclass(frozen=True)
class Known:
    """A list that was read, and what was found out about it: the lists of a whole profession have some 100,000 entries,
    and each fichier asks several times."""

    found: x509.CertificateRevocationList
    _faults: dict[bytes, str | None] = field(default_factory=dict)
    _entries: dict[int, x509.RevokedCertificate | None] = field(default_factory=dict)

    def fault(self, issuer: x509.Certificate) -> str | None:
        """What ``unsound`` says of it."""
        key = issuer.fingerprint(SHA256())
        if key not in self._faults:
            self._faults[key] = unsound(self.found, issuer)
        return self._faults[key]

    def entry(self, certificate: x509.Certificate) -> x509.RevokedCertificate | None:
        """The entry of a certificate's number, None where it has none."""
        serial = certificate.serial_number
        if serial not in self._entries:
            self._entries[serial] = self.found.get_revoked_certificate_by_serial_number(serial)
        return self._entries[serial]


_last: dict[bytes, Known] = {}
"""The lists of the last question: they are nearly always those of the next one."""


def known_lists(lists: Sequence[bytes]) -> Mapping[bytes, Known]:
    """By their encoding, the lists (DER) that can be read, each once; those of the last call are not read again."""
    global _last
    before, now = _last, dict[bytes, Known]()
    for one in lists:
        if one in before:
            now[one] = before[one]
        elif (found := load_list(one)) is not None:
            now[one] = Known(found)
    _last = now
    return now


def _sound_list(
    lists: Sequence[Known],
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    at: datetime,
    scope: Scope,
    seen: Mapping[str, int],
) -> Known:
    """The latest sound list of this issuer that speaks of the certificate; Deferred where it is out of date, and where
    there is none, with the fault of the latest."""
    fault = Deferred("CMS-037", f"Pas de liste de révocation de « {display_name(issuer)} ».", scope)
    theirs = [one for one in lists if issued(one.found, issuer)]
    latest = sorted(theirs, key=lambda one: (number_of(one.found), one.found.last_update_utc), reverse=True)
    for position, known in enumerate(latest):
        problem = _problem(known, issuer, at, scope, seen) or _silent(known, certificate, issuer, scope)
        if problem is None:
            _check_age(known.found, issuer, at, scope)
            return known
        fault = problem if position == 0 else fault
    raise fault


def _problem(
    known: Known,
    issuer: x509.Certificate,
    at: datetime,
    scope: Scope,
    seen: Mapping[str, int],
) -> Deferred | None:
    """What makes a list unusable for anybody at this moment."""
    title, found = f"La liste de révocation de « {display_name(issuer)} »", known.found
    fault = known.fault(issuer) or _older(found, seen.get(authority_of(issuer), 0))
    if fault is not None:
        return Deferred("CMS-039", f"{title} {fault}.", scope)
    if found.last_update_utc > at + CLOCK_SKEW:
        text = f"{title} est du {day_words(found.last_update_utc)} : l'horloge du boîtier retarde."
        return Deferred("CMS-033", text, Scope.BOX)
    return None


def _check_age(found: x509.CertificateRevocationList, issuer: x509.Certificate, at: datetime, scope: Scope) -> None:
    if _end(found) + GRACE < at:
        raise Deferred("CMS-038", f"La liste de révocation de « {display_name(issuer)} » est périmée.", scope)


def unsound(found: x509.CertificateRevocationList, issuer: x509.Certificate) -> str | None:
    """What makes a list unusable at any time, in words; None when it is sound."""
    usage = extension(issuer, x509.KeyUsage)
    faults = {
        "est signée par un algorithme non admis": not isinstance(found.signature_hash_algorithm, DIGESTS),
        "vient d'une autorité qui ne peut pas en signer": usage is None or not usage.crl_sign,
        "ne dit pas jusqu'à quand elle vaut": found.next_update_utc is None,
        "n'a pas de numéro": number_of(found) < 0,
    }
    said = _not_full(found) or next((words for words, present in faults.items() if present), None)
    if said is None and not found.is_signature_valid(issuer.public_key()):  # type: ignore[arg-type]
        return "porte une signature fausse"
    return said


def _not_full(found: x509.CertificateRevocationList) -> str | None:
    """Deltas, parts and what is critical and unknown, in the list and in its entries."""
    for one in found.extensions:
        if one.oid == ExtensionOID.DELTA_CRL_INDICATOR:
            return "n'est qu'un complément (delta)"
        if isinstance(one.value, x509.IssuingDistributionPoint):
            if _is_part(one.value):
                return "est partielle ou indirecte"
        elif one.critical:
            return f"a une extension critique inconnue ({one.oid.dotted_string})"
    try:
        unknown = next((one.oid for entry in found for one in entry.extensions if one.critical), None)
    except UNREADABLE:
        return "a une entrée illisible"
    return unknown and f"a une entrée à l'extension critique inconnue ({unknown.dotted_string})"


def _is_part(point: x509.IssuingDistributionPoint) -> bool:
    """Whether it covers but some certificates or reasons, or those of others (RFC 5280 §5.2.5)."""
    return bool(
        point.only_contains_user_certs
        or point.only_contains_ca_certs
        or point.only_contains_attribute_certs
        or point.only_some_reasons
        or point.indirect_crl
        or point.relative_name
    )


def _silent(known: Known, certificate: x509.Certificate, issuer: x509.Certificate, scope: Scope) -> Deferred | None:
    """Why a sound list does not speak of this certificate: made for another distribution point (RFC 5280 §6.3.3
    b 2 i), or an entry of that number that belongs into another kind of list."""
    title = f"La liste de révocation de « {display_name(issuer)} »"
    point = extension(known.found, x509.IssuingDistributionPoint)
    wanted = extension(certificate, x509.CRLDistributionPoints)
    named = [name for one in wanted or () if not one.reasons and not one.crl_issuer for name in one.full_name or ()]
    if point is not None and point.full_name and not any(name in point.full_name for name in named):
        return Deferred("CMS-039", f"{title} est faite pour un autre point de distribution.", scope)
    entry = known.entry(certificate)
    for one in entry.extensions if entry else ():
        removed = isinstance(one.value, x509.CRLReason) and one.value.reason is x509.ReasonFlags.remove_from_crl
        if removed or isinstance(one.value, x509.CertificateIssuer):
            return Deferred("CMS-039", f"{title} a une entrée qui n'a pas de sens dans une liste complète.", scope)
    return None


def _older(found: x509.CertificateRevocationList, last: int) -> str | None:
    number = number_of(found)
    return f"est plus ancienne (n° {number}) que la dernière vue (n° {last})" if number < last else None


def number_of(found: x509.CertificateRevocationList) -> int:
    """Its number; -1 where it has none."""
    number = extension(found, x509.CRLNumber)
    return -1 if number is None else number.crl_number


def _end(found: x509.CertificateRevocationList) -> datetime:
    assert found.next_update_utc is not None  # a list without is unsound
    return found.next_update_utc

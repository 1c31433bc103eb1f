"""Revocation lists on their way: bundled in one file, taken out again, and whether one is sound and newer.

Rule 1: a bundle is canonical: PEM of full lists, each once, in the order of their DER, and nothing else.  It is not
signed: each list proves itself by its issuer's signature, so that no list has to be fresh for its successor to come.
Rule 2: a list counts when its issuer is an authority under our root and ``revocation`` calls it sound.  How old it
is, is not asked here: a list that is out of date is taken all the same where it is the newest.
Rule 3: numbers only grow.  A list with a smaller number, or with the same number and other bytes, is refused.

It fetches and keeps nothing.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from gateway.envelope.algorithms import is_signed_by, read_certificate
from gateway.envelope.names import display_name
from gateway.envelope.profile import extension
from gateway.envelope.revocation import authority_of, issued, load_list, number_of, unsound
from gateway.errors import Refused, Scope

LIMIT = 32 << 20
"""Bytes of a bundle; a list of 100,000 entries has 2.5 MB."""

_BEGIN, _END, _LINE = b"-----BEGIN X509 CRL-----\n", b"-----END X509 CRL-----\n", 64
_BLOCK = re.compile(_BEGIN + rb"([A-Za-z0-9+/=\n]+)" + _END)


@dataclass(frozen=True)
class Authority:
    """Who signs lists: ``key`` is that of ``revocation.authority_of``, ``name`` is for people."""

    certificate: x509.Certificate
    key: str
    name: str


@dataclass(frozen=True)
class Listing:
    """A sound list: whose it is, its number, from when to when it was made to serve, its DER."""

    authority: Authority
    number: int
    since: datetime
    until: datetime
    der: bytes

    @property
    def digest(self) -> str:
        """SHA-256 of its DER, hexadecimal."""
        return hashlib.sha256(self.der).hexdigest()


def newest(lists: Iterable[bytes]) -> list[bytes]:
    """Of each authority, by name and key, the list (DER) with the highest number; what cannot be read is left out."""
    best: dict[str, tuple[int, bytes]] = {}
    for der in lists:
        found = load_list(der)
        if found is not None:
            whose = series(found)
            best[whose] = max(best.get(whose, (-1, b"")), (number_of(found), der))
    return [der for _, der in best.values()]


def series(found: x509.CertificateRevocationList) -> str:
    """What the lists of one authority share: SHA-256 of the name and the key that they give it, hexadecimal."""
    named = extension(found, x509.AuthorityKeyIdentifier)
    key = named.key_identifier if named else None
    return hashlib.sha256(found.issuer.public_bytes() + (key or b"")).hexdigest()


def bundle(lists: Iterable[bytes]) -> bytes:
    """The canonical file of these lists (DER)."""
    return b"".join(_pem(one) for one in sorted(set(lists)))


def _pem(der: bytes) -> bytes:
    text, out = base64.b64encode(der), bytearray(_BEGIN)
    for start in range(0, len(text), _LINE):  # not joined: the lines of a large list weigh more than itself
        out += text[start : start + _LINE] + b"\n"
    return bytes(out + _END)


def unbundle(data: bytes) -> list[bytes]:
    """The lists (DER, not read yet) of a canonical file; Refused LST-001 (scope route) for any other."""
    try:
        found = [base64.b64decode(block, validate=False) for block in _BLOCK.findall(data)]
    except binascii.Error:
        found = []
    if not found or bundle(found) != data:
        raise Refused("LST-001", "Le lot de listes de révocation n'a pas la forme attendue.", Scope.ROUTE)
    return found


def authorities(roots: Sequence[bytes], chain: Sequence[bytes]) -> tuple[Authority, ...]:
    """Those whose lists count: the roots, and the intermediates that a root signed, all DER, if they may sign lists."""
    anchors = [read_certificate(one, Scope.BOX) for one in roots]
    others = [read_certificate(one, Scope.BOX) for one in chain]
    below = [one for one in others if any(is_signed_by(one, anchor) for anchor in anchors)]
    return tuple(_authority(one) for one in (*anchors, *below) if _signs_lists(one))


def _signs_lists(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value.crl_sign
    except x509.ExtensionNotFound:
        return False


def _authority(certificate: x509.Certificate) -> Authority:
    return Authority(certificate, authority_of(certificate), display_name(certificate))


def read_listing(der: bytes, known: Sequence[Authority]) -> Listing | None:
    """A list of one of the ``known`` authorities; None for a list of anybody else.

    Refused (scope route) LST-002 unreadable, LST-003 not sound or not signed by whom it names.
    """
    found = load_list(der)
    if found is None:
        raise Refused("LST-002", "Une liste de révocation est illisible.", Scope.ROUTE)
    theirs = [one for one in known if issued(found, one.certificate)]
    if not theirs:
        return None
    faults = [unsound(found, one.certificate) for one in theirs]
    if None not in faults:
        title = f"La liste de révocation de « {theirs[0].name} »"
        raise Refused("LST-003", f"{title} {faults[0]}.", Scope.ROUTE)
    until = found.next_update_utc
    assert until is not None  # or it were unsound
    return Listing(theirs[faults.index(None)], number_of(found), found.last_update_utc, until, der)


def is_newer(listing: Listing, number: int, digest: str) -> bool:
    """Whether a list follows the one of ``number`` and ``digest``; False for the same one again.

    Refused LST-005 (scope route) when it goes back, or says otherwise under the same number.
    """
    if listing.digest == digest:
        return False
    if listing.number <= number:
        title = f"La liste de révocation de « {listing.authority.name} »"
        raise Refused("LST-005", f"{title} porte le n° {listing.number}, après le n° {number}.", Scope.ROUTE)
    return True

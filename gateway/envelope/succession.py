"""How authorities follow one another: a new root beside the old one, a new sector authority below either.

Rule 1: a new root is believed on the word of a root that is believed: a certificate for the same name and key that the
old root signed (RFC 4210 §4.4, "new with old").  Nobody else's word counts, whoever brings it.
Rule 2: a sector authority is known when a root that is believed signed it; whether it still holds is asked at each use.
Rule 3: nothing is taken away: what was signed under an authority that has ended is still verified at its own time.
Rule 4: a sector is known by its purposes: an authority with the same ones, which lasts longer, succeeds another.

The time is an argument; certificates are DER.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.envelope.algorithms import is_signed_by, read_certificate
from gateway.envelope.profile import extension, fault
from gateway.errors import Scope


def believed_roots(
    roots: Sequence[bytes], offered: Iterable[bytes], links: Iterable[bytes], at: datetime
) -> tuple[bytes, ...]:
    """The ``roots``, and those ``offered`` for which one of the ``links`` stands, over as many generations as were
    missed; Refused CMS-030 (scope box) for what is no certificate."""
    known = [read_certificate(one, Scope.BOX) for one in roots]
    between = [read_certificate(one, Scope.BOX) for one in links]
    new = dict.fromkeys(read_certificate(one, Scope.BOX) for one in offered)
    while vouched := [
        one for one in new if one not in known and _is_root(one, at) and _is_linked(one, between, known, at)
    ]:
        known += vouched
    return tuple(one.public_bytes(Encoding.DER) for one in dict.fromkeys(known))


def known_chain(
    chain: Sequence[bytes], offered: Iterable[bytes], roots: Sequence[bytes], at: datetime
) -> tuple[bytes, ...]:
    """The ``chain``, and those ``offered`` that are authorities below one of ``roots`` and have not ended; a link
    between two roots is none.  Refused CMS-030 (scope box) for what is no certificate."""
    known, anchors = ([read_certificate(one, Scope.BOX) for one in group] for group in (chain, roots))
    keys = [one.public_key() for one in anchors]
    new = [
        one
        for one in (read_certificate(der, Scope.BOX) for der in offered)
        if _is_authority(one) and one.not_valid_after_utc > at and one.public_key() not in keys
        and any(is_signed_by(one, anchor) for anchor in anchors)
    ]  # fmt: skip
    return tuple(one.public_bytes(Encoding.DER) for one in dict.fromkeys([*known, *new]))


def shown_line(own: Sequence[bytes], chain: Iterable[bytes], roots: Sequence[bytes]) -> tuple[bytes, ...]:
    """What a line shows so that whoever knows any of the ``roots`` can tell where it leads: its ``own`` certificate and
    what came with it, the authority that made it, and, of several roots, the later ones with what links them."""
    leaf, others = read_certificate(own[0], Scope.BOX), tuple(chain)
    sectors = below(others, roots)
    above = [one for one in sectors if is_signed_by(leaf, read_certificate(one, Scope.BOX))]
    links = [one for one in others if one not in sectors]
    return tuple(dict.fromkeys((*own, *above, *links, *roots[1:])))


def below(chain: Iterable[bytes], roots: Iterable[bytes]) -> tuple[bytes, ...]:
    """Those of ``chain`` that are neither a root nor what links one of ``roots`` to another."""
    keys = [read_certificate(one, Scope.BOX).public_key() for one in roots]
    return tuple(one for one in chain if read_certificate(one, Scope.BOX).public_key() not in keys)


def first_root(roots: Sequence[bytes], at: datetime) -> bytes:
    """Of ``roots``, in their order, the first that has not ended: whoever believes it believes the later ones by their
    links, and all that stands below any of them.  The last, where all have."""
    return next((one for one in roots if read_certificate(one, Scope.BOX).not_valid_after_utc > at), roots[-1])


def successor(authority: bytes, others: Iterable[bytes]) -> bytes | None:
    """Of ``others``, the authority of the same sector that lasts longest, if it outlasts ``authority``."""
    own = read_certificate(authority, Scope.BOX)
    same = [
        one for one in (read_certificate(der, Scope.BOX) for der in others)
        if _purposes(one) == _purposes(own) and one.not_valid_after_utc > own.not_valid_after_utc
    ]  # fmt: skip
    if not same:
        return None
    return max(same, key=lambda one: one.not_valid_after_utc).public_bytes(Encoding.DER)


def could_last_longer(certificate: bytes, chain: Iterable[bytes]) -> bool:
    """Whether a renewal would bring a later end: a certificate that ends with its authority cannot have one, until a
    ``successor`` of that authority is in ``chain``."""
    own, others = read_certificate(certificate, Scope.BOX), list(chain)
    issuers = [one for one in others if is_signed_by(own, read_certificate(one, Scope.BOX))]
    ends = [read_certificate(one, Scope.BOX).not_valid_after_utc for one in issuers]
    return not issuers or own.not_valid_after_utc < max(ends) or any(successor(one, others) for one in issuers)


def _is_authority(certificate: x509.Certificate) -> bool:
    basic, usage = extension(certificate, x509.BasicConstraints), extension(certificate, x509.KeyUsage)
    signs = usage is not None and usage.key_cert_sign and usage.crl_sign
    return basic is not None and basic.ca and signs and fault(certificate) is None


def _is_root(certificate: x509.Certificate, at: datetime) -> bool:
    return (
        _is_authority(certificate) and is_signed_by(certificate, certificate) and certificate.not_valid_after_utc > at
    )


def _is_linked(
    root: x509.Certificate, links: Iterable[x509.Certificate], known: Sequence[x509.Certificate], at: datetime
) -> bool:
    return any(
        (link.subject, link.public_key()) == (root.subject, root.public_key())
        and _is_authority(link) and _holds(link, at)
        and any(is_signed_by(link, old) and _holds(old, at) for old in known)
        for link in links
    )  # fmt: skip


def _holds(certificate: x509.Certificate, at: datetime) -> bool:
    return certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc


def _purposes(certificate: x509.Certificate) -> frozenset[x509.ObjectIdentifier]:
    return frozenset(extension(certificate, x509.ExtendedKeyUsage) or ())

"""Revocation lists of any length and their successors, day after day, for tests and benches; nobody's numbers.

pyca's builder takes minutes for a hundred thousand entries, so the DER is written here.  A list is signed by an
authority of the development PKI, and what reads lists takes it like any other.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding

from gateway.envelope import der
from gateway.envelope.algorithms import PrivateKey

REASON, NUMBER, AUTHORITY_KEY = "2.5.29.21", "2.5.29.20", "2.5.29.35"
RSA_SHA256, ECDSA_SHA256 = "1.2.840.113549.1.1.11", "1.2.840.10045.4.3.2"
REVOKED_S = 3 * 365 * 86400
"""Entries are of the three years before."""


@dataclass
class LargeList:
    """The list of one authority (its certificate, DER, and its key) as it grows; the same ``seed`` makes the same.

    Each entry has a random number of 16 bytes and the time of its revocation, every other one a reason too: 100,000 of
    them have about 4 MB.
    """

    issuer: bytes
    key: PrivateKey
    since: datetime
    size: int = 100_000
    seed: int = 1
    entries: dict[bytes, bytes] = field(default_factory=dict)
    number: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self.change(self.size, 0)

    def change(self, new: int, gone: int) -> None:
        """So many entries come in, and so many leave; they stand in the order of their numbers, as most lists have."""
        for serial in self._random.sample(sorted(self.entries), gone):
            del self.entries[serial]
        for _ in range(new):
            serial = self._random.randbytes(16)
            self.entries[serial] = self._entry(serial)

    def _entry(self, serial: bytes) -> bytes:
        at = self.since - timedelta(seconds=self._random.randrange(REVOKED_S))
        reason = der.sequence(der.oid(REASON), der.octets(der.integer(self._random.choice((1, 4, 5)), der.ENUMERATED)))
        extensions = [der.sequence(reason)] if self._random.random() < 0.5 else []
        return der.sequence(der.tlv(der.INTEGER, bytes([1 + serial[0] % 127]), serial[1:]), der.time(at), *extensions)

    def signed(self, at: datetime, days: int = 7) -> bytes:
        """The list of the moment ``at``, DER, under the next number."""
        self.number += 1
        return self.of((self.entries[serial] for serial in sorted(self.entries)), at, days)

    def of(self, entries: Iterable[bytes], at: datetime, days: int = 7) -> bytes:
        """The list with these entries in this order, under the present number."""
        rsa = not isinstance(self.key, ec.EllipticCurvePrivateKey)
        algorithm = der.sequence(der.oid(RSA_SHA256), der.tlv(der.NULL)) if rsa else der.sequence(der.oid(ECDSA_SHA256))
        listed = b"".join(entries)
        body = der.sequence(
            der.integer(1), algorithm, x509.load_der_x509_certificate(self.issuer).subject.public_bytes(),
            der.time(at), der.time(at + timedelta(days=days)), *([der.sequence(listed)] if listed else []),
            der.tlv(der.context(0), der.sequence(*self._extensions())),
        )  # fmt: skip
        signer: Any = self.key
        how = (padding.PKCS1v15(), hashes.SHA256()) if rsa else (ec.ECDSA(hashes.SHA256()),)
        return der.sequence(body, algorithm, der.tlv(der.BIT_STRING, b"\0", signer.sign(body, *how)))

    def _extensions(self) -> Iterable[bytes]:
        key: Any = self.key.public_key()
        of_authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(key).public_bytes()
        yield der.sequence(der.oid(AUTHORITY_KEY), der.octets(of_authority))
        yield der.sequence(der.oid(NUMBER), der.octets(der.integer(self.number)))

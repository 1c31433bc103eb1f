"""What a certificate on the card says, read without cryptography: whose card it is, until when, by which key.

It deliberately judges nothing: who may sign is the settings' and the mandates' matter, what is revoked the keeper's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from asn1crypto import x509

from gateway.errors import Refused, Scope
from gateway.formats.holder import Holder, read_subject

SMALLEST, LARGEST = 1024, 8192
"""Bits of a modulus that may be one."""


def holder(certificate: bytes) -> Holder:
    """The holder that ``certificate`` (DER) names; Refused(CPS-CERT) where it cannot be read."""
    with _readable():
        subject = x509.Certificate.load(certificate).subject
        return read_subject((one["type"].dotted, str(one["value"].native)) for rdn in subject.chosen for one in rdn)


def valid_until(certificate: bytes) -> datetime:
    """When ``certificate`` (DER) ends; Refused(CPS-CERT) where it cannot be read."""
    with _readable():
        end: datetime = x509.Certificate.load(certificate).not_valid_after
        return end


def rsa_key(certificate: bytes) -> tuple[int, int]:
    """Modulus and exponent of the key in ``certificate`` (DER); Refused(CPS-CERT) where none can be read."""
    with _readable():
        key = x509.Certificate.load(certificate).public_key
        if key.algorithm != "rsa":
            raise ValueError(key.algorithm)
        public = key["public_key"].parsed
        modulus, exponent = int(public["modulus"].native), int(public["public_exponent"].native)
        if not (modulus > 0 and SMALLEST <= modulus.bit_length() <= LARGEST and 2 < exponent < modulus):
            raise ValueError("no RSA key")
        return modulus, exponent


def check_readable(certificate: bytes) -> None:
    """Refused(CPS-CERT) unless all of the above can be read."""
    for read in (holder, valid_until, rsa_key):
        read(certificate)


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, KeyError) as error:  # asn1crypto decodes late, as it is read
        raise Refused("CPS-CERT", "Le certificat sur la carte est illisible.", Scope.CARD) from error

"""IssuerAndSerialNumber: how CMS names a certificate (RFC 5652 §10.2.4).

The bytes are lifted out of the certificate as they stand, never decoded and encoded again: two encodings of
one name would not match.  Nothing else of the certificate is looked at here.
"""

from __future__ import annotations

from gateway.envelope import der


def issuer_and_serial(certificate: bytes) -> bytes:
    """DER of IssuerAndSerialNumber of a DER certificate; Refused CMS-001 … CMS-006 where it is none."""
    reader = der.parse(certificate)
    reader.enter(der.SEQUENCE)
    reader.enter(der.SEQUENCE)
    reader.element(der.context(0))  # version 3: no other has the extensions that we need
    serial = reader.element(der.INTEGER)
    reader.element(der.SEQUENCE)  # signature algorithm
    return der.sequence(reader.element(der.SEQUENCE), serial)

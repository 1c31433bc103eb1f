"""Whose card it is, from the subject of its certificate, read without cryptography.

It deliberately judges nothing: who may sign is the settings' and the mandates' matter.
"""

from __future__ import annotations

from asn1crypto import x509

from gateway.errors import Refused, Scope
from gateway.formats.holder import Holder, read_subject


def holder(certificate: bytes) -> Holder:
    """The holder that ``certificate`` (DER) names; Refused(CPS-CERT) where it cannot be read."""
    try:
        subject = x509.Certificate.load(certificate).subject
        return read_subject((one["type"].dotted, str(one["value"].native)) for rdn in subject.chosen for one in rdn)
    except (ValueError, TypeError) as error:
        raise Refused("CPS-CERT", "Le certificat sur la carte est illisible.", Scope.CARD) from error

"""Whom a certificate names: the words for a reader, and the holder of a CPS.

What a subject means is ``formats.holder``'s to say, for the card service as for the keeper and the OCT.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.x509.oid import NameOID

from gateway.envelope.algorithms import read_certificate
from gateway.errors import Refused, Scope
from gateway.formats.holder import Holder, read_subject


def holder(certificate: bytes) -> Holder:
    """The holder of a CPS certificate (DER); Refused CMS-040 (scope card) when it names none."""
    subject = read_certificate(certificate, Scope.CARD).subject
    found = read_subject((one.oid.dotted_string, one.value) for one in subject if isinstance(one.value, str))
    if not found.identifier:
        text = f"Le certificat « {found.name} » ne nomme ni professionnel (RPPS, ADELI…) ni personnel de structure."
        raise Refused("CMS-040", text, Scope.CARD)
    return found


def common_name(certificate: bytes) -> str:
    """The CN of a certificate (DER), "" when it has none."""
    names = x509.load_der_x509_certificate(certificate).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""


def display_name(certificate: x509.Certificate) -> str:
    """Given name and surname where it is a person, else the common name."""
    subject = {one.oid: one.value for one in certificate.subject if isinstance(one.value, str)}
    if NameOID.SURNAME in subject and NameOID.GIVEN_NAME in subject:
        return f"{subject[NameOID.GIVEN_NAME]} {subject[NameOID.SURNAME]}"
    return subject.get(NameOID.COMMON_NAME, "titulaire sans nom")

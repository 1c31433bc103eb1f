"""Whom a certificate names: the words for a reader, and the holder of a CPS.

A CPS subject is made of RDN *sets*: title, then one RDN of three attributes {CN, surname, given name}, the
CN being 8 (type of identifier: RPPS) and the eleven digits (cps.md §6, table G08).  Reading it as one
attribute per RDN would lose two of the three.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import NameOID

from gateway.envelope.algorithms import read_certificate
from gateway.errors import Refused, Scope

_RPPS_NAME = re.compile(r"8([0-9]{11})")


@dataclass(frozen=True)
class Holder:
    """The practitioner whose card it is; ``rpps`` is eleven digits."""

    rpps: str
    surname: str
    given_name: str
    profession: str


def holder(certificate: bytes) -> Holder:
    """The holder of a CPS certificate (DER); Refused CMS-040 (scope card) when it names none."""
    subject = read_certificate(certificate, Scope.CARD).subject
    title = _texts(subject).get(NameOID.TITLE)
    for rdn in subject.rdns:
        person = _texts(rdn)
        rpps = _RPPS_NAME.fullmatch(person.get(NameOID.COMMON_NAME, ""))
        if rpps and title and person.keys() >= {NameOID.SURNAME, NameOID.GIVEN_NAME}:
            return Holder(rpps[1], person[NameOID.SURNAME], person[NameOID.GIVEN_NAME], title)
    raise Refused("CMS-040", "Le certificat de la carte ne nomme pas un professionnel par son RPPS.", Scope.CARD)


def display_name(certificate: x509.Certificate) -> str:
    """Given name and surname where it is a person, else the common name."""
    subject = _texts(certificate.subject)
    if NameOID.SURNAME in subject and NameOID.GIVEN_NAME in subject:
        return f"{subject[NameOID.GIVEN_NAME]} {subject[NameOID.SURNAME]}"
    return subject.get(NameOID.COMMON_NAME, "titulaire sans nom")


def _texts(attributes: Iterable[x509.NameAttribute[str | bytes]]) -> dict[x509.ObjectIdentifier, str]:
    return {one.oid: one.value for one in attributes if isinstance(one.value, str)}

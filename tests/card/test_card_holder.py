"""Whose card it is: subjects as certificates have them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from card_bench import DOCTOR
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from development_pki import Pki

from gateway.card.holder import Holder, holder
from gateway.errors import Refused

KEY = ec.generate_private_key(ec.SECP256R1())
NOW = datetime.now(UTC)


def certificate(title: str | None, *person: tuple[x509.ObjectIdentifier, str]) -> bytes:
    country = x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COUNTRY_NAME, "FR")])
    rdns = [country]
    if title:
        rdns.append(x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.TITLE, title)]))
    rdns.append(x509.RelativeDistinguishedName([x509.NameAttribute(kind, value) for kind, value in person]))
    name = x509.Name(rdns)
    builder = x509.CertificateBuilder(name, name, KEY.public_key(), 1, NOW, NOW + timedelta(days=1))
    return builder.sign(KEY, SHA256()).public_bytes(Encoding.DER)


CN, SURNAME, GIVEN = NameOID.COMMON_NAME, NameOID.SURNAME, NameOID.GIVEN_NAME
NAMED = ((SURNAME, "DURAND"), (GIVEN, "ANNE"))

CASES: dict[str, tuple[bytes, Holder, str | None]] = {
    "RPPS": (
        certificate("Médecin", (CN, "810001234567"), *NAMED),
        Holder("ANNE DURAND", "CPS", "RPPS", "10001234567", "Médecin"),
        "10001234567",
    ),
    "ADELI": (
        certificate("Infirmier", (CN, "0756012345"), *NAMED),
        Holder("ANNE DURAND", "CPS", "ADELI", "756012345", "Infirmier"),
        None,
    ),
    "a student": (
        certificate("Médecin", (CN, "9123456789"), *NAMED),
        Holder("ANNE DURAND", "CPF", "étudiant", "123456789", "Médecin"),
        None,
    ),
    "a secretary of a cabinet": (
        certificate(None, (CN, "499700012345678/CPE0001"), *NAMED),
        Holder("ANNE DURAND", "CPE", "structure", "499700012345678", ""),
        None,
    ),
    "another employee": (
        certificate(None, (CN, "1750000000/CPAT0042")),
        Holder("1750000000/CPAT0042", "CPA", "structure", "1750000000", ""),
        None,
    ),
    "neither form": (certificate(None, (CN, "Somebody")), Holder("Somebody", "?", "", "Somebody", ""), None),
    "a number without a name": (
        certificate(None, (CN, "810001234567")),
        Holder(*["810001234567", "?", "", "810001234567", ""]),
        None,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_subjects(case: str) -> None:
    der, expected, rpps = CASES[case]
    found = holder(der)
    assert found == expected
    assert found.rpps == rpps


def test_a_development_card(pki: Pki) -> None:
    found = holder(pki.certificate(f"practitioners/{DOCTOR}/sig"))
    assert (found.name, found.rpps, found.profession) == ("CLAIRE ESSAI", DOCTOR, "Médecin")


def test_unreadable() -> None:
    with pytest.raises(Refused, match="CPS-CERT"):
        holder(b"\x30\x03\x02\x01\x01")

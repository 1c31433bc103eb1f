"""What a card's certificates say; whose card it is, the card service and the keeper read alike."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from card_bench import DOCTOR, STAFF
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from development_pki import Pki

from gateway.card.certificate import check_readable, holder, rsa_key, valid_until
from gateway.envelope.certificates import holder as keepers_holder
from gateway.errors import Refused

KEY = ec.generate_private_key(ec.SECP256R1())
NOW = datetime.now(UTC)
CN, SURNAME, GIVEN, TITLE = NameOID.COMMON_NAME, NameOID.SURNAME, NameOID.GIVEN_NAME, NameOID.TITLE
UNIT = NameOID.ORGANIZATIONAL_UNIT_NAME
NAMED = ((SURNAME, "DURAND"), (GIVEN, "Zoé"))
Rdn = tuple[tuple[x509.ObjectIdentifier, str], ...]


def certificate(*rdns: Rdn) -> bytes:
    sets = [x509.RelativeDistinguishedName([x509.NameAttribute(kind, value) for kind, value in rdn]) for rdn in rdns]
    name = x509.Name(sets)
    builder = x509.CertificateBuilder(name, name, KEY.public_key(), 1, NOW, NOW + timedelta(days=1))
    return builder.sign(KEY, SHA256()).public_bytes(Encoding.DER)


SUBJECTS: dict[str, tuple[Rdn, ...]] = {
    "10001234567": (((TITLE, "Médecin"),), ((CN, "810001234567"), *NAMED)),
    "ADELI 756012345": (((CN, "0756012345"), *NAMED),),
    "499700012345678/CPE0001": (((UNIT, "499700012345678"),), ((CN, "499700012345678/CPE0001"),)),
    "1750000000/CPAT0042": (((CN, "1750000000/CPAT0042"),),),
}  # fmt: skip


@pytest.mark.parametrize("identifier", SUBJECTS)
def test_card_and_keeper_read_the_same(identifier: str) -> None:
    der = certificate(*SUBJECTS[identifier])
    assert holder(der) == keepers_holder(der)
    assert holder(der).identifier == identifier


def test_who_is_not_a_holder_is_named_by_the_card_and_refused_by_the_keeper() -> None:
    der = certificate(((CN, "810001234567"),))
    assert (holder(der).name, holder(der).kind) == ("810001234567", "?")
    with pytest.raises(Refused, match=r"CMS-040 .*810001234567"):
        keepers_holder(der)


def test_development_cards(pki: Pki) -> None:
    for use in ("auth", "sig"):
        found = holder(pki.certificate(f"practitioners/{DOCTOR}/{use}"))
        assert (found.name, found.identifier, found.profession) == ("CLAIRE ESSAI", DOCTOR, "Médecin")
        found = holder(pki.certificate(f"practitioners/secretariat/{use}"))
        assert (found.name, found.identifier, found.kind) == (STAFF, STAFF, "CPE")


@pytest.mark.parametrize("read", [holder, valid_until, rsa_key])
@pytest.mark.parametrize("certificate", [b"", b"\x30\x03\x02\x01\x01", b"\xff" * 40])
def test_unreadable(read: Callable[[bytes], object], certificate: bytes) -> None:
    with pytest.raises(Refused, match="CPS-CERT"):
        read(certificate)


def test_a_disturbed_certificate_is_read_or_refused(pki: Pki) -> None:
    """Each byte of a certificate in turn, with any bit turned."""
    chance, refused = random.Random(20261123), 0
    whole = pki.certificate(f"practitioners/{DOCTOR}/sig")
    for place in range(len(whole)):
        disturbed = bytearray(whole)
        disturbed[place] ^= 1 << chance.randrange(8)
        try:
            check_readable(bytes(disturbed))
        except Refused as trouble:
            assert trouble.code == "CPS-CERT"
            refused += 1
    assert 10 < refused < len(whole)


def test_the_key_and_the_end(pki: Pki) -> None:
    name = f"practitioners/{DOCTOR}/sig"
    key, der = pki.key(name), pki.certificate(name)
    assert isinstance(key, rsa.RSAPrivateKey)
    numbers = key.public_key().public_numbers()
    assert rsa_key(der) == (numbers.n, numbers.e)
    assert valid_until(der) == x509.load_der_x509_certificate(der).not_valid_after_utc


def test_a_key_of_another_kind_is_none() -> None:
    with pytest.raises(Refused, match="CPS-CERT"):
        rsa_key(certificate(((CN, "810001234567"),)))

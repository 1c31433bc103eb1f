"""Whom a certificate names: the multi-valued RDN of a CPS."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from development_pki import Pki

from gateway.envelope.names import display_name, holder
from gateway.errors import Refused, Scope
from gateway.formats.holder import Holder


def test_the_holder_of_a_card_is_read_from_either_certificate(pki: Pki) -> None:
    for kind in ("auth", "sig"):
        found = holder(pki.certificate(f"practitioners/99900000029/{kind}"))
        assert found == Holder("PAUL EXEMPLE", "CPS", "RPPS", "99900000029", "Infirmier", "99900000029")


def test_the_subject_is_one_rdn_of_three(pki: Pki) -> None:
    subject = x509.load_der_x509_certificate(pki.certificate("practitioners/99900000011/sig")).subject
    multi = [rdn for rdn in subject.rdns if len(list(rdn)) > 1]
    assert [{one.oid for one in rdn} for rdn in multi] == [{NameOID.COMMON_NAME, NameOID.SURNAME, NameOID.GIVEN_NAME}]


def test_a_certificate_of_a_machine_has_no_holder(pki: Pki) -> None:
    with pytest.raises(Refused) as refused:
        holder(pki.certificate("oct-sign"))
    assert (refused.value.code, refused.value.scope) == ("CMS-040", Scope.CARD)
    with pytest.raises(Refused, match="CMS-030"):
        holder(b"junk")


def test_a_person_is_shown_by_name_and_a_machine_by_its_common_name(pki: Pki) -> None:
    shown = {
        "practitioners/99900000011/sig": "CLAIRE ESSAI",
        "oct-sign": "OCT-GATEWAY TEST oct-sign",
    }
    for name, words in shown.items():
        assert display_name(x509.load_der_x509_certificate(pki.certificate(name))) == words

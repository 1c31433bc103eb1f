"""Faults of single certificates, each said in its own words."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from path_judges import Question

from gateway.envelope.profile import end_entity_fault, extension, fault

pytestmark = pytest.mark.filterwarnings("ignore:Parsed a serial number")

FAULTS = {
    "serial-zero": "numéro de série",
    "serial-negative": "numéro de série",
    "serial-too-long": "numéro de série",
    "key-rsa-2047": "clé",
    "key-p192": "clé",
    "digest-sha1": "empreinte",
    "digest-md5": "empreinte",
    "unknown-critical": "extension critique inconnue (2.25.1)",
    "policy-critical": "extension critique inconnue (2.5.29.32)",
    "authority-key-other": "autre clé d'autorité",
    "authority-serial-other": "autre clé d'autorité",
}
AUTHORITIES = {
    "policy-required-and-there": "contraintes de politique",
    "policy-required-not-critical": "contraintes de politique",
    "policy-any-inhibited": "politique générale",
    "policy-mapped": "correspondance",
    "names-directory-not-critical": "noms d'annuaire",
    "names-minimum": "norme interdit",
}


def load(encoded: bytes) -> x509.Certificate:
    return x509.load_der_x509_certificate(encoded)


@pytest.mark.parametrize(("name", "words"), FAULTS.items(), ids=FAULTS)
def test_faults_of_an_end_entity(zoo_questions: dict[str, Question], name: str, words: str) -> None:
    question = zoo_questions[name]
    assert words in (fault(load(question.leaf), load(question.chain[0])) or "")


@pytest.mark.parametrize(("name", "words"), AUTHORITIES.items(), ids=AUTHORITIES)
def test_faults_of_an_authority(zoo_questions: dict[str, Question], name: str, words: str) -> None:
    assert words in (fault(load(zoo_questions[name].chain[0])) or "")


@pytest.mark.parametrize("name", ["sound", "sound-rsa", "sound-names", "sound-point", "sound-without-authority-key"])
def test_sound_certificates_have_none(zoo_questions: dict[str, Question], name: str) -> None:
    question = zoo_questions[name]
    leaf, sector, root = load(question.leaf), load(question.chain[0]), load(question.roots[0])
    assert fault(leaf, sector) is fault(sector, root) is fault(root) is None


def test_what_an_end_entity_may_be_and_for_how_long(zoo_questions: dict[str, Question]) -> None:
    leaf, sector = load(zoo_questions["sound"].leaf), load(zoo_questions["sound"].chain[0])
    assert end_entity_fault(leaf, timedelta(days=730)) is end_entity_fault(leaf, None) is None
    assert "24 mois" in (end_entity_fault(leaf, timedelta(days=729)) or "")
    assert "autorité" in (end_entity_fault(sector, None) or "")
    assert "autorité" in (end_entity_fault(load(zoo_questions["leaf-signs-certificates"].leaf), None) or "")
    assert "noms" in (end_entity_fault(load(zoo_questions["names-in-the-leaf"].leaf), None) or "")


def test_extensions_that_are_not_there_are_none(zoo_questions: dict[str, Question]) -> None:
    leaf = load(zoo_questions["sound"].leaf)
    assert extension(leaf, x509.CertificatePolicies) is None
    assert extension(leaf, x509.KeyUsage) is not None

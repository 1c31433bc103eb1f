"""Whose card it is: subjects as certificates have them, and the identifier that each gives."""

from __future__ import annotations

import re

import pytest

from gateway.formats.holder import (
    COMMON_NAME,
    GIVEN_NAME,
    IDENTIFIER,
    KINDS,
    SURNAME,
    TITLE,
    Holder,
    identifier_words,
    read_subject,
)

ANNE = ((SURNAME, "DURAND"), (GIVEN_NAME, "ANNE"))
NOBODY = {
    "no name at all": (),
    "neither form": ((COMMON_NAME, "Somebody"),),
    "a number without a person": ((COMMON_NAME, "810001234567"),),
    "an RPPS of ten digits": ((COMMON_NAME, "81000123456"), *ANNE),
    "an RPPS with a letter": ((COMMON_NAME, "81000123456A"), *ANNE),
    "a structure's own number": ((COMMON_NAME, "1750000000"), *ANNE),
    "two names": ((COMMON_NAME, "810001234567"), (COMMON_NAME, "810007654321"), *ANNE),
    "a member of nothing": ((COMMON_NAME, "/CPE0001"),),
    "another kind of member": ((COMMON_NAME, "1750000000/XYZ0001"),),
    "a line feed": ((COMMON_NAME, "1750000000/CPE\n0001"),),
}

CASES: dict[str, tuple[tuple[tuple[str, str], ...], Holder]] = {
    "RPPS": (
        ((TITLE, "Médecin"), (COMMON_NAME, "810001234567"), *ANNE),
        Holder("ANNE DURAND", "CPS", "RPPS", "10001234567", "Médecin", "10001234567"),
    ),
    "ADELI": (
        ((TITLE, "Infirmier"), (COMMON_NAME, "0756012345"), *ANNE),
        Holder("ANNE DURAND", "CPS", "ADELI", "756012345", "Infirmier", "ADELI 756012345"),
    ),
    "an ADELI of eleven digits is not an RPPS": (
        ((COMMON_NAME, "010001234567"), *ANNE),
        Holder("ANNE DURAND", "CPS", "ADELI", "10001234567", "", "ADELI 10001234567"),
    ),
    "a student": (
        ((TITLE, "Médecin"), (COMMON_NAME, "9123456789"), *ANNE),
        Holder("ANNE DURAND", "CPF", "étudiant", "123456789", "Médecin", "étudiant 123456789"),
    ),
    "a secretary with a name": (
        ((COMMON_NAME, "499700012345678/CPE0001"), *ANNE),
        Holder("ANNE DURAND", "CPE", "structure", "499700012345678", "", "499700012345678/CPE0001"),
    ),
    "another employee, without": (
        ((COMMON_NAME, "1750000000/CPAT0042"),),
        Holder("1750000000/CPAT0042", "CPA", "structure", "1750000000", "", "1750000000/CPAT0042"),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_subjects(case: str) -> None:
    subject, expected = CASES[case]
    found = read_subject(subject)
    assert found == expected
    assert found.kind in KINDS
    assert re.fullmatch(IDENTIFIER, found.identifier)


@pytest.mark.parametrize("case", NOBODY)
def test_subjects_that_name_no_holder(case: str) -> None:
    found = read_subject(NOBODY[case])
    assert (found.kind, found.identifier) == ("?", "")
    assert found.kind not in KINDS


def test_words() -> None:
    assert read_subject(CASES["RPPS"][0]).words == "ANNE DURAND (10001234567)"
    assert read_subject(CASES["another employee, without"][0]).words == "1750000000/CPAT0042"
    assert identifier_words("10001234567") == "RPPS 10001234567"
    assert identifier_words("ADELI 756012345") == "ADELI 756012345"

"""What is to be done about a refusal: every code that the OCT may give has its cure."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.follow.refusals import AGAIN, CARD, CORRECT, CURES, MANDATE, ORDER, Cure, cure, cures, words

GATEWAY = Path(__file__).parents[2] / "gateway"
OF_THE_CONTENT = {"CMS-018"}
"""Refusals of what the practice handed over itself: too large."""
OF_NO_FICHIER = {*(f"CMS-{number:03}" for number in range(20, 26)), "CMS-039", "CMS-041"}
"""The seal, which the OCT answers by "unopened", and the trouble of its own files: no fichier is refused for them."""


def said(folder: str, *names: str) -> set[str]:
    """The codes of the ``Refused`` that the modules of a package write."""
    found = [path for path in (GATEWAY / folder).glob("*.py") if not names or path.name in names]
    form = re.compile(r'Refused\(\s*"((?:OCT|CMS)-\d{3})"')
    return {code for path in found for code in form.findall(path.read_text(encoding="utf-8"))}


def test_every_refusal_of_a_signed_fichier_has_its_cure() -> None:
    codes = said("concentrator", "integration.py", "content.py")
    assert {"OCT-004", "OCT-011"} <= codes
    codes |= said("envelope")
    assert codes - CURES.keys() == OF_THE_CONTENT | OF_NO_FICHIER


def test_no_cure_is_for_a_code_that_nobody_gives() -> None:
    assert CURES.keys() <= said("concentrator") | said("envelope")


@pytest.mark.parametrize(
    ("code", "asked"),
    [
        ("B2-017", CORRECT), ("FMT-001", CORRECT), ("", CORRECT), ("XYZ-9", CORRECT), ("OCT-011", MANDATE),
        ("CMS-032", CARD), ("CMS-036", CARD), ("CMS-014", AGAIN), ("OCT-012", AGAIN), ("OCT-004", AGAIN),
    ],
)  # fmt: skip
def test_what_a_refusal_asks_for(code: str, asked: Cure) -> None:
    assert cure(code) is asked


def test_only_what_is_corrected_is_another_fichier() -> None:
    assert [one.resend for one in ORDER] == [False, True, True, True]
    for one in ORDER[1:]:
        assert "gateway resend" in one.words
        assert one.advice.startswith("Rien n'est à corriger dans le fichier")
        assert "gateway resend" in one.advice and one.advice.endswith(".")
    assert CORRECT.advice == ""


def test_numbers_are_said_only_where_cures_differ() -> None:
    assert words({"OCT-012": 2, "CMS-014": 1}) == "à renvoyer (gateway resend) sans rien y corriger"
    assert words({"OCT-012": 2, "B2-001": 1}) == (
        "1 à corriger et à remettre ; 2 à renvoyer (gateway resend) sans rien y corriger"
    )
    assert cures({}) == {}

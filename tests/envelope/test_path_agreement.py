"""Outcomes of paths: as declared, and as OpenSSL and certvalidator have them but for the listed disagreements.

``disagreements.toml`` is the one list, with the reasons; a disagreement that is not in it fails, and so does one
that is in it and gone.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import limbo
import pytest
import zoo
from cryptography import x509
from path_judges import OPENSSL_PURPOSES, Question, certvalidator, gateway, openssl

from gateway.envelope.certificates import Use, check_path
from gateway.errors import Deferred, Refused, Trouble

ROWS: list[dict[str, Any]] = tomllib.loads(Path(__file__).with_name("disagreements.toml").read_text(encoding="utf-8"))[
    "rows"
]
LISTED = {(row["judge"], case) for row in ROWS for case in row["cases"]}
LATER = {"CMS-033", "CMS-037", "CMS-038", "CMS-039"}

pytestmark = pytest.mark.filterwarnings("ignore:Parsed a serial number")


def declared(question: Question, expected: str) -> None:
    """The outcome is the declared one: valid, refused, or to be asked again."""
    q = question
    if not expected:
        assert gateway(q) == ""
        return
    with pytest.raises((Refused, Deferred)) as trouble:
        check_path(q.leaf, q.chain, q.roots, q.lists, q.at, q.use, policies=q.policies, seen=q.seen)
    assert trouble.value.code == expected
    assert isinstance(trouble.value, Deferred) == (expected in LATER)


def agreement(name: str, question: Question, directory: Path) -> None:
    ours = gateway(question)
    theirs = {"openssl": openssl(question, directory), "certvalidator": certvalidator(question)}
    for judge, verdict in theirs.items():
        disagrees = bool(verdict) != bool(ours)
        assert disagrees == ((judge, name) in LISTED), f"{judge}: {verdict or 'valid'}; ours: {ours or 'valid'}"


def _expected(case: str) -> str:
    where, name = case.split("/")
    found: str = {"zoo": zoo.CASES, "limbo": limbo.CASES}[where][name].get("expect", "")
    return found


@pytest.mark.parametrize("name", zoo.CASES)
def test_the_zoo_has_its_outcomes(zoo_questions: dict[str, Question], name: str) -> None:
    declared(zoo_questions[name], zoo.CASES[name].get("expect", ""))


@pytest.mark.parametrize("name", zoo.CASES)
def test_the_zoo_is_agreed_upon(zoo_questions: dict[str, Question], name: str, tmp_path: Path) -> None:
    agreement(f"zoo/{name}", zoo_questions[name], tmp_path)


KINDS = ("rsa", "card", "card-authentication", "return", "journal", "transport")
SOUND = ["sound", *(f"sound-{kind}" for kind in KINDS)]
SAME_AS = {
    ("sound-card", Use.AUTHENTICATE): "zoo/usage-too-many",
    ("sound-card", Use.TRANSPORT): "zoo/purpose-missing-on-the-line",
}


@pytest.mark.parametrize("use", Use)
@pytest.mark.parametrize("name", SOUND)
def test_who_may_do_what_is_agreed_upon(
    zoo_questions: dict[str, Question], name: str, use: Use, tmp_path: Path
) -> None:
    """Every sound end entity for every use; OpenSSL is heard on the uses that it has a purpose for."""
    question = replace(zoo_questions[name], use=use)
    ours = gateway(question)
    assert not ours or use != zoo_questions[name].use
    verdicts = {"certvalidator": certvalidator(question)}
    if use in OPENSSL_PURPOSES:
        verdicts["openssl"] = openssl(question, tmp_path)
    for judge, verdict in verdicts.items():
        disagrees = bool(verdict) != bool(ours)
        assert disagrees == ((judge, SAME_AS.get((name, use))) in LISTED), f"{judge}: {verdict}; ours: {ours}"


@pytest.mark.parametrize("name", limbo.CASES)
def test_the_cases_after_limbo_have_their_outcomes(limbo_questions: dict[str, Question], name: str) -> None:
    declared(limbo_questions[name], limbo.CASES[name].get("expect", ""))


@pytest.mark.parametrize("name", limbo.CASES)
def test_the_cases_after_limbo_are_agreed_upon(limbo_questions: dict[str, Question], name: str, tmp_path: Path) -> None:
    agreement(f"limbo/{name}", limbo_questions[name], tmp_path)


def test_the_list_of_disagreements_names_cases_that_there_are_and_each_once() -> None:
    cases = {f"zoo/{name}" for name in zoo.CASES} | {f"limbo/{name}" for name in limbo.CASES}
    counted = Counter((row["judge"], case) for row in ROWS for case in row["cases"])
    assert {case for _, case in counted} <= cases
    assert {judge for judge, _ in counted} == {"openssl", "certvalidator"}
    assert set(counted.values()) == {1}
    for row in ROWS:
        ours = {bool(_expected(case)) for case in row["cases"]}
        assert len(row["why"]) > 20 and len(ours) == 1  # a row says "accepts" or "refuses" of them all


SITUATIONS = {
    "point; end entity revoked": ("limbo/revoked-certificate-with-crl", Refused),
    "point; authority revoked": ("limbo/revoked-intermediate", Refused),
    "point; no list at hand": ("zoo/list-point-without-list", Deferred),
    "point; list out of date": ("limbo/next-update-in-past", Deferred),
    "no point; end entity revoked": ("zoo/revoked", Refused),
    "no point; authority revoked": ("zoo/revoked-sector", Refused),
    "no point; no list": ("zoo/lists-missing", Deferred),
    "no point; list out of date": ("zoo/list-stale", Deferred),
}


@pytest.mark.parametrize(("case", "kind"), SITUATIONS.values(), ids=SITUATIONS)
def test_revocation_does_not_depend_on_what_the_certificate_says_of_lists(
    zoo_questions: dict[str, Question], limbo_questions: dict[str, Question], case: str, kind: type[Trouble]
) -> None:
    """Situations in which laxer modes of certvalidator let a revoked or unchecked certificate through."""
    where, name = case.split("/")
    question = {"zoo": zoo_questions, "limbo": limbo_questions}[where][name]
    leaf = x509.load_der_x509_certificate(question.leaf)
    named = any(isinstance(one.value, x509.CRLDistributionPoints) for one in leaf.extensions)
    expected = _expected(case)
    assert named == (case == "zoo/list-point-without-list" or where == "limbo")
    assert (expected in LATER) == (kind is Deferred)
    declared(question, expected)


def test_the_page_shows_the_list_as_it_is() -> None:
    page = Path(__file__).parents[2] / "docs" / "draw_disagreements.py"
    assert subprocess.run([sys.executable, page, "--check"], check=False).returncode == 0


def test_every_outcome_of_a_path_is_in_the_zoo() -> None:
    expected = {case.get("expect", "") for case in zoo.CASES.values()}
    assert expected == {"", "CMS-030", *(f"CMS-0{number}" for number in range(31, 40)), "CMS-043", "CMS-044"}


def test_no_certificate_that_somebody_else_refuses_is_let_through_unexplained(
    zoo_questions: dict[str, Question],
) -> None:
    """What we let through and others do not is the short part of the list, and stays so."""
    lenient = {case for _, case in LISTED if case.startswith("zoo/") and not gateway(zoo_questions[case[4:]])}
    assert lenient == {
        "zoo/sound-without-authority-key",
        "zoo/sound-without-subject-key",
        "zoo/sound-authority-serial",
        "zoo/sound-authority-renewed",
        "zoo/sound-one-name-two-keys-in-a-sector",
        "zoo/sound-names",
        "zoo/sound-again",
        "zoo/sound-within-the-grace",
    }

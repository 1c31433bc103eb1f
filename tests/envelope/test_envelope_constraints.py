"""Policies of a path: what all its certificates below the root have in common."""

from __future__ import annotations

import pytest
from cryptography import x509
from path_judges import Question

from gateway.envelope.constraints import names_fault, policies


def path_of(question: Question) -> list[x509.Certificate]:
    return [x509.load_der_x509_certificate(one) for one in (question.leaf, question.chain[0], question.roots[0])]


POLICIES = {
    "sound": frozenset(),
    "sound-policy": {"2.25.2"},
    "sound-policy-any": {"2.25.2"},
    "sound-policy-not-asked": frozenset(),
    "policy-other": {"2.25.3"},
}


@pytest.mark.parametrize(("name", "expected"), POLICIES.items(), ids=POLICIES)
def test_policies_are_what_is_in_common(zoo_questions: dict[str, Question], name: str, expected: set[str]) -> None:
    assert policies(path_of(zoo_questions[name])) == expected


def test_any_policy_all_the_way_is_any(zoo_questions: dict[str, Question]) -> None:
    _, sector, root = path_of(zoo_questions["sound-policy-any"])
    assert policies([sector, root]) is None


def test_a_mailbox_in_a_subject_counts_below_the_constraint_only(zoo_questions: dict[str, Question]) -> None:
    leaf, sector, root = path_of(zoo_questions["names-mailbox-in-the-subject"])
    assert names_fault([leaf, sector, root])
    assert names_fault([leaf, root]) is None
    assert names_fault([sector, root]) is None
    assert names_fault(path_of(zoo_questions["sound-names-excluded"])) is None

"""Who may sign: each rule of the tables, on the day before, the first, the last, and the day after."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import Refused, Scope
from gateway.formats.mandates import (
    ROLES,
    Absence,
    Card,
    Emitter,
    Mandate,
    Practitioner,
    Register,
    emitter_words,
    mandates_of,
)

CLAIRE, PAUL, ANNE = "99900000011", "99900000029", "99900000037"
ONE, TWO, OLD = "991038431", "991038449", "991038456"
CARD, OTHER = "a" * 64, "b" * 64

REGISTER = Register(
    practitioners=(
        Practitioner(CLAIRE, "Claire ESSAI"),
        Practitioner(PAUL, "Paul EXEMPLE", until="2026-12-31"),
        Practitioner(ANNE, "Anne MODÈLE"),
    ),
    emitters=(Emitter(ONE, CLAIRE), Emitter(TWO, CLAIRE), Emitter(OLD, CLAIRE, until="2026-06-30")),
    cards=(Card(CARD, PAUL, since="2026-08-01", until="2026-08-20"),),
    mandates=(
        Mandate(CLAIRE, ONE, "titulaire"),
        Mandate(CLAIRE, TWO, "titulaire"),
        Mandate(CLAIRE, OLD, "titulaire"),
        Mandate(PAUL, ONE, "remplaçant", since="2026-08-01", until="2027-01-15"),
        Mandate(ANNE, TWO, "secrétariat", until="2026-03-31"),
    ),
    absences=(Absence(CLAIRE, since="2026-08-01", until="2026-08-31"),),
)

HOLDERS = [
    ((ONE,), "2026-07-31", (CLAIRE,)),
    ((ONE,), "2026-08-01", (PAUL,)),
    ((ONE,), "2026-08-31", (PAUL,)),
    ((ONE,), "2026-09-01", (CLAIRE, PAUL)),
    ((ONE,), "2026-12-31", (CLAIRE, PAUL)),
    ((ONE,), "2027-01-01", (CLAIRE,)),  # he left before his mandate ended
    ((TWO,), "2026-03-31", (CLAIRE, ANNE)),
    ((TWO,), "2026-04-01", (CLAIRE,)),
    ((TWO,), "2026-08-15", ()),
    ((ONE, TWO), "2026-09-01", (CLAIRE,)),  # one person for all of a fichier
    ((OLD,), "2026-06-30", (CLAIRE,)),
    ((OLD,), "2026-07-01", ()),  # the number is closed
    (("999999999",), "2026-07-01", ()),
    ((), "2026-03-31", (CLAIRE, ANNE)),
    ((), "2026-08-15", (PAUL,)),
]


@pytest.mark.parametrize(("emitters", "day", "expected"), HOLDERS)
def test_holders(emitters: tuple[str, ...], day: str, expected: tuple[str, ...]) -> None:
    assert REGISTER.holders(emitters, day) == expected


def test_a_mandate_is_found_for_each_emitter_or_none() -> None:
    found = REGISTER.check_mandate(CLAIRE, (TWO, ONE), "2026-07-01")
    assert [(one.emitter, one.role) for one in found] == [(TWO, "titulaire"), (ONE, "titulaire")]
    assert len(REGISTER.check_mandate(CLAIRE, (), "2026-07-01")) == 1
    with pytest.raises(Refused) as refused:
        REGISTER.check_mandate(PAUL, (ONE, TWO), "2026-09-01")
    assert (refused.value.code, refused.value.scope) == ("MND-002", Scope.CARD)
    assert "Paul EXEMPLE n'a pas de mandat pour les émetteurs 991038431 et 991038449" in refused.value.text


def test_of_two_mandates_the_first_declared_counts() -> None:
    both = (Mandate(CLAIRE, ONE, "titulaire"), Mandate(CLAIRE, ONE, "secrétariat"))
    assert mandates_of(both, CLAIRE, (ONE,), "2026-01-01") == both[:1]


PERSONS = [
    (CLAIRE, OTHER, "2026-07-31", ""),
    (CLAIRE, OTHER, "2026-08-01", "MND-003"),
    (CLAIRE, OTHER, "2026-09-01", ""),
    (PAUL, CARD, "2026-07-31", "MND-004"),
    (PAUL, CARD, "2026-08-20", ""),
    (PAUL, CARD, "2026-08-21", "MND-004"),
    (PAUL, OTHER, "2026-08-20", "MND-004"),
    (ANNE, OTHER, "2026-08-20", ""),
]


@pytest.mark.parametrize(("holder", "card", "day", "code"), PERSONS)
def test_the_person_and_the_card(holder: str, card: str, day: str, code: str) -> None:
    try:
        REGISTER.check_person(holder, card, day)
        found = ""
    except Refused as refused:
        found = refused.code
        assert refused.scope is Scope.CARD
    assert found == code


def test_why_nobody_may() -> None:
    assert REGISTER.missing(("999999999",), "2026-08-15") == (
        "Personne n'a de mandat pour signer pour l'émetteur 999999999."
    )
    assert REGISTER.missing((TWO,), "2026-08-15") == (
        "Personne d'autre que Claire ESSAI, en absence déclarée, n'a de mandat pour l'émetteur 991038449."
    )
    assert emitter_words(()) == "des documents"


@pytest.mark.parametrize("holder", ["ADELI 756012345", "499900000011/CPE0001", "DRASS 12345"])
def test_who_has_no_rpps_is_mandated_by_another_identifier(holder: str) -> None:
    register = Register(
        (Practitioner(holder, "Mme X"),), (Emitter(ONE, holder),), (), (Mandate(holder, ONE, ROLES[2]),)
    )
    assert register.holders((ONE,), "2026-01-01") == (holder,)
    assert Register().name(holder) == holder
    assert Register().name(CLAIRE) == f"RPPS {CLAIRE}"


MISFITS: list[tuple[type, dict[str, Any], str]] = [
    (Practitioner, {"holder": "9990000001", "name": "x"}, "onze chiffres"),
    (Practitioner, {"holder": "ADELI 12", "name": "x"}, "registre et numéro"),
    (Practitioner, {"holder": "499900000011/XYZ", "name": "x"}, "CN entier"),
    (Practitioner, {"holder": CLAIRE, "name": "x\ny"}, "une ligne"),
    (Emitter, {"number": "99103843", "holder": CLAIRE}, "neuf chiffres"),
    (Card, {"certificate": "A" * 64, "holder": CLAIRE}, "SHA-256"),
    (Mandate, {"holder": CLAIRE, "emitter": ONE, "role": "docteur"}, "titulaire, remplaçant ou secrétariat"),
    (Absence, {"holder": CLAIRE, "since": "2026-02-30"}, "2026-02-30"),
    (Absence, {"holder": CLAIRE, "since": "20260201"}, "20260201"),
    (Absence, {"holder": CLAIRE, "since": "2026-02-02", "until": "2026-02-01"}, "précède"),
]


@pytest.mark.parametrize(("kind", "columns", "named"), MISFITS)
def test_a_misfit_is_named(kind: type, columns: dict[str, Any], named: str) -> None:
    with pytest.raises(Refused) as refused:
        kind(**columns)
    assert (refused.value.code, refused.value.scope) == ("MND-006", Scope.BOX)
    assert named in refused.value.text


@pytest.mark.parametrize(
    ("tables", "named"),
    [
        ({"emitters": (Emitter(ONE, CLAIRE),)}, CLAIRE),
        ({"practitioners": (Practitioner(CLAIRE, "x"),), "mandates": (Mandate(CLAIRE, ONE, "titulaire"),)}, ONE),
        ({"absences": (Absence(PAUL),)}, PAUL),
        ({"cards": (Card(CARD, PAUL),)}, PAUL),
    ],
)
def test_what_no_other_row_declares_is_refused(tables: dict[str, Any], named: str) -> None:
    with pytest.raises(Refused, match=named):
        Register(**tables)

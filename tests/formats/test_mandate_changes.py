"""A change of who may sign: its words, its digest, and whose card may prove it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.formats.mandate_changes import able, differences, digest, touched, unable_words
from gateway.formats.mandates import Absence, Card, Emitter, Mandate, Practitioner, Register

CLAIRE, PAUL, ANNE, STAFF = "99900000011", "99900000029", "99900000037", "499900000011/CPE0001"
ONE, TWO, OLD, NEW = "991038431", "991038449", "991038456", "991038464"
DAY = "2026-07-01"

BEFORE = Register(
    practitioners=(Practitioner(CLAIRE, "Claire"), Practitioner(PAUL, "Paul"), Practitioner(ANNE, "Anne")),
    emitters=(Emitter(ONE, CLAIRE), Emitter(TWO, PAUL), Emitter(OLD, PAUL, until="2026-06-30")),
    mandates=(
        Mandate(CLAIRE, ONE, "titulaire"),
        Mandate(PAUL, TWO, "titulaire"),
        Mandate(PAUL, ONE, "remplaçant"),
        Mandate(PAUL, OLD, "titulaire"),
        Mandate(ANNE, ONE, "secrétariat"),
    ),
)


def with_mandate(*mandates: Mandate) -> Register:
    return replace(BEFORE, mandates=(*BEFORE.mandates, *mandates))


WHO: dict[str, tuple[Register, tuple[str, ...]]] = {
    "a mandate on a number": (with_mandate(Mandate(ANNE, TWO, "secrétariat")), (PAUL,)),
    "oneself on another's number": (with_mandate(Mandate(CLAIRE, TWO, "titulaire")), (PAUL,)),
    "mandates on two numbers": (
        with_mandate(Mandate(ANNE, TWO, "secrétariat"), Mandate(ANNE, ONE, "remplaçant")),
        (),
    ),
    "a locum's mandate withdrawn": (replace(BEFORE, mandates=(*BEFORE.mandates[:2], *BEFORE.mandates[3:])), (CLAIRE,)),
    "the order of the mandates of one number": (
        replace(BEFORE, mandates=(*BEFORE.mandates[:2], BEFORE.mandates[4], *BEFORE.mandates[2:4])),
        (CLAIRE,),
    ),
    "a new person": (replace(BEFORE, practitioners=(*BEFORE.practitioners, Practitioner(STAFF, "S"))), (CLAIRE, PAUL)),
    "a new number": (replace(BEFORE, emitters=(*BEFORE.emitters, Emitter(NEW, ANNE))), (CLAIRE, PAUL)),
    "a number that nobody holds any more": (with_mandate(Mandate(ANNE, OLD, "secrétariat")), (CLAIRE, PAUL)),
    "another titulaire's departure": (
        replace(BEFORE, practitioners=(*BEFORE.practitioners[::2], Practitioner(PAUL, "Paul", until=DAY))),
        (PAUL,),
    ),
    "another titulaire's absence": (replace(BEFORE, absences=(Absence(PAUL),)), (PAUL,)),
    "another titulaire's card": (replace(BEFORE, cards=(Card("a" * 64, PAUL),)), (PAUL,)),
    "the secretary's absence": (replace(BEFORE, absences=(Absence(ANNE),)), (CLAIRE, PAUL)),
    "another titulaire's number closed": (
        replace(BEFORE, emitters=(BEFORE.emitters[0], Emitter(TWO, PAUL, until="2026-06-01"), BEFORE.emitters[2])),
        (PAUL,),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WHO)
def test_whose_card_may_prove_it(case: str) -> None:
    after, expected = WHO[case]
    assert able(BEFORE, after, DAY) == expected
    assert bool(unable_words(BEFORE, after, DAY)) is not bool(expected)


def test_a_number_with_two_titulaires_is_changed_by_either() -> None:
    shared = with_mandate(Mandate(CLAIRE, TWO, "titulaire"))
    after = replace(shared, absences=(Absence(ANNE),), mandates=(*shared.mandates, Mandate(ANNE, TWO, "secrétariat")))
    assert able(shared, after, DAY) == (CLAIRE, PAUL)


def test_who_is_absent_changes_nothing_and_is_not_got_round() -> None:
    away = replace(BEFORE, absences=(Absence(PAUL, since=DAY, until=DAY),))
    person = replace(away, practitioners=(*away.practitioners, Practitioner(STAFF, "S")))
    assert able(away, person, DAY) == (CLAIRE,)
    assert able(away, person, "2026-07-02") == (CLAIRE, PAUL)
    his = replace(away, mandates=(*away.mandates, Mandate(CLAIRE, TWO, "remplaçant")))
    assert able(away, his, DAY) == ()
    assert unable_words(away, his, DAY).startswith(f"Ce changement touche l'émetteur {TWO}, et aucun titulaire présent")
    alone = Register(BEFORE.practitioners, BEFORE.emitters[:1], (), BEFORE.mandates[:1], (Absence(CLAIRE),))
    assert unable_words(alone, replace(alone, emitters=BEFORE.emitters[:2]), DAY).startswith(
        "Ce changement touche le cabinet"
    )


def test_without_any_titulaire_the_first_declaration_is_elsewhere() -> None:
    only = Register(BEFORE.practitioners, BEFORE.emitters, (), (Mandate(PAUL, ONE, "remplaçant"),))
    for before in (Register(), only):
        assert able(before, BEFORE, DAY) == ()
        assert "gateway.toml" in unable_words(before, BEFORE, DAY)


def test_what_is_touched() -> None:
    both = with_mandate(Mandate(ANNE, TWO, "secrétariat"), Mandate(ANNE, ONE, "remplaçant"))
    assert touched(BEFORE, both, DAY) == (ONE, TWO)
    assert touched(BEFORE, BEFORE, DAY) == ()


def test_the_words() -> None:
    after = replace(
        BEFORE,
        practitioners=(*BEFORE.practitioners, Practitioner(STAFF, "Mme S", since="2026-07-01")),
        emitters=BEFORE.emitters[:2],
        cards=(Card("ab" * 32, CLAIRE),),
        mandates=(*BEFORE.mandates[:3], BEFORE.mandates[4], Mandate(STAFF, ONE, "secrétariat", until="2026-12-31")),
        absences=(Absence(CLAIRE, since="2026-08-01", until="2026-08-31"),),
    )
    assert differences(BEFORE, after) == (
        f"Ajouté – personne : Mme S ({STAFF}), à partir du 01/07/2026",
        f"Retiré – émetteur : {OLD}, de Paul, jusqu'au 30/06/2026",
        "Ajouté – carte : abababababababab…, de Claire",
        f"Retiré – mandat : Paul, titulaire pour l'émetteur {OLD}",
        f"Ajouté – mandat : Mme S, secrétariat pour l'émetteur {ONE}, jusqu'au 31/12/2026",
        "Ajouté – absence : Claire, du 01/08/2026 au 31/08/2026",
    )
    assert differences(BEFORE, BEFORE) == ()
    swapped = replace(BEFORE, emitters=BEFORE.emitters[::-1])
    assert differences(BEFORE, swapped) == ("Les lignes de « emitters » changent d'ordre ou de nombre.",)


def test_the_digest_is_of_everything_in_its_order() -> None:
    others = [after for after, _ in WHO.values()]
    assert len({digest(one) for one in (BEFORE, *others)}) == 1 + len(others)
    assert digest(BEFORE) == digest(replace(BEFORE))
    assert digest(BEFORE) != digest(replace(BEFORE, mandates=BEFORE.mandates[::-1]))

"""A secretary's CPE, named by the words of its subject, signs where type and mandate allow it, and the OCT agrees."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
import samples
from stage import DOCTOR, MANDATES, PRACTITIONERS, STAFF, STAFF_CARD, Stage
from stage_root import CODE, stage_root

from gateway.config import write_toml

SECRETARY = {"holder": STAFF, "name": "Mme Anne MODÈLE"}
MANDATE = {"holder": STAFF, "emitter": samples.EMITTER, "role": "secrétariat"}


class Practice(Stage):
    """Whose OCT knows the secretary's mandate from the start; the box does not yet."""

    def _document(self) -> dict[str, dict[str, Any]]:
        document = super()._document()
        document["concentrator"]["partners"][0]["mandates"] = [*MANDATES, MANDATE]
        return document


@pytest.fixture(scope="module")
def stage() -> Iterator[Practice]:
    with stage_root() as root, Practice(root, pin=CODE) as made:
        made.prepare()
        made.start_reader()
        made.insert_card(STAFF_CARD)
        made.start()
        made.wait(lambda: made.ask("/api/v1/status"), "the page")
        yield made


def set_section(stage: Stage, service: str, **values: object) -> None:
    """Other settings of a service, which is started anew."""
    document = tomllib.loads(stage.config.read_text(encoding="utf-8"))
    document[service] |= values
    stage.config.write_text(write_toml(document), encoding="utf-8")
    assert stage.end(service) == 0
    stage.start(service)


def card_of(stage: Stage) -> dict[str, Any]:
    told: dict[str, Any] = stage.pending()["card"]
    return told


def test_a_type_of_card_that_is_not_set_signs_nothing(stage: Practice) -> None:
    stage.hand_over("a.b2", samples.b2(1))
    stage.await_states({"a.b2": "CHECKED"})
    stage.wait(lambda: card_of(stage)["code"] == "CPS-TYPE", "the card to be read")
    assert card_of(stage)["text"] == f"La carte de {STAFF} (CPE) n'est pas d'un type qui signe ici."


def test_without_a_mandate_it_signs_nothing_either(stage: Practice) -> None:
    set_section(stage, "card", card_types=["CPS", "CPF", "CPE"])
    stage.wait(lambda: card_of(stage)["state"] == "locked", "the card to be admitted")
    expected = f"La carte de {STAFF} est dans le lecteur, mais elle ne peut pas signer"
    stage.wait(lambda: stage.ask("/api/v1/status")["sentence"].startswith(expected), "the page to name the card")
    assert stage.pending()["items"] == []


def test_with_both_its_signature_is_integrated(stage: Practice) -> None:
    set_section(stage, "keeper", practitioners=[*PRACTITIONERS, SECRETARY], mandates=[*MANDATES, MANDATE])
    stage.wait(lambda: stage.pending()["items"], "the fichier to be offered to her card")
    assert stage.pending()["items"][0]["holders"] == [STAFF, DOCTOR]
    assert stage.unlock()["ok"]
    stage.await_states({"a.b2": "INTEGRATED"})
    (row,) = stage.board.rows("SELECT id FROM fichiers WHERE name = 'a.b2'")
    events = [json.loads(event["text"]) for event in stage.board.of_fichier("events", row["id"])]
    (fact,) = [event for event in events if event["verb"] == "sign"]
    assert (fact["holder"], fact["role"]) == (STAFF, "secrétariat")

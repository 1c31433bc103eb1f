"""The card of another practitioner lies in the reader: nothing is signed, the page says whose card is needed."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import samples
from pin_scan import CODE
from stage import DOCTOR, MANDATES, NURSE, REPO, Stage
from stage_root import stage_root

from gateway.book.moves import utc_now
from gateway.config import write_toml
from gateway.follow.figures import read_facts
from gateway.follow.headline import fichier_words, headline


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with stage_root() as root, Stage(root, pin=CODE) as made:
        made.prepare()
        made.start_reader()
        made.start()
        made.wait(lambda: made.ask("/api/v1/status"), "the page")
        yield made


def sentence(stage: Stage) -> str:
    return str(stage.ask("/api/v1/status")["sentence"]).replace("\u00a0", " ")


def listing(stage: Stage, *words: str) -> str:
    command = [sys.executable, "-m", "gateway", "mandates", *words, "--config", str(stage.config)]
    return subprocess.run(command, capture_output=True, text=True, cwd=REPO, check=True).stdout


def signed(stage: Stage) -> dict[str, Any]:
    (row,) = stage.board.rows("SELECT id FROM fichiers WHERE name = 'a.b2'")
    events = [json.loads(event["text"]) for event in stage.board.of_fichier("events", row["id"])]
    (fact,) = [event for event in events if event["verb"] == "sign"]
    return fact


def test_the_wrong_card_signs_nothing_and_the_page_names_the_right_one(stage: Stage) -> None:
    stage.insert_card(NURSE)
    stage.hand_over("a.b2", samples.b2(1))
    stage.await_states({"a.b2": "CHECKED"})
    expected = (
        "La carte de PAUL EXEMPLE est dans le lecteur, mais elle ne peut pas signer ces fichiers : 1 fichier attend."
        " Insérez la carte CPS de Claire ESSAI."
    )
    stage.wait(lambda: sentence(stage) == expected, "the page to name the card")
    assert stage.pending()["items"] == [], "this card is shown nothing to sign"
    with suppress(OSError):
        stage.unlock()
    assert stage.states() == {"a.b2": "CHECKED"}


def test_the_right_card_signs_it_under_its_mandate(stage: Stage) -> None:
    pull_card(stage)
    stage.wait(lambda: "Insérez la carte CPS de Claire ESSAI." in sentence(stage), "the page to miss the card")
    stage.insert_card(DOCTOR)
    await_card(stage, "CLAIRE ESSAI")
    stage.wait(lambda: "attend votre signature" in sentence(stage), "the page to ask for the code")
    assert stage.unlock()["ok"]
    stage.await_states({"a.b2": "INTEGRATED"})
    assert (signed(stage)["holder"], signed(stage)["role"]) == (DOCTOR, "titulaire")
    told = json.loads(listing(stage, "--json"))
    assert [(row["holder"], row["in_force"]) for row in told["mandates"]] == [(DOCTOR, True)]
    assert [row["holder"] for row in told["signers"]] == [DOCTOR]
    assert "Claire ESSAI" in listing(stage)


def pull_card(stage: Stage) -> None:
    """Until the card service sees it gone: a card put in before pcscd noticed is lost."""
    stage.pull_card()
    stage.wait(lambda: stage.pending()["card"]["state"] == "absent", "the card to be gone")


def await_card(stage: Stage, holder: str) -> None:
    """Until the card service asks for this person's code for something."""

    def asked() -> bool:
        told = stage.pending()
        return bool(told["items"]) and (told["card"]["state"], told["card"]["holder"]) == ("locked", holder)

    stage.wait(asked, f"the card of {holder}")


def declare(stage: Stage, mandates: list[dict[str, str]]) -> None:
    """Other mandates in the box's configuration; the OCT keeps its own."""
    document = tomllib.loads(stage.config.read_text(encoding="utf-8"))
    document["keeper"]["mandates"] = mandates
    stage.config.write_text(write_toml(document), encoding="utf-8")
    assert stage.end("keeper") == 0
    stage.start("keeper")


def test_what_waited_for_a_mandate_goes_on_and_the_oct_holds_to_its_own(stage: Stage) -> None:
    declare(stage, [])
    stage.hand_over("b.b2", samples.b2(2))
    expected = f"Personne n'a de mandat pour signer pour l'émetteur {samples.EMITTER} : 1 fichier attend."
    stage.wait(lambda: sentence(stage).startswith(expected), "the page to miss a mandate")
    declare(stage, [*MANDATES, {"holder": NURSE, "emitter": samples.EMITTER, "role": "remplaçant"}])
    pull_card(stage)
    stage.insert_card(NURSE)
    await_card(stage, "PAUL EXEMPLE")
    assert stage.unlock()["ok"]
    stage.await_states({"b.b2": "REFUSED"})
    (row,) = stage.board.rows("SELECT * FROM fichiers WHERE name = 'b.b2'")
    assert row["reason_code"] == "OCT-011"
    assert f"PAUL EXEMPLE ({NURSE}) n'avait pas de mandat pour l'émetteur {samples.EMITTER}" in row["reason_text"]
    assert "d'après le concentrateur" in row["reason_text"]
    assert "Rien n'est à corriger" in fichier_words(row) and "gateway resend" in fichier_words(row)
    rungs = {rung.name: rung.text for rung in headline(read_facts(stage.board, utc_now()), utc_now()).rungs}
    assert "1 fichier refusé : à renvoyer (gateway resend) quand le concentrateur aura déclaré" in rungs["fichiers"]
    refused = stage.paths.practice / "refused"
    (reason,) = stage.wait(lambda: list(refused.glob("*_b.b2.raison.txt")), "the reason")
    assert "Rien n'est à corriger" in reason.read_text(encoding="utf-8")

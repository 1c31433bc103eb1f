"""A secretary's CPE signs where type and mandate allow it; a titulaire's card gives her the mandate while all runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
import samples
from pin_scan import CODE
from stage import DOCTOR, MANDATES, PRACTITIONERS, REPO, STAFF, STAFF_CARD, Stage
from stage_root import stage_root

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


TABLES = {"keeper": {"practitioners": [*PRACTITIONERS, SECRETARY], "mandates": [*MANDATES, MANDATE]}}


def change(stage: Stage, code: str = CODE, tables: Any = TABLES, *words: str) -> subprocess.CompletedProcess[str]:
    """``gateway mandates change`` as typed, with the code of whatever card lies in the reader in a file."""
    file, pin = stage.root / "changes.toml", stage.root / "code"
    file.write_text(write_toml(tables), encoding="utf-8")
    pin.write_text(code)
    try:
        return gateway(stage, "mandates", "change", str(file), "--pin-file", str(pin), *words)
    finally:
        pin.unlink()


def gateway(stage: Stage, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway", *words, "--config", str(stage.config)]
    environment = {**os.environ, "PCSCLITE_CSOCK_NAME": str(stage.reader / "pcscd.comm")}
    return subprocess.run(command, capture_output=True, text=True, cwd=REPO, env=environment, timeout=60)


def declared(stage: Stage) -> dict[str, Any]:
    told: dict[str, Any] = tomllib.loads(gateway(stage, "mandates", "--toml").stdout)["keeper"]
    return told


def refused(stage: Stage, done: subprocess.CompletedProcess[str], exit_code: int, code: str) -> None:
    """A sentence with its code, no traceback, nothing changed."""
    assert (done.returncode, "Traceback" in done.stderr) == (exit_code, False), done.stderr
    assert done.stderr.startswith(f"gateway : {code}")
    assert CODE not in done.stdout + done.stderr
    assert not stage.paths.settings.exists()
    assert MANDATE["holder"] not in json.dumps(declared(stage))


def test_who_may_sign_changes_by_no_card_but_a_titulaire_s(stage: Practice) -> None:
    refused(stage, change(stage), 65, "MND-014")
    stage.pull_card()
    stage.wait(lambda: card_of(stage)["state"] == "absent", "the card to be gone")
    refused(stage, change(stage), 69, "CPS-ABSENT")
    stage.insert_card(DOCTOR)
    stage.wait(lambda: card_of(stage)["state"] == "locked", "the doctor's card")
    refused(stage, change(stage, "9999"), 65, "CPS-63C")
    refused(stage, change(stage, tables={"keeper": {}}), 65, "MND-015")
    refused(stage, change(stage, tables={"card": {}}), 65, "CFG-003")
    refused(stage, change(stage, tables={"keeper": {"mandate_rule": "open"}}), 65, "CFG-005")
    unknown = {"keeper": {"mandates": [{**MANDATE, "holder": "nobody"}]}}
    refused(stage, change(stage, tables=unknown), 65, "MND-006")


def test_the_titulaire_changes_it_while_the_keeper_runs(stage: Practice) -> None:
    keeper = stage.processes["keeper"].pid
    done = change(stage)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"Ajouté – personne : Mme Anne MODÈLE ({STAFF})",
        f"Ajouté – mandat : Mme Anne MODÈLE, secrétariat pour l'émetteur {samples.EMITTER}",
        "À prouver par la carte de Claire ESSAI, dans les dix minutes.",
        "Changé par la carte de Claire ESSAI : en vigueur ici.",
        "Le concentrateur a ses propres mandats : lui annoncer ceux qui changent, sinon il refuse (OCT-011).",
    ]
    assert stage.alive("keeper") and stage.processes["keeper"].pid == keeper
    assert [row["holder"] for row in declared(stage)["mandates"]] == [DOCTOR, STAFF]
    listed = gateway(stage, "mandates").stdout
    assert listed.startswith(f"Tables de {stage.paths.settings}, qui l'emporte")
    assert "Mme Anne MODÈLE" in listed
    assert gateway(stage, "journal", "verify").returncode == 0
    stage.kill("keeper")
    stage.start("keeper")
    stage.wait(lambda: gateway(stage, "mandates").returncode == 0, "the keeper to be back")
    assert [row["holder"] for row in declared(stage)["mandates"]] == [DOCTOR, STAFF]


def test_with_type_and_mandate_its_signature_is_integrated(stage: Practice) -> None:
    stage.pull_card()
    stage.wait(lambda: card_of(stage)["state"] == "absent", "the card to be gone")
    stage.insert_card(STAFF_CARD)
    stage.wait(lambda: card_of(stage)["holder"] == STAFF and stage.pending()["items"], "the fichier for her card")
    assert stage.pending()["items"][0]["holders"] == [STAFF, DOCTOR]
    assert stage.unlock()["ok"]
    stage.await_states({"a.b2": "INTEGRATED"})
    (row,) = stage.board.rows("SELECT id FROM fichiers WHERE name = 'a.b2'")
    events = [json.loads(event["text"]) for event in stage.board.of_fichier("events", row["id"])]
    (fact,) = [event for event in events if event["verb"] == "sign"]
    assert (fact["holder"], fact["role"]) == (STAFF, "secrétariat")

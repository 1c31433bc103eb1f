"""The signer's card is revoked: what the OCT refused, and what never left, is signed afresh by another card."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import samples
from pin_scan import CODE
from stage import DOCTOR, NURSE, REPO, Stage
from stage_root import stage_root

from tests.e2e.test_wrong_card import await_card, sentence
from tests.power.withdrawals import admit_locum, revoke_at_box, revoke_at_oct


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with stage_root() as root, Stage(root, pin=CODE) as made:
        made.prepare()
        admit_locum(made)
        for file in (made.paths.trust / "crl").iterdir():
            file.unlink()
        made.start_reader()
        made.insert_card(DOCTOR)
        made.start()
        made.wait(lambda: made.ask("/api/v1/status"), "the page")
        yield made


def row_of(stage: Stage, name: str) -> dict[str, Any]:
    (row,) = stage.board.rows("SELECT * FROM fichiers WHERE name = ?", name)
    return row


def events(stage: Stage, name: str, *verbs: str) -> list[dict[str, Any]]:
    rows = stage.board.of_fichier("events", row_of(stage, name)["id"])
    told = [json.loads(row["text"]) for row in rows]
    return [one for one in told if one["verb"] in verbs]


def change_card(stage: Stage, rpps: str, name: str) -> None:
    stage.pull_card()
    stage.wait(lambda: stage.pending()["card"]["state"] == "absent", "the card to be missed")
    stage.insert_card(rpps)
    await_card(stage, name)


def test_what_the_oct_refused_for_its_signer_is_resent_and_signed_by_another(stage: Stage) -> None:
    """The OCT knows of the revocation before the box does, whose lists came by the line before."""
    stage.wait(lambda: list(stage.paths.lists.glob("*.crl")), "the box's lists")
    revoke_at_oct(stage)
    stage.hand_over("a.b2", samples.b2(1))
    await_card(stage, "CLAIRE ESSAI")
    assert stage.unlock()["ok"]
    stage.await_states({"a.b2": "REFUSED"})
    assert row_of(stage, "a.b2")["reason_code"] == "CMS-036"
    words = ["resend", row_of(stage, "a.b2")["id"][:8], "--why", "carte révoquée", "--config", str(stage.config)]
    subprocess.run([sys.executable, "-m", "gateway", *words], cwd=REPO, check=True)
    stage.await_states({"a.b2": "CHECKED"})
    change_card(stage, NURSE, "PAUL EXEMPLE")
    assert stage.unlock()["ok"]
    stage.await_states({"a.b2": "INTEGRATED"})
    assert [one["holder"] for one in events(stage, "a.b2", "sign")] == [DOCTOR, NURSE]
    assert row_of(stage, "a.b2")["transmission"] == 2
    assert [row["verdict"] for row in stage.integrated()] == ["refused", "integrated"]


def test_what_never_left_comes_back_and_the_page_says_why(stage: Stage) -> None:
    stage.end("concentrator")
    stage.hand_over("b.b2", samples.b2(2))
    change_card(stage, DOCTOR, "CLAIRE ESSAI")
    assert stage.unlock()["ok"]
    stage.await_states({"b.b2": "SEALED"})
    revoke_at_box(stage)
    stage.await_states({"b.b2": "CHECKED"})
    assert list(stage.paths.door("outgoing").iterdir()) == []
    shown = stage.ask(f"/api/v1/fichiers/{row_of(stage, 'b.b2')['id']}")
    assert "est révoqué. La signature faite avec lui est retirée : une autre signature" in json.dumps(
        shown, ensure_ascii=False
    )
    stage.wait(lambda: "est révoqué" in sentence(stage), "the page to tell")


def test_the_withdrawn_card_cannot_sign_it_again(stage: Stage) -> None:
    await_card(stage, "CLAIRE ESSAI")
    assert stage.unlock()["ok"]
    stage.wait(lambda: events(stage, "b.b2", "decline"), "the signature to be declined")
    assert (stage.states()["b.b2"], events(stage, "b.b2", "decline")[0]["code"]) == ("CHECKED", "CMS-036")


def test_another_card_signs_it_and_the_oct_takes_it_once(stage: Stage) -> None:
    change_card(stage, NURSE, "PAUL EXEMPLE")
    assert stage.unlock()["ok"]
    stage.start("concentrator")
    stage.await_states({"b.b2": "INTEGRATED"})
    verbs = [one["verb"] for one in events(stage, "b.b2", "sign", "seal", "retract", "send", "integrate")]
    assert verbs == ["sign", "seal", "retract", "sign", "seal", "send", "integrate"]
    taken = [row for row in stage.integrated() if row["fichier"] == row_of(stage, "b.b2")["id"]]
    assert [row["verdict"] for row in taken] == ["integrated"]

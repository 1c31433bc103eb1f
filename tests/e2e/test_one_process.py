"""``gateway dev``: the same coroutines in one process."""

from __future__ import annotations

import samples
from pin_scan import CODE
from stage import Stage
from stage_root import stage_root


def test_a_fichier_goes_all_the_way_in_one_process() -> None:
    with stage_root() as root, Stage(root, pin=CODE) as stage:
        stage.prepare()
        stage.start_reader()
        stage.insert_card()
        stage.start_all_in_one()
        stage.wait(lambda: stage.ask("/api/v1/status"), "the page")
        stage.hand_over("a.b2", samples.b2(1))
        stage.wait(lambda: stage.pending()["items"] and stage.pending()["card"]["state"] == "locked", "the card")
        assert stage.unlock()["ok"]
        stage.await_states({"a.b2": "INTEGRATED"})
        assert stage.end("dev") == 0

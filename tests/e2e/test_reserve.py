"""The reserve channel on real parts: PeSIT fails, OpenSSH's server takes over, and PeSIT comes back by itself.

The tests share one running practice and go in order.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import samples
from line import Line
from pin_scan import CODE
from ports import free_port
from stage import BOX, PATIENCE, Stage
from stage_root import stage_root

from gateway.formats.landing import DEPOT, RETURNS
from tests.openssh import Sshd

AFTER_S = 1.0
LIMIT = 7 << 20
SLOW = 1.5e6
"""Bytes a second: a scanned document takes seconds, so that a cut falls into its middle."""


class Practice(Stage):
    """A stage with two lines to the OCT: PeSIT's, cut from the start, and the reserve's."""

    usual: Line
    reserve: Line
    sshd: Sshd

    def sign(self, name: str, content: bytes) -> None:
        """Hand a fichier over and have the card sign it."""
        self.hand_over(name, content)
        self.wait(lambda: name in [item["name"] for item in self.pending()["items"]], "the card to be asked")
        self.wait(lambda: self.pending()["card"]["state"] == "locked", "the card")
        self.unlock()

    def fact_of(self, name: str) -> dict[str, Any]:
        """What the journal says of the sending of a fichier."""
        (row,) = self.board.rows("SELECT id FROM fichiers WHERE name = ?", name)
        rows = [json.loads(row["text"]) for row in self.board.of_fichier("events", row["id"])]
        fact: dict[str, Any] = next(one for one in rows if one["verb"] == "send")["transfer"]
        return fact

    def condition(self, name: str) -> dict[str, Any]:
        """How a route is, as the page is told."""
        found = self.board.rows("SELECT * FROM conditions WHERE scope = 'route' AND name = ?", name)
        return found[0] if found else {"code": "", "text": ""}

    def rows(self, query: str) -> list[sqlite3.Row]:
        """From the OCT's database."""
        with closing(sqlite3.connect(self.oct / "concentrator.db")) as store:
            store.row_factory = sqlite3.Row
            return store.execute(query).fetchall()

    def uses_paramiko(self) -> bool:
        """Whether forward has loaded the reserve's library."""
        return "nacl" in Path(f"/proc/{self.processes['forward'].pid}/maps").read_text()


@pytest.fixture(scope="module")
def practice() -> Iterator[Practice]:
    with stage_root() as root:
        yield from _at_work(root)


def _at_work(root: Path) -> Iterator[Practice]:
    sshd = Sshd(root / "sshd")
    sshd.start()
    target = free_port()
    usual, reserve = Line(target), Line(sshd.port, SLOW)
    forward = {
        "port": free_port(), "addresses": [f"127.0.0.1:{usual.port}"], "reserve_after_s": AFTER_S,
        "reserve": {"host": "127.0.0.1", "port": reserve.port, "user": sshd.user, "host_key": sshd.host_key.strip(),
                    "directory": str(sshd.home), "patience_s": 5.0},
    }  # fmt: skip
    settings = {"forward": forward, "concentrator": {"port": target, "limit": LIMIT}}
    try:
        with Practice(root, settings=settings, landing=str(sshd.home), pin=CODE) as stage:
            stage.usual, stage.reserve, stage.sshd = usual, reserve, sshd
            stage.prepare()
            shutil.copy(sshd.mine, stage.paths.key("forward", "reserve.key"))
            stage.start_reader()
            stage.insert_card()
            stage.start("concentrator")
            stage.wait((stage.oct / "port").exists, "the OCT, which forward must not have to wait for")
            stage.start(*BOX)
            stage.wait(lambda: stage.ask("/api/v1/status"), "the page")
            yield stage
    finally:
        for line in (usual, reserve):
            line.close()
        sshd.stop()


def test_by_its_second_address_the_oct_is_reached_and_the_reserve_is_not_even_loaded(practice: Practice) -> None:
    practice.sign("un.b2", samples.b2(1))
    practice.await_states({"un.b2": "INTEGRATED"})
    assert practice.fact_of("un.b2")["channel"] == "pesit"
    assert not practice.uses_paramiko()
    assert "Accepted" not in practice.sshd.log


def test_without_pesit_a_fichier_goes_by_sftp_and_its_receipt_comes_back(practice: Practice) -> None:
    practice.usual.cut()
    practice.sign("deux.b2", samples.b2(2))
    practice.await_states({"deux.b2": "INTEGRATED"})
    fact = practice.fact_of("deux.b2")
    assert fact["channel"] == "sftp" and fact["moved"] == fact["size"]
    practice.wait(lambda: "voie de secours" in practice.condition("oct")["text"], "the page to tell of the detour")
    assert practice.condition("oct")["code"] in ("PES-CUT", "PES-UNREACHABLE")
    (row,) = practice.rows("SELECT * FROM transfers WHERE channel = 'sftp'")
    assert row["outcome"] == "integrated"
    practice.wait(lambda: not practice.rows("SELECT 1 FROM mailbox WHERE delivered = ''"), "every return to be had")
    assert practice.sshd.depot == {}


def test_cut_in_mid_sftp_it_goes_on_where_it_was(practice: Practice) -> None:
    practice.sign("radios.pdf", samples.scanned(6 << 20, 5))
    practice.wait(lambda: json.loads(practice.paths.progress.read_text())["sent"] > 1 << 20, "the middle")
    practice.reserve.cut()
    practice.wait(lambda: practice.condition("reserve")["code"], "the reserve's trouble to be told")
    practice.kill("forward")
    practice.start("forward")
    practice.reserve.mend()
    practice.await_states({"radios.pdf": "INTEGRATED"})
    fact = practice.fact_of("radios.pdf")
    assert fact["channel"] == "sftp" and fact["resumed_at"] > 0
    assert fact["moved"] == fact["size"] - fact["resumed_at"]
    practice.wait(lambda: not practice.condition("reserve")["code"], "the reserve to be well")


def test_a_fichier_that_pesit_had_already_is_integrated_once(practice: Practice) -> None:
    """What the OCT got by PeSIT without our hearing so goes again by SFTP: the first word is the answer."""
    (before,) = practice.rows("SELECT count(*) AS n FROM verdicts")
    sealed = practice.rows("SELECT * FROM transfers WHERE free_text <> '' ORDER BY id LIMIT 1")[0]
    name = f"{sealed['free_text']}.{sealed['sealed']}"
    aside = practice.sshd.home / DEPOT / f".{name}.part"
    shutil.copy(practice.oct / "received" / sealed["sealed"], aside)
    aside.rename(aside.with_name(name))
    practice.wait(lambda: practice.rows("SELECT 1 FROM transfers WHERE outcome = 'double'"), "the double")
    assert practice.rows("SELECT count(*) AS n FROM verdicts")[0]["n"] == before["n"]


def test_another_host_key_stops_the_route_and_sends_nothing(practice: Practice) -> None:
    practice.sshd.stop()
    practice.sshd.make_key(practice.sshd.root / "host")
    practice.sshd.start()
    practice.sign("trois.b2", samples.b2(3))
    practice.wait(lambda: practice.condition("reserve")["code"] == "SFT-HOSTKEY", "the refused key to be told")
    practice.await_states({"trois.b2": "SEALED"})
    time.sleep(1)
    assert practice.states()["trois.b2"] == "SEALED"
    assert practice.sshd.depot == {}


def test_when_pesit_is_back_it_carries_again(practice: Practice) -> None:
    practice.usual.mend()
    practice.await_states({"trois.b2": "INTEGRATED"})
    assert practice.fact_of("trois.b2")["channel"] == "pesit"
    practice.wait(lambda: not practice.condition("oct")["code"], "the route to be well")
    assert practice.condition("reserve")["code"] == "SFT-HOSTKEY", "a refusal stands until a person saw to it"
    assert len(practice.integrated()) == 4


def test_a_wrong_password_stops_the_route_and_no_fichier(practice: Practice) -> None:
    practice.end("forward")
    secret = practice.paths.key("forward", "oct-password")
    right = secret.read_text()
    secret.write_text("wrong")
    practice.start("forward")
    practice.wait(lambda: practice.condition("oct")["code"] == "PES-3.304", "the refusal to be told")
    told = practice.condition("oct")["detail"]
    assert datetime.fromisoformat(json.loads(told)["next"]) > datetime.now(UTC) + timedelta(minutes=30)
    practice.sign("quatre.b2", samples.b2(4))
    practice.await_states({"quatre.b2": "SEALED"})
    time.sleep(3)
    assert practice.condition("oct")["detail"] == told, "no second try"
    practice.end("forward")
    secret.write_text(right)
    practice.start("forward")
    practice.await_states({"quatre.b2": "INTEGRATED"}, PATIENCE)
    assert [path for path in (practice.sshd.home / RETURNS).iterdir() if path.suffix] == []


def test_a_fichier_that_the_oct_refuses_as_such_keeps_no_other_back(practice: Practice) -> None:
    practice.sign("trop.pdf", samples.scanned(LIMIT + (1 << 20), 6))
    practice.wait(lambda: practice.condition("oct")["code"] == "PES-2.206", "the refusal to be told")
    practice.sign("cinq.b2", samples.b2(5))
    practice.await_states({"cinq.b2": "INTEGRATED", "trop.pdf": "SEALED"})
    assert practice.fact_of("cinq.b2")["channel"] == "pesit"

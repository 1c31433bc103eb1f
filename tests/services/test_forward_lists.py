"""The line and its lists on real parts: the concentrator as a process, forward and the keeper on one box.

Lists that are out of date never keep their successors out; a revoked concentrator hears no word.
"""

from __future__ import annotations

import asyncio
import sqlite3
import tomllib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from development_pki import Pki
from keeper_bench import KeeperBench
from line_certificates import make_leaf, make_list
from samples import EMITTER
from stage import Stage

from gateway.config import read_section, write_toml
from gateway.fichier import Verb
from gateway.process.runtime import Runtime
from gateway.services.forward.service import Forward
from gateway.services.forward.settings import ForwardSettings
from gateway.services.keeper.returns import take_arrived

SECTORS = ("root", "sante", "oct", "boites")


class Box(KeeperBench):
    """A keeper's bench with a forward of its own, and the concentrator over there."""

    def configure(self, **changes: Any) -> None:
        """Settings of the concentrator; the lists it offers are those of its shelf."""
        document = tomllib.loads(self.stage.config.read_text(encoding="utf-8"))
        document["concentrator"] |= {"crls": [str(path) for path in sorted(self.shelf.iterdir())], **changes}
        document["concentrator"]["partners"] = [{**one, "landing": ""} for one in document["concentrator"]["partners"]]
        self.stage.config.write_text(write_toml(document), encoding="utf-8")

    @property
    def shelf(self) -> Path:
        made = self.root / "offered"
        made.mkdir(exist_ok=True)
        return made

    def publish(self, name: str, der: bytes) -> None:
        """The concentrator's authorities renew a list: a file of its own changes."""
        (self.shelf / f"{name}.crl").write_bytes(der)

    def forward(self, **changes: Any) -> Forward:
        """A forward that begins now."""
        document = tomllib.loads(self.stage.config.read_text(encoding="utf-8"))["forward"]
        settings = read_section(ForwardSettings, {**document, "host": "localhost"}, "[forward]")
        return Forward(Runtime("forward", {}), self.stage.paths, replace(settings, **changes))

    def turn_line(self, **changes: Any) -> dict[str, str]:
        """One turn of the line, then the keeper takes what came; the code of each route condition."""
        forward = self.forward(**changes)
        asyncio.run(forward.turn())
        forward.dock.transfers.close()
        asyncio.run(take_arrived(self.desk))
        rows = self.desk.book.connection.execute("SELECT name, code FROM conditions WHERE scope = 'route'")
        return {row["name"]: row["code"] for row in rows}

    def known(self, table: str) -> int:
        """Rows that the concentrator has."""
        with closing(sqlite3.connect(self.stage.oct / "concentrator.db")) as store:
            return int(store.execute(f"SELECT count(*) FROM {table}").fetchone()[0])

    def offer_one(self) -> str:
        """A sealed fichier lies ready for the line; its id."""
        key = self.checked("a", EMITTER)
        with self.desk.commit():
            self.desk.book.move(key, Verb.SIGN, {})
            self.desk.book.name_part(key, "sealed", self.desk.parts.add_bytes(b"sealed bytes"))
            self.desk.book.move(key, Verb.SEAL, {}, seal="1", seals=1)
        self.desk.offer(key)
        return key


@pytest.fixture
def box(pki: Pki, tmp_path: Path) -> Iterator[Box]:
    made = Box(tmp_path / "s", pki)
    for file in (made.stage.paths.trust / "crl").iterdir():
        file.unlink()
    for name in SECTORS:
        made.publish(name, make_list(pki, name, made.now - timedelta(minutes=5)))
    made.configure()
    with made.stage:
        yield made


def start(stage: Stage) -> None:
    stage.start("concentrator")
    stage.wait(lambda: (stage.oct / "port").exists(), "the concentrator")


def gone(box: Box, key: str) -> bool:
    """The OCT has it; what it says of bytes that nobody sealed may be here already."""
    return box.row(key)["state"] in ("SENT", "SIGNED") and box.known("transfers") == 1


def test_lists_come_by_themselves_and_the_fichier_goes(box: Box) -> None:
    """A box that has no list at all: the first turn fetches them and nothing else, the second carries."""
    start(box.stage)
    key = box.offer_one()
    assert box.turn_line()["oct"] == "CMS-037"
    assert (box.row(key)["state"], box.known("transfers")) == ("SEALED", 0)
    assert len(list(box.desk.paths.lists.glob("*.crl"))) == len(SECTORS)
    assert box.turn_line()["oct"] == ""
    assert gone(box, key)


def test_stale_lists_do_not_keep_their_successors_out(box: Box) -> None:
    for name in SECTORS:
        stale = make_list(box.pki, name, box.now - timedelta(days=60), days=20)
        (box.stage.paths.trust / "crl" / f"{name}.crl").write_bytes(stale)
    start(box.stage)
    key = box.offer_one()
    assert box.turn_line()["oct"] == "CMS-038"
    assert box.row(key)["state"] == "SEALED"
    assert box.turn_line()["oct"] == ""
    assert gone(box, key)


def test_a_concentrator_that_is_revoked_is_told_nothing(box: Box) -> None:
    start(box.stage)
    box.turn_line()
    key = box.offer_one()
    revoked = [box.pki.certificate("oct-transport")]
    (box.stage.paths.trust / "crl" / "new.crl").write_bytes(make_list(box.pki, "oct", box.now, revoked=revoked))
    assert box.turn_line()["oct"] == "CMS-036"
    assert "révoqué" in box.condition("oct")["text"]
    assert (box.row(key)["state"], box.known("transfers")) == ("SEALED", 0)


def test_a_renewed_list_arrives_on_the_schedule(box: Box) -> None:
    start(box.stage)
    box.turn_line()
    forward = box.forward(lists_s=3600.0, lists_soon_s=0.0, pull_s=3600.0, pull_soon_s=3600.0)
    asyncio.run(forward.turn())
    asyncio.run(take_arrived(box.desk))
    box.publish("sante", make_list(box.pki, "sante", box.now, revoked=[box.pki.certificate("box-sign")]))
    asyncio.run(forward.turn())
    assert box.desk.arrived.names() == [], "six hours are not over"
    (box.desk.paths.lists / "wanted").touch()
    asyncio.run(forward.turn())
    assert [name.partition(".")[0] for name in box.desk.arrived.names()] == ["lists"], "the keeper wants them now"
    forward.dock.transfers.close()


def test_what_came_before_is_left_there(box: Box) -> None:
    """Megabytes, four times a day, to every box: only what is new is read, or what the keeper asks for again."""
    start(box.stage)
    box.turn_line()
    forward = box.forward(lists_s=0.0, lists_soon_s=0.0, pull_s=3600.0, pull_soon_s=3600.0)

    def came() -> int:
        asyncio.run(forward.turn())
        names = box.desk.arrived.names()
        asyncio.run(take_arrived(box.desk))
        return sum(name.startswith("lists.") for name in names)

    assert [came() for _ in range(3)] == [1, 0, 0], "a forward that begins knows nothing of what came before"
    box.publish("sante", make_list(box.pki, "sante", box.now))
    assert [came() for _ in range(2)] == [1, 0]
    (box.desk.paths.lists / "wanted").touch()
    assert came() == 1
    key = box.offer_one()
    came()
    assert gone(box, key), "the line went on after what was left"
    forward.dock.transfers.close()


def test_an_oct_that_offers_no_list_is_no_trouble(box: Box) -> None:
    for file in box.shelf.iterdir():
        (box.stage.paths.trust / "crl" / file.name).write_bytes(file.read_bytes())
    box.configure(crls=[], client_certificate=False)
    start(box.stage)
    key = box.offer_one()
    assert box.turn_line()["oct"] == ""
    assert gone(box, key)
    assert list(box.desk.paths.lists.glob("*.crl")) == []


def test_an_oct_that_cannot_judge_us_says_later(box: Box) -> None:
    box.configure(crls=[])
    start(box.stage)
    assert box.turn_line()["oct"] == "PES-3.322"


@pytest.mark.parametrize(("how", "client", "codes"), [
    ("another name", {"server_name": "ailleurs.example"}, {"PES-TLS"}),
    ("its own name", {"server_name": "localhost", "host": "127.0.0.1"}, {"CMS-037"}),
])  # fmt: skip
def test_the_name_on_the_certificate_counts(box: Box, how: str, client: dict[str, Any], codes: set[str]) -> None:
    start(box.stage)
    assert box.turn_line(**client)["oct"] in codes, how


def test_a_box_with_the_certificate_of_another_stays_outside(box: Box) -> None:
    start(box.stage)
    box.turn_line()
    trust, keys = box.stage.paths.trust, box.stage.paths.keys / "forward"
    other = make_leaf(box.pki, "boites", box.root / "other", "the box next door", client=True)
    (trust / "box-transport.pem").write_bytes(other.read_bytes())
    (keys / "box-transport.key").write_bytes(other.with_suffix(".key").read_bytes())
    assert box.turn_line()["oct"] == "PES-3.304"


def test_a_revoked_box_stays_outside(box: Box) -> None:
    start(box.stage)
    box.turn_line()
    box.publish("boites", make_list(box.pki, "boites", box.now, revoked=[box.pki.certificate("box-transport")]))
    key = box.offer_one()
    assert box.turn_line()["oct"] not in ("", "CMS-036"), "refused over there"
    assert box.row(key)["state"] == "SEALED"

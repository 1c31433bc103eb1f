"""What a service that was taken over leaves at the keeper's doors: the keeper goes on, and takes what is sound."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
import samples
from development_pki import Pki
from keeper_bench import KeeperBench
from personal_bench import WAY, received

from gateway.fichier import State
from gateway.services.keeper.facts import LIMIT
from gateway.services.keeper.returns import take_arrived
from gateway.services.keeper.service import take_new

ID = "a" * 32
ARRIVED = (
    f"begun.{ID}.1.1", f"sent.{ID}.1.1", "route.1", "return." + "0" * 64, "stamp." + "0" * 64, "lists." + "0" * 64,
    "renewal.box-transport." + "0" * 16, f"sent.cles-{ID}.1.1",
)  # fmt: skip
NEW = (f"fichier.{ID}", "picked." + "0" * 64 + ".1", "renewal.box-delivery." + "0" * 16)
GARBAGE = {
    "nothing": b"", "bytes": bytes(range(256)), "no object": b"[]", "another object": b"{}",
    "numbers": b'{"name": 1, "code": 2, "text": 3, "next": []}', "depth": b"[" * 100_000,
    "half a character": b'{"name": "\\ud800", "code": "\\ud800", "text": "\\ud800"}',
    "too long": b"1" * (LIMIT + 1),
}  # fmt: skip


@pytest.fixture
def bench(pki: Pki, tmp_path: Path) -> KeeperBench:
    return KeeperBench(tmp_path / "s", pki)


@pytest.mark.parametrize("garbage", GARBAGE)
@pytest.mark.parametrize("name", ARRIVED)
def test_garbage_from_the_line_stops_nothing(bench: KeeperBench, name: str, garbage: str) -> None:
    bench.desk.arrived.put(name, GARBAGE[garbage])
    asyncio.run(take_arrived(bench.desk))
    assert set(bench.desk.arrived.names()) <= bench.desk.unreadable
    said = {
        row["name"] for row in bench.desk.book.connection.execute("SELECT name FROM conditions WHERE scope = 'route'")
    }
    assert said <= {"returns", "lists", "lists-refused", "stamp"}


@pytest.mark.parametrize("garbage", sorted(GARBAGE.keys() - {"another object", "numbers"}))
def test_garbage_about_a_fichier_moves_nothing(bench: KeeperBench, garbage: str) -> None:
    fichier = received(bench, samples.b2(7))
    with bench.desk.commit():
        for verb, columns in WAY:
            bench.desk.book.move(fichier, verb, {}, **columns)  # type: ignore[arg-type]
    bench.desk.arrived.put(f"sent.{fichier}.1.1", GARBAGE[garbage])
    asyncio.run(take_arrived(bench.desk))
    assert bench.row(fichier)["state"] == State.SEALED and bench.condition("door")["code"] == "RET-004"
    bench.desk.arrived.remove(f"sent.{fichier}.1.1")
    bench.desk.unreadable.clear()  # as at a start
    bench.desk.arrived.put(f"sent.{fichier}.1.1", b"{}")
    asyncio.run(take_arrived(bench.desk))
    assert bench.row(fichier)["state"] == State.SENT


@pytest.mark.parametrize("garbage", GARBAGE)
@pytest.mark.parametrize("name", NEW)
def test_garbage_from_the_practice_stops_nothing(bench: KeeperBench, name: str, garbage: str) -> None:
    bench.desk.new.put(name, GARBAGE[garbage])
    take_new(bench.desk)
    take_new(bench.desk)


def test_what_is_no_plain_file_is_passed_over(bench: KeeperBench) -> None:
    for door in (bench.desk.new, bench.desk.arrived):
        os.mkfifo(door.path / f"fichier.{ID}")
        (door.path / "return.").mkdir()
        (door.path / f"sent.{ID}.1.1").symlink_to("/etc/passwd")
        (door.path / f"fichier.{'b' * 32}").symlink_to(bench.desk.paths.key("keeper", "box-seal.key"))
        os.close(os.open(os.fsencode(door.path) + b"/\xff\xfe", os.O_CREAT))
    take_new(bench.desk)
    asyncio.run(take_arrived(bench.desk))
    assert bench.desk.book.connection.execute("SELECT count(*) FROM fichiers").fetchone()[0] == 0

"""The daily turn of a real keeper, ended by SIGKILL again and again: it goes on, and proves each thing once."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import samples
from chain_check import first_break
from development_pki import Pki
from keeper_bench import KeeperBench
from personal_bench import hear, integrated

from gateway.book.moves import Book
from gateway.book.retention import COPIES, intents

FICHIERS = 15


def proven(bench: KeeperBench) -> list[str]:
    book = Book(bench.stage.paths.book / "book.db")
    try:
        assert first_break(book.journal()) is None
        facts = [json.loads(row.text) for row in book.journal()]
        for fact in (one for one in facts if one["verb"] == "destroy"):
            assert not [part for part in fact["parts"] if (bench.stage.paths.parts / part["digest"]).exists()]
        named = {row["digest"] for row in book.connection.execute("SELECT digest FROM parts")}
        assert named <= {path.name for path in bench.stage.paths.parts.iterdir()}
        return sorted(fact["fichier"] for fact in facts if fact["verb"] == "destroy" and fact["class"] == COPIES)
    finally:
        book.close()


def test_a_keeper_killed_in_its_daily_turn_goes_on(pki: Pki, tmp_path: Path) -> None:
    bench = KeeperBench(tmp_path / "s", pki, now=datetime.now(UTC) - timedelta(days=100))
    content = samples.scanned(2000)
    fichiers = sorted(integrated(bench, content + str(number).encode()) for number in range(FICHIERS))
    bench.now = datetime.now(UTC)
    hear(bench)
    bench.desk.board.close()
    bench.desk.book.close()
    kills = [kill_after(bench, 1), kill_after(bench, 7)]
    bench.stage.start("keeper")
    bench.stage.wait(lambda: bench.stage.paths.board.exists() and len(parts(bench)) == FICHIERS, "the end of the turn")
    bench.stage.wait(lambda: len(proven(bench)) == FICHIERS, "the last proof")
    bench.stage.close()
    assert proven(bench) == fichiers
    assert any(kills), "no kill came in the middle"


def parts(bench: KeeperBench) -> list[str]:
    return [path.name for path in bench.stage.paths.parts.iterdir() if not path.name.startswith(".")]


def kill_after(bench: KeeperBench, removed: int) -> int:
    """Start a keeper, kill it when it has removed some parts; how many destructions it leaves without a proof."""
    before = len(parts(bench))
    bench.stage.start("keeper")
    end = time.monotonic() + 60
    while len(parts(bench)) > before - removed:
        assert time.monotonic() < end
        time.sleep(0.001)
    bench.stage.kill("keeper")
    proven(bench)
    book = Book(bench.stage.paths.book / "book.db")
    try:
        return len(intents(book))
    finally:
        book.close()

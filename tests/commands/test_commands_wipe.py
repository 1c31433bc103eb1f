"""``gateway wipe`` as typed: asks, refuses what would lose something, destroys keys first, and can be done again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import samples
from chain_check import first_break
from development_pki import Pki
from keeper_bench import KeeperBench
from personal_bench import hear, integrated, received
from stage import REPO

from gateway.commands import wipe
from gateway.journal.chain import Row


@pytest.fixture
def bench(pki: Pki, tmp_path: Path) -> KeeperBench:
    bench = KeeperBench(tmp_path / "s", pki)
    integrated(bench, samples.b2(7))
    bench.desk.persons.fact(2026, "claire", "", "")
    (bench.stage.paths.practice / "processed" / "x.b2").write_bytes(b"the practice's")
    sealed = bench.stage.paths.credential("keeper", "box-seal.key")
    sealed.parent.mkdir(parents=True)
    sealed.write_bytes(b"sealed")
    bench.desk.board.close()
    bench.desk.book.close()
    return bench


def run(bench: KeeperBench, *words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway", "wipe", "--config", str(bench.stage.config), *words]
    return subprocess.run(command, input=typed, capture_output=True, text=True, cwd=REPO, timeout=60)


def box(bench: KeeperBench) -> list[Path]:
    """Files of the box, the practice's folders and the PKI that the stage was made from apart."""
    paths = bench.stage.paths
    places = (paths.keys, paths.credentials, paths.state, paths.runtime, paths.trust, bench.stage.config.parent)
    return sorted({path for place in places for path in place.rglob("*") if not path.is_dir()})


def test_all_goes_but_what_is_the_practices(bench: KeeperBench, tmp_path: Path) -> None:
    out = tmp_path / "journal.jsonl"
    done = run(bench, "--journal", str(out), typed="box-0001\n")
    assert done.returncode == 0, done.stderr
    assert box(bench) == []
    assert (bench.stage.paths.practice / "processed" / "x.b2").read_bytes() == b"the practice's"
    assert done.stdout.index("Clés") < done.stdout.index("Livre")
    assert "dossiers du cabinet" in done.stdout
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    rows = [Row(line["seq"], "evidence", line["text"], bytes.fromhex(line["hash"])) for line in lines]
    assert len(rows) > 4
    assert first_break(rows) is None
    assert first_break(rows[:2] + rows[3:]) is not None


@pytest.mark.parametrize("typed", ["", "oui\n", "box-0002\n"])
def test_it_wants_the_name_of_the_box(bench: KeeperBench, typed: str) -> None:
    before = box(bench)
    done = run(bench, typed=typed)
    assert (done.returncode, "WIP-003" in done.stderr) == (65, True)
    assert box(bench) == before


def test_fichiers_under_way_are_not_lost_by_accident(bench: KeeperBench) -> None:
    bench.open()
    received(bench, samples.b2(8))
    bench.desk.new.put("fichier." + "a" * 32, b"sealed")
    bench.desk.board.close()
    bench.desk.book.close()
    before = box(bench)
    done = run(bench, "--yes", "box-0001")
    assert (done.returncode, "WIP-002" in done.stderr, "2 fichiers" in done.stderr) == (65, True, True)
    assert box(bench) == before
    assert run(bench, "--yes", "box-0001", "--abandon").returncode == 0
    assert box(bench) == []


@pytest.fixture
def keeper(bench: KeeperBench) -> Iterator[subprocess.Popen[bytes]]:
    bench.stage.start("keeper")
    process = bench.stage.processes["keeper"]
    bench.stage.wait(lambda: bench.stage.paths.socket("admin").exists(), "the keeper")
    yield process
    bench.stage.close()


def test_a_running_service_is_named_and_left_running(bench: KeeperBench, keeper: subprocess.Popen[bytes]) -> None:
    done = run(bench, "--yes", "box-0001", "--abandon")
    assert (done.returncode, "WIP-001" in done.stderr, "keeper" in done.stderr) == (65, True, True)
    assert keeper.poll() is None
    assert bench.stage.paths.key("keeper", "box-seal.key").exists()


def test_a_wipe_that_was_cut_is_done_again(bench: KeeperBench, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = list(wipe._steps(bench.stage.paths, bench.stage.config))
    assert steps[0][1] == bench.stage.paths.keys
    assert steps[-1][1] == bench.stage.config
    for _, place, act in steps[: [place for _, place, _ in steps].index(bench.stage.paths.book) + 1]:
        act(place)
    assert box(bench)
    done = run(bench, "--yes", "box-0001", "--abandon", "--journal", str(bench.root / "journal"))
    assert (done.returncode, "le livre n'est plus là" in done.stdout) == (0, True), done.stderr
    assert box(bench) == []
    assert not (bench.root / "journal").exists()


def test_a_return_that_nobody_fetched_is_not_lost_by_accident(bench: KeeperBench) -> None:
    bench.open()
    hear(bench)
    with bench.desk.book.transaction():
        bench.desk.book.connection.execute("UPDATE returns SET delivery = 'x', picked = ''")
    bench.desk.board.close()
    bench.desk.book.close()
    before = box(bench)
    done = run(bench, "--yes", "box-0001")
    assert (done.returncode, "WIP-002" in done.stderr, "retour" in done.stderr) == (65, True, True)
    assert box(bench) == before
    assert run(bench, "--yes", "box-0001", "--abandon").returncode == 0


def test_a_book_that_cannot_be_read_is_said_and_can_be_wiped(bench: KeeperBench) -> None:
    (bench.stage.paths.book / "book.db").write_bytes(b"no database" * 500)
    done = run(bench, "--yes", "box-0001")
    assert (done.returncode, "WIP-005" in done.stderr, "Traceback" in done.stderr) == (65, True, False)
    assert run(bench, "--yes", "box-0001", "--abandon").returncode == 0
    assert box(bench) == []


def test_what_cannot_be_removed_is_named(bench: KeeperBench) -> None:
    key = bench.stage.paths.key("keeper", "box-seal.key")
    stuck = subprocess.run(["chattr", "+i", str(key)], capture_output=True)
    if stuck.returncode:
        pytest.skip("no immutable files here")
    try:
        done = run(bench, "--yes", "box-0001")
    finally:
        subprocess.run(["chattr", "-i", str(key)], check=True)
    assert (done.returncode, "WIP-004" in done.stderr, str(key) in done.stderr) == (65, True, True)
    assert run(bench, "--yes", "box-0001").returncode == 0
    assert box(bench) == []


def test_what_cannot_be_listed_is_not_taken_for_empty() -> None:
    """Who is not root is told so, not that nothing was there."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        keys = Path(place, "keys")
        keys.mkdir(mode=0o700)
        if not (child := os.fork()):
            os.setuid(65534)
            try:
                wipe.shred(keys.parent)
            except PermissionError:
                os._exit(7)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


@pytest.mark.parametrize("act", [wipe.shred, wipe.remove])
def test_links_are_removed_and_never_followed(tmp_path: Path, act: Callable[[Path], int]) -> None:
    outside, place = tmp_path / "outside", tmp_path / "place"
    for folder in (outside, place):
        folder.mkdir()
    (outside / "file").write_bytes(b"kept")
    (place / "to a file").symlink_to(outside / "file")
    (place / "to a folder").symlink_to(outside)
    (place / "to nothing").symlink_to("nowhere")
    assert act(place) == 3
    assert (list(place.iterdir()), (outside / "file").read_bytes()) == ([], b"kept")


def test_keys_are_overwritten_before_they_are_removed(bench: KeeperBench) -> None:
    """A second name of the same inode shows what is left of it."""
    key = bench.stage.paths.key("keeper", "box-seal.key")
    twin = bench.root / "twin"
    os.link(key, twin)
    size = key.stat().st_size
    assert run(bench, "--yes", "box-0001").returncode == 0
    assert twin.read_bytes() == bytes(size)

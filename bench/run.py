"""``make bench``: each figure beside its reference from the same run; a table, and ``results.json``."""

from __future__ import annotations

import compileall
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "firmware-tools"), str(HERE.parent)]

from stage import BOX, Stage  # noqa: E402

from bench import card, envelope, journal, lists, pesit  # noqa: E402
from bench.rows import row  # noqa: E402

BARE = "import asyncio, sqlite3, ssl, json; asyncio.run(asyncio.sleep(600))"
SETTLE_S = 8.0


def pss(pid: int) -> int:
    """Proportional set size of a process, bytes."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def family(pid: int) -> Iterator[int]:
    """A process and its children: the card is held by children of its service."""
    yield pid
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        yield from family(int(child))


@contextmanager
def bare_processes(count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Python processes that load what any such service must, and do nothing."""
    started = [subprocess.Popen([sys.executable, "-c", BARE]) for _ in range(count)]
    try:
        yield started
    finally:
        for process in started:
            process.terminate()
            process.wait()


def idle_memory() -> list[dict[str, Any]]:
    """PSS of the five idle services, a card in the reader, against five bare processes.

    The byte code lies beside the sources, as on a box: a service that must compile them keeps 0.5 MiB of that.
    """
    compileall.compile_dir(HERE.parent / "gateway", quiet=1)
    root = Path(tempfile.mkdtemp(prefix="oct-"))
    try:
        with Stage(root) as stage:
            stage.prepare()
            stage.start_reader()
            stage.insert_card()
            stage.start()
            stage.wait(lambda: stage.ask("/api/v1/status"), "the page")
            time.sleep(SETTLE_S)
            measured = {name: sum(map(pss, family(stage.processes[name].pid))) for name in BOX}
    finally:
        shutil.rmtree(root, ignore_errors=True)
    with bare_processes(len(BOX)) as bare:
        time.sleep(2)
        reference = sum(pss(process.pid) for process in bare)
    rows = [
        row(f"idle memory of {name}", measured[name], "bytes", "one bare process", reference / len(BOX)) for name in BOX
    ]
    total = row("idle memory of the five services", sum(measured.values()), "bytes", "five bare processes", reference)
    return [*rows, total]


BENCHES: tuple[Callable[[], list[dict[str, Any]]], ...] = (
    idle_memory, card.measure, pesit.measure, envelope.measure, journal.measure, lists.measure,
)  # fmt: skip


def show(value: float, unit: str) -> str:
    """A figure as people read it."""
    return f"{value / (1 << 20):.1f} MiB" if unit == "bytes" else f"{value:g} {unit}"


def main() -> int:
    results = [found for bench in BENCHES for found in bench()]
    (HERE / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    for found in results:
        ours, theirs = show(found["value"], found["unit"]), show(found["reference_value"], found["unit"])
        print(f"{found['name']:<40} {ours:>12}   {found['reference']:<22} {theirs:>12}   × {found['ratio']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

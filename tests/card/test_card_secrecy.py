"""No code in anything that is left behind: services, commands, traces, pcscd's log, the card's journal, dumps.

Everything runs as it does at a practice, each in a process of its own; the folder of the run is searched then.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from card_bench import InsertedCard, Pcscd, until
from card_service import ITEMS, Running
from pin_scan import CODE, NEW, WRONG, found

from gateway.card.client import CardClient, UnlockClient
from gateway.config import write_toml

Insert = Callable[..., InsertedCard]


@contextmanager
def service(folder: Path, pcscd: Pcscd) -> Iterator[subprocess.Popen[bytes]]:
    """``gateway run card`` with everything it says in a file, and leave to dump."""
    config = folder / "gateway.toml"
    config.write_text(write_toml({"box": {"runtime": folder / "run"}, "card": {"idle_minutes": 5}}))
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    with (folder / "service.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-X", "dev", "-m", "gateway", "run", "card", "--config", config],
            stdout=log,
            stderr=log,
            cwd=folder,
            env={**pcscd.environment, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONASYNCIODEBUG": "1"},
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, unlimited),
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_the_page_s_service_dumps_nothing_either(tmp_path: Path) -> None:
    """Typed codes pass through it."""
    config = tmp_path / "gateway.toml"
    config.write_text(write_toml({"box": {"runtime": tmp_path / "run"}, "status": {"port": 0}}))
    process = subprocess.Popen([sys.executable, "-m", "gateway", "run", "status", "--config", config])
    try:
        until(lambda: limit(process.pid) == ["0", "0"], "the sealing of its memory")
        assert process.poll() is None
    finally:
        process.terminate()
        process.wait(10)


def limit(pid: int) -> list[str]:
    """The soft and hard limit of core files of a process."""
    (line,) = (line for line in Path(f"/proc/{pid}/limits").read_text().splitlines() if "core file" in line)
    return line.split()[4:6]


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def day(folder: Path, process: subprocess.Popen[bytes]) -> None:
    """A wrong code, a right one, a request that is none, a card pulled in between; then everything is aborted."""
    sockets = folder / "run" / "sockets"
    async with asyncio.timeout(30):
        while not (sockets / "unlock.sock").exists():  # noqa: ASYNC110 -- another process makes it
            await asyncio.sleep(0.02)
    at_work = Running(CardClient(sockets / "sign.sock"), UnlockClient(sockets / "unlock.sock"), folder, [])
    await at_work.card.offer(ITEMS, 0.0)
    await at_work.state("locked")
    assert (await at_work.open(WRONG))["code"] == "CPS-63C"
    assert (await at_work.unlock.unlock(CODE, "not a root"))["code"] == "CPS-REQUEST"
    assert await at_work.open(CODE) == {"ok": True}
    await at_work.offered(ITEMS, "fichier-0")
    await at_work.state("absent")
    await at_work.state("locked")
    assert await at_work.open(CODE) == {"ok": True}
    await at_work.offered(ITEMS, "fichier-1", "fichier-2")
    for pid in children(process.pid):
        os.kill(pid, signal.SIGABRT)
    await asyncio.sleep(0.5)
    process.send_signal(signal.SIGABRT)
    await asyncio.to_thread(process.wait, 10)
    await at_work.card.close()
    await at_work.unlock.close()


def by_hand(folder: Path, pcscd: Pcscd, code: Path, wrong: Path, new: Path) -> None:
    """The commands, with their traces."""

    def gateway(name: str, *words: str | Path) -> int:
        command = [sys.executable, "-m", "gateway", "card", *map(str, words), "--trace", str(folder / f"{name}.trace")]
        with (folder / f"{name}.log").open("wb") as log:
            return subprocess.run(command, env=pcscd.environment, stdout=log, stderr=log, timeout=60).returncode

    assert gateway("info", "info", "--pin-file", code) == 0
    assert gateway("sign", "sign", code.with_name("content"), folder / "out.p7m", "--pin-file", code) == 0
    assert gateway("wrong", "authenticate", "--pin-file", wrong) == 65
    assert gateway("change", "change-pin", "--pin-file", code, "--new-pin-file", new) == 0


def test_no_code_is_left_anywhere(virtual_card: Insert, pcscd: Pcscd, tmp_path: Path) -> None:
    folder, inputs = tmp_path / "left", tmp_path / "inputs"
    folder.mkdir()
    inputs.mkdir()
    for name, digits in (("code", CODE), ("wrong", WRONG), ("new", NEW)):
        (inputs / f"{name}.pin").write_text(digits)
    (inputs / "content").write_bytes(b"content")
    faults = folder / "faults.json"
    faults.write_text(json.dumps([{"apdu": "002A9E9A", "nth": 2, "do": "pull", "seconds": 1.0}]))
    virtual_card("--pin", CODE, "--faults", str(faults), "--journal", str(folder / "card.journal"))
    with service(folder, pcscd) as process:
        asyncio.run(day(folder, process))
    assert os.WTERMSIG(-process.returncode) == signal.SIGABRT
    by_hand(folder, pcscd, *(inputs / f"{name}.pin" for name in ("code", "wrong", "new")))
    (folder / "pcscd.log").write_bytes((pcscd.folder / "pcscd.log").read_bytes())

    left = {path.name for path in folder.rglob("*") if path.is_file()}
    assert {"service.log", "card.journal", "pcscd.log", "info.trace", "sign.trace", "change.trace"} <= left
    assert (folder / "sign.trace").stat().st_size > 1000
    assert not [name for name in left if "core" in name]
    assert found(folder) == []

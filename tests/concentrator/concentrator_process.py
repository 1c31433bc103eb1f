"""The concentrator as a process of its own, and a box that talks to it over TLS."""

from __future__ import annotations

import io
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import asdict
from pathlib import Path

from concentrator_bench import BOX, PASSWORD, Bench

from gateway.config import write_toml
from gateway.errors import Trouble
from gateway.link.client import Connection, Partner, connect
from gateway.link.line import Timers
from gateway.pesit.transfer import Identity, SyncPoint

PATIENT = Timers(answer=60, connect=60, close=1, store=60)
"""No test waits for one of these to run out: they only keep a broken one from waiting for ever."""


class Process:
    """``gateway run concentrator`` on a free port."""

    def __init__(self, bench: Bench) -> None:
        self._directory = bench.settings.directory
        self._directory.mkdir(parents=True, exist_ok=True)
        self.config = self._directory.parent / "gateway.toml"
        self.config.write_text(write_toml({"concentrator": _table(bench)}))
        self.port = 0
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        port = self._directory / "port"
        port.unlink(missing_ok=True)
        command = [sys.executable, "-m", "gateway", "run", "concentrator", "--config", str(self.config)]
        self._child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not port.exists():
            assert self._child.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        self.port = int(port.read_text())

    def end(self, number: signal.Signals) -> int:
        """Send a signal and wait; the exit status."""
        assert self._child is not None
        os.kill(self._child.pid, number)
        return self._child.wait(30)

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None


def _table(bench: Bench) -> dict[str, object]:
    settings = bench.settings
    partners = [{**asdict(partner), "box_seal": str(partner.box_seal)} for partner in settings.partners]
    paths = {name: str(value) for name, value in vars(settings).items() if isinstance(value, Path)}
    lists = {name: [str(path) for path in getattr(settings, name)] for name in ("chain", "crls")}
    payer = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(settings.payer).items()}
    plain = {"port": settings.port, "keep_days": settings.keep_days, "retry_s": settings.retry_s}
    return {**plain, **paths, **lists, "partners": partners, "payer": payer}


@contextmanager
def running(bench: Bench) -> Iterator[Process]:
    process = Process(bench)
    process.start()
    try:
        yield process
    finally:
        if process.running:
            process.end(signal.SIGKILL)


class Box:
    """The requester: it sends fichiers and pulls returns."""

    def __init__(self, bench: Bench, port: int, password: str = PASSWORD, client: str | None = "box-transport") -> None:
        self.bench = bench
        self.partner = Partner("127.0.0.1", port, BOX, "OCT", password, sync_kb=32, window=2, timers=PATIENT)
        folder = bench.pki.directory
        self.context = ssl.create_default_context(cafile=str(folder / "root.pem"))
        if client is not None:
            chain = folder.parent / f"client-{os.getpid()}.pem"
            chain.write_bytes((folder / f"{client}.pem").read_bytes() + (folder / "chains/boites.pem").read_bytes())
            self.context.load_cert_chain(chain, folder / f"{client}.key")

    def connect(self) -> AbstractAsyncContextManager[Connection]:
        return connect(self.partner, self.context)

    async def send(
        self, sealed: bytes, name: str, number: int, restart: SyncPoint | None = None,
        acknowledged: Callable[[SyncPoint], None] = lambda point: None,
    ) -> int:  # fmt: skip
        """Send one fichier; the bytes that went."""
        identity = Identity(
            "FICHIER", number, created="261123080000", initial_sender=BOX, final_receiver="OCT", free_text=name
        )
        async with self.connect() as connection:
            outcome = await connection.send(identity, io.BytesIO(sealed), restart, acknowledged=acknowledged)
        return outcome.moved

    async def pull(self, *, message: bool = True, by_name: bool = True) -> tuple[Identity, bytes] | None:
        """Fetch one return and, if asked, say that it is here."""
        sinks: list[Sink] = []

        def selected(identity: Identity) -> Sink:
            sinks.append(Sink(identity))
            return sinks[-1]

        async with self.connect() as connection:
            if await connection.pull(Identity("RETOURS"), selected) is None:
                return None
            found = sinks[0].identity
            if message:
                await connection.message(found.answering(), found.label if by_name else "")
        return found, sinks[0].content.getvalue()

    async def pull_all(self) -> list[bytes]:
        """Every return that is there now."""
        found = []
        while (pulled := await self.pull()) is not None:
            found.append(pulled[1])
        return found


class Sink:
    """Where a return goes; in memory, since what is tested is the server."""

    def __init__(self, identity: Identity, stop_after: int = sys.maxsize) -> None:
        self.identity = identity
        self.content = io.BytesIO()
        self._point = self._marked = SyncPoint()
        self.stop_after = stop_after

    def position(self) -> SyncPoint:
        return self._point

    def truncate(self, point: SyncPoint) -> None:
        self.content.truncate(point.offset)
        self.content.seek(point.offset)

    def write(self, data: bytes, ends: bool) -> None:
        self.content.write(data)

    def mark(self, point: SyncPoint) -> None:
        self._marked = point

    async def sync(self) -> None:
        self._point = self._marked
        if self._point.number >= self.stop_after:
            raise ConnectionAbortedError("the box loses power")

    def end(self, size: int, articles: int) -> None:
        assert size == len(self.content.getvalue())

    def abandon(self, reason: Trouble, *, keep: bool) -> None:
        """Nothing is kept here."""

"""A small application behind the server: files and restart records in a directory."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from gateway.errors import Trouble
from gateway.link.line import Timers
from gateway.link.server import Settings, serve
from gateway.pesit import diagnostics
from gateway.pesit.records import Form
from gateway.pesit.transfer import Identity, SyncPoint

SHORT = Timers(answer=3, connect=3, idle=3, close=3, store=3)


@dataclass
class Incoming:
    """One file that is received: data in ``path``, its last point beside it.

    Nothing here survives a power cut: the line is on trial, not the disk, so nothing is forced.
    """

    path: Path
    synced: list[SyncPoint] = field(default_factory=list)
    ended: tuple[int, int] | None = None
    abandoned: tuple[str, bool] | None = None
    refuse_at: int | None = None
    trouble: Trouble | None = None

    _file: Any = field(default=None, repr=False)
    _marked: list[SyncPoint] = field(default_factory=list, repr=False)

    def _record(self) -> Path:
        return self.path.with_suffix(".point")

    def position(self) -> SyncPoint:
        return SyncPoint(**json.loads(self._record().read_text())) if self._record().exists() else SyncPoint()

    def truncate(self, point: SyncPoint) -> None:
        self._close()
        self._marked.clear()
        self.path.touch()
        os.truncate(self.path, point.offset)
        if point.number == 0:
            self._record().unlink(missing_ok=True)
        self._file = self.path.open("ab", buffering=0)

    def write(self, data: bytes, ends: bool) -> None:
        if self.refuse_at is not None and self._file.tell() >= self.refuse_at and self.trouble:
            raise self.trouble
        self._file.write(data)

    def mark(self, point: SyncPoint) -> None:
        assert self._file.tell() == point.offset
        self._marked.append(point)

    async def sync(self) -> None:
        marked, self._marked = self._marked, []
        await self.disk()
        self._record().write_text(json.dumps(asdict(marked[-1])))
        self.synced += marked

    async def disk(self) -> None:
        """It takes its time."""
        await asyncio.sleep(0)

    def end(self, size: int, articles: int) -> None:
        assert self._file.tell() == size
        self._close()
        self.ended = (size, articles)

    def abandon(self, reason: Trouble, *, keep: bool) -> None:
        self._close()
        self.abandoned = (reason.code, keep)

    def _close(self) -> None:
        if self._file:
            self._file.close()


@dataclass
class Outgoing:
    """A file that can be pulled."""

    identity: Identity
    path: Path
    known: SyncPoint = field(default_factory=SyncPoint)

    def position(self, number: int) -> SyncPoint | None:
        return self.known.later(number, self.identity.article_length)

    def articles(self, start: SyncPoint) -> Iterator[bytes]:
        with self.path.open("rb") as source:
            yield from Form(self.identity.article_length).articles(source, start)

    def marked(self, point: SyncPoint) -> None:
        pass

    def delivered(self) -> None:
        pass

    def acknowledged(self, point: SyncPoint) -> None:
        self.known = point


@dataclass
class Shelf:
    """The application: one partner, BOX, with password SECRET."""

    directory: Path
    incoming: dict[int, Incoming] = field(default_factory=dict)
    restarts: list[bool] = field(default_factory=list)
    offered: Outgoing | None = None
    messages: list[tuple[Identity, str]] = field(default_factory=list)
    certificates: list[bytes | None] = field(default_factory=list)

    def connect(self, requester: str, server: str, password: str, certificate: bytes | None) -> str:
        self.certificates.append(certificate)
        if requester != "BOX" or server != "OCT":
            raise diagnostics.trouble("3.301")
        if password != "SECRET":
            raise diagnostics.trouble("3.304", "mot de passe erroné")
        return requester

    def create(self, access: str, identity: Identity, restart: bool) -> Incoming:
        known = self.incoming.get(identity.transfer_id)
        if restart and known is None:
            raise diagnostics.trouble("2.233")
        self.restarts.append(restart)
        return known or self.incoming.setdefault(
            identity.transfer_id, Incoming(self.directory / str(identity.transfer_id))
        )

    def select(self, access: str, identity: Identity, restart: bool) -> Outgoing | None:
        return self.offered

    def message(self, access: str, identity: Identity, text: str) -> str | None:
        if identity.file_name == "REFUSED":
            raise diagnostics.trouble("2.209")
        self.messages.append((identity, text))
        return f"vu {text}" if text else None

    def leave(self, access: str) -> None:
        pass


@asynccontextmanager
async def serving(
    shelf: Shelf, settings: Settings | None = None, ssl_context: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """The port on which the server runs."""
    settings = settings or Settings(timers=SHORT)
    sock = socket.create_server(("127.0.0.1", 0))
    stop = asyncio.Event()
    task = asyncio.create_task(serve([sock], shelf, settings, ssl_context, stop))
    try:
        yield sock.getsockname()[1]
    finally:
        stop.set()
        await task


FILE = Identity("FSE", 17, created="260101120000", article_length=512)


def numbered(transfer_id: int) -> Identity:
    """The usual identity under another PI 13."""
    return replace(FILE, transfer_id=transfer_id)

"""Transfers that the application of either side interrupts: what is said, what is kept, and what goes on."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from shelf import FILE, SHORT, Incoming, Outgoing, Shelf, numbered, serving

from gateway.errors import Deferred, Refused, Scope, Trouble
from gateway.link.client import Partner, connect
from gateway.link.flow import Suspended
from gateway.pesit import diagnostics
from gateway.pesit.codec import Fpdu, decode
from gateway.pesit.framing import Framing, Reader
from gateway.pesit.transfer import Identity, SyncPoint

CONTENT = bytes(i * 7 % 251 for i in range(200_000))
OWN = Deferred("BOX-FULL", "Plus de place.", Scope.BOX)


def troubles() -> list[tuple[Trouble, str, bool]]:
    """What is raised, the diagnostic that it becomes, and whether the context is kept."""
    return [
        (Suspended(), "2.216", True),
        (diagnostics.trouble("2.219"), "2.219", True),
        (OWN, "2.213", True),
        (diagnostics.trouble("2.218"), "2.218", False),
        (diagnostics.trouble("2.224"), "2.224", False),
        (Refused("BOX-REFUSED", "Non."), "2.213", False),
    ]


@dataclass
class Stopping(Incoming):
    """Raises ``trouble`` at a moment."""

    moment: str = ""

    def _stop(self, moment: str) -> None:
        if moment == self.moment and self.trouble:
            trouble, self.trouble = self.trouble, None
            raise trouble

    def write(self, data: bytes, ends: bool) -> None:
        super().write(data, ends)
        if self._file.tell() > 50_000:
            self._stop("write")

    async def sync(self) -> None:
        await super().sync()
        self._stop("sync" if any(point.number == 5 for point in self.synced) else "")

    def end(self, size: int, articles: int) -> None:
        self._stop("end")
        super().end(size, articles)


@dataclass
class StoppingSource(Outgoing):
    """The same for what is sent."""

    moment: str = ""
    trouble: Trouble | None = None

    def _stop(self, moment: str) -> None:
        if moment == self.moment and self.trouble:
            trouble, self.trouble = self.trouble, None
            raise trouble

    def articles(self, start: SyncPoint) -> Iterator[bytes]:
        for number, data in enumerate(super().articles(start)):
            self._stop("article" if number == 100 else "")
            yield data

    def marked(self, point: SyncPoint) -> None:
        self._stop("marked" if point.number == 5 else "")

    def acknowledged(self, point: SyncPoint) -> None:
        super().acknowledged(point)
        self._stop("acknowledged" if point.number == 5 else "")


@dataclass
class Watch:
    """What passed on a line."""

    readers: dict[str, Reader] = field(default_factory=dict)
    seen: list[Fpdu] = field(default_factory=list)

    def __call__(self, way: str, data: bytes) -> None:
        reader = self.readers.setdefault(way, Reader(Framing.PREFIXED))
        reader.feed(data)
        while isinstance(frame := reader.next(), bytes):
            self.seen.append(decode(frame))

    def idt(self) -> tuple[str, int]:
        """Diagnostic and code of the one IDT; then CRF and DESELECT followed, no TRANS.END."""
        (at,) = (number for number, fpdu in enumerate(self.seen) if fpdu.name == "IDT")
        after = [fpdu.name for fpdu in self.seen[at:] if fpdu.name not in ("DTF", "SYN", "ACK(SYN)", "DTF.END")]
        during = [name for name in after if name != "TRANS.END"]
        assert during[:6] == ["IDT", "ACK(IDT)", "CRF", "ACK(CRF)", "DESELECT", "ACK(DESELECT)"]
        return self.seen[at].diagnostic, self.seen[at].number(19)


def caller(port: int) -> Partner:
    return Partner("127.0.0.1", port, "BOX", "OCT", "SECRET", sync_kb=8, window=2, timers=SHORT)


def expected(trouble: Trouble, diagnostic: str, keep: bool, cancelled: int) -> tuple[str, int]:
    return diagnostic, (8 if isinstance(trouble, Suspended) else 4) if keep else cancelled


@pytest.mark.fact("F-61", "F-62", "F-110")
@pytest.mark.parametrize("index", range(6))
@pytest.mark.parametrize("moment", ["write", "sync"])
def test_the_receiving_application_interrupts(tmp_path: Path, moment: str, index: int) -> None:
    async def talk(way: str) -> None:
        trouble, diagnostic, keep = troubles()[index]
        stopping = Stopping(tmp_path / way, trouble=trouble, moment=moment)
        shelf, watch = Shelf(tmp_path), Watch()
        (tmp_path / "whole").write_bytes(CONTENT)
        shelf.offered = Outgoing(numbered(5), tmp_path / "whole")
        shelf.incoming[17] = stopping
        known = [SyncPoint()]
        async with serving(shelf) as port, connect(caller(port), observe=watch) as connection:
            with pytest.raises(Trouble) as raised:
                if way == "write":
                    await connection.send(FILE, io.BytesIO(CONTENT), acknowledged=known.append)
                else:
                    await connection.pull(Identity("RETOURS"), lambda identity: stopping)
            assert watch.idt() == expected(trouble, diagnostic, keep, 12 if way == "write" else 16)
            # Who interrupts keeps its own reason, the other has the diagnostic.
            assert raised.value.code == (f"PES-{diagnostic}" if way == "write" else trouble.code)
            assert stopping.abandoned == (trouble.code, keep)
            # The urgent one, then the other from where it was.
            await connection.send(numbered(18), io.BytesIO(b"urgent"))
            if keep and way == "write":
                again = await connection.send(FILE, io.BytesIO(CONTENT), known[-1])
                assert again.restarted_from >= 5
                assert stopping.path.read_bytes() == CONTENT
            elif keep:
                pulled = await connection.pull(numbered(5), lambda identity: stopping, restart=True)
                assert pulled is not None and pulled.restarted_from >= 5
                assert stopping.path.read_bytes() == CONTENT

    asyncio.run(talk("write"))
    asyncio.run(talk("read"))


@pytest.mark.fact("F-110")
@pytest.mark.parametrize("index", range(6))
@pytest.mark.parametrize("moment", ["article", "marked", "acknowledged"])
def test_the_sending_application_interrupts(tmp_path: Path, moment: str, index: int) -> None:
    async def talk(way: str) -> None:
        trouble, diagnostic, keep = troubles()[index]
        (tmp_path / "whole").write_bytes(CONTENT)
        stopping = StoppingSource(numbered(5), tmp_path / "whole", moment=moment, trouble=trouble)
        shelf, watch, back = Shelf(tmp_path), Watch(), Incoming(tmp_path / "back")
        shelf.offered = stopping

        def progress(offset: int) -> None:
            if moment == "article" and offset > 60_000:
                raise trouble

        async with serving(shelf) as port, connect(caller(port), observe=watch) as connection:
            with pytest.raises(Trouble) as raised:
                if way == "write":
                    await connection.send(
                        FILE,
                        io.BytesIO(CONTENT),
                        progress=progress,
                        marked=stopping.marked,
                        acknowledged=stopping.acknowledged,
                    )
                else:
                    await connection.pull(Identity("RETOURS"), lambda identity: back)
            assert watch.idt() == expected(trouble, diagnostic, keep, 16 if way == "write" else 12)
            assert raised.value.code == (trouble.code if way == "write" else f"PES-{diagnostic}")
            there = shelf.incoming[17] if way == "write" else back
            assert there.abandoned == (f"PES-{diagnostic}", keep)
            await connection.send(numbered(18), io.BytesIO(b"urgent"))

    asyncio.run(talk("write"))
    asyncio.run(talk("read"))


@pytest.mark.fact("F-113")
@pytest.mark.parametrize("index", range(6))
def test_what_cannot_be_stored_at_the_end(tmp_path: Path, index: int) -> None:
    """A write is answered by ACK(TRANS.END), a read interrupted before TRANS.END."""

    async def talk(way: str) -> None:
        trouble, diagnostic, keep = troubles()[index]
        stopping = Stopping(tmp_path / way, trouble=trouble, moment="end")
        (tmp_path / "whole").write_bytes(CONTENT)
        shelf, watch = Shelf(tmp_path, offered=Outgoing(numbered(5), tmp_path / "whole")), Watch()
        shelf.incoming[17] = stopping
        async with serving(shelf) as port, connect(caller(port), observe=watch) as connection:
            with pytest.raises(Trouble) as raised:
                if way == "write":
                    await connection.send(FILE, io.BytesIO(CONTENT))
                else:
                    await connection.pull(Identity("RETOURS"), lambda identity: stopping)
            if way == "write":
                code = "2.223" if diagnostic == "2.213" else diagnostic
                assert raised.value.code == f"PES-{code}"
                assert stopping.abandoned == (trouble.code, isinstance(trouble, Deferred))
            else:
                assert watch.idt() == expected(trouble, diagnostic, keep, 16)
                assert stopping.abandoned == (trouble.code, keep)
            await connection.send(numbered(18), io.BytesIO(b"urgent"))

    asyncio.run(talk("write"))
    asyncio.run(talk("read"))

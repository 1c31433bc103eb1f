"""Points of a file that comes, on a slow disk: acknowledged when they are there, while more is heard.

The disk is the real one, each force of it made slower; what it held when a force began is what a power cut leaves.
"""

from __future__ import annotations

import asyncio
import io
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from dialogs import content
from shelf import FILE, SHORT, Incoming, Outgoing, Shelf, numbered, serving

from gateway.errors import Trouble
from gateway.link.client import Partner, connect
from gateway.link.context import Context
from gateway.link.directory import Directory, Rooms
from gateway.link.partners import PartnerEntry, Partners
from gateway.link.passwords import password_hash
from gateway.pesit.transfer import SyncPoint

WHOLE = content(40_000)
SLOW_S = 0.005
PARTNERS = Partners([PartnerEntry("BOX", password_hash("SECRET"))], lambda: 0.0)


class Disk:
    """What of each file is on disk, by its suffix, and how often it was forced; ``fail`` may raise instead."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fail: Callable[[str, int], None] = lambda name, times: None):
        self.held: dict[str, bytes] = {}
        self.forces: Counter[str] = Counter()
        self._fail = fail
        for name in ("fsync", "fdatasync"):
            monkeypatch.setattr(os, name, self._slowed(getattr(os, name)))

    def _slowed(self, force: Callable[[int], None]) -> Callable[[int], None]:
        def slowed(descriptor: int) -> None:
            path = Path(f"/proc/self/fd/{descriptor}").readlink()
            before = b"" if path.is_dir() else path.read_bytes()
            time.sleep(SLOW_S)
            force(descriptor)
            self.forces[path.suffix or path.name] += 1
            self._fail(path.suffix, self.forces[path.suffix])
            self.held[path.suffix] = before

        return slowed

    def points(self, room: Path) -> list[int]:
        """Those that the context would know after a power cut, of what is in ``part`` then."""
        copy = room / "after"
        copy.write_bytes(self.held.get(".in", b""))
        context = Context.load(copy)
        kept = context.points.values() if context else ()
        return [point.number for point in kept if point.offset <= len(self.held.get(".part", b""))]


def partner(port: int, **more: int) -> Partner:
    return Partner("127.0.0.1", port, "BOX", "OCT", password="SECRET", timers=SHORT, **({"sync_kb": 1} | more))


def application(room: Path) -> Directory:
    (room / "in").mkdir()
    return Directory("OCT", Rooms(room / "in"), PARTNERS, lambda what, told: None)


@pytest.mark.fact("F-74", "F-75")
@pytest.mark.parametrize(("window", "together"), [(1, False), (2, False), (4, True), (16, True)])
def test_a_point_is_on_disk_before_it_is_acknowledged(
    window: int, together: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, heard = Disk(monkeypatch), list[int]()

    def acknowledged(point: SyncPoint) -> None:
        heard.append(point.number)
        assert point.number == 0 or point.number in disk.points(tmp_path)

    async def talk() -> None:
        async with serving(application(tmp_path)) as port, connect(partner(port, window=window)) as connection:
            await connection.send(FILE, io.BytesIO(WHOLE), acknowledged=acknowledged)

    asyncio.run(talk())
    assert heard == list(range(len(heard))), "each, in its order"
    assert len(heard) >= 40 - window, "after the end of the data nobody waits for the last ones (F-55)"
    assert (tmp_path / "in" / "FSE").read_bytes() == WHOLE
    assert (disk.forces[".part"] < 30) is together, "those that came while the disk was busy go together"


@pytest.mark.fact("F-75")
def test_a_disk_that_fails_acknowledges_nothing_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was acknowledged stands; what failed is never tried again on the same file, for it may be lost by now."""

    def fail(suffix: str, times: int) -> None:
        if suffix == ".part" and times >= 3:
            raise OSError(5, "Input/output error")

    disk, heard = Disk(monkeypatch, fail), list[int]()

    async def talk() -> None:
        async with serving(application(tmp_path)) as port, connect(partner(port, window=4)) as connection:
            with pytest.raises(Trouble) as trouble:
                await connection.send(FILE, io.BytesIO(WHOLE), acknowledged=lambda point: heard.append(point.number))
            assert trouble.value.code == "PES-2.213"

    asyncio.run(talk())
    assert disk.forces[".part"] == 3
    assert len(heard) > 1 and set(heard) <= set(disk.points(tmp_path))


class Stuck(Incoming):
    """A receiver whose disk takes up nothing before it has ``awaited`` points, or for good."""

    def __init__(self, path: Path, awaited: int) -> None:
        super().__init__(path)
        self._awaited = awaited
        self._enough = asyncio.Event()

    def mark(self, point: SyncPoint) -> None:
        super().mark(point)
        if point.number == self._awaited:
            self._enough.set()

    async def disk(self) -> None:
        await self._enough.wait()


@pytest.mark.fact("F-74")
@pytest.mark.parametrize("side", ["server", "client"])
def test_what_follows_a_point_is_heard_while_the_disk_is_busy(side: str, tmp_path: Path) -> None:
    """The first point is on disk only after the fourth was heard: with a window of four both come about."""

    async def talk() -> None:
        shelf, stuck = Shelf(tmp_path), Stuck(tmp_path / "17", awaited=4)
        async with serving(shelf) as port, connect(partner(port, window=4)) as connection:
            if side == "server":
                shelf.incoming[17] = stuck
                await connection.send(FILE, io.BytesIO(WHOLE))
            else:
                (tmp_path / "offered").write_bytes(WHOLE)
                shelf.offered = Outgoing(numbered(99), tmp_path / "offered")
                await connection.pull(FILE, lambda identity: stuck)
        assert stuck.path.read_bytes() == WHOLE
        assert [point.number for point in stuck.synced] == list(range(1, 40))

    asyncio.run(talk())

"""A receiver writes the file that it holds, and no other line's; points are kept after what lies before them."""

from __future__ import annotations

import asyncio
import io
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from gateway.errors import Trouble
from gateway.link.context import Kept
from gateway.link.held import DISK, Held
from gateway.pesit.transfer import SyncPoint


class Receiver(Held):
    def __init__(self, path: Path, apart: bool = False) -> None:
        self.told: list[list[Kept]] = []
        super().__init__(path, lambda points: self.told.append(list(points)), apart=apart)

    def begin(self, place: int = 0) -> None:
        self._still_ours()
        self._cut(place)

    def write(self, data: bytes) -> None:
        self._own().write(data)


@pytest.fixture(params=[False, True], ids=["recorded here", "recorded apart"])
def receiver(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Receiver]:
    made = Receiver(tmp_path / "file", request.param)
    made.begin()
    yield made
    made.close()


class SlowDisk:
    """Every fsync waits until it is let go; ``forced`` are the names, and sizes of files, that were on disk then."""

    def __init__(self) -> None:
        self.asked, self.let_go = threading.Event(), threading.Event()
        self.forced: list[tuple[str, int]] = []

    @contextmanager
    def instead(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        real = os.fsync

        def fsync(descriptor: int) -> None:
            path = Path(f"/proc/self/fd/{descriptor}").readlink()
            size = 0 if path.is_dir() else os.fstat(descriptor).st_size
            self.asked.set()
            assert self.let_go.wait(10)
            real(descriptor)
            self.forced.append((path.name, size))

        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", fsync)
            yield

    async def busy(self) -> None:
        """Wait until it was asked for something."""
        await asyncio.to_thread(self.asked.wait, 10)


def kept(number: int, place: int) -> Kept:
    return Kept(SyncPoint(number, place, number), place)


def test_what_comes_while_the_disk_is_busy_is_for_the_next_time(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The data, once the name too, then the points: those marked before, each where it stood."""
    disk = SlowDisk()

    async def talk() -> None:
        receiver.write(b"abc")
        receiver.mark(SyncPoint(1, 3, 1))
        receiver.write(b"de")
        receiver.mark(SyncPoint(2, 5, 2))
        first = asyncio.create_task(receiver.sync())
        await disk.busy()
        receiver.write(b"fgh")
        receiver.mark(SyncPoint(3, 8, 3))
        assert receiver.told == [], "nothing is kept before it is on disk"
        disk.let_go.set()
        await first
        assert receiver.told == [[kept(1, 3), kept(2, 5)]]
        await receiver.sync()
        assert receiver.told[1:] == [[kept(3, 8)]]

    with disk.instead(monkeypatch):
        asyncio.run(talk())
    assert disk.forced == [("file", 5), (tmp_path.name, 0), ("file", 8)]


def test_who_takes_a_file_over_waits_for_the_disk(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """The point that was under way is kept before the other line looks, or never."""
    disk = SlowDisk()

    async def talk() -> None:
        receiver.write(b"abc")
        receiver.mark(SyncPoint(1, 3, 1))
        point = asyncio.create_task(receiver.sync())
        await disk.busy()
        threading.Timer(0.2, disk.let_go.set).start()
        receiver.close()
        known = list(receiver.told)
        with suppress(Trouble):
            await point
        assert disk.forced[0] == ("file", 3) and known == receiver.told

    with disk.instead(monkeypatch):
        asyncio.run(talk())


def test_a_file_taken_over_before_its_turn_has_no_new_point(receiver: Receiver) -> None:
    async def talk() -> None:
        free = threading.Event()
        for _ in range(DISK._max_workers):
            DISK.submit(free.wait, 10)
        receiver.mark(SyncPoint(1, 0, 1))
        point = asyncio.create_task(receiver.sync())
        await asyncio.sleep(0)
        receiver.close()
        free.set()
        with pytest.raises(Trouble, match="autre liaison"):
            await point

    asyncio.run(talk())
    assert receiver.told == []


def test_going_back_voids_what_was_marked(receiver: Receiver) -> None:
    receiver.write(b"abcdef")
    receiver.mark(SyncPoint(1, 6, 1))
    receiver.begin(2)
    receiver.mark(SyncPoint(1, 2, 1))
    asyncio.run(receiver.sync())
    assert receiver.told == [[kept(1, 2)]]


def test_who_does_not_hold_the_file_is_told_so(tmp_path: Path) -> None:
    receiver = Receiver(tmp_path / "file")
    with pytest.raises(Trouble, match="autre liaison"):
        receiver.write(b"before it began")
    receiver.begin()
    receiver.close()
    with pytest.raises(Trouble, match="autre liaison"):
        receiver.write(b"after it let go")
    with pytest.raises(Trouble, match="autre liaison"):
        receiver.begin()


def test_letting_go_on_a_full_disk_loses_only_what_was_not_forced(receiver: Receiver) -> None:
    receiver._own().close()
    receiver._file = io.BufferedWriter(io.FileIO("/dev/full", "wb"))
    receiver.write(b"never acknowledged")
    receiver.close()
    with pytest.raises(Trouble, match="autre liaison"):
        receiver.write(b"x")

"""A line that is cut, reset or stalls at any byte: nothing is lost, nothing acknowledged is sent again."""

from __future__ import annotations

import asyncio
import io
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from proxy import Fault, Proxy, proxy
from shelf import FILE, SHORT, Incoming, Outgoing, Shelf, numbered, serving

from gateway.errors import Deferred, Scope
from gateway.link.client import Outcome, Partner, connect
from gateway.link.server import Settings
from gateway.pesit.transfer import Identity, SyncPoint

WHOLE = bytes(i * 7 % 253 for i in range(6000))
QUICK = replace(SHORT, answer=1.0, store=1.0)


def partner(port: int, **more: object) -> Partner:
    given = {"password": "SECRET", "sync_kb": 1, "window": 2, "timers": SHORT} | more
    return Partner("127.0.0.1", port, "BOX", "OCT", **given)  # type: ignore[arg-type]


@dataclass
class Sender:
    """What a careful caller keeps between two attempts: the last point that it was told."""

    caller: Partner
    point: SyncPoint | None = None

    def keep(self, point: SyncPoint) -> None:
        assert self.point is None or point.number == 0 or point.number >= self.point.number
        self.point = point

    async def attempt(self, identity: Identity) -> Outcome:
        async with connect(self.caller) as connection:
            return await connection.send(identity, io.BytesIO(WHOLE), self.point, acknowledged=self.keep)


@dataclass
class Puller:
    """The same for a read: the identity that the server gave, and where the data went."""

    caller: Partner
    receiving: Incoming
    identity: Identity | None = None

    def commit(self, identity: Identity) -> Incoming:
        self.identity = identity
        return self.receiving

    async def attempt(self) -> Outcome | None:
        async with connect(self.caller) as connection:
            request = self.identity or Identity("RETOURS")
            return await connection.pull(request, self.commit, restart=self.identity is not None)


async def lengths(between: Proxy, whole: Sender | Puller, shelf: Shelf) -> dict[str, int]:
    """How many bytes an undisturbed attempt takes each way."""
    await (whole.attempt(numbered(1)) if isinstance(whole, Sender) else whole.attempt())
    await asyncio.sleep(0.05)
    return dict(between.passed)


@pytest.mark.parametrize(("way", "kind", "stride"), [("up", "cut", 37), ("down", "cut", 3), ("up", "reset", 61)])
def test_a_write_survives_a_cut_at_any_byte(tmp_path: Path, way: str, kind: str, stride: int) -> None:
    async def talk() -> None:
        shelf = Shelf(tmp_path)
        async with serving(shelf) as port, proxy(port) as between:
            total = await lengths(between, Sender(partner(between.port)), shelf)
            for number, after in enumerate(range(0, total[way], stride), start=2):
                sender = Sender(partner(between.port))
                between.fault = Fault(way, after, kind)
                try:
                    await sender.attempt(numbered(number))
                except Deferred as cause:
                    assert cause.scope is Scope.ROUTE
                    between.fault = None
                    known = sender.point
                    outcome = await sender.attempt(numbered(number))
                    assert outcome.moved <= len(WHOLE) - (known.offset if known else 0)
                    # Once data may have moved, the same transfer goes on; it is never begun anew.
                    assert shelf.restarts[-1] is (known is not None)
                assert shelf.incoming[number].path.read_bytes() == WHOLE
                assert shelf.incoming[number].ended == (6000, 12)

    asyncio.run(talk())


@pytest.mark.parametrize(("way", "stride"), [("up", 3), ("down", 37)])
def test_a_read_survives_a_cut_at_any_byte(tmp_path: Path, way: str, stride: int) -> None:
    async def talk() -> None:
        source = tmp_path / "source"
        source.write_bytes(WHOLE)
        shelf = Shelf(tmp_path)
        async with serving(shelf) as port, proxy(port) as between:
            shelf.offered = Outgoing(numbered(1), source)
            total = await lengths(between, Puller(partner(between.port), Incoming(tmp_path / "1")), shelf)
            for number, after in enumerate(range(0, total[way], stride), start=2):
                puller = Puller(partner(between.port), Incoming(tmp_path / str(number)))
                shelf.offered = Outgoing(numbered(number), source)
                between.fault = Fault(way, after)
                try:
                    await puller.attempt()
                except Deferred as cause:
                    assert cause.scope is Scope.ROUTE
                    between.fault = None
                    known = puller.receiving.position()
                    outcome = await puller.attempt()
                    assert outcome is not None
                    assert outcome.moved == len(WHOLE) - known.offset
                    assert outcome.restarted_from == known.number
                assert puller.receiving.path.read_bytes() == WHOLE
                assert puller.receiving.ended == (6000, 12)

    asyncio.run(talk())


def test_cut_again_and_again(tmp_path: Path) -> None:
    async def talk() -> None:
        shelf = Shelf(tmp_path)
        moved = 0
        async with serving(shelf) as port, proxy(port) as between:
            sender = Sender(partner(between.port))
            between.fault = Fault("up", 1700)
            for _ in range(20):
                try:
                    outcome = await sender.attempt(FILE)
                except Deferred:
                    moved += 1
                else:
                    break
        assert moved >= 3
        assert 0 < outcome.moved < 1700
        assert shelf.incoming[17].path.read_bytes() == WHOLE
        assert len({point.number for point in shelf.incoming[17].synced}) == 5

    asyncio.run(talk())


def test_the_interval_may_change_between_attempts(tmp_path: Path) -> None:
    """Points the server has and we never heard of are found by the spacing in force when they were laid."""

    async def talk() -> None:
        shelf = Shelf(tmp_path)
        whole = bytes(i * 11 % 251 for i in range(40_000))
        kept: list[SyncPoint] = []
        async with serving(shelf) as port, proxy(port) as between:
            for sync_kb, after in ((2, 12_000), (4, 15_000), (1, None)):
                between.fault = Fault("up", after) if after else None
                try:
                    async with connect(partner(between.port, sync_kb=sync_kb, window=8)) as connection:
                        # The caller heard of no acknowledgement but the start of the attempt.
                        started: list[SyncPoint] = []
                        restart = kept[-1] if kept else None
                        await connection.send(FILE, io.BytesIO(whole), restart, acknowledged=started.append)
                except Deferred:
                    kept.append(started[0])
        assert [point.spacing for point in kept] == [2048, 4096]
        assert kept[1].offset == 10_240
        assert shelf.incoming[17].path.read_bytes() == whole

    asyncio.run(talk())


@pytest.mark.parametrize("way", ["up", "down"])
def test_a_stall_is_noticed_in_time(tmp_path: Path, way: str) -> None:
    async def talk() -> None:
        shelf = Shelf(tmp_path)
        async with serving(shelf, Settings(timers=QUICK)) as port, proxy(port) as between:
            for number, after in enumerate((0, 30, 60, 75), start=1):
                between.fault = Fault(way, after, "stall")
                sender = Sender(partner(between.port, timers=QUICK))
                began = time.monotonic()
                with pytest.raises(Deferred) as stalled:
                    await sender.attempt(numbered(number))
                assert time.monotonic() - began < 3
                assert stalled.value.scope is Scope.ROUTE
                between.fault = None
                await sender.attempt(numbered(number))
                assert shelf.incoming[number].path.read_bytes() == WHOLE

    asyncio.run(talk())


def test_the_server_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    async def talk() -> None:
        shelf = Shelf(tmp_path)
        async with serving(shelf) as port, proxy(port) as between:
            between.fault = Fault("up", 4000)
            sender = Sender(partner(between.port))
            with pytest.raises(Deferred):
                await sender.attempt(FILE)
            for _ in range(100):
                if shelf.incoming[17].abandoned:
                    break
                await asyncio.sleep(0.01)
        assert shelf.incoming[17].abandoned == ("PES-CUT", True)
        assert sender.point is not None
        assert shelf.incoming[17].position().number >= sender.point.number > 0

    asyncio.run(talk())


def test_who_does_not_read_stops_us_in_bounded_memory() -> None:
    class Endless(io.RawIOBase):
        taken = 0

        def read(self, size: int = -1) -> bytes:
            self.taken += size
            return bytes(size)

        def seek(self, offset: int, whence: int = 0) -> int:
            return 1 << 30

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in (
            "0011402101520601020703000000170100",
            "000fc0300100020300000019027fff",
            "000bc03301000203000000",
            "000ec03601000203000000120100",
        ):
            await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
            writer.write(bytes([0, len(answer) // 2]) + bytes.fromhex(answer))
        await asyncio.sleep(3600)

    async def talk() -> None:
        server = await asyncio.start_server(deaf, "127.0.0.1", 0, limit=1024)
        source = Endless()
        with pytest.raises(Deferred) as late:
            async with connect(partner(server.sockets[0].getsockname()[1], timers=QUICK)) as connection:
                await connection.send(FILE, source)  # type: ignore[arg-type]
        assert late.value.code == "PES-3.317"
        assert source.taken < 32 << 20
        server.close()

    asyncio.run(talk())

"""Going back inside a transfer (RESYN), in both roles and both directions, and what it must not do."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from shelf import FILE, SHORT, Incoming, Outgoing, Shelf, numbered, serving

from gateway.errors import Deferred, Trouble
from gateway.link.client import Partner, connect
from gateway.link.flow import GoBack
from gateway.link.server import Settings
from gateway.pesit.compression import Compression
from gateway.pesit.framing import Framing
from gateway.pesit.packing import Sending
from gateway.pesit.transfer import MOST_RESYNCS, Identity, SyncPoint

CONTENT = bytes(i * 7 % 251 for i in range(200_000))


@dataclass
class Doubting(Incoming):
    """Wants everything since its last point again at each of the moments named."""

    doubts: list[str] = field(default_factory=list)
    writes: int = 0

    def _doubt(self, moment: str) -> None:
        if self.doubts and self.doubts[0] == moment:
            self.doubts.pop(0)
            raise GoBack("1.100", "relu de travers")

    def write(self, data: bytes, ends: bool) -> None:
        self.writes += 1
        super().write(data, ends)
        self._doubt("write" if self.writes % 50 == 0 else "")

    async def sync(self) -> None:
        self._doubt("sync")
        await super().sync()

    def end(self, size: int, articles: int) -> None:
        self._doubt("end")
        super().end(size, articles)


@dataclass
class Doubtful(Outgoing):
    """A file that its server cannot read at the first attempt."""

    doubts: int = 1

    def articles(self, start: SyncPoint) -> Iterator[bytes]:
        for number, data in enumerate(super().articles(start)):
            if self.doubts and number == 60:
                self.doubts -= 1
                raise GoBack
            yield data


def caller(port: int, **changes: object) -> Partner:
    given = {"sync_kb": 8, "window": 2, "resync": True} | changes
    return Partner("127.0.0.1", port, "BOX", "OCT", "SECRET", timers=SHORT, **given)  # type: ignore[arg-type]


WAYS = [
    {},
    {"window": 0},
    {"window": 1},
    {"sync_kb": 0},
    {"framing": Framing.RAW},
    {"sending": Sending(multi_article=True, segment_to_fill=True, concatenate=True)},
    {"compression": Compression.BOTH},
    {"crc": True},
]


@pytest.mark.fact("F-56", "F-58", "F-104", "F-109")
@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("doubts", [["write"], ["sync"], ["end"], ["write", "sync", "write", "end", "end"]], ids=str)
def test_the_receiver_wants_data_again(tmp_path: Path, way: dict[str, object], doubts: list[str]) -> None:
    doubts = [moment for moment in doubts if moment != "sync" or way.get("sync_kb") != 0]

    async def talk() -> None:
        shelf = Shelf(tmp_path)
        there = shelf.incoming[17] = Doubting(tmp_path / "17", doubts=[*doubts])
        back = Doubting(tmp_path / "back", doubts=[*doubts])
        async with serving(shelf) as port, connect(caller(port, **way)) as connection:
            sent = await connection.send(FILE, io.BytesIO(CONTENT))
            shelf.offered = Outgoing(numbered(99), tmp_path / "17")
            await connection.pull(Identity("RETOURS"), lambda identity: back)
        assert there.path.read_bytes() == back.path.read_bytes() == CONTENT
        assert there.ended == back.ended == (sent.size, sent.articles) == (200_000, 391)
        assert there.doubts == back.doubts == []

    asyncio.run(talk())


@pytest.mark.fact("F-56", "F-109")
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_the_sender_wants_to_send_again(tmp_path: Path, way: dict[str, object]) -> None:
    async def talk() -> None:
        shelf = Shelf(tmp_path)
        wanted = [30_000, 100_000, len(CONTENT)]
        points: list[SyncPoint] = []

        def progress(offset: int) -> None:
            if wanted and offset >= wanted[0]:
                wanted.pop(0)
                raise GoBack

        async with serving(shelf) as port, connect(caller(port, **way)) as connection:
            await connection.send(FILE, io.BytesIO(CONTENT), progress=progress, acknowledged=points.append)
            shelf.offered = Doubtful(numbered(99), tmp_path / "17")
            back = Incoming(tmp_path / "back")
            await connection.pull(Identity("RETOURS"), lambda identity: back)
        assert wanted == []
        assert shelf.offered.doubts == 0
        assert shelf.incoming[17].path.read_bytes() == back.path.read_bytes() == CONTENT
        # What was acknowledged is never asked for again by us.
        assert [point.number for point in points] == sorted(point.number for point in points)

    asyncio.run(talk())


@pytest.mark.fact("F-109")
def test_without_agreement_it_is_an_interruption_that_may_be_restarted(tmp_path: Path) -> None:
    async def talk(offered: bool, agreed: bool) -> None:
        shelf = Shelf(tmp_path)
        there = shelf.incoming[17] = Doubting(tmp_path / "17", doubts=["write"])
        known: list[SyncPoint] = []
        settings = Settings(timers=SHORT, resync=agreed)
        async with serving(shelf, settings) as port, connect(caller(port, resync=offered)) as connection:
            with pytest.raises(Deferred) as interrupted:
                await connection.send(FILE, io.BytesIO(CONTENT), acknowledged=known.append)
            assert interrupted.value.code == "PES-1.100"
            assert there.abandoned == ("PES-1.100", True)
            again = await connection.send(FILE, io.BytesIO(CONTENT), known[-1])
        assert again.restarted_from == 3
        assert there.path.read_bytes() == CONTENT

    for offered, agreed in ((False, True), (True, False)):
        asyncio.run(talk(offered, agreed))
        for left in tmp_path.iterdir():
            left.unlink()


@pytest.mark.fact("F-109")
@pytest.mark.parametrize("who", ["receiver", "sender"])
def test_too_often_is_the_end_of_the_connection(tmp_path: Path, who: str) -> None:
    async def talk() -> Trouble:
        shelf = Shelf(tmp_path)
        shelf.incoming[17] = Doubting(tmp_path / "17", doubts=["end"] * 99 if who == "receiver" else [])
        asked, known = 0, [SyncPoint()]

        def progress(offset: int) -> None:
            nonlocal asked
            asked += 1
            if who == "sender":
                raise GoBack

        async with serving(shelf) as port:
            with pytest.raises(Deferred) as given_up:
                async with connect(caller(port)) as connection:
                    await connection.send(FILE, io.BytesIO(CONTENT), progress=progress, acknowledged=known.append)
            if who == "sender":
                assert asked == MOST_RESYNCS + 1
            # The server is there for the next one, and the context is not lost.
            shelf.incoming[17].doubts = []  # type: ignore[attr-defined]
            async with connect(caller(port)) as connection:
                await connection.send(FILE, io.BytesIO(CONTENT), known[-1])
        assert shelf.incoming[17].path.read_bytes() == CONTENT
        return given_up.value

    assert asyncio.run(talk()).code == "PES-3.320"


def test_another_file_follows_and_has_its_own_count(tmp_path: Path) -> None:
    async def talk() -> None:
        shelf = Shelf(tmp_path)
        async with serving(shelf) as port, connect(caller(port)) as connection:
            for number in range(1, 4):
                shelf.incoming[number] = Doubting(tmp_path / str(number), doubts=["write"] * 9)
                await connection.send(replace(FILE, transfer_id=number), io.BytesIO(CONTENT))
                assert shelf.incoming[number].path.read_bytes() == CONTENT

    asyncio.run(talk())

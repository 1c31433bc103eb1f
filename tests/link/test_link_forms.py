"""Every way to put a file onto the line, there and back: packing, compression, check bytes, entities."""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from proxy import Fault, proxy
from shelf import FILE, SHORT, Incoming, Outgoing, Shelf, numbered, serving

from gateway.errors import Deferred, Refused, Scope
from gateway.link.client import Outcome, Partner, connect
from gateway.link.server import Settings
from gateway.pesit.compression import Compression
from gateway.pesit.framing import Framing
from gateway.pesit.packing import Sending
from gateway.pesit.transfer import Identity, SyncPoint

NONE, HORIZONTAL, VERTICAL, BOTH = Compression
MULTI, LIKE_EXPRESS = Sending(multi_article=True), Sending(True, True, True)
RECORD = b"1FSE%06d DUPONT          JEANNE          000000012500  20260101%32s\n"
WHOLE = b"".join(RECORD % (number, b"") for number in range(120)) + bytes(range(256)) * 4
QUICK = replace(SHORT, answer=1.0, store=1.0)


def partner(port: int, **more: object) -> Partner:
    given = {"password": "SECRET", "sync_kb": 1, "window": 2, "timers": SHORT} | more
    return Partner("127.0.0.1", port, "BOX", "OCT", **given)  # type: ignore[arg-type]


@dataclass
class Heard:
    """The bytes of a line, each way."""

    ways: dict[str, bytearray] = field(default_factory=lambda: {"<": bytearray(), ">": bytearray()})

    def __call__(self, way: str, data: bytes) -> None:
        self.ways[way] += data


async def there_and_back(directory: Path, whole: bytes, settings: Settings, **more: object) -> tuple[Heard, Outcome]:
    """Send ``whole``, pull it again; what passed, and how the sending went."""
    shelf, heard = Shelf(directory), Heard()
    async with serving(shelf, settings) as port, connect(partner(port, **more), observe=heard) as connection:
        sent = await connection.send(FILE, io.BytesIO(whole))
        shelf.offered = Outgoing(numbered(99), directory / "17")
        back = Incoming(directory / "back")
        pulled = await connection.pull(Identity("RETOURS"), lambda identity: back)
    assert pulled is not None
    assert shelf.incoming[17].path.read_bytes() == back.path.read_bytes() == whole
    assert shelf.incoming[17].ended == back.ended == (len(whole), sent.articles) == (len(whole), -(-len(whole) // 512))
    return heard, sent


@pytest.mark.fact("F-01", "F-82", "F-84", "F-86", "F-88", "F-91", "F-92", "F-95")
@pytest.mark.parametrize("whole", [WHOLE, b"", b"x"], ids=["file", "nothing", "one byte"])
@pytest.mark.parametrize("framing", [Framing.PREFIXED, Framing.RAW])
@pytest.mark.parametrize("sending", [Sending(), MULTI, Sending(concatenate=True), LIKE_EXPRESS])
@pytest.mark.parametrize(("compression", "crc"), [(NONE, False), (NONE, True), (BOTH, False), (VERTICAL, True)])
def test_every_form_goes_there_and_back(
    tmp_path: Path, whole: bytes, framing: Framing, sending: Sending, compression: Compression, crc: bool
) -> None:
    settings = Settings(timers=SHORT, entity=1300, sending=sending)
    more = {"framing": framing, "sending": sending, "compression": compression, "crc": crc}
    asyncio.run(there_and_back(tmp_path, whole, settings, **more))


@pytest.mark.fact("F-91")
@pytest.mark.parametrize(
    ("proposed", "allowed", "agreed"),
    [(BOTH, BOTH, BOTH), (BOTH, HORIZONTAL, HORIZONTAL), (HORIZONTAL, VERTICAL, NONE), (BOTH, NONE, NONE)],
)
def test_the_server_decides_on_compression(
    tmp_path: Path, proposed: Compression, allowed: Compression, agreed: Compression
) -> None:
    settings = Settings(timers=SHORT, compression=allowed)
    heard, _ = asyncio.run(there_and_back(tmp_path, WHOLE, settings, compression=proposed))
    assert b"\x15\x02" + proposed.coded() in heard.ways[">"]
    assert b"\x15\x02" + agreed.coded() in heard.ways["<"]
    for way in heard.ways.values():
        assert (len(way) < len(WHOLE)) is bool(agreed)


@pytest.mark.fact("F-80")
@pytest.mark.parametrize(("entity", "crc", "carried"), [(7, False, True), (6, False, False), (0, False, False),
                                                        (9, True, True), (8, True, False)])  # fmt: skip
def test_the_smallest_entity(tmp_path: Path, entity: int, crc: bool, carried: bool) -> None:
    async def talk() -> None:
        shelf = Shelf(tmp_path)
        async with serving(shelf) as port, connect(partner(port, crc=crc)) as connection:
            if not carried:
                with pytest.raises(Refused, match=rf"2\.234.*{entity} octets"):
                    await connection.send(replace(FILE, entity=entity), io.BytesIO(b"refused"))
                with pytest.raises(Refused, match=rf"2\.234.*{entity} octets"):
                    await connection.pull(Identity("RETOURS", entity=entity), lambda identity: Incoming(tmp_path / "x"))
            await connection.send(replace(FILE, entity=entity if carried else 600), io.BytesIO(WHOLE[:1300]))
        assert shelf.incoming[17].path.read_bytes() == WHOLE[:1300]

    asyncio.run(talk())


@pytest.mark.fact("F-95")
def test_a_server_may_not_want_check_bytes(tmp_path: Path) -> None:
    async def talk() -> None:
        async with serving(Shelf(tmp_path), Settings(timers=SHORT, crc=False)) as port:
            with pytest.raises(Refused, match=r"3\.323"):
                async with connect(partner(port, crc=True)):
                    raise AssertionError("it was let in")

    asyncio.run(talk())


@pytest.mark.fact("F-95")
def test_check_bytes_announced_and_not_there(tmp_path: Path) -> None:
    connect_ = bytes.fromhex("40200001" + "010101" + "0303424f58" + "04034f4354" + "060102" + "160102")
    length = (len(connect_) + 2).to_bytes(2, "big")

    async def talk() -> None:
        async with serving(Shelf(tmp_path)) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(length + length + connect_)
            answer = await reader.read(100)
            assert answer[4:6].hex() == "4022"
            assert b"\x02\x03\x03\x01\x43" in answer
            writer.close()

    asyncio.run(talk())


@dataclass
class Sender:
    """A caller that keeps its points."""

    caller: Partner
    point: SyncPoint | None = None

    def keep(self, point: SyncPoint) -> None:
        self.point = point

    async def attempt(self, number: int) -> Outcome:
        async with connect(self.caller) as connection:
            return await connection.send(numbered(number), io.BytesIO(WHOLE), self.point, acknowledged=self.keep)


@pytest.mark.fact("F-76", "F-103", "F-104", "F-105", "F-111")
@pytest.mark.parametrize(
    "form",
    [{"sending": LIKE_EXPRESS}, {"compression": BOTH}, {"compression": BOTH, "sending": LIKE_EXPRESS, "crc": True}],
    ids=["packed", "compressed", "all"],
)
@pytest.mark.parametrize(("way", "share"), [("up", 25), ("down", 15)])
def test_a_cut_write_goes_on_in_the_same_form(tmp_path: Path, form: dict[str, object], way: str, share: int) -> None:
    async def talk() -> None:
        shelf = Shelf(tmp_path)
        async with serving(shelf, Settings(timers=SHORT, entity=1300)) as port, proxy(port) as between:
            caller = partner(between.port, **form)
            await Sender(caller).attempt(1)
            await asyncio.sleep(0.05)
            total, restarts = between.passed[way], 0
            for number, after in enumerate(range(7, total, total // share + 1), start=2):
                sender = Sender(caller)
                between.fault = Fault(way, after)
                try:
                    await sender.attempt(number)
                except Deferred:
                    between.fault, known = None, sender.point
                    outcome = await sender.attempt(number)
                    restarts += outcome.restarted_from > 0
                    assert outcome.moved <= len(WHOLE) - (known.offset if known else 0)
                assert shelf.incoming[number].path.read_bytes() == WHOLE
                assert shelf.incoming[number].ended == (len(WHOLE), -(-len(WHOLE) // 512))
            assert restarts > 3

    asyncio.run(talk())


class Forgetful(Incoming):
    """A receiver that keeps of a point what an uncompressed file needs."""

    def mark(self, point: SyncPoint) -> None:
        super().mark(replace(point, spared=None))


@pytest.mark.fact("F-108", "F-112")
def test_a_receiver_that_forgets_what_was_spared_still_gets_its_file(tmp_path: Path) -> None:
    async def talk() -> None:
        shelf = Shelf(tmp_path)
        shelf.incoming[17] = Forgetful(tmp_path / "17")
        async with serving(shelf) as port, proxy(port) as between:
            sender = Sender(partner(between.port, compression=BOTH))
            between.fault = Fault("up", 3000)
            with pytest.raises(Deferred):
                await sender.attempt(17)
            between.fault = None
            assert (await sender.attempt(17)).restarted_from > 0
        assert shelf.incoming[17].path.read_bytes() == WHOLE

    asyncio.run(talk())


@pytest.mark.fact("F-95", "F-109")
@pytest.mark.parametrize(("way", "share"), [("up", 30), ("down", 8)])
@pytest.mark.parametrize("resync", [True, False])
def test_damage_on_the_line_never_reaches_the_file(tmp_path: Path, way: str, share: int, resync: bool) -> None:
    """With RESYN most of it is repaired in place; the rest, and all without it, is a restart."""

    async def talk() -> None:
        shelf, repaired, aborted = Shelf(tmp_path), 0, 0
        async with serving(shelf, Settings(timers=QUICK, entity=1300)) as port, proxy(port) as between:
            caller = partner(between.port, crc=True, resync=resync, timers=QUICK)
            await Sender(caller).attempt(1)
            await asyncio.sleep(0.05)
            total = between.passed[way]
            for number, after in enumerate(range(11, total, total // share + 1), start=2):
                sender = Sender(caller)
                between.fault = Fault(way, after, "flip")
                try:
                    await sender.attempt(number)
                    repaired += 1
                except Deferred as cause:
                    assert cause.scope is Scope.ROUTE
                    between.fault = None
                    aborted += cause.code == "PES-3.310"
                    await sender.attempt(number)
                assert shelf.incoming[number].path.read_bytes() == WHOLE
        assert repaired > share // 2 if resync else aborted > 0

    asyncio.run(talk())

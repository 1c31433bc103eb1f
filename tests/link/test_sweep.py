"""The fault sweep: the line is cut at every FPDU and inside it, reset, stalled, slowed to single bytes.

Each case begins with an empty directory of the product's own, spoils one attempt at one place, and goes on until
the file is there. Then it is byte for byte the file, there once and under its name, and nothing that was
acknowledged went over the line again. The places are found on an undisturbed line of the same shape.
"""

from __future__ import annotations

import asyncio
import io
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from dialogs import content
from proxy import Fault, Proxy, proxy
from shelf import FILE, SHORT, Incoming

from gateway.errors import Deferred, Scope
from gateway.link.client import Connection, Partner, connect
from gateway.link.directory import Directory, Rooms
from gateway.link.line import Timers
from gateway.link.partners import PartnerEntry, Partners
from gateway.link.passwords import password_hash
from gateway.link.server import Settings, serve
from gateway.pesit.codec import articles, decode
from gateway.pesit.compression import Compression
from gateway.pesit.fpdus import DATA
from gateway.pesit.framing import Framing
from gateway.pesit.packing import Sending
from gateway.pesit.profiles import Alphabet
from gateway.pesit.records import Form
from gateway.pesit.transfer import Identity, SyncPoint

WHOLE = content(4300)
PARTNERS = Partners([PartnerEntry("BOX", password_hash("SECRET"))], lambda: 0.0)
DATA_WAY = {"write": "up", "read": "down"}
WAITING = ("stall", "flip")
"""Faults that only a deadline notices, or may: many of them wait together."""
IMPATIENT = replace(SHORT, answer=1.5, store=1.5, connect=1.5)


@dataclass(frozen=True)
class Shape:
    """How the two sides talk: fields of ``Partner`` and of the server's ``Settings``."""

    name: str
    partner: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def plain(self) -> bool:
        """Whether the bytes on the line are those of the file."""
        return "compression" not in self.partner and "crc" not in self.partner


BOTH = Compression.BOTH
ALL = Sending(multi_article=True, segment_to_fill=True, concatenate=True)
SHAPES = [
    Shape("window 2"),
    Shape("window 1, raw", {"window": 1, "framing": Framing.RAW}),
    Shape("window 0", {"window": 0}),
    Shape("window 4, multi", {"window": 4, "sending": Sending(multi_article=True)}, {"sending": Sending(True)}),
    Shape("filled", {"window": 3, "sending": ALL}, {"sending": ALL, "entity": 700}),
    Shape("fragments", {}, {"entity": 200}),
    Shape("compressed", {"compression": BOTH, "sending": ALL}, {"compression": BOTH, "sending": ALL}),
    Shape("checksums", {"crc": True}, {"crc": True}),
    Shape("pre-connection", {"pre_connection": Alphabet.EBCDIC, "window": 4}),
]
CHECKED = Shape("checksums, back on damage", {"crc": True, "resync": True, "window": 3}, {"crc": True})
NO_POINTS = Shape("no points", {"sync_kb": 0})


@dataclass
class Case:
    """One directory, one server, one proxy; ``attempt`` once or more."""

    shape: Shape
    room: Path
    between: Proxy
    timers: Timers
    point: SyncPoint | None = None
    given: Identity | None = None

    def partner(self) -> Partner:
        given: dict[str, Any] = {"password": "SECRET", "sync_kb": 1, "window": 2, "timers": self.timers}
        return Partner("127.0.0.1", self.between.port, "BOX", "OCT", **(given | self.shape.partner))

    def keep(self, point: SyncPoint) -> None:
        assert self.point is None or point.number == 0 or point.number >= self.point.number, "went backwards"
        self.point = point

    async def write(self) -> int:
        """One attempt to send; the bytes of the file that it moved."""
        async with connect(self.partner()) as connection:
            source = io.BytesIO(WHOLE)
            return (await connection.send(FILE, source, self.point, acknowledged=self.keep)).moved

    async def read(self) -> int:
        """One attempt to fetch."""
        self.point = self.incoming.position()
        async with connect(self.partner()) as connection:
            return await self._pull(connection)

    async def _pull(self, connection: Connection) -> int:
        request = self.given or Identity("FSE")
        outcome = await connection.pull(request, self.select, restart=self.given is not None)
        assert outcome is not None
        return outcome.moved

    @property
    def incoming(self) -> Incoming:
        return Incoming(self.room / "back")

    def select(self, identity: Identity) -> Incoming:
        self.given = identity
        return self.incoming

    def said(self, side: str) -> bytes:
        """What went up or down in the last attempt."""
        assert self.between.record is not None
        return bytes(self.between.record[side])

    def check(self, way: str) -> None:
        """The file is there, whole and once."""
        if way == "read":
            assert (self.room / "back").read_bytes() == WHOLE
            return
        landed = [path for path in (self.room / "in").iterdir() if path.is_file()]
        assert [path.name for path in landed] == ["FSE"]
        assert landed[0].read_bytes() == WHOLE


@asynccontextmanager
async def case(shape: Shape, room: Path, fault: Fault | None, timers: Timers = SHORT) -> AsyncIterator[Case]:
    """A case whose first connection is spoilt by ``fault``."""
    outgoing = room / "out"
    if not outgoing.exists():
        outgoing.mkdir(parents=True)
        (outgoing / "FSE").write_bytes(WHOLE)
    rooms = Rooms(room / "in", outgoing, form=Form(512))
    application = Directory("OCT", rooms, PARTNERS, lambda what, told: None)
    sock, stop = socket.create_server(("127.0.0.1", 0)), asyncio.Event()
    # A server that gives up before its caller does never holds a transfer that is asked for again.
    sooner = replace(timers, answer=timers.answer / 2, store=timers.store / 2, connect=timers.connect / 2)
    settings = Settings(**({"timers": sooner} | shape.settings))
    task = asyncio.create_task(serve([sock], application, settings, None, stop))
    try:
        async with proxy(sock.getsockname()[1]) as between:
            between.record, between.fault = {}, fault
            yield Case(shape, room, between, timers)
    finally:
        stop.set()
        await task


def fpdus(stream: bytes, shape: Shape) -> Iterator[tuple[int, int, bytes]]:
    """Where each FPDU of a stream begins and ends, its length before it and its check bytes behind it included."""
    raw, check = shape.partner.get("framing") is Framing.RAW, 2 if "crc" in shape.partner else 0
    at = 0
    if "pre_connection" in shape.partner and len(stream) > 2:
        at = 2 + int.from_bytes(stream[:2], "big")
        yield 0, at, b""
    end_of_entity = at
    while at < len(stream):
        begin = at
        if not raw and at == end_of_entity:
            end_of_entity = at + 2 + int.from_bytes(stream[at : at + 2], "big")
            at += 2
        end = at + int.from_bytes(stream[at : at + 2], "big")
        yield begin, end + check, stream[at:end]
        at = end + check


def data_bytes(stream: bytes, shape: Shape) -> int:
    """The bytes of articles in a stream."""
    found = (decode(frame) for _, end, frame in fpdus(stream, shape) if frame and end <= len(stream))
    data = (fpdu for fpdu in found if fpdu.name in DATA)
    return sum(len(b"".join(articles(f.body, f.source)) if f.name == "DTF" else f.body) for f in data)


async def places(shape: Shape, way: str, room: Path, side: str) -> list[int]:
    """The byte before each FPDU, two inside it, and the end, as an undisturbed attempt has them."""
    async with case(shape, room, None) as whole:
        assert await getattr(whole, way)() == len(WHOLE)
        whole.check(way)
        stream = whole.said(side)
        if shape.plain:
            assert data_bytes(whole.said(DATA_WAY[way]), shape) == len(WHOLE)
    found = {at for begin, end, _ in fpdus(stream, shape) for at in (begin, begin + 1, (begin + end) // 2)}
    return sorted(found | {len(stream)})


async def survive(shape: Shape, way: str, room: Path, fault: Fault) -> None:
    """One spoilt attempt, then as many good ones as it takes: one."""
    waits = fault.kind in WAITING
    async with case(shape, room, fault, IMPATIENT if waits else SHORT) as spoilt:
        try:
            await getattr(spoilt, way)()
        except Deferred as cause:
            assert cause.scope is Scope.ROUTE or fault.kind == "flip", cause
        else:
            spoilt.check(way)
            return
        if not waits:
            spoilt.between.fault = None
            await go_on(spoilt, way)
    if waits:
        # Whoever was impatient once is not so again, however busy the machine.
        async with case(shape, room, None) as again:
            again.point, again.given = spoilt.point, spoilt.given
            await go_on(again, way)


async def go_on(spoilt: Case, way: str) -> None:
    """The attempt that succeeds: no byte of it was acknowledged before."""
    known = spoilt.incoming.position() if way == "read" else spoilt.point
    moved = await getattr(spoilt, way)()
    left = len(WHOLE) - (known.offset if known else 0)
    assert moved <= left, f"{moved} bytes moved, {left} were not acknowledged"
    if spoilt.shape.plain:
        said = spoilt.said(DATA_WAY[way])
        assert data_bytes(said, spoilt.shape) == moved
    spoilt.check(way)


async def sweep(shape: Shape, way: str, room: Path, side: str, kind: str, stride: int = 1) -> int:
    """Every place of one side, eight at a time."""
    at = (await places(shape, way, room / "whole", side))[::stride]
    together = 32 if kind in WAITING else 8
    for first in range(0, len(at), together):
        async with asyncio.TaskGroup() as group:
            for place in at[first : first + together]:
                group.create_task(survive(shape, way, room / str(place), Fault(side, place, kind)))
    return len(at)


named = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
ways = pytest.mark.parametrize("way", ["write", "read"])
sides = pytest.mark.parametrize("side", ["up", "down"])


@pytest.mark.fact("F-04", "F-75", "F-76", "F-103", "F-104", "F-105", "F-111", "F-113")
@named
@ways
@sides
def test_cut_at_every_fpdu_and_inside(shape: Shape, way: str, side: str, tmp_path: Path) -> None:
    stride = 1 if shape in SHAPES[:2] else 2
    assert asyncio.run(sweep(shape, way, tmp_path, side, "cut", stride)) > 10


@pytest.mark.fact("F-111")
@ways
@sides
@pytest.mark.parametrize("kind", ["reset", "stall"])
def test_reset_and_stalled_at_every_fpdu(way: str, side: str, kind: str, tmp_path: Path) -> None:
    asyncio.run(sweep(SHAPES[0], way, tmp_path, side, kind, 2))


@pytest.mark.fact("F-95", "F-109")
@ways
@sides
def test_a_bit_spoilt_in_every_fpdu(way: str, side: str, tmp_path: Path) -> None:
    asyncio.run(sweep(CHECKED, way, tmp_path, side, "flip"))


@pytest.mark.fact("F-04")
@named
@ways
@sides
def test_dripping_line(shape: Shape, way: str, side: str, tmp_path: Path) -> None:
    async def talk() -> None:
        async with case(shape, tmp_path / "x", Fault(side, 0, "drip")) as slow:
            assert await getattr(slow, way)() == len(WHOLE)
            slow.check(way)

    asyncio.run(talk())


@pytest.mark.fact("F-103")
@ways
def test_without_points_all_of_it_goes_again(way: str, tmp_path: Path) -> None:
    asyncio.run(sweep(NO_POINTS, way, tmp_path, "up", "cut", 2))


@pytest.mark.long
@named
@ways
@sides
@pytest.mark.parametrize("kind", ["cut", "reset", "stall"])
def test_every_fault_at_every_fpdu(shape: Shape, way: str, side: str, kind: str, tmp_path: Path) -> None:
    asyncio.run(sweep(shape, way, tmp_path, side, kind))


@pytest.mark.long
@ways
@sides
def test_cut_at_every_byte(way: str, side: str, tmp_path: Path) -> None:
    async def talk() -> None:
        end = (await places(SHAPES[0], way, tmp_path / "whole", side))[-1]
        for first in range(0, end, 8):
            async with asyncio.TaskGroup() as group:
                for at in range(first, min(first + 8, end)):
                    group.create_task(survive(SHAPES[0], way, tmp_path / str(at), Fault(side, at)))

    asyncio.run(talk())

"""Spoilt dialogs against our server and our client on a real line: troubles, never anything else, and no hang.

What is spoilt are the lines of ``tests/dialogs``: left out, repeated, in another order, with bytes changed. The
server has the product's own directory behind it; it must answer the next caller as if nothing had been.
"""

from __future__ import annotations

import asyncio
import io
import random
import socket
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from dialogs import Dialog, Player, content, dialogs
from shelf import FILE, SHORT, Incoming, numbered

from gateway.errors import Trouble
from gateway.link.client import Connection, Partner, connect
from gateway.link.directory import Directory, Rooms
from gateway.link.line import Timers
from gateway.link.partners import PartnerEntry, Partners
from gateway.link.passwords import password_hash
from gateway.link.server import Settings, serve
from gateway.pesit.records import Form
from gateway.pesit.transfer import Identity, SyncPoint

QUICK = Timers(answer=0.2, connect=0.2, idle=0.2, close=0.2, store=0.2)
HANG = 5.0
"""Seconds that nothing here may take: several deadlines one after the other."""


class Recorder(asyncio.StreamWriter):
    """A writer that only keeps what is written."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def write(self, data: bytes) -> None:  # type: ignore[override]
        self.pieces.append(data)


def said(dialog: Dialog, side: str) -> list[bytes]:
    """What ``side`` says in a dialog, piece by piece; the ids are those that the other usually takes."""
    recorder = Recorder()
    player = Player(side, dialog, asyncio.StreamReader(), recorder)
    player.peer = 1
    for line in dialog.lines:
        word, _, rest = line.partition(" ")
        if word == side and not rest.endswith("closed"):
            player.say(rest.partition(" ")[2])
    return recorder.pieces


def spoil(chance: random.Random, pieces: list[bytes]) -> list[bytes]:
    """One to three things done to what was said."""
    pieces = list(pieces)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(pieces))
        match chance.choice(["leave out", "repeat", "swap", "change", "change", "cut", "put in", "length"]):
            case "leave out" if len(pieces) > 1:
                del pieces[at]
            case "repeat":
                pieces.insert(at, pieces[at])
            case "swap":
                other = chance.randrange(len(pieces))
                pieces[at], pieces[other] = pieces[other], pieces[at]
            case "cut":
                pieces[at] = pieces[at][: chance.randrange(len(pieces[at]) + 1)]
            case "put in":
                pieces.insert(at, chance.randbytes(chance.choice([1, 6, 40, 3000])))
            case "length":
                pieces[at] = chance.randbytes(2) + pieces[at][2:]
            case _:
                spoilt = bytearray(pieces[at])
                for _ in range(chance.randint(1, 4) if spoilt else 0):
                    spoilt[chance.randrange(len(spoilt))] = chance.randrange(256)
                pieces[at] = bytes(spoilt)
    return pieces


CALLS = [pieces for dialog in dialogs("server") if (pieces := said(dialog, "c"))]
ANSWERS = [pieces for dialog in dialogs("client") if (pieces := said(dialog, "s"))]


async def call(port: int, pieces: list[bytes], chance: random.Random) -> None:
    """Say it all, sometimes waiting for an answer between, and hang up when the server did or says no more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            if chance.random() < 0.7:
                await writer.drain()
                await asyncio.wait_for(reader.read(1 << 16), 0.02)
        await asyncio.sleep(0.01)
    except (TimeoutError, OSError):
        pass
    finally:
        writer.close()


def rooms(room: Path) -> Rooms:
    (room / "out").mkdir()
    for name in ("S", "RETOURS", "x" * 100):
        (room / "out" / name).write_bytes(content(3000))
    return Rooms(room / "in", room / "out", form=Form(512))


PARTNERS = Partners([PartnerEntry("BOX", password_hash("SECRET"))], lambda: 0.0)


async def against_server(room: Path, seed: int, count: int) -> None:
    chance = random.Random(seed)
    sock, stop = socket.create_server(("127.0.0.1", 0)), asyncio.Event()
    application = Directory("OCT", rooms(room), PARTNERS, lambda what, told: None)
    settings = Settings(timers=QUICK, connections=1000)
    serving = asyncio.create_task(serve([sock], application, settings, None, stop))
    port = sock.getsockname()[1]
    for _ in range(count):
        calls = [spoil(chance, chance.choice(CALLS)) for _ in range(20)]
        async with asyncio.timeout(HANG):
            await asyncio.gather(*(call(port, pieces, chance) for pieces in calls))
        assert not serving.done(), serving.exception()
    async with connect(Partner("127.0.0.1", port, "BOX", "OCT", "SECRET", timers=SHORT)) as connection:
        await connection.send(numbered(9999), io.BytesIO(content(3000)))
    stop.set()
    await asyncio.wait_for(serving, HANG)


@pytest.mark.fact("F-57")
@pytest.mark.parametrize("seed", range(4))
def test_spoilt_callers_disturb_nobody(seed: int, tmp_path: Path) -> None:
    tracemalloc.start()
    try:
        asyncio.run(against_server(tmp_path, seed, 8))
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 160))
def test_spoilt_callers_disturb_nobody_for_long(seed: int, tmp_path: Path) -> None:
    asyncio.run(against_server(tmp_path, seed, 40))


Act = Callable[[Connection, Path], Awaitable[object]]


async def _pull(connection: Connection, room: Path) -> object:
    return await connection.pull(Identity("RETOURS"), lambda identity: Incoming(room / "back"))


ACTS: list[Act] = [
    lambda connection, room: connection.send(FILE, io.BytesIO(content(3000))),
    lambda connection, room: connection.send(FILE, io.BytesIO(content(3000)), SyncPoint(1, 1024, 2, 1024)),
    lambda connection, room: connection.message(FILE, "x" * 5000, answer=True),
    _pull,
]


async def against_client(room: Path, seed: int, count: int) -> int:
    """How many of the spoilt servers were survived as if nothing had been."""
    chance = random.Random(seed)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pieces = spoil(chance, chance.choice(ANSWERS))
        try:
            for piece in pieces:
                if not await reader.read(1 << 16):
                    break
                writer.write(piece)
            await asyncio.sleep(0.02 if chance.random() < 0.9 else 1)
        except OSError:
            pass
        finally:
            writer.close()

    async def attempt(number: int) -> bool:
        own = room / str(number)
        own.mkdir()
        given = {"password": "SECRET", "sync_kb": 1, "window": 2, "timers": QUICK}
        partner = Partner("127.0.0.1", port, "BOX", "OCT", resync=chance.random() < 0.5, **given)  # type: ignore[arg-type]
        try:
            async with asyncio.timeout(HANG), connect(partner) as connection:
                await chance.choice(ACTS)(connection, own)
        except Trouble:
            return False
        return True

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    survived = 0
    for first in range(0, count, 20):
        survived += sum(await asyncio.gather(*map(attempt, range(first, first + 20))))
    server.close()
    return survived


@pytest.mark.fact("F-57")
@pytest.mark.parametrize("seed", range(3))
def test_spoilt_servers_are_troubles(seed: int, tmp_path: Path) -> None:
    assert asyncio.run(against_client(tmp_path, seed, 160)) < 160


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 160))
def test_spoilt_servers_are_troubles_for_long(seed: int, tmp_path: Path) -> None:
    asyncio.run(against_client(tmp_path, seed, 800))

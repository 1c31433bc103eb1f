"""Hundreds of connections at one moment, and callers that waste ours: each has its deadline, none costs much."""

from __future__ import annotations

import asyncio
import io
import tracemalloc
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from shelf import FILE, SHORT, Shelf, numbered, serving

from gateway.link.client import Outcome, Partner, connect
from gateway.link.line import Timers
from gateway.link.server import Settings
from gateway.pesit.codec import Fpdu, encode
from gateway.pesit.framing import prefix
from gateway.pesit.transfer import Sync, create

CROWD = 300
PATIENT = Timers(answer=60, connect=60, idle=60, close=60, store=60)


def test_three_hundred_connections_at_once(tmp_path: Path) -> None:
    async def one(port: int, number: int, together: asyncio.Barrier) -> Outcome:
        partner = Partner("127.0.0.1", port, "BOX", "OCT", "SECRET", timers=PATIENT)
        async with connect(partner) as connection:
            await together.wait()
            sent = await connection.send(numbered(number), io.BytesIO(bytes([number % 256]) * 4096))
            await together.wait()
            return sent

    async def talk() -> None:
        shelf = Shelf(tmp_path)
        together = asyncio.Barrier(CROWD)
        async with serving(shelf, Settings(connections=CROWD, timers=PATIENT)) as port:
            tracemalloc.start()
            sent = await asyncio.gather(*(one(port, number, together) for number in range(1, CROWD + 1)))
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert [outcome.identity.transfer_id for outcome in sent] == list(range(1, CROWD + 1))
        for number in range(1, CROWD + 1):
            assert (tmp_path / str(number)).read_bytes() == bytes([number % 256]) * 4096
        # Both ends of each, the files at the client included.
        assert peak / CROWD < 150_000

    asyncio.run(talk())


CONNECT = encode(Fpdu("CONNECT", {3: "BOX", 4: "OCT", 5: "SECRET", 6: 2, 7: Sync(1, 2).coded(), 22: 2}, source=1))
OPENING = [CONNECT, encode(create(FILE, restart=False)), encode(Fpdu("ORF")), encode(Fpdu("WRITE"))]
IDLERS = {
    "silent": b"",
    "begins a length": b"\0",
    "begins CONNECT": prefix(CONNECT)[:20],
    "begins a preconnection": "PESIT   A".encode("cp500"),
    "connected": prefix(CONNECT),
    "selecting": b"".join(map(prefix, OPENING[:2])),
    "opening": b"".join(map(prefix, OPENING[:3])),
    "writing": b"".join(map(prefix, OPENING)),
    "in the middle of data": b"".join(map(prefix, OPENING)) + b"\xff\xff\xff\xff\0\0\0\0" + bytes(30_000),
}


def test_whoever_does_not_go_on_is_cut_in_time(tmp_path: Path) -> None:
    """Tc before CONNECT, Td between files, Tp elsewhere; a drip counts for nothing."""

    async def idle(port: int, said: bytes, pause: float = 0) -> float:
        """Seconds until the server ends it; with a ``pause`` after each byte that is said."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        began = asyncio.get_running_loop().time()
        over = asyncio.create_task(reader.read())
        for piece in [bytes([byte]) for byte in said] if pause else [said]:
            writer.write(piece)
            await asyncio.wait([over], timeout=pause)
        with suppress(ConnectionError):
            await asyncio.wait_for(over, 5)
        writer.close()
        return asyncio.get_running_loop().time() - began

    async def talk() -> list[float]:
        timers = Timers(answer=0.5, connect=0.3, idle=0.7, close=0.3, store=0.5)
        shelf = Shelf(tmp_path)
        async with serving(shelf, Settings(timers=timers)) as port:
            waited = await asyncio.gather(*(idle(port, said) for said in IDLERS.values()))
            dripped = await idle(port, prefix(CONNECT)[:12], 0.1)
            partner = Partner("127.0.0.1", port, "BOX", "OCT", "SECRET", timers=SHORT)
            async with connect(partner) as connection:
                await connection.send(replace(FILE, transfer_id=18), io.BytesIO(b"others are served"))
        return [*waited, dripped]

    waited = dict(zip([*IDLERS, "drip"], asyncio.run(talk()), strict=True))
    assert max(waited.values()) < 5
    assert waited["connected"] > 0.6
    assert all(waited[name] > 0.2 for name in IDLERS)

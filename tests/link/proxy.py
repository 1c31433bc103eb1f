"""A TCP forwarder that spoils one connection after so many bytes in one direction."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Fault:
    """``kind`` is cut, reset, stall, flip (one bit, and on it goes) or drip (one byte at a time, from the first).

    ``way`` is up (to the server) or down.
    """

    way: str
    after: int
    kind: str = "cut"


@dataclass
class Proxy:
    """``passed`` counts the bytes of the connection that runs now, or ran last; ``record``, if any, keeps them."""

    target: int
    port: int = 0
    fault: Fault | None = None
    passed: dict[str, int] = field(default_factory=dict)
    record: dict[str, bytearray] | None = None

    async def run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection; both ends are gone when it returns."""
        self.passed = {"up": 0, "down": 0}
        if self.record is not None:
            self.record = {"up": bytearray(), "down": bytearray()}
        there, back = await asyncio.open_connection("127.0.0.1", self.target)
        ways = [
            asyncio.create_task(self._carry("up", reader, back)),
            asyncio.create_task(self._carry("down", there, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            reset = self.fault is not None and self.fault.kind == "reset"
            for end in (writer, back):
                if reset and (sock := end.get_extra_info("socket")):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    end.transport.abort()
                end.close()

    async def _carry(self, way: str, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(1 << 16):
            fault = self.fault if self.fault and self.fault.way == way else None
            if fault and fault.kind == "flip":
                place = fault.after - self.passed[way]
                if 0 <= place < len(data):
                    data = data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :]
                fault = None
            if fault and fault.kind == "drip":
                for byte in data:
                    sink.write(bytes([byte]))
                    await sink.drain()
                    await asyncio.sleep(0)
                continue
            if fault:
                data = data[: max(0, fault.after - self.passed[way])]
            sink.write(data)
            await sink.drain()
            self.passed[way] += len(data)
            if self.record is not None:
                self.record[way] += data
            if fault and self.passed[way] >= fault.after:
                if fault.kind == "stall":
                    await asyncio.sleep(3600)
                return


@asynccontextmanager
async def proxy(target: int) -> AsyncIterator[Proxy]:
    """A proxy in front of ``target``; set its ``fault`` before connecting."""
    made = Proxy(target)
    server = await asyncio.start_server(made.run, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()

"""The dialogs of ``tests/dialogs``: text in which one side is played and the other is ours, on a real line.

A dialog is a header, an empty line, and lines in turn: ``c -> CONNECT 3='BOX'`` is what the client says, ``s <-
ACONNECT 6=2`` what the server says. Lines of the side under test are what is expected of it, in this order and
with at least these values; lines of the other are said as they are written, right or wrong. What ours says is
besides held to be strict: decoded and encoded again it is the same, alone in its entity where it must be.
``tests/dialogs/README.md`` has the whole language.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from pesit_notation import coded, expected, quoted, shown, text_of

from gateway.pesit.codec import Fpdu, articles, decode, encode, header
from gateway.pesit.fpdus import DATA

ROOM = Path(__file__).parents[1] / "dialogs"
PATIENCE = 5.0
CONCATENATED = DATA | {"DTF.END", "SYN"}
IDS = {"c": 1, "s": 0x52}
WAY = {"c": "->", "s": "<-"}


def content(size: int, at: int = 0) -> bytes:
    """The bytes that every file of a dialog has from ``at`` on; runs of alike ones among them."""
    return bytes((i // 5) * 7 % 253 for i in range(at, at + size))


@dataclass(frozen=True)
class Dialog:
    """One file, its parts put in."""

    name: str
    head: dict[str, str]
    lines: tuple[str, ...]

    def each(self, key: str) -> list[str]:
        """The items of a header line."""
        return [item.strip() for item in self.head.get(key, "").split("|") if item.strip()]


def _lines(text: str) -> list[str]:
    found: list[str] = []
    for line in text.splitlines():
        said = line.partition("#")[0].strip()
        if said.startswith("use "):
            found += _lines((ROOM / "parts" / f"{said[4:]}.txt").read_text(encoding="utf-8"))
        elif said:
            found.append(said)
    return found


def read(path: Path) -> Dialog:
    """The dialog in ``path``."""
    head, _, body = path.read_text(encoding="utf-8").partition("\n\n")
    return Dialog(path.stem, dict(line.split(": ", 1) for line in head.splitlines()), tuple(_lines(body)))


def dialogs(side: str) -> list[Dialog]:
    """Those that put ``side`` (client or server) to the test."""
    found = (read(path) for path in sorted(ROOM.glob("*.txt")))
    return [dialog for dialog in found if side in dialog.head["against"].split()]


class Player:
    """The side that is played: ``side`` is c or s."""

    def __init__(self, side: str, dialog: Dialog, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._side = side
        self._dialog = dialog
        self._reader = reader
        self._writer = writer
        self._prefixed = dialog.head.get("framing", "prefixed") == "prefixed"
        self._check = 2 if "crc" in dialog.head else 0
        self._bare = "bare abort" in dialog.head.get("forms", "")
        self.peer = 0
        self._introduced = False
        self._at = 0
        self._heard: deque[bytes] = deque()
        self._alone = True

    async def play(self) -> None:
        """All lines; AssertionError names the one at which the other side did otherwise."""
        for number, line in enumerate(self._dialog.lines, start=1):
            try:
                await self._line(line)
            except (AssertionError, TimeoutError, asyncio.IncompleteReadError, OSError) as cause:
                raise AssertionError(f"{self._dialog.name}, line {number}: {line}\n  {cause!r}") from cause

    async def _line(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        if word in IDS:
            way, _, said = rest.partition(" ")
            assert way == WAY[word], "-> is the client's, <- the server's"
            if word == self._side:
                self.say(said)
            else:
                async with asyncio.timeout(PATIENCE):
                    await self._expect(said)
        else:
            await {"wait": self._wait, "at": self._move, "cut": self._cut, "reset": self._reset}[word](rest)

    # --- said -----------------------------------------------------------------------------------------

    def say(self, said: str) -> None:
        if said.startswith("hex "):
            data = bytes.fromhex(said[4:])
            self._introduced = self._introduced or any(kind in data[:6] for kind in (b"\x40\x20", b"\x40\x21"))
            self._writer.write(data)
            return
        entity = b"".join(self._piece(piece) for piece in said.split(" + "))
        self._writer.write((len(entity).to_bytes(2, "big") if self._prefixed else b"") + entity)

    def _piece(self, piece: str) -> bytes:
        name, _, rest = piece.strip().partition(" ")
        own = IDS[self._side] if name in _CONNECTION else 0
        self._introduced = self._introduced or name in ("CONNECT", "ACONNECT", "RCONNECT")
        if name not in DATA:
            return self._summed(coded(name, rest, self.peer, own))
        count, body = self._articles(rest)
        return self._summed(header(name, 6 + len(body), self.peer, count) + body)

    def _articles(self, written: str) -> tuple[int, bytes]:
        """Byte 6 and body: ``512`` bytes of the content, ``3x512`` articles, or a quoted text."""
        if written.startswith("'"):
            return 0, text_of(written)
        count, _, size = written.rpartition("x")
        body = b""
        for _ in range(int(count or 1)):
            body += (int(size).to_bytes(2, "big") if count else b"") + content(int(size), self._at)
            self._at += int(size)
        return int(count or 0), body

    def _summed(self, frame: bytes) -> bytes:
        return frame + check_bytes(frame) if self._check else frame

    # --- expected -------------------------------------------------------------------------------------

    async def _expect(self, said: str) -> None:
        if said == "closed":
            left = await self._reader.read()
            assert (left, list(self._heard)) == (b"", []), f"more was said: {left.hex()}"
        elif said.startswith("hex "):
            asked = bytes.fromhex(said[4:])
            found = await self._reader.readexactly(len(asked))
            assert found == asked, found.hex()
        elif said.startswith("data "):
            await self._expect_data(int(said[5:]))
        elif said.startswith(".. "):
            name = said[3:].partition(" ")[0]
            while (fpdu := await self._next()).name != name:
                assert fpdu.name in CONCATENATED | {"TRANS.END"}, shown(fpdu)
            self._compare(fpdu, said[3:])
        else:
            for number, piece in enumerate(said.split(" + ")):
                assert number == 0 or self._heard, "not in the same entity"
                self._compare(await self._next(), piece.strip())

    async def _expect_data(self, size: int) -> None:
        """``size`` bytes of articles, however they are cut."""
        end = self._at + size
        while self._at < end:
            fpdu = await self._next()
            assert fpdu.name in DATA, shown(fpdu)
            self._take(fpdu)
        assert self._at == end, f"{self._at - end} bytes too many"

    def _take(self, fpdu: Fpdu) -> None:
        body = b"".join(articles(fpdu.body, fpdu.source)) if fpdu.name == "DTF" else fpdu.body
        assert body == content(len(body), self._at), f"not the bytes of the file: {quoted(body[:40])}"
        self._at += len(body)

    def _compare(self, fpdu: Fpdu, asked: str) -> None:
        name, _, rest = asked.partition(" ")
        assert fpdu.name == name, shown(fpdu)
        if name in DATA:
            at = self._at
            count, body = self._articles(rest)
            assert (fpdu.source, fpdu.body) == (count, body), f"{shown(fpdu)} {quoted(fpdu.body[:40])}"
            self._at = at + (len(body) - 2 * count if not rest.startswith("'") else 0)
            return
        for code, value in expected(rest).items():
            assert fpdu.values.get(code) == value, shown(fpdu)

    async def _next(self) -> Fpdu:
        if not self._heard:
            self._heard.extend(await self._entity())
            self._alone = len(self._heard) == 1
        frame = self._heard.popleft()
        fpdu = decode(frame)
        if fpdu.name in ("CONNECT", "ACONNECT"):
            self.peer = fpdu.source
        assert fpdu.notes == (), fpdu.notes
        assert encode(fpdu, bare_abort=self._bare) == frame, f"not strict: {frame.hex()}"
        assert fpdu.name in CONCATENATED or self._alone, f"not alone in its entity: {shown(fpdu)}"
        assert fpdu.name != "DTF" or fpdu.source != 1, "a DTF that counts one article"
        assert fpdu.destination in self._addresses(fpdu), shown(fpdu)
        return fpdu

    def _addresses(self, fpdu: Fpdu) -> tuple[int, ...]:
        """Our id, 0 before our CONNECT or ACONNECT was heard."""
        if fpdu.name == "CONNECT" or not self._introduced:
            return (0,)
        return (IDS[self._side], 0) if fpdu.name == "ABORT" else (IDS[self._side],)

    async def _entity(self) -> list[bytes]:
        if not self._prefixed:
            head = await self._reader.readexactly(2)
            rest = await self._reader.readexactly(int.from_bytes(head, "big") - 2 + self._check)
            return [self._checked(head + rest)]
        entity = memoryview(await self._reader.readexactly(int.from_bytes(await self._reader.readexactly(2), "big")))
        found: list[bytes] = []
        while entity:
            length = int.from_bytes(entity[:2], "big")
            found.append(self._checked(bytes(entity[: length + self._check])))
            entity = entity[length + self._check :]
        return found

    def _checked(self, frame: bytes) -> bytes:
        if not self._check:
            return frame
        assert frame[-2:] == check_bytes(frame[:-2]), f"wrong checksum: {frame.hex()}"
        return frame[:-2]

    # --- the line -------------------------------------------------------------------------------------

    async def _wait(self, seconds: str) -> None:
        await asyncio.sleep(float(seconds))

    async def _move(self, position: str) -> None:
        self._at = int(position)

    async def _cut(self, _: str) -> None:
        await self._writer.drain()
        self._writer.close()

    async def _reset(self, _: str) -> None:
        await self._writer.drain()
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


_CONNECTION = {"CONNECT", "ACONNECT", "RELEASE", "RELCONF", "ABORT"}


def check_bytes(frame: bytes) -> bytes:
    """The two bytes that follow an FPDU where a checksum is in use (F-95), from their definition."""
    low = high = 0
    for byte in frame + b"\0\0":
        low = (low + byte) % 255
        high = (high + low) % 255
    return bytes([(low - high) % 255, (high - 2 * low) % 255])

"""Every dialog of ``tests/dialogs`` against our client, our server, or both, on a real loopback line."""

from __future__ import annotations

import ast
import asyncio
import io
import json
import re
import socket
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from dialogs import PATIENCE, Dialog, Player, content, dialogs
from pesit_notation import quoted, text_of
from pesit_vectors import marked
from shelf import FILE, SHORT, Incoming, Outgoing, Shelf, numbered

from gateway.errors import Refused, Trouble
from gateway.link.client import Connection, Partner, RestartRefused, connect
from gateway.link.line import Timers
from gateway.link.server import Settings, serve
from gateway.pesit import diagnostics
from gateway.pesit.compression import Compression
from gateway.pesit.framing import Framing
from gateway.pesit.packing import Sending
from gateway.pesit.profiles import Alphabet
from gateway.pesit.transfer import Identity, SyncPoint


def cases(side: str) -> list[Any]:
    return [marked(dialog.name, dialog.head.get("fact", ""), dialog) for dialog in dialogs(side)]


WORDS: dict[str, Callable[[str], Any]] = {
    "framing": Framing,
    "pre_connection": Alphabet,
    "compression": lambda word: Compression[word.upper()],
    "sending": lambda words: Sending(**dict.fromkeys(words.split("+"), True)),
}
"""Fields whose values are words in a header."""


def options(dialog: Dialog, key: str) -> dict[str, Any]:
    """A header line of ``name=value``."""
    found = re.findall(r"(\w+)=('[^']*'|\S+)", dialog.head.get(key, ""))
    return {name: WORDS.get(name, ast.literal_eval)(word) for name, word in found}


def timers(dialog: Dialog) -> Timers:
    return replace(SHORT, **options(dialog, "timers"))


def record(incoming: Incoming, number: int, offset: int) -> Incoming:
    """A file that is there up to a point."""
    point = SyncPoint(number, offset, offset // FILE.article_length)
    incoming.path.write_bytes(content(offset))
    incoming.path.with_suffix(".point").write_text(json.dumps(asdict(point)))
    return incoming


# --- our client ---------------------------------------------------------------------------------------


@dataclass
class Caller:
    """What the client under test is told to do, and what comes of it, in words."""

    connection: Connection
    room: Path
    pulled: Identity | None = None
    back: Incoming = field(init=False)

    def __post_init__(self) -> None:
        self.back = Incoming(self.room / "back")

    async def send(self, size: str, *rest: str) -> str:
        """``send 3000 [as 18] [from 1@1024] [article 100] [name FSE] ...``"""
        more = dict(zip(rest[::2], rest[1::2], strict=True))
        identity = replace(numbered(int(more.get("as", 17))), article_length=int(more.get("article", 512)))
        restart = None
        if "from" in more:
            number, offset = map(int, more["from"].split("@"))
            restart = SyncPoint(number, offset, offset // identity.article_length, 1024)
        outcome = await self.connection.send(identity, io.BytesIO(content(int(size))), restart)
        return f"sent {outcome.size} in {outcome.articles}, {outcome.moved} from {outcome.restarted_from}"

    async def pull(self, *rest: str) -> str:
        """``pull [from 1@1024] [full 2.219] [full-at 1024]``: the end with a given trouble on the way."""
        more = dict(zip(rest[::2], rest[1::2], strict=True))
        request = replace(Identity("RETOURS"), transfer_id=9446 if "from" in more else 0)
        if "from" in more:
            record(self.back, *map(int, more["from"].split("@")))
        if "full" in more:
            self.back.trouble, self.back.refuse_at = diagnostics.trouble(more["full"]), int(more.get("full-at", 0))
        outcome = await self.connection.pull(request, self.select, restart="from" in more)
        if outcome is None:
            return "none"
        assert self.back.ended == (outcome.size, outcome.articles)
        assert self.back.path.read_bytes() == content(outcome.size)
        assert self.pulled is not None
        return f"pulled {outcome.size} as {self.pulled.transfer_id}, {outcome.moved} from {outcome.restarted_from}"

    def select(self, identity: Identity) -> Incoming:
        self.pulled = identity
        return self.back

    async def message(self, *text: str) -> str:
        """``message 'text'``"""
        said = text_of(" ".join(text)).decode("latin-1") if text else ""
        answer = await self.connection.message(FILE.answering(), said)
        return "answer" if answer is None else f"answer {quoted(answer.encode('latin-1'))}"

    async def rest(self, seconds: str) -> str:
        await asyncio.sleep(float(seconds))
        return "rested"


def in_words(trouble: Trouble) -> str:
    if isinstance(trouble, RestartRefused):
        return f"{trouble.code} forgotten"
    return f"{trouble.code} {'refused' if isinstance(trouble, Refused) else 'deferred'} {trouble.scope}"


async def acted(dialog: Dialog, partner: Partner, room: Path) -> list[str]:
    """What came of each act; a trouble ends the list where it is the last act, or the connection."""
    found: list[str] = []
    acts = dialog.each("act")
    try:
        async with connect(partner) as connection:
            caller = Caller(connection, room)
            for act in acts:
                word, *rest = act.split(" ")
                try:
                    found.append(await getattr(caller, word)(*rest))
                except Trouble as trouble:
                    found.append(in_words(trouble))
                    if act is acts[-1]:
                        raise
    except Trouble as trouble:
        if len(found) < len(acts) or not found:
            found.append(in_words(trouble))
    return found


@pytest.mark.parametrize("dialog", cases("client"))
def test_our_client(dialog: Dialog, tmp_path: Path) -> None:
    async def talk() -> None:
        played: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await Player("s", dialog, reader, writer).play()
                played.set_result(None)
            except Exception as cause:
                played.set_exception(cause)
            finally:
                writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        given: dict[str, Any] = {"sync_kb": 1, "window": 2, "password": "SECRET", "timers": timers(dialog)}
        partner = Partner("127.0.0.1", port, "BOX", "OCT", **given | options(dialog, "partner"))
        found: asyncio.Future[list[str]] = asyncio.create_task(acted(dialog, partner, tmp_path))
        both: list[asyncio.Future[Any]] = [found, played]
        await asyncio.wait(both, return_when=asyncio.FIRST_EXCEPTION, timeout=3 * PATIENCE)
        server.close()
        if played.done():
            played.result()
        assert await asyncio.wait_for(found, PATIENCE) == dialog.each("outcome")
        await asyncio.wait_for(played, PATIENCE)

    asyncio.run(talk())


# --- our server ---------------------------------------------------------------------------------------


def furnish(shelf: Shelf, dialog: Dialog) -> None:
    """``shelf: offer 3000 [known 2@2048] | full 17 at 3000 with 2.219 | holds 17 at 1@1024``"""
    for item in dialog.each("shelf"):
        word, *rest = item.split()
        match word, rest:
            case "offer", [size, *known]:
                path = shelf.directory / "offered"
                path.write_bytes(content(int(size)))
                shelf.offered = Outgoing(replace(numbered(9446), file_name="S"), path)
                if known:
                    number, offset = map(int, known[1].split("@"))
                    shelf.offered.known = SyncPoint(number, offset, offset // FILE.article_length, 1024)
            case "full", [number, "at", offset, "with", code]:
                shelf.incoming[int(number)] = Incoming(
                    shelf.directory / number, refuse_at=int(offset), trouble=diagnostics.trouble(code)
                )
            case "holds", [number, "at", point]:
                held = Incoming(shelf.directory / number)
                shelf.incoming[int(number)] = record(held, *map(int, point.split("@")))
            case _:
                raise AssertionError(f"not for a shelf: {item}")


def check(shelf: Shelf, item: str) -> None:
    """One word on how the shelf is left."""
    word, *rest = item.split(" ")
    match word, rest:
        case "received", [number, size]:
            incoming = shelf.incoming[int(number)]
            assert incoming.ended is not None, "not ended"
            assert incoming.ended[0] == int(size)
            assert incoming.path.read_bytes() == content(int(size))
        case "kept", [number, point]:
            incoming = shelf.incoming[int(number)]
            assert (incoming.ended, incoming.position().number) == (None, int(point))
            assert incoming.abandoned is not None and incoming.abandoned[1]
        case "dropped", [number]:
            incoming = shelf.incoming[int(number)]
            assert incoming.ended is None
            assert incoming.abandoned is not None and not incoming.abandoned[1]
        case "message", [name, *text]:
            assert (name, text_of(" ".join(text)).decode("latin-1")) in [(i.file_name, t) for i, t in shelf.messages]
        case "delivered", [number]:
            assert shelf.offered is not None and shelf.offered.known.number == int(number)
        case "nothing", []:
            assert not shelf.incoming and not shelf.messages
        case _:
            raise AssertionError(f"not a word on a shelf: {item}")


async def until(settled: Callable[[], None]) -> None:
    """Wait until ``settled`` has no objection: a server hears of an end a little later than its caller."""
    for _ in range(100):
        try:
            settled()
        except (AssertionError, KeyError):
            await asyncio.sleep(0.01)
        else:
            return
    settled()


@pytest.mark.parametrize("dialog", cases("server"))
def test_our_server(dialog: Dialog, tmp_path: Path) -> None:
    async def talk() -> None:
        shelf = Shelf(tmp_path)
        furnish(shelf, dialog)
        sock = socket.create_server(("127.0.0.1", 0))
        stop = asyncio.Event()
        settings = Settings(timers=timers(dialog), **options(dialog, "settings"))
        serving = asyncio.create_task(serve([sock], shelf, settings, None, stop))
        reader, writer = await asyncio.open_connection(*sock.getsockname())
        try:
            await asyncio.wait_for(Player("c", dialog, reader, writer).play(), 3 * PATIENCE)
        finally:
            writer.close()
            for item in dialog.each("after"):
                await until(lambda item=item: check(shelf, item))  # type: ignore[misc]
            stop.set()
            await serving

    asyncio.run(talk())


@pytest.mark.parametrize("dialog", [*dialogs("client"), *dialogs("server")], ids=lambda dialog: dialog.name)
def test_dialogs_are_complete(dialog: Dialog) -> None:
    """A dialog that expects nothing shows nothing."""
    assert dialog.head["says"]
    sides = dialog.head["against"].split()
    assert len(dialog.each("act")) == len(dialog.each("outcome")) or "client" not in sides
    assert "client" not in sides or dialog.each("act")
    assert "server" not in sides or dialog.each("after") or any(line.startswith("s <-") for line in dialog.lines)

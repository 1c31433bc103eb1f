"""Store and forward over three nodes on real lines: ORIGIN -> RELAY -> FINAL, and the acknowledgement back."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from proxy import Fault, proxy
from shelf import SHORT, Incoming, Outgoing, Shelf, serving

from gateway.errors import Deferred, Refused, Trouble
from gateway.link.client import Partner, connect
from gateway.link.relay import Relay, Route
from gateway.link.relay_spool import Spool, Stored
from gateway.link.server import Application
from gateway.pesit import diagnostics
from gateway.pesit.packing import Sending
from gateway.pesit.transfer import Identity, SyncPoint

FILE = Identity(
    "FLOW", 4711, 7, "APPA", "APPB", "260101120000", "ORIGIN", "FINAL", "real name.bin", "free", article_length=700
)
CONTENT = bytes(i * 7 % 251 for i in range(100_000))


@dataclass
class Node(Shelf):
    """A node: lets anybody in under its name and keeps the identities of what it got."""

    name: str = ""
    came: list[Identity] = field(default_factory=list)
    refuses: str = ""

    def connect(self, requester: str, server: str, password: str, certificate: bytes | None) -> str:
        if server != self.name:
            raise diagnostics.trouble("3.301")
        return requester

    def create(self, access: str, identity: Identity, restart: bool) -> Incoming:
        if self.refuses:
            raise diagnostics.trouble(self.refuses)
        found = super().create(access, identity, restart)
        self.came.append(identity)
        return found


@dataclass
class Journey:
    """ORIGIN's and FINAL's nodes, the relay between them, and the ports of all."""

    directory: Path
    origin: Node
    middle: Node
    final: Node
    spool: Spool
    said: list[tuple[str, Trouble]] = field(default_factory=list)
    port: int = 0

    def caller(self, name: str = "ORIGIN", **more: object) -> Partner:
        return Partner("127.0.0.1", self.port, name, "RELAY", timers=SHORT, sync_kb=4, **more)  # type: ignore[arg-type]

    async def until(self, ready: object) -> None:
        """Wait until ``ready()``."""
        async with asyncio.timeout(8):
            while not ready():  # type: ignore[operator]  # noqa: ASYNC110
                await asyncio.sleep(0.01)


def journey(directory: Path) -> Journey:
    nodes = []
    for name in ("ORIGIN", "RELAY", "FINAL"):
        (directory / name).mkdir(exist_ok=True)
        nodes.append(Node(directory / name, name=name))
    return Journey(directory, nodes[0], nodes[1], nodes[2], Spool(directory / "spool"))


@asynccontextmanager
async def relaying(there: Journey, final: int, origin: int = 1) -> AsyncIterator[Relay[str]]:
    """The relay at work; ``final`` and ``origin`` are ports."""
    sync = {"sync_kb": 4, "window": 2, "timers": SHORT}
    routes = {
        name: Route(Partner("127.0.0.1", port, "RELAY", name, **sync))  # type: ignore[arg-type]
        for name, port in (("FINAL", final), ("ORIGIN", origin))
    }
    relay: Relay[str] = Relay(
        there.middle,
        frozenset({"RELAY"}),
        routes,
        there.spool,
        retry_s=0.05,
        retry_max_s=0.2,
        said=lambda hop, cause: there.said.append((hop, cause)),
    )
    application: Application[object] = relay  # type: ignore[assignment]
    async with serving(application) as port:  # type: ignore[arg-type]
        there.port = port
        task = asyncio.create_task(relay.run())
        try:
            yield relay
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@pytest.mark.fact("F-130", "F-131", "F-132")
def test_a_file_goes_through_and_its_acknowledgement_back(tmp_path: Path) -> None:
    async def talk() -> None:
        there = journey(tmp_path)
        async with serving(there.final) as final, serving(there.origin) as origin, relaying(there, final, origin):
            async with connect(there.caller()) as connection:
                await connection.send(FILE, io.BytesIO(CONTENT))
            await there.until(lambda: 4711 in there.final.incoming and there.final.incoming[4711].ended)
            assert there.final.incoming[4711].path.read_bytes() == CONTENT
            (came,) = there.final.came
            kept = replace(FILE, reserved_kb=98, entity=came.entity)
            assert came == kept
            async with connect(there.caller("FINAL")) as connection:
                assert await connection.message(came.answering(), "bien reçu", answer=True) is None
            await there.until(lambda: there.origin.messages)
            ((told, text),) = there.origin.messages
            assert (told.requester, told.server, told.initial_sender, told.final_receiver, text) == (
                "APPB", "APPA", "FINAL", "ORIGIN", "bien reçu",
            )  # fmt: skip
            assert (told.file_name, told.transfer_id, told.file_type, told.created) == (
                "FLOW", 4711, 7, "260101120000",
            )  # fmt: skip
        assert not there.spool.waiting("FINAL") and not there.spool.waiting("ORIGIN")
        assert list((tmp_path / "spool").glob("*.articles")) == []
        assert there.said == []

    asyncio.run(talk())


@pytest.mark.fact("F-131")
def test_what_is_ours_is_delivered_here_and_reads_stay_here(tmp_path: Path) -> None:
    async def talk() -> None:
        there = journey(tmp_path)
        async with relaying(there, 1), connect(there.caller()) as connection:
            for number, receiver in ((1, "RELAY"), (2, "")):
                await connection.send(replace(FILE, transfer_id=number, final_receiver=receiver), io.BytesIO(b"x"))
            assert await connection.message(replace(FILE, final_receiver="RELAY"), "a", answer=True) == "vu a"
            there.middle.offered = Outgoing(replace(FILE, transfer_id=3), tmp_path / "RELAY" / "1")
            back = Incoming(tmp_path / "back")
            await connection.pull(Identity("ANY", final_receiver="RELAY"), lambda identity: back)
        assert sorted(there.middle.incoming) == [1, 2]
        assert back.path.read_bytes() == b"x"

    asyncio.run(talk())


@pytest.mark.fact("F-131")
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"final_receiver": "NOBODY"}, "PES-2.226"),
        ({"final_receiver": "ORIGIN"}, "PES-2.226"),  # back to where it came from: a loop
        ({"article_length": 0}, "PES-2.236"),
    ],
)
def test_what_no_route_takes_is_refused_at_once(tmp_path: Path, changes: dict[str, object], code: str) -> None:
    async def talk() -> None:
        there = journey(tmp_path)
        async with relaying(there, 1), connect(there.caller()) as connection:
            with pytest.raises(Refused) as refused:
                await connection.send(replace(FILE, **changes), io.BytesIO(b"x"), form=None)  # type: ignore[arg-type]
            assert refused.value.code == code
            with pytest.raises(Refused):
                await connection.message(replace(FILE, final_receiver="NOBODY"), "x")

    asyncio.run(talk())


@pytest.mark.fact("F-130")
@pytest.mark.parametrize(
    ("way", "after"),
    [("up", 300), ("up", 20_000), ("up", 60_000), ("up", 101_630), ("down", 60), ("down", 200), ("down", 380)],
    ids=lambda value: str(value),
)
def test_both_hops_are_cut_and_the_file_passes_once(tmp_path: Path, way: str, after: int) -> None:
    async def talk() -> None:
        there = journey(tmp_path)
        async with serving(there.final) as final, proxy(final) as onward:
            onward.fault = Fault(way, after)
            async with relaying(there, onward.port), proxy(there.port) as inward:
                inward.fault = Fault(way, after)
                known: list[SyncPoint] = []
                there.port = inward.port
                with pytest.raises(Deferred):
                    async with connect(there.caller()) as connection:
                        await connection.send(FILE, io.BytesIO(CONTENT), acknowledged=known.append)
                inward.fault = None
                async with connect(there.caller()) as connection:
                    await connection.send(FILE, io.BytesIO(CONTENT), known[-1] if known else None)
                await there.until(lambda: there.said)
                onward.fault = None
                await there.until(lambda: there.final.incoming.get(4711) and there.final.incoming[4711].ended)
                await there.until(lambda: not there.spool.waiting("FINAL"))
                # Again, by one who did not hear that it arrived: taken, and not handed on.
                passed = len(there.final.came)
                async with connect(there.caller()) as connection:
                    await connection.send(FILE, io.BytesIO(CONTENT), SyncPoint())
                    await connection.send(FILE, io.BytesIO(CONTENT))
                    with pytest.raises(Deferred, match=r"2\.231"):
                        await connection.send(FILE, io.BytesIO(CONTENT[:-1]))
                assert not there.spool.waiting("FINAL") and len(there.final.came) == passed
        assert there.final.incoming[4711].path.read_bytes() == CONTENT
        # Once ACK(WRITE) was heard, every further attempt is a restart.
        unheard = (way, after) == ("down", 60)
        assert there.final.restarts.count(False) == 1 + unheard

    asyncio.run(talk())


def test_the_spool_outlives_the_process(tmp_path: Path) -> None:
    async def talk() -> None:
        there = journey(tmp_path)
        async with relaying(there, 1), connect(there.caller()) as connection:
            await connection.send(FILE, io.BytesIO(CONTENT))
            await connection.message(replace(FILE, transfer_id=1), "après")
        there.spool.close()
        again = journey(tmp_path)
        async with serving(again.final) as final, relaying(again, final):
            await again.until(lambda: again.final.messages and not again.spool.waiting("FINAL"))
        assert again.final.incoming[4711].path.read_bytes() == CONTENT

    asyncio.run(talk())


def test_a_refusal_for_good_stops_one_file_and_is_kept(tmp_path: Path) -> None:
    async def talk() -> None:
        there = journey(tmp_path)
        there.final.refuses = "2.226"
        async with serving(there.final) as final, relaying(there, final), connect(there.caller()) as connection:
            await connection.send(FILE, io.BytesIO(CONTENT))
            await there.until(lambda: there.said)
            there.final.refuses = ""
            await connection.send(replace(FILE, transfer_id=2), io.BytesIO(b"next"))
            await there.until(lambda: 2 in there.final.incoming and there.final.incoming[2].ended)
            # Offered afresh after the cause was dealt with, it goes.
            await connection.send(FILE, io.BytesIO(CONTENT))
            await there.until(lambda: there.final.incoming.get(4711) and there.final.incoming[4711].ended)
        assert [cause.code for _, cause in there.said] == ["PES-2.226"]

    asyncio.run(talk())


@pytest.mark.fact("F-106")
def test_a_next_node_that_forgot_gets_it_from_the_start(tmp_path: Path) -> None:
    async def talk() -> None:
        there = journey(tmp_path)
        async with serving(there.final) as final, proxy(final) as onward:
            onward.fault = Fault("up", 50_000)
            async with relaying(there, onward.port):
                async with connect(there.caller()) as connection:
                    await connection.send(FILE, io.BytesIO(CONTENT))
                await there.until(lambda: there.said)
                there.final.incoming.clear()
                for left in there.final.directory.iterdir():
                    left.unlink()
                onward.fault = None
                await there.until(lambda: there.final.incoming.get(4711) and there.final.incoming[4711].ended)
        assert there.final.incoming[4711].path.read_bytes() == CONTENT
        assert "PES-2.233" in [cause.code for _, cause in there.said]

    asyncio.run(talk())


@pytest.mark.fact("F-84", "F-87", "F-130")
def test_articles_leave_as_they_came(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    text = replace(FILE, data_code=0)
    way = spool.incoming("ORIGIN", "FINAL", text, False, lambda: None)
    way.truncate(SyncPoint())
    for data, ends in ((b"a line", True), (b"in ", False), (b"pieces", True), (b"", True), (b"last", True)):
        way.write(data, ends)
    way.end(19, 4)
    (stored,) = spool.waiting("FINAL")
    assert isinstance(stored, Stored)
    with stored.path.open("rb") as source:
        assert list(stored.form.articles(source, SyncPoint())) == [b"a line", b"in pieces", b" ", b"last"]
        assert list(stored.form.articles(source, SyncPoint(1, 15, 2))) == [b" ", b"last"]


def test_a_line_that_was_taken_over_writes_no_more(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    first = spool.incoming("ORIGIN", "FINAL", FILE, False, lambda: None)
    first.truncate(SyncPoint())
    first.write(b"half", False)
    second = spool.incoming("ORIGIN", "FINAL", FILE, True, lambda: None)
    second.truncate(SyncPoint())
    for act in (lambda: first.write(b"x", True), lambda: first.truncate(SyncPoint()), lambda: first.end(4, 1)):
        with pytest.raises(Deferred, match=r"2\.207"):
            act()
    first.abandon(diagnostics.trouble("2.216"), keep=False)
    second.write(b"whole", True)
    second.end(5, 1)
    assert len(spool.waiting("FINAL")) == 1
    with pytest.raises(Deferred, match=r"2\.233"):
        spool.incoming("OTHER", "FINAL", FILE, True, lambda: None)


@pytest.mark.fact("F-86")
def test_what_came_in_many_forms_goes_on(tmp_path: Path) -> None:
    async def talk() -> None:
        there = journey(tmp_path)
        async with serving(there.final) as final, relaying(there, final):
            packed = Sending(multi_article=True, segment_to_fill=True, concatenate=True)
            async with connect(there.caller(sending=packed)) as connection:
                await connection.send(replace(FILE, entity=1000), io.BytesIO(CONTENT))
            await there.until(lambda: 4711 in there.final.incoming and there.final.incoming[4711].ended)
        assert there.final.incoming[4711].ended == (100_000, 143)
        assert there.final.incoming[4711].path.read_bytes() == CONTENT

    asyncio.run(talk())

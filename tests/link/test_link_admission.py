"""Who is let in and on what terms: pre-connection, passwords of both sides, options, access types, full house."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from shelf import FILE, SHORT, Incoming, Outgoing, Shelf, numbered, serving

from gateway.errors import Deferred, Refused, Scope, Trouble
from gateway.link.client import Connection, Partner, connect
from gateway.link.server import Settings
from gateway.pesit.framing import Framing, Preconnection
from gateway.pesit.profiles import PROFILES, Alphabet
from gateway.pesit.transfer import Identity

PARTNER = Partner("127.0.0.1", 0, "BOX", "OCT", "SECRET", timers=SHORT)


async def nothing(connection: Connection) -> None:
    """Only connect."""


def attempt(
    tmp_path: Path,
    partner: Partner,
    settings: Settings,
    act: Callable[[Connection], object] = nothing,
) -> Trouble | None:
    """The trouble that a connection comes to."""

    async def talk() -> Trouble | None:
        async with serving(Shelf(tmp_path), replace(settings, timers=SHORT)) as port:
            try:
                async with connect(replace(partner, port=port)) as connection:
                    await act(connection)  # type: ignore[misc]
            except Trouble as trouble:
                return trouble
        return None

    return asyncio.run(talk())


async def send(connection: Connection) -> None:
    await connection.send(FILE, io.BytesIO(bytes(3000)))


async def pull(connection: Connection) -> None:
    assert await connection.pull(Identity("RETOURS"), lambda identity: Incoming(Path())) is None


@pytest.mark.fact("F-10", "F-11", "F-13", "F-14")
@pytest.mark.parametrize("alphabet", [Alphabet.EBCDIC, Alphabet.ASCII])
@pytest.mark.parametrize("framing", [Framing.PREFIXED, Framing.RAW])
def test_a_preconnection_is_said_and_answered(tmp_path: Path, alphabet: Alphabet, framing: Framing) -> None:
    came: list[Preconnection] = []
    settings = Settings(welcome=lambda request: not came.append(request))
    partner = replace(PARTNER, pre_connection=alphabet, framing=framing, service="PESITGSIT")
    assert attempt(tmp_path, partner, settings, send) is None
    ebcdic, prefixed = alphabet is Alphabet.EBCDIC, framing is Framing.PREFIXED
    assert came == [Preconnection("PESITGSI", "BOX", "SECRET", ebcdic, prefixed)]
    assert (tmp_path / "17").read_bytes() == bytes(3000)


@pytest.mark.fact("F-12", "F-15")
@pytest.mark.parametrize(
    ("service", "settings"),
    [("PESIT", Settings(welcome=lambda request: False)), ("PESI-X", Settings())],
    ids=["by our policy", "another service"],
)
def test_nak0_stops_the_route(tmp_path: Path, service: str, settings: Settings) -> None:
    refused = attempt(tmp_path, replace(PARTNER, pre_connection=Alphabet.EBCDIC, service=service), settings)
    assert isinstance(refused, Refused)
    assert (refused.code, refused.scope) == ("PES-NAK0", Scope.ROUTE)


@pytest.mark.fact("F-10")
@pytest.mark.parametrize("sent", [b"\xc1\xc3\xd2", b"garbage", b"\x00\x04XXXX", b""])
def test_a_preconnection_that_is_answered_otherwise(sent: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(26)
        writer.write(sent)
        writer.close()

    async def talk() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Deferred) as trouble:
            async with connect(replace(PARTNER, port=port, pre_connection=Alphabet.EBCDIC)):
                pass
        assert trouble.value.scope is Scope.ROUTE
        server.close()

    asyncio.run(talk())


def test_two_preconnections_are_one_too_many(tmp_path: Path) -> None:
    async def talk() -> None:
        async with serving(Shelf(tmp_path)) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(Preconnection("PESIT", "A", "B", True, False).request() * 2)
            assert (await asyncio.wait_for(reader.read(), 5)).startswith("ACK0".encode("cp500"))
            writer.close()
            async with connect(replace(PARTNER, port=port)) as connection:
                await send(connection)

    asyncio.run(talk())


@pytest.mark.fact("F-140")
@pytest.mark.parametrize(
    ("told", "wanted", "code"),
    [
        ("", "", None),
        ("OURS", "", None),
        ("OURS", "OURS", None),
        ("OURS", "OURS    ", None),
        ("OTHER", "OURS", "PES-3.304"),
        ("", "OURS", "PES-3.304"),
    ],
)
def test_the_requester_may_want_the_servers_password(tmp_path: Path, told: str, wanted: str, code: str | None) -> None:
    trouble = attempt(tmp_path, replace(PARTNER, server_password=wanted), Settings(password=told))
    assert (trouble.code if trouble else None) == code
    assert trouble is None or (isinstance(trouble, Refused) and trouble.scope is Scope.ROUTE)


@pytest.mark.fact("F-121", "F-137")
@pytest.mark.parametrize(
    ("access", "act", "code"),
    [
        (0, send, None),
        (2, send, None),
        (1, send, "PES-3.305"),
        (1, pull, None),
        (2, pull, None),
        (0, pull, "PES-3.305"),
    ],
)
def test_access_types(tmp_path: Path, access: int, act: Callable[[Connection], object], code: str | None) -> None:
    trouble = attempt(tmp_path, replace(PARTNER, access=access), Settings(), act)
    assert (trouble.code if trouble else None) == code


@pytest.mark.fact("F-70")
@pytest.mark.parametrize(
    ("proposed", "offered", "agreed"),
    [
        ((32, 2), (1024, 16), (32, 2)),
        ((128, 4), (64, 1), (64, 1)),
        ((32, 4), (32, 0), (32, 0)),
        ((0, 0), (9, 9), (0, 0)),
    ],
)
def test_neither_side_raises_what_the_other_wants(
    tmp_path: Path, proposed: tuple[int, int], offered: tuple[int, int], agreed: tuple[int, int]
) -> None:
    found: list[tuple[int, int]] = []

    async def look(connection: Connection) -> None:
        sync = connection._line.session.sync
        found.append((sync.interval_kb, sync.window))

    partner = replace(PARTNER, sync_kb=proposed[0], window=proposed[1])
    assert attempt(tmp_path, partner, Settings(sync_kb=offered[0], window=offered[1]), look) is None
    assert found == [agreed]


@pytest.mark.parametrize("name", sorted(PROFILES))
@pytest.mark.parametrize("secured", [False, True])
def test_every_profile_writes_and_reads(tmp_path: Path, name: str, secured: bool) -> None:
    async def talk() -> None:
        profile, whole = PROFILES[name], bytes(i * 7 % 251 for i in range(150_000))
        shelf = Shelf(tmp_path)
        identity = replace(FILE, article_length=profile.article, entity=profile.entity)
        async with serving(shelf) as port:
            partner = replace(PARTNER, port=port).like(profile, secured=secured)
            async with connect(partner) as connection:
                sent = await connection.send(identity, io.BytesIO(whole))
                shelf.offered = Outgoing(replace(identity, transfer_id=99), tmp_path / "17")
                back = Incoming(tmp_path / "back")
                await connection.pull(Identity("RETOURS"), lambda identity: back)
        assert sent.articles == -(-len(whole) // profile.article)
        assert shelf.incoming[17].path.read_bytes() == back.path.read_bytes() == whole

    asyncio.run(talk())


def test_a_full_house_says_so_and_then_nothing(tmp_path: Path) -> None:
    async def talk() -> None:
        async with serving(Shelf(tmp_path), Settings(connections=1, timers=SHORT)) as port:
            partner = replace(PARTNER, port=port)
            async with connect(partner):
                with pytest.raises(Deferred) as full:
                    async with connect(partner):
                        pass
                assert (full.value.code, full.value.scope) == ("PES-3.303", Scope.ROUTE)
                _, idle = await asyncio.open_connection("127.0.0.1", port)
                with pytest.raises(Deferred) as beyond:
                    async with connect(partner):
                        pass
                assert beyond.value.code == "PES-CUT"
                idle.close()
            async with connect(partner) as connection:
                await send(connection)

    asyncio.run(talk())


@pytest.mark.fact("F-61")
def test_reads_writes_and_messages_alternate_on_one_connection(tmp_path: Path) -> None:
    async def talk() -> None:
        shelf = Shelf(tmp_path)
        async with serving(shelf) as port, connect(replace(PARTNER, port=port, sync_kb=1)) as connection:
            for number in range(1, 6):
                whole = bytes(number * 997)
                await connection.send(numbered(number), io.BytesIO(whole))
                shelf.offered = Outgoing(numbered(number + 100), tmp_path / str(number))
                back = Incoming(tmp_path / f"back{number}")
                pulled = await connection.pull(Identity("RETOURS"), lambda identity, back=back: back)  # type: ignore[misc]
                assert pulled is not None and pulled.size == len(whole)
                assert await connection.message(pulled.identity.answering(), "x" * (number * 3000)) is None
                assert await connection.message(numbered(number), "y", answer=True) == "vu y"
        assert [len(text) for _, text in shelf.messages[::2]] == [3000, 6000, 9000, 12000, 15000]

    asyncio.run(talk())

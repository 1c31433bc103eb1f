"""Client and server on a real loopback line: files both ways, messages, refusals, TLS."""

from __future__ import annotations

import asyncio
import datetime
import io
import ssl
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from shelf import FILE, SHORT, Incoming, Outgoing, Shelf, numbered, serving

from gateway.errors import Deferred, Refused, Scope
from gateway.link.client import Partner, RestartRefused, connect
from gateway.link.server import Settings
from gateway.pesit import diagnostics
from gateway.pesit.framing import Framing
from gateway.pesit.transfer import Identity, SyncPoint


def partner(port: int, **more: object) -> Partner:
    given = {"password": "SECRET", "sync_kb": 1, "window": 2, "timers": SHORT} | more
    return Partner("127.0.0.1", port, "BOX", "OCT", **given)  # type: ignore[arg-type]


def content(size: int) -> bytes:
    return bytes(i * 7 % 253 for i in range(size))


@pytest.mark.parametrize("framing", [Framing.PREFIXED, Framing.RAW])
@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 1024, 1025, 20_000])
@pytest.mark.parametrize(("sync_kb", "window"), [(1, 1), (4, 2), (1, 0), (0, 0)])
def test_a_file_goes_there_and_back(tmp_path: Path, framing: Framing, size: int, sync_kb: int, window: int) -> None:
    async def talk() -> None:
        shelf = Shelf(tmp_path)
        whole = content(size)
        marks: list[SyncPoint] = []

        def mark(point: SyncPoint) -> None:
            marks.append(point)
            assert shelf.incoming[17].position().number >= point.number, "acknowledged before it was kept"

        async with serving(shelf) as port:
            caller = partner(port, framing=framing, sync_kb=sync_kb, window=window)
            async with connect(caller) as connection:
                sent = await connection.send(FILE, io.BytesIO(whole), acknowledged=mark)
                assert (sent.size, sent.moved, sent.restarted_from) == (size, size, 0)
                assert sent.articles == -(-size // 512)
                shelf.offered = Outgoing(numbered(99), tmp_path / "17")
                back = Incoming(tmp_path / "back")
                pulled = await connection.pull(Identity("RETOURS"), lambda identity: back)
        assert pulled is not None
        assert pulled.identity.transfer_id == 99
        assert shelf.incoming[17].path.read_bytes() == back.path.read_bytes() == whole
        assert shelf.incoming[17].ended == back.ended == (size, sent.articles)
        points = (size - 1) // (sync_kb * 1024) if sync_kb and size else 0
        assert len(shelf.incoming[17].synced) == len(back.synced) == points
        assert marks[0] == SyncPoint(spacing=sync_kb * 1024)
        assert all(point.offset == point.number * sync_kb * 1024 for point in marks)

    asyncio.run(talk())


def test_several_files_and_messages_on_one_connection(tmp_path: Path) -> None:
    async def talk() -> None:
        shelf = Shelf(tmp_path)
        async with serving(shelf) as port, connect(partner(port)) as connection:
            for number in range(1, 4):
                await connection.send(numbered(number), io.BytesIO(content(number * 1000)))
                assert await connection.message(numbered(number).answering(), "reçu", answer=True) == "vu reçu"
                assert await connection.message(numbered(number).answering(), "reçu") is None
            assert await connection.message(FILE) is None
            assert await connection.pull(Identity("RETOURS"), lambda identity: Incoming(tmp_path / "x")) is None
            with pytest.raises(Refused, match=r"2\.209"):
                await connection.message(replace(FILE, file_name="REFUSED"), "x")
            await connection.send(numbered(4), io.BytesIO(b"still alive"))
        assert [identity.transfer_id for identity, _ in shelf.messages] == [1, 1, 2, 2, 3, 3, 17]
        assert all(found.ended for found in shelf.incoming.values())

    asyncio.run(talk())


@pytest.mark.parametrize(
    ("changes", "code", "kind"),
    [
        ({"requester": "OTHER"}, "PES-3.301", Refused),
        ({"server": "OTHER"}, "PES-3.301", Refused),
        ({"password": "WRONG"}, "PES-3.304", Refused),
        ({"password": ""}, "PES-3.304", Refused),
    ],
)
def test_who_is_not_let_in(tmp_path: Path, changes: dict[str, str], code: str, kind: type[Refused]) -> None:
    async def talk() -> None:
        async with serving(Shelf(tmp_path)) as port:
            with pytest.raises(kind) as refused:
                async with connect(replace(partner(port), **changes)):  # type: ignore[arg-type]
                    pass
        assert (refused.value.code, refused.value.scope) == (code, Scope.ROUTE)

    asyncio.run(talk())


def test_nobody_there() -> None:
    async def talk() -> None:
        with pytest.raises(Deferred) as nobody:
            async with connect(partner(1)):
                pass
        assert (nobody.value.code, nobody.value.scope) == ("PES-UNREACHABLE", Scope.ROUTE)

    asyncio.run(talk())


@pytest.mark.parametrize(
    ("trouble", "keep"), [("2.219", True), ("2.224", False)], ids=["deferred keeps", "refused drops"]
)
def test_the_application_interrupts_a_write(tmp_path: Path, trouble: str, keep: bool) -> None:
    async def talk() -> None:
        shelf = Shelf(tmp_path)
        shelf.incoming[17] = Incoming(tmp_path / "17", refuse_at=3000, trouble=diagnostics.trouble(trouble))
        async with serving(shelf) as port, connect(partner(port)) as connection:
            with pytest.raises((Refused, Deferred)) as interrupted:
                await connection.send(FILE, io.BytesIO(content(500_000)))
            assert interrupted.value.code == f"PES-{trouble}"
            await connection.send(numbered(18), io.BytesIO(b"the connection survives"))
        assert shelf.incoming[17].abandoned == (f"PES-{trouble}", keep)

    asyncio.run(talk())


def test_the_puller_interrupts_a_read(tmp_path: Path) -> None:
    async def talk() -> None:
        (tmp_path / "big").write_bytes(content(100_000))
        shelf = Shelf(tmp_path, offered=Outgoing(numbered(5), tmp_path / "big"))
        full = Incoming(tmp_path / "x", refuse_at=3000, trouble=diagnostics.trouble("2.219"))
        async with serving(shelf) as port, connect(partner(port)) as connection:
            with pytest.raises(Deferred, match=r"2\.219"):
                await connection.pull(Identity("RETOURS"), lambda identity: full)
            assert full.abandoned == ("PES-2.219", True)
            await connection.send(FILE, io.BytesIO(b"the connection survives"))

    asyncio.run(talk())


def test_restart_without_context_is_told_apart(tmp_path: Path) -> None:
    async def talk() -> None:
        async with serving(Shelf(tmp_path)) as port, connect(partner(port)) as connection:
            with pytest.raises(RestartRefused):
                await connection.send(FILE, io.BytesIO(content(5000)), restart=SyncPoint(2, 2048, 4, 1024))
            assert (await connection.send(numbered(18), io.BytesIO(content(5000)))).moved == 5000

    asyncio.run(talk())


def test_source_shorter_than_the_restart_point(tmp_path: Path) -> None:
    async def talk() -> None:
        shelf = Shelf(tmp_path)
        async with serving(shelf) as port, connect(partner(port)) as connection:
            await connection.send(FILE, io.BytesIO(content(5000)))
            with pytest.raises(RestartRefused):
                await connection.send(FILE, io.BytesIO(b"short"), restart=SyncPoint(1, 1024, 2, 1024))

    asyncio.run(talk())


def test_small_entities_cut_articles_into_fragments(tmp_path: Path) -> None:
    async def talk() -> None:
        shelf = Shelf(tmp_path)
        whole = content(10_000)
        async with (
            serving(shelf, Settings(entity=100, timers=SHORT)) as port,
            connect(partner(port)) as connection,
        ):
            assert (await connection.send(FILE, io.BytesIO(whole))).articles == 20
            shelf.offered = Outgoing(numbered(5), tmp_path / "17")
            back = Incoming(tmp_path / "back")
            await connection.pull(Identity("RETOURS"), lambda identity: back)
        assert back.path.read_bytes() == whole

    asyncio.run(talk())


def test_idle_connections_are_ended_and_others_not_disturbed(tmp_path: Path) -> None:
    async def talk() -> None:
        shelf = Shelf(tmp_path)
        async with (
            serving(shelf, Settings(timers=replace(SHORT, idle=0.1))) as port,
            connect(partner(port)) as idle,
        ):
            await asyncio.sleep(0.3)
            async with connect(partner(port)) as busy:
                await busy.send(FILE, io.BytesIO(b"x"))
            with pytest.raises(Deferred) as ended:
                await idle.message(FILE)
        assert ended.value.code in ("PES-3.313", "PES-CUT")

    asyncio.run(talk())


def test_silent_callers_are_cut(tmp_path: Path) -> None:
    async def talk() -> None:
        async with serving(Shelf(tmp_path), Settings(timers=replace(SHORT, connect=0.1))) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert (await asyncio.wait_for(reader.read(), 5))[2:4] == b"\x40\x25"
            writer.close()

    asyncio.run(talk())


def test_too_many_connections(tmp_path: Path) -> None:
    async def talk() -> None:
        async with serving(Shelf(tmp_path), Settings(connections=1, timers=SHORT)) as port:
            async with connect(partner(port)):
                with pytest.raises(Deferred) as full:
                    async with connect(partner(port)):
                        pass
            assert full.value.scope is Scope.ROUTE

    asyncio.run(talk())


def test_a_bug_of_the_application_ends_the_server(tmp_path: Path) -> None:
    class Broken(Shelf):
        def message(self, access: str, identity: Identity, text: str) -> str | None:
            raise ZeroDivisionError

    async def talk() -> None:
        async with serving(Broken(tmp_path)) as port:
            with pytest.raises(Deferred):
                async with connect(partner(port)) as connection:
                    await connection.message(FILE)

    with pytest.raises(ExceptionGroup) as broken:
        asyncio.run(talk())
    assert broken.group_contains(ZeroDivisionError)


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """TLS for (client, server), each with the same certificate for localhost."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    both = tmp_path_factory.mktemp("tls") / "both.pem"
    both.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    client = ssl.create_default_context(cafile=str(both))
    client.load_cert_chain(both)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(both))
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_cert_chain(both)
    return client, server


def test_twenty_megabytes_over_tls_in_flat_memory(
    tmp_path: Path, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    async def talk() -> int:
        shelf = Shelf(tmp_path)
        async with serving(shelf, ssl_context=contexts[1]) as port:
            caller = replace(partner(port, sync_kb=128, window=4), host="localhost")
            async with connect(caller, contexts[0]) as connection:
                with (tmp_path / "source").open("rb") as source:
                    tracemalloc.start()
                    await connection.send(replace(FILE, article_length=16384), source)
                    peak = tracemalloc.get_traced_memory()[1]
                    tracemalloc.stop()
        assert shelf.certificates[0]
        assert shelf.incoming[17].path.read_bytes() == (tmp_path / "source").read_bytes()
        return peak

    (tmp_path / "source").write_bytes(content(1 << 16) * 320)
    assert asyncio.run(talk()) < 4 << 20


def test_untrusted_server_is_not_talked_to(tmp_path: Path, contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async def talk() -> None:
        async with serving(Shelf(tmp_path), ssl_context=contexts[1]) as port:
            with pytest.raises(Deferred) as distrust:
                async with connect(replace(partner(port), host="localhost"), ssl.create_default_context()):
                    pass
        assert (distrust.value.code, distrust.value.scope) == ("PES-TLS", Scope.ROUTE)

    asyncio.run(talk())


def test_tls_on_a_clear_port_and_clear_on_a_tls_port(
    tmp_path: Path, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    async def talk() -> None:
        for served, called in ((None, contexts[0]), (contexts[1], None)):
            async with serving(Shelf(tmp_path), ssl_context=served) as port:
                with pytest.raises(Deferred) as mismatch:
                    async with connect(replace(partner(port), host="localhost"), called):
                        pass
            assert mismatch.value.scope is Scope.ROUTE

    asyncio.run(talk())

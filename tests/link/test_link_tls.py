"""TLS of a line on real sockets: which versions and suites, whose certificates, and how old its keys get."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from development_pki import Pki
from line_certificates import make_leaf
from shelf import FILE, SHORT, Shelf, serving

from gateway.errors import Deferred, Refused, Scope, Trouble
from gateway.link import server as server_module
from gateway.link.client import Partner, connect
from gateway.link.flow import Aged
from gateway.link.server import Settings
from gateway.link.tls import calling, harden
from gateway.pesit.transfer import SyncPoint

V = ssl.TLSVersion


@pytest.fixture(scope="module")
def place(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates of a server and of a box, both good."""
    made = tmp_path_factory.mktemp("line")
    make_leaf(pki, "oct", made / "server", "oct")
    make_leaf(pki, "boites", made / "box", "box", client=True)
    return made


def serving_context(pki: Pki, place: Path, name: str = "server", *, tls12: bool = False) -> ssl.SSLContext:
    context = harden(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), tls12=tls12)
    context.load_cert_chain(place / f"{name}.pem", place / f"{name}.key")
    context.load_verify_locations(pki.directory / "root.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def box_context(pki: Pki, place: Path, *, tls12: bool = False) -> ssl.SSLContext:
    return calling(pki.directory / "root.pem", place / "box.pem", place / "box.key", tls12=tls12)


def raw_context(pki: Pki, place: Path, version: ssl.TLSVersion, suites: str = "ALL:@SECLEVEL=0") -> ssl.SSLContext:
    """A client that takes whatever it is given, in one version."""
    context = ssl.create_default_context(cafile=str(pki.directory / "root.pem"))
    context.set_ciphers(suites)
    context.minimum_version = context.maximum_version = version
    context.load_cert_chain(place / "box.pem", place / "box.key")
    return context


@contextmanager
def answering(context: ssl.SSLContext, count: int = 1) -> Iterator[int]:
    """A TLS server that says one byte to each of ``count`` callers; its port."""

    def serve() -> None:
        for _ in range(count):
            line, _ = listener.accept()
            try:
                with context.wrap_socket(line, server_side=True) as secured:
                    secured.sendall(b"!")
            except OSError:
                line.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(5)


def shake(context: ssl.SSLContext, port: int, session: Any = None) -> tuple[str | None, str, ssl.SSLSocket]:
    """Version, suite, and the socket, after a byte came."""
    line = socket.create_connection(("127.0.0.1", port))
    line.settimeout(10)
    secured = context.wrap_socket(line, server_hostname="localhost", session=session)
    assert secured.recv(1) == b"!"
    cipher = secured.cipher()
    assert cipher is not None
    return secured.version(), cipher[0], secured


@pytest.mark.parametrize(
    ("version", "tls12", "well"),
    [
        (V.TLSv1, False, False), (V.TLSv1_1, False, False), (V.TLSv1_2, False, False), (V.TLSv1_3, False, True),
        (V.TLSv1, True, False), (V.TLSv1_1, True, False), (V.TLSv1_2, True, True), (V.TLSv1_3, True, True),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_server_speaks_1_3_and_1_2_only_if_told(
    pki: Pki, place: Path, version: ssl.TLSVersion, tls12: bool, well: bool
) -> None:
    with answering(serving_context(pki, place, tls12=tls12)) as port:
        if well:
            spoken, suite, line = shake(raw_context(pki, place, version), port)
            assert spoken == version.name.replace("_", ".")
            assert "GCM" in suite or "CHACHA20" in suite
            line.close()
        else:
            with pytest.raises(OSError):
                shake(raw_context(pki, place, version), port)


@pytest.mark.parametrize(("suite", "well"), [
    ("ECDHE-ECDSA-AES256-GCM-SHA384", True), ("ECDHE-ECDSA-CHACHA20-POLY1305", True),
    ("ECDHE-ECDSA-AES256-SHA384", False), ("ECDHE-ECDSA-AES128-SHA", False),
])  # fmt: skip
def test_1_2_is_ephemeral_and_authenticated(pki: Pki, place: Path, suite: str, well: bool) -> None:
    with answering(serving_context(pki, place, tls12=True)) as port:
        caller = raw_context(pki, place, V.TLSv1_2, f"{suite}:@SECLEVEL=0")
        if well:
            shake(caller, port)[2].close()
        else:
            with pytest.raises(OSError):
                shake(caller, port)


@pytest.mark.parametrize("version", [V.TLSv1_2, V.TLSv1_3])
def test_no_session_carries_its_keys_into_another_connection(pki: Pki, place: Path, version: ssl.TLSVersion) -> None:
    caller = raw_context(pki, place, version)
    with answering(serving_context(pki, place, tls12=True), 2) as port:
        first = shake(caller, port)[2]
        session = first.session
        first.close()
        assert session is None or not session.has_ticket
        second = shake(caller, port, session)[2]
        assert not second.session_reused
        second.close()


def called(port: int) -> Partner:
    return Partner("localhost", port, "BOX", "OCT", "SECRET", timers=SHORT, sync_kb=16, window=2)


async def join(
    pki: Pki, place: Path, server: ssl.SSLContext, shelf: Shelf, *, name: str = "", older: bool = False,
    inspect: Callable[[bytes], None] | None = None,
) -> None:  # fmt: skip
    async with serving(shelf, ssl_context=server) as port:
        partner = replace(called(port), server_name=name)
        async with connect(partner, box_context(pki, place, tls12=older), inspect=inspect) as connection:
            await connection.message(FILE)


def trouble_of(pki: Pki, place: Path, server: ssl.SSLContext, directory: Path, **how: Any) -> tuple[str, list[Any]]:
    """The code of what becomes of a call, '' when it is well, and who was told a CONNECT."""
    shelf = Shelf(directory)
    try:
        asyncio.run(join(pki, place, server, shelf, **how))
    except Trouble as trouble:
        assert trouble.scope is Scope.ROUTE
        return trouble.code, shelf.certificates
    return "", shelf.certificates


SERVERS: dict[str, tuple[str, dict[str, Any]]] = {
    "another name": ("oct", {"hosts": ("ailleurs.example",)}),
    "another authority": ("etrangere", {}),
    "expired": ("oct", {"since": None, "days": 0}),
    "a box, not a server": ("boites", {"client": True}),
}


@pytest.mark.parametrize("kind", SERVERS)
def test_a_server_that_is_not_ours_is_not_talked_to(pki: Pki, place: Path, tmp_path: Path, kind: str) -> None:
    under, how = SERVERS[kind]
    make_leaf(pki, under, tmp_path / "server", "oct", **how)
    code, told = trouble_of(pki, place, serving_context(pki, tmp_path), tmp_path)
    assert (code, told) == ("PES-TLS", [])


def test_the_name_that_counts_may_be_said(pki: Pki, place: Path, tmp_path: Path) -> None:
    make_leaf(pki, "oct", tmp_path / "server", "oct", hosts=("oct.example",))
    context = serving_context(pki, tmp_path)
    assert trouble_of(pki, place, context, tmp_path)[0] == "PES-TLS"
    assert trouble_of(pki, place, context, tmp_path, name="oct.example")[0] == ""


def test_a_server_of_1_2_is_called_only_where_that_is_said(pki: Pki, place: Path, tmp_path: Path) -> None:
    old = serving_context(pki, place, tls12=True)
    old.maximum_version = V.TLSv1_2
    assert trouble_of(pki, place, old, tmp_path)[0] in ("PES-TLS", "PES-UNREACHABLE"), "it hangs up on us"
    assert trouble_of(pki, place, old, tmp_path, older=True)[0] == ""


def test_a_certificate_that_is_found_wanting_hears_no_word(pki: Pki, place: Path, tmp_path: Path) -> None:
    seen: list[bytes] = []

    def inspect(certificate: bytes) -> None:
        seen.append(certificate)
        raise Refused("CMS-036", "révoqué", Scope.ROUTE)

    code, told = trouble_of(pki, place, serving_context(pki, place), tmp_path, inspect=inspect)
    assert (code, told, len(seen)) == ("CMS-036", [], 1)


@pytest.mark.parametrize(("allowed", "code"), [(True, ""), (False, "PES-3.304")])
def test_each_partner_has_its_own_version(pki: Pki, place: Path, tmp_path: Path, allowed: bool, code: str) -> None:
    shelf, context = Shelf(tmp_path), serving_context(pki, place, tls12=True)
    caller = box_context(pki, place, tls12=True)
    caller.maximum_version = V.TLSv1_2

    async def talk() -> None:
        settings = Settings(timers=SHORT, tls12=lambda requester: allowed and requester == "BOX")
        async with serving(shelf, settings, context) as port, connect(called(port), caller):
            pass

    if code:
        with pytest.raises(Refused, match=code):
            asyncio.run(talk())
        assert shelf.certificates == []
    else:
        asyncio.run(talk())


# -- how old keys get


def test_a_transfer_outlives_its_connection_and_goes_on_where_it_was(pki: Pki, place: Path, tmp_path: Path) -> None:
    """Each connection lives for a part of the file; none is cut, nothing goes twice."""
    content = bytes(range(256)) * 2048
    (tmp_path / "source").write_bytes(content)
    shelf, identity = Shelf(tmp_path), replace(FILE, article_length=16384)
    points: list[SyncPoint] = []
    moved: list[int] = []

    async def talk() -> int:
        connections = 0
        settings = Settings(timers=SHORT)
        async with serving(shelf, settings, serving_context(pki, place)) as port:
            caller = replace(called(port), timers=replace(SHORT, life=0.25))
            with (tmp_path / "source").open("rb") as source:
                while True:
                    connections += 1
                    try:
                        async with connect(caller, box_context(pki, place)) as connection:
                            restart = points[-1] if points else None
                            outcome = await connection.send(
                                identity, source, restart, lambda offset: time.sleep(0.05), points.append
                            )
                            moved.append(outcome.moved)
                            return connections
                    except Aged:
                        continue

    assert asyncio.run(talk()) > 1
    assert (tmp_path / "17").read_bytes() == content
    assert moved[0] < len(content)
    assert shelf.restarts[1:] == [True] * (len(shelf.restarts) - 1)


def test_an_old_connection_begins_nothing_and_is_left_in_order(pki: Pki, place: Path, tmp_path: Path) -> None:
    told: list[tuple[str, bytes]] = []

    async def talk() -> None:
        async with serving(Shelf(tmp_path), ssl_context=serving_context(pki, place)) as port:
            caller = replace(called(port), timers=replace(SHORT, life=0.3))
            observe = lambda way, data: told.append((way, data[4:6]))  # noqa: E731 - behind two lengths
            async with connect(caller, box_context(pki, place), observe) as connection:
                await connection.message(FILE)
                await asyncio.sleep(0.4)
                await connection.message(FILE)

    with pytest.raises(Aged):
        asyncio.run(talk())
    assert [kind for _, kind in told[-2:]] == [b"\x40\x23", b"\x40\x24"], "RELEASE and RELCONF, no ABORT"
    assert len([way for way, kind in told if way == ">" and kind]) == 3, "CONNECT, one message, RELEASE"


def test_a_server_ends_what_its_caller_does_not(
    pki: Pki, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "LEEWAY", 0.2)

    async def talk() -> None:
        settings = Settings(timers=replace(SHORT, life=0.3))
        served = serving(Shelf(tmp_path), settings, serving_context(pki, place))
        async with served as port, connect(called(port), box_context(pki, place)) as connection:
            for _ in range(20):
                await connection.message(FILE)
                await asyncio.sleep(0.1)

    with pytest.raises(Deferred, match=r"3\.316"):
        asyncio.run(talk())


def test_a_handshake_that_ends_after_the_server_is_let_go(pki: Pki, place: Path, tmp_path: Path) -> None:
    """Nobody is left to talk to it, and nothing is said of it in a log."""
    troubles: list[dict[str, object]] = []

    async def talk() -> bytes:
        asyncio.get_running_loop().set_exception_handler(lambda _, told: troubles.append(told))
        async with serving(Shelf(tmp_path), ssl_context=serving_context(pki, place)) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.sleep(0.1)  # accepted, and not a byte of TLS yet
        await writer.start_tls(box_context(pki, place), server_hostname="localhost")
        read = await reader.read()
        writer.close()
        return read

    assert asyncio.run(talk()) == b""
    assert troubles == []

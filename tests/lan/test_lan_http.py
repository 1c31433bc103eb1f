"""The HTTP server on a real loopback socket, against http.client and against bytes that no client would send."""

from __future__ import annotations

import asyncio
import http.client
import json
import resource
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest

from gateway.disk import DiskFull
from gateway.errors import Deferred, Refused, Scope
from gateway.lan.http import Limits, Request, Response, Route, Server, answer_events, answer_json, failure

LIMITS = Limits(connections=4, head=4096, idle=0.6, block=0.6, body=5, linger=1)


async def hello(request: Request) -> Response:
    return answer_json({"path": request.path, "query": dict(request.query), **request.arguments})


async def measure(request: Request) -> Response:
    size = 0
    async for block in request.body():
        size += len(block)
    return answer_json({"size": size}, 201)


async def fields(request: Request) -> Response:
    return answer_json(await request.form())


async def value(request: Request) -> Response:
    return answer_json(await request.json())


async def stream(request: Request) -> Response:
    async def blocks() -> AsyncIterator[bytes]:
        for number in range(3):
            yield b"%d" % number * 10

    return Response(200, (("content-type", "text/plain"),), blocks())


async def broken_stream(request: Request) -> Response:
    async def blocks() -> AsyncIterator[bytes]:
        yield b"begin"
        raise Deferred("X-1", "La suite manque.", Scope.BOX)

    return Response(200, (), blocks())


async def events(request: Request) -> Response:
    async def pairs() -> AsyncIterator[tuple[str, str]]:
        yield "news", "un\ndeux"
        yield "", ""
        yield "news", ""

    return answer_events(pairs())


async def refuse(request: Request) -> Response:
    raise Refused("B2-017", "Le fichier est vide.")


async def defer(request: Request) -> Response:
    raise DiskFull  # a kind of Deferred


async def forbid(request: Request) -> Response:
    raise failure(403)


async def ignore(request: Request) -> Response:
    return Response(204)


async def bug(request: Request) -> Response:
    raise ZeroDivisionError("secret")


async def slow(request: Request) -> Response:
    await asyncio.sleep(0.5)
    return Response(204)


ROUTES = (
    Route("GET", "/", hello),
    Route("GET", "/things/{name}", hello),
    Route("GET", "/things/{name}/parts/{part}", hello),
    Route("POST", "/measure", measure, limit=64 << 20),
    Route("POST", "/small", measure, limit=10),
    Route("POST", "/form", fields, limit=1000),
    Route("POST", "/json", value, limit=1000),
    Route("POST", "/ignore", ignore, limit=64 << 20),
    Route("GET", "/stream", stream),
    Route("GET", "/broken", broken_stream),
    Route("GET", "/events", events),
    Route("GET", "/refuse", refuse),
    Route("GET", "/defer", defer),
    Route("GET", "/forbid", forbid),
    Route("GET", "/bug", bug),
    Route("GET", "/slow", slow),
)


@dataclass
class Running:
    """A server in a thread of its own; ``outcome`` is what ended it."""

    port: int
    outcome: list[BaseException]
    thread: threading.Thread

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def get(self, path: str, method: str = "GET", **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
        connection = self.connect()
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response, response.read()

    def post(self, path: str, body: bytes, kind: str = "") -> tuple[int, bytes]:
        connection = self.connect()
        connection.request("POST", path, body, {"content-type": kind} if kind else {})
        response = connection.getresponse()
        return response.status, response.read()

    def raw(self, sent: bytes, close: bool = False) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as peer:
            peer.sendall(sent)
            if close:
                peer.shutdown(socket.SHUT_WR)
            received = b""
            while block := peer.recv(65536):
                received += block
            return received


@pytest.fixture
def server() -> Iterator[Running]:
    listener = socket.create_server(("127.0.0.1", 0))
    outcome: list[BaseException] = []
    ready = threading.Event()
    handles: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def main() -> None:
        stop = asyncio.Event()
        handles.append((asyncio.get_running_loop(), stop))
        await Server(ROUTES, ("passerelle.local",), LIMITS).serve([listener], stop, ready=ready.set)

    def run() -> None:
        try:
            asyncio.run(main())
        except BaseException as trouble:
            outcome.append(trouble)

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(5)
    yield Running(listener.getsockname()[1], outcome, thread)
    loop, stop = handles[0]
    if thread.is_alive():
        loop.call_soon_threadsafe(stop.set)
    thread.join(5)
    assert not thread.is_alive()


def test_a_page_comes_with_its_security_headers(server: Running) -> None:
    response, body = server.get("/?a=1&b=%C3%A9")
    assert (response.status, json.loads(body)) == (200, {"path": "/", "query": {"a": "1", "b": "é"}})
    assert "default-src 'self'" in (response.getheader("content-security-policy") or "")
    assert "frame-ancestors 'none'" in (response.getheader("content-security-policy") or "")
    assert response.getheader("x-content-type-options") == "nosniff"
    assert response.getheader("cache-control") == "no-store"
    assert response.getheader("date")
    assert response.getheader("server") is None


@pytest.mark.parametrize(
    ("path", "status", "part"),
    [
        ("/things/a%20b", 200, '"name":"a b"'),
        ("/things/a/parts/%C3%A9", 200, '"part":"é"'),
        ("/things/a/b", 404, "HTTP-404"),
        ("/things/", 404, "HTTP-404"),
        ("/things/%ff", 400, "HTTP-400"),
        ("/things/a%00b", 400, "HTTP-400"),
        ("/things/a%2Fb", 404, "HTTP-404"),
        ("/nothing", 404, "HTTP-404"),
        ("/?" + "&".join(f"a{n}=1" for n in range(65)), 400, "HTTP-400"),
        ("/?a=%ff", 400, "HTTP-400"),
        ("/refuse", 422, '{"code":"B2-017","text":"Le fichier est vide."}'),
        ("/defer", 503, "BOX-006"),
        ("/forbid", 403, "HTTP-403"),
    ],
)
def test_paths_and_troubles(server: Running, path: str, status: int, part: str) -> None:
    response, body = server.get(path)
    assert response.status == status
    assert part in body.decode()


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("passerelle.local", 200),
        ("PASSERELLE.local:8080", 200),
        ("localhost", 200),
        ("192.168.1.20:80", 200),
        ("[::1]:8080", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("", 421),
    ],
)
def test_only_our_own_names_are_answered(server: Running, host: str, status: int) -> None:
    assert server.get("/", host=host)[0].status == status


def test_head_is_get_without_its_body(server: Running) -> None:
    wanted, body = server.get("/")
    response, nothing = server.get("/", "HEAD")
    assert (response.status, nothing) == (200, b"")
    assert response.getheader("content-length") == wanted.getheader("content-length") == str(len(body))
    assert server.get("/stream", "HEAD")[0].status == 200


def test_a_wrong_method_names_the_right_ones(server: Running) -> None:
    response, _ = server.get("/", "DELETE")
    assert (response.status, response.getheader("allow")) == (405, "GET, HEAD")
    response, _ = server.get("/measure", "GET")
    assert (response.status, response.getheader("allow")) == (405, "POST")


def test_one_connection_serves_many_requests(server: Running) -> None:
    connection = server.connect()
    for number in range(5):
        connection.request("POST", "/measure", b"x" * number * 1000)
        response = connection.getresponse()
        assert json.loads(response.read()) == {"size": number * 1000}
        assert response.getheader("connection") is None


def test_pipelined_requests_are_answered_in_order(server: Running) -> None:
    one, two = (
        b"GET /things/%d HTTP/1.1\r\nHost: localhost\r\n%s\r\n" % each
        for each in ((1, b""), (2, b"Connection: close\r\n"))
    )
    received = server.raw(one + two)
    assert received.count(b"HTTP/1.1 200") == 2
    assert received.index(b'"name":"1"') < received.index(b'"name":"2"')


def test_a_large_body_flows_through_in_flat_memory(server: Running) -> None:
    block = bytes(1 << 20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def blocks() -> Iterator[bytes]:
        for _ in range(40):
            yield block

    connection = server.connect()
    connection.request("POST", "/measure", blocks(), encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
    assert json.loads(connection.getresponse().read()) == {"size": 40 << 20}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 12 << 10  # KiB


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_over_the_limit_is_refused_in_words(server: Running, announced: bool) -> None:
    connection = server.connect()
    if announced:
        connection.request("POST", "/small", b"x" * 11)
    else:
        connection.request(
            "POST", "/small", iter([b"x" * 6, b"y" * 6]), encode_chunked=True, headers={"Transfer-Encoding": "chunked"}
        )
    response = connection.getresponse()
    assert response.status == 413
    assert "dépasse" in response.read().decode()
    assert response.getheader("connection") == "close"


def test_an_unwanted_large_body_does_not_hide_the_answer(server: Running) -> None:
    assert server.post("/ignore", bytes(8 << 20))[0] == 204


def test_expect_100_continue(server: Running) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as peer:
        peer.sendall(b"POST /measure HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert peer.recv(1000).startswith(b"HTTP/1.1 100")
        peer.sendall(b"abc")
        assert b'{"size":3}' in peer.recv(4000)


@pytest.mark.parametrize(
    ("path", "kind", "body", "status", "part"),
    [
        ("/form", "application/x-www-form-urlencoded", b"pin=1&nom=%C3%A9t%C3%A9+x", 200, '{"pin":"1","nom":"été x"}'),
        ("/form", "text/plain", b"pin=1234", 415, "HTTP-415"),
        ("/form", "application/x-www-form-urlencoded", b"a=%ff", 400, "HTTP-400"),
        ("/json", "application/json; charset=utf-8", b'{"a": 1}', 200, '{"a":1}'),
        ("/json", "application/json", b"{", 400, "JSON"),
        ("/json", "application/json", b"\xff", 400, "JSON"),
        ("/json", "application/json", b"[" * 1000, 400, "JSON"),
        ("/json", "", b"{}", 415, "HTTP-415"),
    ],
)  # fmt: skip
def test_forms_and_json(server: Running, path: str, kind: str, body: bytes, status: int, part: str) -> None:
    got, text = server.post(path, body, kind)
    assert got == status
    assert part in text.decode()


def test_streams_go_out_in_chunks(server: Running) -> None:
    response, body = server.get("/stream")
    assert (response.getheader("transfer-encoding"), body) == ("chunked", b"0" * 10 + b"1" * 10 + b"2" * 10)


def test_a_stream_that_breaks_off_is_seen_to_be_incomplete(server: Running) -> None:
    with pytest.raises(http.client.IncompleteRead):
        server.get("/broken")
    assert server.get("/")[0].status == 200


def test_server_sent_events(server: Running) -> None:
    response, body = server.get("/events")
    assert response.getheader("content-type") == "text/event-stream; charset=utf-8"
    assert body == b"event: news\ndata: un\ndata: deux\n\n:\n\nevent: news\ndata: \n\n"


HOST = b"Host: localhost\r\n"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.0\r\n\r\n", 421),
        (b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n", 400),
        (b"GET http://localhost/ HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"CONNECT x:1 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"y" * 9000 + b"\r\n\r\n", 431),
        (b"POST /measure HTTP/1.1\r\n" + HOST + b"\r\n", 411),
        (b"POST /measure HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n", 400),
        (b"POST /measure HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST /measure HTTP/1.1\r\n" + HOST + b"Content-Length: 99999999999999999999\r\n\r\n", 413),
        (b"POST /measure HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip\r\n\r\n", 501),
        (b"POST /measure HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nabcde", 413),
    ],
)
def test_hostile_bytes_get_a_status_and_the_end(server: Running, sent: bytes, status: int) -> None:
    received = server.raw(sent)
    assert received.startswith(b"HTTP/1.1 %d" % status)
    assert b"onnection: close" in received
    assert b"Traceback" not in received
    assert server.get("/")[0].status == 200


def test_a_body_that_ends_early_is_refused(server: Running) -> None:
    received = server.raw(b"POST /measure HTTP/1.1\r\n" + HOST + b"Content-Length: 10\r\n\r\nabc", close=True)
    assert received.startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/1.1\r\nHos", b"HTTP/1.1 408"),
        (b"POST /measure HTTP/1.1\r\n" + HOST + b"Content-Length: 10\r\n\r\nabc", b"HTTP/1.1 408"),
        (b"", b""),
    ],
)
def test_slow_peers_are_left(server: Running, sent: bytes, status: bytes) -> None:
    begin = time.monotonic()
    assert server.raw(sent)[:12] == status
    assert time.monotonic() - begin < 5


def test_a_head_that_trickles_has_one_deadline(server: Running) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as peer:
        for byte in b"GET / HTTP/1.1\r\n"[:8]:
            peer.sendall(bytes([byte]))
            time.sleep(0.1)
        assert peer.recv(1000).startswith(b"HTTP/1.1 408")


def test_too_many_connections_are_told_so(server: Running) -> None:
    busy = [server.connect() for _ in range(LIMITS.connections)]
    for connection in busy:
        connection.request("GET", "/slow")
    time.sleep(0.1)
    assert server.get("/")[0].status == 503
    assert [connection.getresponse().status for connection in busy] == [204] * LIMITS.connections
    for connection in busy:
        connection.close()
    time.sleep(0.1)
    assert server.get("/")[0].status == 200


def test_a_bug_answers_500_without_a_word_of_it_and_ends_the_server(server: Running) -> None:
    response, body = server.get("/bug")
    assert response.status == 500
    assert b"secret" not in body
    assert b"ZeroDivision" not in body
    server.thread.join(5)
    assert isinstance(server.outcome[0], ExceptionGroup)
    assert server.outcome[0].subgroup(ZeroDivisionError) is not None

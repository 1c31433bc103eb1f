"""A small HTTP/1.1 server on asyncio streams; the hostile bytes are read by ``h11``.

Duty: listening sockets and a table of routes in, conversations out; bodies both ways are streams, memory is flat.
Rules: every wait on a peer has a deadline, every size a bound; a request is answered under a name that is ours
(against DNS rebinding); what a handler raises as ``Refused`` or ``Deferred`` becomes a status by a table row;
anything else is a bug: the peer gets a bare 500, and the exception ends ``Server.serve``.
Not here: accounts, CSRF, pages, TLS certificates (an ``ssl.SSLContext`` is handed in), access logs.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from email.utils import formatdate
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, unquote

import h11

from gateway.errors import Deferred, Refused, Trouble

BLOCK = 1 << 16
"""Bytes asked of a peer at once."""

FIELDS = 64
"""Fields of a query or a form, at most."""

BODILESS = frozenset({204, 304})
"""Statuses whose responses have no body and no length."""

TEXTS = {
    400: "La demande n'est pas du HTTP/1.1 correct.",
    403: "La demande ne vient pas d'une page de la passerelle.",
    404: "Il n'y a rien à cette adresse.",
    405: "Cette adresse n'admet pas cette méthode.",
    408: "La demande n'est pas arrivée en entier dans le délai.",
    411: "La demande n'annonce pas la taille de son contenu.",
    413: "Le contenu dépasse la taille admise.",
    415: "Le contenu n'est pas du type attendu.",
    421: "Ce nom d'hôte n'est pas celui de la passerelle.",
    431: "L'en-tête de la demande est trop grand.",
    500: "La passerelle a rencontré une erreur interne.",
    501: "Ce codage du contenu n'est pas pris en charge.",
    503: "Trop de connexions à la fois ; réessayez dans un instant.",
}
"""What a user reads, by status."""

STATUSES = {f"HTTP-{status}": status for status in TEXTS}
"""The status of a trouble by its code; other codes answer by their kind, see ``KINDS``."""

KINDS: dict[type[Trouble], int] = {Refused: 422, Deferred: 503}

SECURITY = (
    ("content-security-policy",
     "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; frame-ancestors 'none'"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
)  # fmt: skip
"""Sent with every response."""

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Limits:
    """Bounds of one server; sizes in bytes, waits in seconds."""

    connections: int = 32
    head: int = 16 << 10
    idle: float = 30.0
    """For a complete head, from the end of the request before it."""
    block: float = 20.0
    """For the next block of a body, either way."""
    body: float = 900.0
    """For the whole body of a request."""
    linger: float = 2.0
    """For a peer to stop sending what is not wanted, so that it can read why."""


@dataclass(frozen=True)
class Request:
    """One request; ``arguments`` are the named segments of the route's pattern."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case."""
    arguments: Mapping[str, str]
    peer: str
    """The address of the other side, '' on a Unix socket."""
    body: Callable[[], AsyncIterator[bytes]]
    """Blocks of the body, once; Refused HTTP-408, HTTP-413 or HTTP-400 where it does not come as promised."""

    async def read(self) -> bytes:
        """The whole body, at most the route's ``limit`` bytes."""
        return b"".join([block async for block in self.body()])

    async def form(self) -> dict[str, str]:
        """The fields of an ``application/x-www-form-urlencoded`` body; Refused HTTP-415, HTTP-400."""
        if self.content_type != "application/x-www-form-urlencoded":
            raise failure(415)
        return _fields((await self.read()).decode("latin-1"))

    async def json(self) -> Any:
        """The value of an ``application/json`` body; Refused HTTP-415, HTTP-400."""
        if self.content_type != "application/json":
            raise failure(415)
        try:
            return json.loads(await self.read())
        except (ValueError, RecursionError) as trouble:
            raise failure(400, "Le contenu de la demande n'est pas du JSON correct.") from trouble

    @property
    def content_type(self) -> str:
        """The media type of the body in lower case, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True)
class Response:
    """What is answered; a stream as body goes out in chunks, one per item."""

    status: int = 200
    headers: Headers = ()
    body: bytes | AsyncIterator[bytes] = b""


Handler = Callable[[Request], Awaitable[Response]]
Explain = Callable[[str, int, Trouble], Response]
"""(path, status, trouble) → what the user sees of it; path is '' where none could be read."""


@dataclass(frozen=True)
class Route:
    """``pattern`` is a path whose ``{name}`` segments match one segment each; ``limit`` bounds the body, bytes."""

    method: str
    pattern: str
    handler: Handler
    limit: int = 0

    def match(self, path: str) -> dict[str, str] | None:
        """The named segments of a path that this route serves, None for another path."""
        found = _compiled(self.pattern).fullmatch(path)
        return None if found is None else found.groupdict()


def failure(status: int, text: str = "") -> Refused:
    """The trouble that answers with ``status``, a row of ``TEXTS``; ``text`` replaces the row's words."""
    return Refused(f"HTTP-{status}", text or TEXTS[status])


def answer_json(value: Any, status: int = 200, headers: Headers = ()) -> Response:
    """A JSON response."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(status, (("content-type", "application/json; charset=utf-8"), *headers), body)


def explain_json(path: str, status: int, trouble: Trouble) -> Response:
    """A trouble as programs read it: ``{"code", "text"}``."""
    return answer_json({"code": trouble.code, "text": trouble.text}, status)


def answer_events(events: AsyncIterator[tuple[str, str]]) -> Response:
    """Server-Sent Events from (name, data) pairs; an empty name is a heartbeat that browsers ignore.

    A peer that went away is noticed at the next event: send heartbeats.
    """
    return Response(200, (("content-type", "text/event-stream; charset=utf-8"),), _event_blocks(events))


async def _event_blocks(events: AsyncIterator[tuple[str, str]]) -> AsyncIterator[bytes]:
    async for name, data in events:
        lines = "".join(f"data: {line}\n" for line in data.splitlines() or ("",))
        yield f"event: {name}\n{lines}\n".encode() if name else b":\n\n"


class Server:
    """Routes behind listening sockets."""

    def __init__(
        self,
        routes: Sequence[Route],
        hosts: Sequence[str] = (),
        limits: Limits = Limits(),
        explain: Explain = explain_json,
    ) -> None:
        """``hosts`` are the names under which requests are answered, besides ``localhost`` and any IP address."""
        self.routes = tuple(routes)
        self.hosts = frozenset({"localhost", *(host.lower() for host in hosts)})
        self.limits = limits
        self.explain = explain

    async def serve(
        self,
        listeners: Sequence[socket.socket],
        stop: asyncio.Event,
        tls: ssl.SSLContext | None = None,
        ready: Callable[[], None] = lambda: None,
    ) -> None:
        """Serve until ``stop``; ``ready`` is called once all sockets are served.  A bug in a handler ends it."""
        async with asyncio.TaskGroup() as group:
            conversations: set[asyncio.Task[None]] = set()

            def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                if len(conversations) >= 2 * self.limits.connections:  # not even a word for a flood
                    return writer.transport.abort()
                welcome = len(conversations) < self.limits.connections
                task = group.create_task(_Conversation(self, reader, writer).run(welcome))
                conversations.add(task)
                return task.add_done_callback(conversations.discard)

            servers = [await asyncio.start_server(accept, sock=each, ssl=tls, limit=BLOCK) for each in listeners]
            ready()
            try:
                await stop.wait()
            finally:
                for server in servers:
                    server.close()
                for task in conversations:
                    task.cancel()

    def route(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """The route of a request and its arguments; Refused HTTP-404 or HTTP-405.  HEAD is GET without its body."""
        matches = [(route, found) for route in self.routes if (found := route.match(path)) is not None]
        if not matches:
            raise failure(404)
        for route, found in matches:
            if route.method == ("GET" if method == "HEAD" else method):
                return route, found
        raise failure(405)

    def allowed(self, path: str) -> str:
        """The methods of a path, as the ``Allow`` header lists them."""
        methods = {route.method for route in self.routes if route.match(path) is not None}
        return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))

    def check_host(self, host: str) -> None:
        """Refuse (HTTP-421) a name that is not ours; an address cannot be rebound, so any address is."""
        name = re.sub(r":\d*\Z", "", host.strip().lower()).removesuffix(".")
        if name not in self.hosts and not _is_address(name):
            raise failure(421)


class _Gone(Exception):
    """The peer no longer reads; there is nobody to answer."""


class _Conversation:
    """One connection: requests and responses in turn."""

    def __init__(self, server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._server = server
        self._limits = server.limits
        self._reader = reader
        self._writer = writer
        self._writer.transport.set_write_buffer_limits(0)  # a drained write has left the process
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=server.limits.head)
        self._method = self._path = ""

    async def run(self, welcome: bool) -> None:
        """Converse to the end; a peer that goes away or dawdles just ends it."""
        try:
            if welcome:
                while await self._exchange():
                    self._http.start_next_cycle()
            else:
                await self._answer(self._explained(failure(503)))
            await self._linger()
        except (_Gone, Trouble):  # Trouble: a stream broke off, which the missing last chunk tells the peer
            pass
        finally:
            self._writer.close()

    async def _exchange(self) -> bool:
        """One request and its response; whether another may follow."""
        self._method = self._path = ""
        try:
            head = await self._head()
            if head is None:
                return False
            response = await self._respond(head)
        except Trouble as trouble:
            response = self._explained(trouble)
        except Exception:
            with suppress(_Gone):
                await self._answer(self._explained(failure(500)))
            raise
        await self._answer(response)
        return self._http.our_state is h11.DONE and self._http.their_state is h11.DONE

    async def _head(self) -> h11.Request | None:
        """The head of the next request; None when the peer has closed or stays silent."""
        try:
            async with asyncio.timeout(self._limits.idle):
                event = await self._event()
        except TimeoutError:
            if self._http.trailing_data[0]:
                raise failure(408) from None
            return None
        return event if isinstance(event, h11.Request) else None

    async def _event(self) -> Any:
        """The next event of h11; Refused with h11's own status where the bytes are not HTTP."""
        wanted = BLOCK if self._http.their_state is h11.SEND_BODY else self._limits.head
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                self._http.receive_data(await self._received(wanted))
        except h11.RemoteProtocolError as trouble:
            status = trouble.error_status_hint
            raise failure(status if status in TEXTS else 400) from trouble
        return event

    async def _received(self, wanted: int) -> bytes:
        """The next bytes, b'' at their end; a connection that broke is one that ended."""
        try:
            return await self._reader.read(wanted)
        except OSError:
            return b""

    async def _respond(self, head: h11.Request) -> Response:
        """Find the route of a request, check what it promises, and let the handler answer."""
        headers = _joined(head)
        self._method = head.method.decode("ascii")
        path, _, query = head.target.decode("latin-1").partition("?")
        self._path = _decoded(path)
        self._server.check_host(headers.get("host", ""))
        route, arguments = self._server.route(self._method, self._path)
        self._check_length(headers, route.limit)
        request = Request(
            method=self._method,
            path=self._path,
            query=_fields(query),
            headers=headers,
            arguments=arguments,
            peer=_address(self._writer.get_extra_info("peername")),
            body=lambda: self._body(route.limit),
        )
        return await route.handler(request)

    def _check_length(self, headers: Mapping[str, str], limit: int) -> None:
        """Refuse (HTTP-411, HTTP-413) before the body; a request without one is complete here and now."""
        length = headers.get("content-length")
        if length is None and "transfer-encoding" not in headers:
            if self._method in ("POST", "PUT", "PATCH"):
                raise failure(411)
            self._http.next_event()
        elif length is not None and int(length) > limit:
            raise failure(413)

    async def _body(self, limit: int) -> AsyncIterator[bytes]:
        if self._http.they_are_waiting_for_100_continue:
            await self._send(h11.InformationalResponse(status_code=100, headers=[]))
        size = 0
        loop = asyncio.get_running_loop()
        end = loop.time() + self._limits.body
        while self._http.their_state is h11.SEND_BODY:
            try:
                async with asyncio.timeout_at(min(loop.time() + self._limits.block, end)):
                    event = await self._event()
            except TimeoutError:
                raise failure(408) from None
            if isinstance(event, h11.Data):
                size += len(event.data)
                if size > limit:
                    raise failure(413)
                yield bytes(event.data)

    def _explained(self, trouble: Trouble) -> Response:
        status = STATUSES.get(trouble.code) or next(KINDS[kind] for kind in KINDS if isinstance(trouble, kind))
        response = self._server.explain(self._path, status, trouble)
        extra: Headers = (("allow", self._server.allowed(self._path)),) if status == 405 else ()
        return replace(response, headers=(*response.headers, *extra))

    async def _answer(self, response: Response) -> None:
        """Send a response, to HEAD without its body; the connection stays open only if the request was read whole."""
        headers = [*response.headers, *SECURITY, ("date", formatdate(usegmt=True))]
        if not any(name == "cache-control" for name, _ in headers):
            headers.append(("cache-control", "no-store"))
        if isinstance(response.body, bytes) and response.status not in BODILESS:
            headers.append(("content-length", str(len(response.body))))
        if self._http.their_state is not h11.DONE:
            headers.append(("connection", "close"))
        begin = h11.Response(status_code=response.status, headers=headers)
        if self._method == "HEAD":
            await self._send(begin, h11.EndOfMessage())
        elif isinstance(response.body, bytes):
            await self._send(begin, h11.Data(data=response.body), h11.EndOfMessage())
        else:
            await self._send(begin)
            await self._stream(response.body)

    async def _stream(self, blocks: AsyncIterator[bytes]) -> None:
        try:
            async for block in blocks:
                await self._send(h11.Data(data=block))
        finally:
            if isinstance(blocks, AsyncGenerator):
                await blocks.aclose()
        await self._send(h11.EndOfMessage())

    async def _send(self, *events: h11.Event) -> None:
        block = b"".join(self._http.send(event) or b"" for event in events)
        try:
            self._writer.write(block)
            async with asyncio.timeout(self._limits.block):
                await self._writer.drain()
        except OSError as trouble:  # TimeoutError and ssl.SSLError are OSErrors
            self._writer.transport.abort()
            raise _Gone from trouble

    async def _linger(self) -> None:
        """Let the peer read the answer before its unread bytes reset the connection (RFC 9112 section 9.6)."""
        if self._http.their_state not in (h11.SEND_BODY, h11.ERROR, h11.IDLE):
            return
        if self._writer.can_write_eof():
            with suppress(OSError):
                self._writer.write_eof()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._limits.linger):
                while await self._received(BLOCK):
                    pass


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(pattern)))


def _joined(head: h11.Request) -> dict[str, str]:
    """Headers by lower-case name; repeated ones are one list (RFC 9110 section 5.3)."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in head.headers:
        name, value = raw_name.decode("ascii"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _decoded(path: str) -> str:
    """A path of the origin form with its percent signs undone; Refused HTTP-400 for any other form."""
    try:
        decoded = unquote(path, errors="strict")
    except UnicodeDecodeError as trouble:
        raise failure(400) from trouble
    if not decoded.startswith("/") or not decoded.isprintable():
        raise failure(400)
    return decoded


def _fields(text: str) -> dict[str, str]:
    """Form fields; of a repeated one the last.  Refused HTTP-400 for more than ``FIELDS`` or broken UTF-8."""
    try:
        return dict(parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=FIELDS))
    except ValueError as trouble:
        raise failure(400) from trouble


def _address(peer: object) -> str:
    return str(peer[0]) if isinstance(peer, tuple) else ""


def _is_address(name: str) -> bool:
    families = {socket.AF_INET: name, socket.AF_INET6: name.removeprefix("[").removesuffix("]")}
    for family, text in families.items():
        with suppress(OSError):
            socket.inet_pton(family, text)
            return True
    return False

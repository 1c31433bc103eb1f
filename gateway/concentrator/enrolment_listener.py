"""The HTTPS listener of enrolments: TLS 1.3, two addresses, small bodies, one request at work at a time.

``GET /enrolment/v1/root`` gives the root (DER), which a box takes only if it has the fingerprint that a person typed;
``POST /enrolment/v1/requests`` takes a signed request and gives the signed answer.  Limits and deadlines are those of
``gateway.lan.http``.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import closing

from cryptography import x509

from gateway.book.moves import utc_now
from gateway.concentrator.disk import Disk, OctDiskFull
from gateway.concentrator.enrolment import Enrolment
from gateway.concentrator.keys import Keys, Trust
from gateway.concentrator.publishing import publish
from gateway.concentrator.settings import ConcentratorSettings
from gateway.concentrator.store import Store
from gateway.envelope.algorithms import read_certificate
from gateway.envelope.certificates import load_certificates
from gateway.envelope.succession import first_root
from gateway.errors import Refused, Scope, os_words
from gateway.formats.enrolment import REQUEST_LIMIT
from gateway.lan.http import Limits, Request, Response, Route, Server
from gateway.process.runtime import Runtime

LIMITS = Limits(connections=8, body=60.0)
DER = (("content-type", "application/octet-stream"),)

PUBLISH_EVERY_S = 3600.0
"""Between two looks at whether the published list lasts."""


async def serve_enrolments(
    runtime: Runtime, settings: ConcentratorSettings, keys: Keys, trust: Callable[[], Trust], disk: Disk,
    context: ssl.SSLContext, listener: socket.socket,
) -> None:  # fmt: skip
    """Serve until ``runtime.stop``, and keep the published list fresh.  ``context`` is the OCT's own for TLS."""
    with closing(Store(settings.database)) as store:
        desk, turn = Enrolment(settings, store, keys, trust, utc_now), asyncio.Lock()

        async def root(_: Request) -> Response:
            with disk.room():
                return Response(200, DER, first_root(trust().roots, utc_now()))

        async def take(request: Request) -> Response:
            signed = await request.read()
            async with turn:
                with disk.room():
                    return Response(200, DER, await asyncio.to_thread(desk.answer, signed))

        async def refresh() -> None:
            while not runtime.stop.is_set():
                async with runtime.outlast(disk.say, OctDiskFull):
                    async with turn:
                        await asyncio.to_thread(publish, settings, store, utc_now())
                    await runtime.pause(PUBLISH_EVERY_S)

        routes = [
            Route("GET", "/enrolment/v1/root", root),
            Route("POST", "/enrolment/v1/requests", take, limit=REQUEST_LIMIT + (16 << 10)),
        ]
        server = Server(routes, hosts=_names(settings), limits=LIMITS)
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve([listener], runtime.stop, context))
            group.create_task(refresh())


def enrolment_listener(settings: ConcentratorSettings) -> socket.socket:
    """The listening socket; Refused OCT-005 (scope box)."""
    try:
        return socket.create_server((settings.enrolment.host, settings.enrolment.port))
    except OSError as trouble:
        where = f"{settings.enrolment.host}:{settings.enrolment.port}"
        raise Refused("OCT-005", f"{where} ne peut pas être écouté : {os_words(trouble)}.", Scope.BOX) from None


def _names(settings: ConcentratorSettings) -> list[str]:
    """The names of hosts in the OCT's own TLS certificate."""
    certificate = read_certificate(load_certificates(settings.transport_certificate.read_bytes())[0], Scope.BOX)
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return found.get_values_for_type(x509.DNSName)

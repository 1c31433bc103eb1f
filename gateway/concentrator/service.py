"""The receiving end as one service: a PeSIT server, the integration worker, and the listener of enrolments.

Integration works in a thread of its own, with its own connection to the database; all the rest runs in the
event loop.  At start what a crash left over is swept before anybody is let in.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from gateway.book.moves import utc_now
from gateway.concentrator.disk import Disk, OctDiskFull
from gateway.concentrator.enrolment_listener import enrolment_listener, serve_enrolments
from gateway.concentrator.keys import Keys, Trust, TrustFiles, load_keys, load_line
from gateway.concentrator.numbers import Numbers
from gateway.concentrator.publishing import publish
from gateway.concentrator.reception import Reception
from gateway.concentrator.settings import ConcentratorSettings
from gateway.concentrator.store import Store
from gateway.concentrator.worker import Worker
from gateway.config import Paths
from gateway.disk import room
from gateway.errors import Refused, Scope, os_words
from gateway.link.line import Timers
from gateway.link.server import Settings, serve
from gateway.link.tls import harden
from gateway.process.runtime import Runtime


async def run(runtime: Runtime, _: Paths, settings: ConcentratorSettings) -> None:
    """Serve until ``runtime.stop``; Refused (scope box) when the settings cannot be followed.

    The box's paths, which every service is given, are not this machine's business.
    """
    with room(OctDiskFull):  # of one that cannot even begin; what serves outlasts it
        await _receive(runtime, settings)


async def _receive(runtime: Runtime, settings: ConcentratorSettings) -> None:
    for directory in (settings.directory, settings.spool, settings.received, settings.returns):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    context = server_context(settings)
    keys = load_keys(settings)
    database = settings.database
    with closing(Store(database)) as incoming, closing(Store(database)) as settled, closing(Store(database)) as memory:
        numbers = Numbers(memory)
        trust = TrustFiles(settings, numbers)
        if settings.enrolment.enabled:
            publish(settings, settled, utc_now())
        listener = _listener(runtime, settings)
        disk = Disk(incoming, utc_now, runtime.log_full)
        worker = Worker(settings, settled, keys, trust)
        reception = Reception(settings, incoming, disk, trust, utc_now, worker.arrived.set)
        async with asyncio.TaskGroup() as group:
            group.create_task(worker.run(runtime, disk))  # first: it sweeps before anybody is let in
            group.create_task(_serve(runtime, settings, listener, reception, context))
            if settings.enrolment.enabled:
                group.create_task(_enrol(runtime, settings, keys, trust, disk))
            await runtime.stop.wait()
            worker.arrived.set()


async def _serve(
    runtime: Runtime, settings: ConcentratorSettings, listener: socket.socket, reception: Reception,
    context: ssl.SSLContext,
) -> None:  # fmt: skip
    port = listener.getsockname()[1]
    write_port(settings.directory, port)
    runtime.log("info", f"à l'écoute sur {settings.host}:{port}")
    runtime.ready()
    await serve([listener], reception, _offer(settings), context, runtime.stop)


async def _enrol(
    runtime: Runtime, settings: ConcentratorSettings, keys: Keys, trust: Callable[[], Trust], disk: Disk
) -> None:
    """The listener of enrolments, in TLS 1.3 and without a box's certificate: who is enrolled has none yet."""
    context, listener = server_context(settings), enrolment_listener(settings)
    context.minimum_version, context.verify_mode = ssl.TLSVersion.TLSv1_3, ssl.CERT_NONE
    write_port(settings.directory, listener.getsockname()[1], "enrolment-port")
    await serve_enrolments(runtime, settings, keys, trust, disk, context, listener)


def server_context(settings: ConcentratorSettings) -> ssl.SSLContext:
    """TLS 1.3 with the server's certificate, 1.2 too if some box may come by it; asks for the box's own where the
    settings say so.

    What is shown lies in a file, as OpenSSL wants it.  Whether a box's certificate may be used, and is not revoked, is
    checked again by ``Reception``.
    """
    older = any(partner.tls12 for partner in settings.partners)
    context = harden(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), tls12=older)
    with room(OctDiskFull):
        line = _write_line(settings)
    try:
        context.load_cert_chain(line, settings.transport_key)
        for path in (settings.root, *settings.chain):
            context.load_verify_locations(path)
    except (OSError, ssl.SSLError) as trouble:
        text = f"Les certificats de transport ne peuvent pas être chargés : {os_words(trouble)}."
        raise Refused("OCT-001", text, Scope.BOX) from None
    context.verify_mode = ssl.CERT_REQUIRED if settings.client_certificate else ssl.CERT_NONE
    return context


def _write_line(settings: ConcentratorSettings) -> Path:
    made = settings.directory / ".line.pem"
    made.write_bytes(b"".join(ssl.DER_cert_to_PEM_cert(one).encode() for one in load_line(settings)))
    return made.rename(settings.directory / "line.pem")


def _offer(settings: ConcentratorSettings) -> Settings:
    """What the PeSIT server grants at most."""
    timers = Timers(answer=settings.answer_s, idle=settings.idle_s)
    older = {partner.identifier for partner in settings.partners if partner.tls12}
    return Settings(
        sync_kb=settings.sync_kb, window=settings.window, connections=settings.connections, timers=timers,
        tls12=older.__contains__,
    )  # fmt: skip


def _listener(runtime: Runtime, settings: ConcentratorSettings) -> socket.socket:
    inherited = runtime.inherited("concentrator")
    if inherited is not None:
        return inherited
    try:
        return socket.create_server((settings.host, settings.port))
    except OSError as trouble:
        text = f"{settings.host}:{settings.port} ne peut pas être écouté : {os_words(trouble)}."
        raise Refused("OCT-005", text, Scope.BOX) from None


def write_port(directory: Path, port: int, name: str = "port") -> None:
    """Say in a file of that name where the service listens; readers see the whole number or the old one."""
    temporary = directory / f".{name}"
    temporary.write_text(f"{port}\n")
    temporary.rename(directory / name)

"""Requests for time stamps: taken from ``notices/``, put to the authority by HTTP(S), answered through ``arrived/``.

forward does not look into an answer: the keeper does.  An authority that is down is asked again later, and delays
nothing else; without ``tsa_url`` requests stay where they are.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from urllib.parse import urlsplit

from gateway.book.doors import Door
from gateway.config import Paths
from gateway.errors import Deferred, Refused, Scope
from gateway.process.runtime import Runtime
from gateway.services.forward.settings import ForwardSettings

QUERY, REPLY = "application/timestamp-query", "application/timestamp-reply"
LARGEST = 64 * 1024
PATIENCE_S = 30.0
_REQUEST = re.compile(r"stamp\.[0-9a-f]{64}")


async def run(runtime: Runtime, paths: Paths, settings: ForwardSettings) -> None:
    """Ask until the runtime stops."""
    if not settings.tsa_url:
        return
    notices, arrived = Door(paths.door("notices")), Door(paths.door("arrived"))
    failures, next_try = 0, 0.0
    while not runtime.stop.is_set():
        names = [name for name in notices.names() if _REQUEST.fullmatch(name)]
        if names and time.monotonic() >= next_try:
            try:
                for name in names:
                    await _ask(settings.tsa_url, notices, arrived, name)
                failures = 0
            except (Refused, Deferred) as trouble:
                failures += 1
                next_try = time.monotonic() + min(settings.retry_s * 2.0 ** (failures - 1), settings.retry_max_s)
                runtime.log("warning", f"{trouble.code} time stamping")
        await runtime.pause(settings.poll_s)


async def _ask(url: str, notices: Door, arrived: Door, name: str) -> None:
    """One request; the answer is through the door before the request goes."""
    try:
        asked = notices.read(name, LARGEST)
    except FileNotFoundError:
        return  # the keeper took it back
    arrived.put(name, await asyncio.to_thread(post, url, asked))
    notices.remove(name)


def post(url: str, asked: bytes) -> bytes:
    """The body of the authority's answer; Deferred TSA-010 (scope route), Refused TSA-011 (scope route)."""
    import http.client  # heavy, and only where an authority is configured

    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Refused("TSA-011", "[forward] tsa_url n'est pas une adresse http(s).", Scope.ROUTE)
    try:
        if parts.scheme == "https":
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                parts.hostname, parts.port, timeout=PATIENCE_S, context=ssl.create_default_context()
            )
        else:
            connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=PATIENCE_S)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", path, asked, {"Content-Type": QUERY, "Accept": REPLY})
        response = connection.getresponse()
        answer = response.read(LARGEST + 1)
        connection.close()
    except (OSError, http.client.HTTPException, ValueError):
        raise Deferred("TSA-010", "Le serveur d'horodatage ne répond pas.", Scope.ROUTE) from None
    if response.status != http.HTTPStatus.OK or len(answer) > LARGEST:
        raise Deferred("TSA-010", f"Le serveur d'horodatage répond {response.status}.", Scope.ROUTE)
    return answer

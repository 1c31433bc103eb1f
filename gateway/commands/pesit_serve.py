"""``gateway pesit serve``: a PeSIT server whose files are those of a directory.

Rules: what happens is told on standard output, one line each, in words or in JSON; what a partner says is cleaned
of control characters before it is shown. It runs until a signal: then the connections that stand are cut by
ABORT 3.316 and their transfers can be taken up.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import socket
import time
import tomllib
import unicodedata
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from functools import partial
from typing import Any

from gateway.commands import pesit_options as options
from gateway.commands.pesit_run import Tracing
from gateway.config import read_section, toml_words
from gateway.errors import Deferred, Refused, Scope, Trouble, os_words
from gateway.link.client import Partner
from gateway.link.directory import PRIVATE, Directory, Rooms, Tell
from gateway.link.partners import PartnerEntry, Partners
from gateway.link.passwords import password_hash
from gateway.link.relay import Relay, Route
from gateway.link.relay_spool import Spool
from gateway.link.server import Settings, serve
from gateway.pesit.compression import Compression
from gateway.pesit.packing import Sending
from gateway.pesit.profiles import PROFILES

RETRY_S = 5.0
"""Seconds after which a route that failed is tried again, then twice as long and so on."""

WORDS = {
    "listening": "À l'écoute sur {address}, sous le nom {name}.",
    "received": "{partner} : reçu {path}, {bytes} octets (PI 12 {named}, transfert {transfer_id}).",
    "delivered": "{partner} : a relevé {name}, {bytes} octets (transfert {transfer_id}).",
    "message": "{partner} : message sur {name}, transfert {transfer_id} : {text}",
    "postponed": "Vers {hop} : {code} {text}",
    "refused": "{partner} : refusé, {code} {text}",
}


def serve_directory(arguments: argparse.Namespace) -> int:
    """Serve until a signal comes; 0, or 130 for Ctrl-C."""
    partners = Partners(_entries(arguments), time.monotonic)
    tell = partial(_tell, as_json=arguments.json)
    context = options.answering_context(arguments)
    with _listening(*arguments.listen) as sock, closing(Tracing(arguments.trace, "<")) as tracing:
        directory = _directory(arguments, partners, tell)
        host, port = sock.getsockname()[:2]
        ready = partial(tell, "listening", {"address": f"{host}:{port}", "port": port, "name": arguments.name})
        calls = partial(serve, [sock], settings=_settings(arguments), ssl_context=context, watch=tracing.observer)
        return asyncio.run(_serve(arguments, directory, calls, tell, ready))


def _entries(arguments: argparse.Namespace) -> list[PartnerEntry]:
    """The partners of a server: ``--partner ID:PASSWORD`` and the ``[[partner]]`` of ``--partners``."""
    entries = [_entry(arguments, *said.split(":", 1)) for said in arguments.partner]
    if arguments.partners:
        try:
            document = tomllib.loads(options.read_text(arguments.partners))
        except tomllib.TOMLDecodeError as error:
            text = f"{arguments.partners} n'est pas du TOML lisible : {toml_words(error)}."
            raise Refused("PES-FILE", text, Scope.BOX) from None
        tables: Any = document.get("partner", [])
        if not isinstance(tables, list):
            raise Refused("PES-FILE", f"{arguments.partners} : il faut des sections [[partner]].", Scope.BOX)
        entries += [read_section(PartnerEntry, table, f"{arguments.partners} [[partner]]") for table in tables]
    if not entries:
        raise Refused("PES-OPTION", "Aucun correspondant : --partner ou --partners est attendu.", Scope.BOX)
    return entries


def _entry(arguments: argparse.Namespace, identifier: str, password: str = "") -> PartnerEntry:
    if not identifier or not password:
        raise Refused("PES-OPTION", f"--partner {identifier} : ID:MOT_DE_PASSE est attendu.", Scope.BOX)
    return PartnerEntry(
        identifier,
        password_hash(password),
        limit=arguments.limit,
        code_page=arguments.code_page or PartnerEntry.code_page,
        as_text=not arguments.binary,
    )


def _directory(arguments: argparse.Namespace, partners: Partners, tell: Tell) -> Directory:
    try:
        return Directory(arguments.name, _rooms(arguments), partners, tell)
    except OSError as error:
        text = f"{arguments.directory} ne peut pas servir : {os_words(error)} ({error.filename})."
        raise Refused("PES-FILE", text, Scope.BOX) from None


def _rooms(arguments: argparse.Namespace) -> Rooms:
    for path in (arguments.directory, arguments.outgoing):
        if path and not path.is_dir():
            raise Refused("PES-FILE", f"{path} n'est pas un répertoire.", Scope.BOX)
    form = options.form_of_options(arguments, options.profile_of(arguments))
    return Rooms(arguments.directory, arguments.outgoing, arguments.name_in, form)


def _settings(arguments: argparse.Namespace) -> Settings:
    profile = PROFILES[arguments.profile]
    return Settings(
        framing=arguments.framing,
        sync_kb=arguments.sync,
        window=arguments.window,
        entity=arguments.entity,
        connections=arguments.connections,
        bare_abort=profile.bare_abort,
        timers=options.timers_of(arguments),
        sending=Sending(profile.multi_article, profile.segment_to_fill, profile.concatenate),
        compression=Compression[arguments.compress.upper()],
    )


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        text = f"{host}:{port} ne peut être écouté : {os_words(error)}."
        raise Deferred("PES-LISTEN", text, Scope.BOX) from None


async def _serve(
    arguments: argparse.Namespace, directory: Directory, calls: Callable[..., Any], tell: Tell,
    ready: Callable[[], None],
) -> int:  # fmt: skip
    """Answer calls until a signal; ``ready`` is told once a signal is heeded."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    signals: list[int] = []

    def ask(number: int) -> None:
        signals.append(number)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ask, number)
    ready()
    if arguments.route:
        with closing(Spool(arguments.directory / PRIVATE / "relay")) as spool:
            await _relay(Relay(directory, frozenset({arguments.name}), _routes(arguments), spool,
                               retry_s=RETRY_S, said=partial(_said, tell)), calls, stop)  # fmt: skip
    else:
        await calls(application=directory, stop=stop)
    return 128 + signal.SIGINT if signal.SIGINT in signals else 0


async def _relay(relay: Relay[PartnerEntry], calls: Callable[..., Any], stop: asyncio.Event) -> None:
    """Answer calls and hand on what is for others, until ``stop``."""
    handing_on = asyncio.create_task(relay.run())
    try:
        await calls(application=relay, stop=stop)
    finally:
        handing_on.cancel()
        with suppress(asyncio.CancelledError):
            await handing_on


def _routes(arguments: argparse.Namespace) -> dict[str, Route]:
    profile = PROFILES[arguments.profile]
    routes = {}
    for name, to in arguments.route:
        partner = Partner(to.host, to.port, to.identifier, to.server, to.password, timers=options.timers_of(arguments))
        context = options.calling_context(arguments) if to.secured else None
        routes[name] = Route(partner.like(profile, secured=to.secured), context)
    return routes


def _said(tell: Tell, hop: str, cause: Trouble) -> None:
    tell("postponed", {"hop": hop, "code": cause.code, "text": cause.text})


def _tell(kind: str, values: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"event": kind, **values}, ensure_ascii=False), flush=True)
        return
    shown = {name: _clean(value) for name, value in values.items()}
    print(f"{time.strftime('%H:%M:%S')} {WORDS[kind].format(**shown)}", flush=True)


def _clean(value: object) -> str:
    """What a partner said, fit for a terminal."""
    return "".join("?" if unicodedata.category(char)[0] == "C" else char for char in str(value))

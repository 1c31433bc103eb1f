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
import unicodedata
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

from gateway.commands import pesit_options as options
from gateway.commands.pesit_run import Tracing
from gateway.errors import Deferred, Refused, Scope, Trouble, os_words
from gateway.link.client import Partner
from gateway.link.directory import PRIVATE, Directory, Rooms, Tell
from gateway.link.partners import PartnerEntry, Partners
from gateway.link.relay import Relay, Route
from gateway.link.relay_spool import Spool
from gateway.link.server import Settings, serve
from gateway.pesit.compression import Compression
from gateway.pesit.framing import Framing
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


def add_serve(verbs: argparse._SubParsersAction[Any]) -> None:
    """Add ``serve``; it sets ``act``."""
    parser = verbs.add_parser("serve", help="recevoir dans un répertoire, offrir les fichiers d'un autre")
    add = parser.add_argument
    add("--listen", type=_listen, required=True, metavar="HÔTE:PORT", help="port 0 : un port libre")
    add("--name", required=True, metavar="ID", help="notre identifiant (PI 4)")
    add("--directory", type=Path, required=True, metavar="RÉPERTOIRE", help="où arrivent les fichiers")
    add("--outgoing", type=Path, metavar="RÉPERTOIRE", help="fichiers qui peuvent être relevés, par leur nom")
    add("--partner", action="append", default=[], metavar="ID:MOT_DE_PASSE", help="qui peut venir ; répétable")
    add("--partners", type=Path, metavar="FICHIER", help="les mêmes, en TOML : voir docs/pesit.md")
    add("--framing", type=Framing, choices=list(Framing), default=Framing.AUTO, help="reconnu si rien n'est dit")
    add("--name-in", type=int, choices=[12, 37, 99], default=12, help="paramètre (PI) qui nomme le fichier reçu")
    add("--route", action="append", default=[], type=_route, metavar="NOM=URL", help="relais vers un PI 62 ; répétable")
    add("--binary", action="store_true", help="garder les octets des articles, même d'un texte")
    add("--limit", type=options.number(0, 1 << 50), default=0, metavar="OCTETS", help="taille maximale d'un fichier")
    add("--connections", type=options.number(1, 4096), default=64, metavar="N", help="liaisons simultanées")
    add("--profile", choices=list(PROFILES), default="standard", help="à qui sont envoyés les fichiers relevés")
    add("--entity", type=options.number(7, 65535), default=65535, metavar="N", help="entité accordée au plus (PI 25)")
    add("--sync", type=options.number(0, 65535), default=1024, metavar="KO", help="intervalle accordé au plus (PI 7)")
    add("--window", type=options.number(0, 255), default=16, metavar="N", help="fenêtre accordée au plus (PI 7)")
    add("--compress", choices=[kind.name.lower() for kind in Compression], default="both", help="compression admise")
    options.add_form(parser)
    options.add_tls(parser)
    options.add_common(parser)
    parser.set_defaults(act=serve_directory, pre_connection=None)


def _route(text: str) -> tuple[str, options.Where]:
    name, found, address = text.partition("=")
    if not (name and found):
        raise argparse.ArgumentTypeError("NOM=pesit://IDENTIFIANT:MOT_DE_PASSE@HÔTE:PORT/SERVEUR attendu")
    return name, options.where(address)


def _listen(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host:
        raise argparse.ArgumentTypeError("HÔTE:PORT attendu")
    return host.strip("[]"), options.number(0, 65535)(port)


def serve_directory(arguments: argparse.Namespace) -> int:
    """Serve until a signal comes; 0, or 130 for Ctrl-C."""
    partners = Partners(options.entries_of(arguments), time.monotonic)
    tell = partial(_tell, as_json=arguments.json)
    context = options.answering_context(arguments)
    with _listening(*arguments.listen) as sock, closing(Tracing(arguments.trace, "<")) as tracing:
        directory = _directory(arguments, partners, tell)
        host, port = sock.getsockname()[:2]
        ready = partial(tell, "listening", {"address": f"{host}:{port}", "port": port, "name": arguments.name})
        calls = partial(serve, [sock], settings=_settings(arguments), ssl_context=context, watch=tracing.observer)
        return asyncio.run(_serve(arguments, directory, calls, tell, ready))


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

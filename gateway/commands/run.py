"""``gateway run NAME`` and ``gateway dev``: the services as processes, or all of them in one."""

from __future__ import annotations

import argparse
import asyncio
import socket
from pathlib import Path
from typing import Any

from gateway.commands.sections import SERVICES, add_config, installed, service
from gateway.disk import room
from gateway.errors import Refused, Scope
from gateway.process.runtime import Runtime, serve

Subparsers = Any

WITH_DOORS = frozenset({"intake", "keeper", "forward"})


def register(subparsers: Subparsers) -> None:
    """Add ``run`` and ``dev``."""
    run = subparsers.add_parser("run", help="un service, comme systemd le démarre")
    run.add_argument("name", choices=tuple(SERVICES), help="le service")
    add_config(run)
    run.add_argument("--socket", action="append", default=[], metavar="NOM=FD", help="socket héritée")
    run.set_defaults(act=run_one)
    dev = subparsers.add_parser("dev", help="tous les services dans un seul processus")
    add_config(dev)
    dev.add_argument(
        "--without", action="append", default=[], choices=tuple(SERVICES), metavar="NOM", help="sauf lui ; se répète"
    )
    dev.set_defaults(act=run_all)


def run_one(arguments: argparse.Namespace) -> int:
    """One service until it is stopped."""
    _check_installed(arguments.config, arguments.name)
    start = service(arguments.name, arguments.config)
    with room():
        asyncio.run(serve((Runtime(arguments.name, _sockets(arguments.socket)), start)))
    return 0


def run_all(arguments: argparse.Namespace) -> int:
    """Every service in this process; the first to fail ends all."""
    config = arguments.config
    names = [name for name in SERVICES if name not in arguments.without]
    _check_installed(config, *names)
    services = [(Runtime(name), service(name, config)) for name in names]
    with room():
        asyncio.run(serve(*services))
    return 0


def _check_installed(config: Path, *names: str) -> None:
    if WITH_DOORS.intersection(names):
        installed(config)


def _sockets(given: list[str]) -> dict[str, socket.socket]:
    sockets = {}
    for text in given:
        name, _, number = text.partition("=")
        if not name or not number.isdigit():
            raise Refused("CFG-008", f"--socket {text} : il faut NOM=FD.", Scope.BOX)
        sockets[name] = socket.socket(fileno=int(number))
    return sockets

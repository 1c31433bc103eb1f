"""Which settings belong to which section, and which coroutine is which service; loaded one by one.

A service loads only what is its own, so that an idle ``status`` carries no cryptography and an idle ``card``
no HTTP server.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from gateway.config import Paths, read_document, read_section, sample
from gateway.errors import Refused, Scope
from gateway.process.runtime import Runtime

DEFAULT = Path("/etc/gateway/gateway.toml")

SECTIONS = {
    "box": "gateway.config:Paths",
    "intake": "gateway.services.intake:IntakeSettings",
    "keeper": "gateway.services.keeper.desk:KeeperSettings",
    "card": "gateway.card.settings:CardSettings",
    "forward": "gateway.services.forward.service:ForwardSettings",
    "status": "gateway.services.status:StatusSettings",
    "concentrator": "gateway.concentrator.settings:ConcentratorSettings",
}

SERVICES = {
    "intake": "gateway.services.intake:run",
    "keeper": "gateway.services.keeper.service:run",
    "card": "gateway.services.card:run",
    "forward": "gateway.services.forward.service:run",
    "status": "gateway.services.status:run",
    "concentrator": "gateway.concentrator.service:run",
}
"""Each is ``run(runtime, paths, settings)``."""


def add_config(parser: argparse.ArgumentParser) -> None:
    """The option of every command that belongs to one installed gateway."""
    parser.add_argument("--config", type=Path, default=DEFAULT, metavar="FICHIER", help=f"sinon {DEFAULT}")


def load(place: str) -> Any:
    """The thing at ``module:name``."""
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def read_paths(config: Path) -> Paths:
    """The [box] of a configuration file."""
    paths: Paths = read_section(Paths, read_document(config, SECTIONS).get("box", {}), "[box]")
    return paths


def installed(config: Path) -> Paths:
    """The same of a box whose directories were made; Refused BOX-007: nothing else makes them, each has its owner."""
    paths = read_paths(config)
    if not (doors := paths.state / "doors").is_dir():
        text = f"{doors} n'existe pas : systemd-tmpfiles --create gateway.conf (systemd/README.md)."
        raise Refused("BOX-007", text, Scope.BOX)
    return paths


def read_settings(name: str, config: Path) -> Any:
    """One section of a configuration file, as its part declares it."""
    return read_section(load(SECTIONS[name]), read_document(config, SECTIONS).get(name, {}), f"[{name}]")


def service(name: str, config: Path) -> Callable[[Runtime], Awaitable[None]]:
    """A service with its settings, ready to be run."""
    document = read_document(config, SECTIONS)
    paths = read_section(Paths, document.get("box", {}), "[box]")
    settings = read_section(load(SECTIONS[name]), document.get(name, {}), f"[{name}]")
    run = load(SERVICES[name])

    async def start(runtime: Runtime) -> None:
        await run(runtime, paths, settings)

    return start


def check_all(config: Path) -> None:
    """Read every section; Refused names the first thing that is wrong."""
    document = read_document(config, SECTIONS)
    for name, place in SECTIONS.items():
        read_section(load(place), document.get(name, {}), f"[{name}]")


def sample_all() -> str:
    """The documented sample of every section."""
    return sample({name: load(place) for name, place in SECTIONS.items()})

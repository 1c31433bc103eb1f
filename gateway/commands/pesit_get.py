"""``gateway pesit get``: a file from a partner.

Rules: what comes lies beside its place until it is whole, then it replaces what was there at once.  A transfer that
was cut is taken up by ``--restart``, also after a kill; where the other side forgot it, it begins again by itself.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from functools import partial
from pathlib import Path

from gateway.commands import pesit_options as options
from gateway.commands.pesit_call import Carried, begin_context, connected, context_path, result_of
from gateway.commands.pesit_run import Result, Stop, run, said
from gateway.commands.progress import Progress
from gateway.disk import sync_directory
from gateway.link.client import RestartRefused
from gateway.link.context import Context
from gateway.link.directory import Incoming, harmless
from gateway.pesit import diagnostics
from gateway.pesit.records import Form, form_of
from gateway.pesit.transfer import Identity


def get(arguments: argparse.Namespace) -> int:
    """Fetch one file; the exit code."""
    return run(_get, arguments)


async def _get(arguments: argparse.Namespace, stop: Stop) -> Result:
    out: Path = arguments.out / harmless(arguments.name) if arguments.out.is_dir() else arguments.out
    beside = context_path(out, arguments)
    fetched = None
    if arguments.restart and (known := Context.load(beside)):
        if known.ended:
            return _settled(known, out)
        try:
            fetched = await _fetch(arguments, stop, out, beside, Identity(**known.head["identity"]), known)
        except RestartRefused as forgotten:
            said(f"Pas de reprise ({forgotten.text}) La relève recommence.")
    if fetched is None:
        fetched = await _fetch(arguments, stop, out, beside, _request(arguments), None)
    beside.unlink(missing_ok=True)
    return result_of(fetched, f"{arguments.name} relevé dans {out}")


async def _fetch(
    arguments: argparse.Namespace, stop: Stop, out: Path, beside: Path, request: Identity, known: Context | None
) -> Carried:
    """One attempt to fetch; with a ``known`` context it goes on from its last point."""
    began = time.monotonic()
    with closing(Progress(sys.stderr, request.file_name, 0)) as progress:

        def moved(offset: int) -> None:
            progress(offset)
            stop.check()

        def selected(identity: Identity) -> Fetching:
            progress.expect(identity.reserved_kb * 1024)
            context = known or begin_context(beside, {"identity": asdict(identity)})
            page = options.profile_of(arguments).code_page
            form = form_of(identity, page, as_text=not arguments.binary)
            return Fetching(context, out, form, moved)

        async with connected(arguments) as connection:
            outcome = await connection.pull(request, selected, restart=known is not None)
    if outcome is None:
        raise diagnostics.trouble("2.205", arguments.name)
    return Carried(outcome, time.monotonic() - began)


class Fetching(Incoming):
    """A file that is fetched: beside ``out`` until it is whole, then in its place; ``moved`` gets its size so far."""

    def __init__(self, context: Context, out: Path, form: Form, moved: Callable[[int], None]) -> None:
        super().__init__(context, _part(out), form, 0, partial(_finish, context, out))
        self._moved = moved

    def write(self, data: bytes, ends: bool) -> None:
        """Append, and say how far it is."""
        super().write(data, ends)
        self._moved(self._own().tell())


def _part(out: Path) -> Path:
    return out.with_name(f".{out.name}.part")


def _finish(context: Context, out: Path, size: int, articles: int) -> None:
    context.end(size=size, articles=articles)
    _place(context, out)


def _place(context: Context, out: Path) -> None:
    _part(out).replace(out)
    sync_directory(out.parent)


def _settled(context: Context, out: Path) -> Result:
    """All of the file came, though the end was not agreed on: give it its name, if that was not done yet."""
    if _part(out).exists():
        _place(context, out)
    context.drop()
    return Result({"path": str(out), **(context.ended or {})}, f"{out} était déjà entier.")


def _request(arguments: argparse.Namespace) -> Identity:
    return Identity(
        arguments.name,
        file_type=arguments.file_type,
        initial_sender=arguments.origin,
        final_receiver=arguments.final,
        entity=options.profile_of(arguments).entity,
        priority=arguments.priority,
    )

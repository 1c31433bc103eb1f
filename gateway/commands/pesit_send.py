"""``gateway pesit send``: a file to a partner.

Rules: a transfer that was cut is taken up by ``--restart`` from the context beside the file, also after a kill; where
the other side forgot it, it begins again by itself.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import time
from contextlib import closing
from dataclasses import asdict, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO

from gateway.commands import pesit_options as options
from gateway.commands.pesit_call import Carried, begin_context, connected, context_path, result_of
from gateway.commands.pesit_run import Result, Stop, run, said
from gateway.commands.progress import Progress
from gateway.errors import Refused, Scope, os_words
from gateway.link.client import RestartRefused
from gateway.link.context import Context
from gateway.link.held import on_disk
from gateway.pesit.profiles import Profile
from gateway.pesit.records import Form
from gateway.pesit.transfer import Identity, SyncPoint


def send(arguments: argparse.Namespace) -> int:
    """Send one file; the exit code."""
    return run(_send, arguments)


async def _send(arguments: argparse.Namespace, stop: Stop) -> Result:
    profile = options.profile_of(arguments)
    form = options.form_of_options(arguments, profile)
    with _opened(arguments.file) as source:
        state = os.fstat(source.fileno())
        new, version = _identity(arguments, profile, form, state), [state.st_size, state.st_mtime_ns]
        beside = context_path(arguments.file, arguments)
        attempt = partial(_carry, arguments, stop, source, form)
        outcome = None
        if arguments.restart and (known := _taken_up(beside, new, version)):
            try:
                outcome = await attempt(known, SyncPoint())
            except RestartRefused as forgotten:
                said(f"Pas de reprise ({forgotten.text}) L'envoi recommence.")
        if outcome is None:
            context = begin_context(beside, {"identity": asdict(new), "version": version})
            try:
                outcome = await attempt(context, None)
            except Refused:
                context.drop()
                raise
    beside.unlink(missing_ok=True)
    return result_of(outcome, f"{arguments.file} envoyé sous le nom {arguments.name}")


async def _carry(
    arguments: argparse.Namespace, stop: Stop, source: BinaryIO, form: Form, context: Context, restart: SyncPoint | None
) -> Carried:
    """One attempt to send under ``context``, whose points a restart may begin at."""
    identity = Identity(**context.head["identity"])
    began = time.monotonic()
    with closing(Progress(sys.stderr, identity.file_name, os.fstat(source.fileno()).st_size)) as progress:

        def moved(offset: int) -> None:
            progress(offset)
            stop.check()

        def marked(point: SyncPoint) -> None:
            with on_disk():
                context.record(point, point.offset)

        async with connected(arguments) as connection:
            outcome = await connection.send(
                identity,
                source,
                restart,
                progress=moved,
                acknowledged=lambda point: progress.begin(point.offset),
                form=form,
                points=context.points if restart else {},
                marked=marked,
            )
    return Carried(outcome, time.monotonic() - began)


def _identity(arguments: argparse.Namespace, profile: Profile, form: Form, state: os.stat_result) -> Identity:
    given = {37: arguments.label, 99: arguments.note}
    if given.get(profile.name_in, "") is None:
        given[profile.name_in] = arguments.file.name
    return Identity(
        arguments.name,
        secrets.randbelow(options.LARGEST_ID) + 1,
        file_type=arguments.file_type,
        created=datetime.fromtimestamp(state.st_mtime).strftime("%y%m%d%H%M%S"),
        initial_sender=arguments.origin,
        final_receiver=arguments.final,
        label=given[37] or "",
        free_text=given[99] or "",
        article_length=form.length,
        article_format=form.article_format,
        entity=profile.entity,
        reserved_kb=-(-state.st_size // 1024),
        data_code=form.data_code,
        priority=arguments.priority,
    )


def _taken_up(beside: Path, new: Identity, version: list[int]) -> Context | None:
    """The context of the transfer that was cut; ``Refused`` where it was another file or another form."""
    context = Context.load(beside)
    if context is None:
        return None
    if context.head["version"] != version:
        raise Refused("PES-2.229", "Le fichier a changé depuis le premier essai : envoyez-le sans --restart.")
    before = Identity(**context.head["identity"])
    if replace(new, transfer_id=before.transfer_id) != before:
        text = "Les options ne sont plus celles du premier essai : reprenez-les, ou envoyez sans --restart."
        raise Refused("PES-OPTION", text, Scope.BOX)
    return context


def _opened(path: Path) -> BinaryIO:
    try:
        source = path.open("rb")
    except OSError as error:
        raise Refused("PES-FILE", f"{path} ne peut être lu : {os_words(error)}.", Scope.BOX) from None
    if not source.seekable():
        source.close()
        raise Refused("PES-FILE", f"{path} n'est pas un fichier ordinaire : une reprise doit pouvoir y revenir.")
    return source

"""keeper: all moves are its own; it holds the book, the parts and the keys that open fichiers and returns.

Others bring facts through doors; the keeper turns a fact into a move.  It has no network and no PIN.
"""

from __future__ import annotations

import asyncio
import re
import time
from functools import partial

from gateway.card.client import CardClient
from gateway.config import Paths
from gateway.disk import LOCK, lock
from gateway.errors import Deferred, Refused, Scope, Trouble
from gateway.fichier import State
from gateway.formats.days import iso
from gateway.formats.masking import name_without_nir
from gateway.process.runtime import Runtime
from gateway.services.keeper.archive import Archiving
from gateway.services.keeper.checking import check, open_content
from gateway.services.keeper.commands import ADMIN, STATUS, pick_up, serve_commands
from gateway.services.keeper.declarations import Declarations
from gateway.services.keeper.desk import Desk, KeeperSettings
from gateway.services.keeper.lists import Lists
from gateway.services.keeper.renewals import Renewals, take_entry
from gateway.services.keeper.retention import Retention
from gateway.services.keeper.retracting import stands
from gateway.services.keeper.returns import take_arrived
from gateway.services.keeper.sealing import seal
from gateway.services.keeper.signers import Review
from gateway.services.keeper.signing import sign_waiting


async def run(runtime: Runtime, paths: Paths, settings: KeeperSettings) -> None:
    """Serve until the runtime stops; nobody else keeps this book meanwhile."""
    paths.book.mkdir(parents=True, exist_ok=True)
    with lock(paths.book / LOCK):
        await _keep(runtime, paths, settings)


async def _keep(runtime: Runtime, paths: Paths, settings: KeeperSettings) -> None:
    desk = Desk(runtime, paths, settings)
    desk.start()
    admin = runtime.listener("admin", paths.socket("admin"))
    status = runtime.listener("status", paths.socket("status"))
    client = CardClient(paths.socket("sign"))
    async with asyncio.TaskGroup() as group:
        group.create_task(serve_commands(desk, admin, {**ADMIN, **Declarations().acts()}))
        group.create_task(serve_commands(desk, status, STATUS))
        group.create_task(_turns(desk))
        group.create_task(_signing(desk, client))
        runtime.ready()
    desk.board.close()
    desk.book.close()


async def _turns(desk: Desk) -> None:
    """The main loop; what a full disk cuts short begins again from the book alone, as after a crash."""
    while not desk.runtime.stop.is_set():
        async with desk.runtime.outlast(desk.say_full):
            if desk.full:
                desk.start_again()
            await _take_turns(desk)


async def _take_turns(desk: Desk) -> None:
    """Facts first, then work, oldest fichier first."""
    review, archiving, retention = Review(desk), Archiving(desk), Retention(desk)
    lists, renewals = Lists(desk), Renewals(desk)
    archiving.start()
    while not (desk.runtime.stop.is_set() or desk.full):
        await take_arrived(desk)
        take_new(desk)
        lists.look()
        if desk.clock_holds():
            review.look()
            renewals.look()
            await _work(desk)
            archiving.look()
            retention.look()
        desk.look_after_box()
        desk.runtime.alive()
        await desk.runtime.pause(desk.settings.poll_s)


async def _signing(desk: Desk, client: CardClient) -> None:
    while not desk.runtime.stop.is_set():
        async with desk.runtime.outlast(desk.say_full):
            await sign_waiting(desk, client)


_FICHIER = re.compile(r"fichier\.([0-9a-f]{32})")
_RENEWAL = re.compile(r"renewal\.[a-z-]{1,20}\.[0-9a-f]{16}")
_PICKED = re.compile(r"picked\.([0-9a-f]{64})\.(\d{1,6})")


def take_new(desk: Desk) -> None:
    """Take what intake put in: fichiers, and pick-ups of returns."""
    for name in desk.new.names():
        fichier, picked, renewal = (form.fullmatch(name) for form in (_FICHIER, _PICKED, _RENEWAL))
        if name in desk.unreadable or not (fichier or picked or renewal):
            continue  # not a name of intake's, or said to be unreadable already: left where it is
        try:
            if fichier:
                _receive(desk, name, fichier[1])
            elif picked:
                pick_up(desk, picked[1], int(picked[2]))
            elif renewal:
                take_entry(desk, desk.new, "intake", name)
        except Refused as refusal:
            desk.unreadable.add(name)
            text = f"Un dépôt n'a pas pu être ouvert et reste à la porte ({name}) : {refusal.text}"
            desk.condition(Scope.BOX, "door", refusal.code, text)
            continue
        desk.new.remove(name)
        desk.runtime.alive()


def _receive(desk: Desk, name: str, fichier: str) -> None:
    """Copy, commit, board; the same fichier again only gets its present word again."""
    part = desk.parts.take(desk.new, name)
    if desk.book.fichier(fichier) is not None:
        desk.say(fichier)
        return
    header, _ = open_content(desk.parts, desk.keys, part.digest)
    columns = {
        "name": name_without_nir(header.name), "channel": header.channel, "received": header.received,
        "size": header.size, "digest": "",
    }  # fmt: skip
    with desk.commit():
        desk.book.receive(fichier, columns, part)


async def _work(desk: Desk) -> None:
    """Everything that may start now, state by state."""
    acts = ((State.RECEIVED, partial(check, desk)), (State.SIGNED, partial(_seal, desk)))
    for state, act in acts:
        for row in desk.book.waiting(state, time.time()):
            if desk.runtime.stop.is_set():
                return
            with desk.claim(row["id"]):
                try:
                    await act(row["id"])
                    desk.condition(Scope.BOX, "keeper", "", "")
                except (Refused, Deferred) as trouble:
                    _put_off(desk, row["id"], row["attempts"], trouble)
            desk.runtime.alive()


async def _seal(desk: Desk, fichier: str) -> None:
    if stands(desk, fichier):
        seal(desk, fichier)


def _put_off(desk: Desk, fichier: str, attempts: int, trouble: Trouble) -> None:
    """Wait and say why; only what the fichier itself causes lengthens its wait, and at last holds it."""
    delay = min(desk.settings.retry_s * 2.0**attempts, desk.settings.retry_max_s)
    with desk.commit():
        if isinstance(trouble, Refused) and trouble.scope is Scope.FICHIER:
            desk.book.hold(fichier, f"{trouble.code} {trouble.text}", "keeper")
        desk.book.defer(fichier, trouble, time.time() + delay)
        if trouble.scope is not Scope.FICHIER:
            desk.book.state_condition(Scope.BOX, "keeper", trouble.code, trouble.text)
            desk.runtime.log("warning", f"{trouble.code} at {iso(desk.book.clock())}")

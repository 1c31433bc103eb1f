"""Revocation lists from the OCT: when they are looked for, and how they come.

They are asked for by a private name, like the returns; what comes is handed on unread through ``arrived/``, where the
keeper checks each list by itself.  An OCT that has none to give, or does not know the name, is no trouble: the keeper
says when the lists run out.  What is offered under the label (PI 37) of what came last stays there: megabytes, four
times a day.
"""

from __future__ import annotations

import io
import math
import time

from gateway.config import Paths
from gateway.errors import Refused, Scope, Trouble
from gateway.link.client import Connection
from gateway.pesit import diagnostics
from gateway.pesit.transfer import Identity, SyncPoint
from gateway.services.forward.dock import Dock
from gateway.services.forward.settings import ForwardSettings

LISTS = "LISTES"
"""PI 12 by which the lists are asked for; a name of ours."""

LIMIT = 32 << 20
WANTED = "wanted"
"""The file beside the lists by which the keeper says that it needs newer ones."""


class Lists:
    """The schedule of looking for lists."""

    def __init__(self, dock: Dock, paths: Paths, settings: ForwardSettings) -> None:
        self._dock, self._settings = dock, settings
        self._wanted = paths.lists / WANTED
        self._last = -math.inf
        self._label = ""

    def due(self) -> bool:
        """Whether it is time to look, sooner where the keeper needs newer ones."""
        pause = self._settings.lists_soon_s if self._wanted.exists() else self._settings.lists_s
        return time.monotonic() >= self._last + pause

    async def fetch(self, connection: Connection, *, anew: bool) -> None:
        """Take what the OCT offers now through ``arrived/``; ``anew`` even if it came before."""
        received = _Received("" if anew or self._wanted.exists() else self._label)
        oct_, box = self._settings.server, self._settings.requester
        try:
            outcome = await connection.pull(Identity(LISTS, initial_sender=oct_, final_receiver=box), received.begin)
        except Refused as refusal:
            if refusal.scope is not Scope.FICHIER:
                raise
            outcome = None
        if outcome is not None:
            with self._dock.arriving("lists") as arriving:
                arriving.write(received.content)
                arriving.finish()
            self._label = outcome.identity.label
        self._last = time.monotonic()


class _Received:
    """Lists on their way, in memory; a cut leaves nothing, the next look begins again.

    Those labelled ``known`` are left; '' is nobody's label."""

    def __init__(self, known: str) -> None:
        self._known = known
        self._out = io.BytesIO()

    @property
    def content(self) -> bytes:
        return self._out.getvalue()

    def begin(self, identity: Identity) -> _Received | None:
        """Where they go, None for those that are known."""
        return None if self._known and identity.label == self._known else self

    def position(self) -> SyncPoint:
        return SyncPoint()

    def truncate(self, point: SyncPoint) -> None:
        self._out.seek(point.offset)
        self._out.truncate()

    def write(self, data: bytes, ends: bool) -> None:
        if self._out.tell() + len(data) > LIMIT:
            raise diagnostics.trouble("2.224")
        self._out.write(data)

    def mark(self, point: SyncPoint) -> None:
        """A point is worth nothing here."""

    async def sync(self) -> None:
        """Nothing is kept."""

    def end(self, size: int, articles: int) -> None:
        """All is here, and checked by the keeper alone."""

    def abandon(self, reason: Trouble, *, keep: bool) -> None:
        """Nothing is kept."""

"""A directory behind a PeSIT server: what is received lands in it, what lies in another can be fetched.

Rules: a file is temporary until it is whole, then it appears at once under its name and overwrites nothing
(``.1``, ``.2`` ...). A name that comes from a partner never leaves the directory. A point is acknowledged when
the data before it and its line of the context are on disk (F-75); a context is kept after the end, so that a
sender that did not hear the end may restart and the file is there once. Two lines never write one file.
Everything of ours lies in ``.pesit`` inside the directory. It prints nothing: what happens is told.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import time
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

from gateway.disk import sync_directory
from gateway.errors import Trouble
from gateway.link.context import Context
from gateway.link.held import Held, on_disk
from gateway.link.partners import PartnerEntry, Partners
from gateway.pesit import diagnostics
from gateway.pesit.records import Form, form_of
from gateway.pesit.transfer import Identity, SyncPoint

Tell = Callable[[str, Mapping[str, Any]], None]
"""What happened, and what there is to know of it."""

PRIVATE = ".pesit"
_LONGEST_NAME = 200
_KEPT_S = 30 * 86400.0
"""How long contexts outlive their last line."""


@dataclass(frozen=True)
class Rooms:
    """Where things are: ``directory`` for what comes, ``outgoing`` for what may be fetched, if anything.

    ``name_in`` is the PI that names a file that comes, where it is there; PI 12 does otherwise. ``form`` is that
    of the files that may be fetched.
    """

    directory: Path
    outgoing: Path | None = None
    name_in: Literal[12, 37, 99] = 12
    form: Form = field(default_factory=Form)


def harmless(name: str) -> str:
    """A name for one file of a directory, made from whatever a partner says; the same name if it is one already."""
    safe = "".join(
        "_" if char in "/\\" or unicodedata.category(char).startswith("C") else char for char in name.strip()
    )
    safe = "_" + safe[1:] if safe[:1] in (".", "-", "") else safe
    coded = safe.encode()
    if len(coded) > _LONGEST_NAME:
        mark = hashlib.sha256(coded).hexdigest()[:8]
        safe = f"{coded[: _LONGEST_NAME - 9].decode(errors='ignore')}~{mark}"
    return safe


class Directory:
    """``link.server.Application``; all of it runs in the event loop's thread."""

    def __init__(self, name: str, rooms: Rooms, partners: Partners, tell: Tell) -> None:
        """``name`` is ours, PI 4."""
        self._name = name
        self._rooms = rooms
        self._partners = partners
        self._tell = tell
        self._private = rooms.directory / PRIVATE
        self._private.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._open: dict[str, Incoming] = {}
        self._sweep()

    def _sweep(self) -> None:
        """Finish what was whole when the process ended, forget what nobody came back for."""
        for path in self._private.glob("*.in"):
            context = Context.load(path)
            if context and context.ended:
                self._settle(context)
        before = time.time() - _KEPT_S
        for path in self._private.glob("*.*"):
            if path.suffix in (".in", ".out", ".part", ".tmp") and path.stat().st_mtime < before:
                path.unlink()

    # -- who is there

    def connect(self, requester: str, server: str, password: str, certificate: bytes | None) -> PartnerEntry:
        """The partner; 3.301 for another server's name, and what ``Partners.admit`` says."""
        if server != self._name:
            raise diagnostics.trouble("3.301", f"ici {self._name}")
        try:
            return self._partners.admit(requester, password, certificate)
        except Trouble as cause:
            self._tell("refused", {"partner": requester, "code": cause.code, "text": cause.text})
            raise

    def leave(self, access: PartnerEntry) -> None:
        """One connection less."""
        self._partners.leave(access)

    # -- files in

    def create(self, access: PartnerEntry, identity: Identity, restart: bool) -> Incoming | Repeated:
        """Take a file in: 2.226 not from this partner or not for us, 2.206 too large, 2.201 no room now,

        2.233 a restart of what is not known here.
        """
        if not access.may_send:
            raise diagnostics.trouble("2.226", "ce correspondant ne peut pas émettre")
        if identity.final_receiver not in ("", self._name):
            raise diagnostics.trouble("2.226", f"destinataire {identity.final_receiver} inconnu ici")
        if access.limit and identity.reserved_kb * 1024 > access.limit:
            raise diagnostics.trouble("2.206")
        with on_disk():
            if identity.reserved_kb * 1024 > shutil.disk_usage(self._private).free:
                raise diagnostics.trouble("2.201")
            return self._take_in(access, identity, restart)

    def _take_in(self, access: PartnerEntry, identity: Identity, restart: bool) -> Incoming | Repeated:
        key = _key(access.identifier, identity)
        if key in self._open:
            self._open.pop(key).close()
        context = Context.load(self._private / f"{key}.in")
        if restart and context is None:
            raise diagnostics.trouble("2.233")
        if restart and context and context.ended:
            self._settle(context)
            return Repeated(context)
        if context is None or not restart:
            self._part(key).unlink(missing_ok=True)
            context = Context.begin(self._private / f"{key}.in", self._head(access, identity))

        def done(size: int, articles: int) -> None:
            self._open.pop(key, None)
            self._land(context, size, articles)

        form = form_of(identity, access.code_page, as_text=access.as_text)
        incoming = Incoming(context, self._part(key), form, access.limit, done)
        self._open[key] = incoming
        return incoming

    def _part(self, key: str) -> Path:
        return self._private / f"{key}.part"

    def _head(self, access: PartnerEntry, identity: Identity) -> dict[str, Any]:
        wanted = {37: identity.label, 99: identity.free_text}.get(self._rooms.name_in) or identity.file_name
        return {"partner": access.identifier, "named": wanted, "name": harmless(wanted), "identity": asdict(identity)}

    def _land(self, context: Context, size: int, articles: int) -> None:
        """The file is whole: say so first, so that from here on a crash can only repeat what follows."""
        context.end(size=size, articles=articles)
        path = self._settle(context)
        told = {"path": str(path), "bytes": path.stat().st_size, "articles": articles}
        self._tell("received", {**_public(context.head), **told})

    def _settle(self, context: Context) -> Path:
        """Give a whole file its name, if that was not done yet; where it is."""
        part, name = context.path.with_suffix(".part"), str(context.head["name"])
        number = 0
        while part.exists():
            target = self._rooms.directory / (f"{name}.{number}" if number else name)
            try:
                os.link(part, target)
            except FileExistsError:
                if not part.samefile(target):
                    number += 1
                    continue
            sync_directory(self._rooms.directory)
            part.unlink()
            return target
        return self._rooms.directory / name

    # -- files out

    def select(self, access: PartnerEntry, identity: Identity, restart: bool) -> Offered | None:
        """A file of ``outgoing`` under its own name; 2.226 not for this partner, 2.229 changed since."""
        if not access.may_fetch:
            raise diagnostics.trouble("2.226", "ce correspondant ne peut pas recevoir")
        name, room = identity.file_name, self._rooms.outgoing
        if room is None or not name or harmless(name) != name:
            return None
        path = room / name
        if path.is_symlink() or not path.is_file():
            return None
        with on_disk():
            return self._offer(access, identity, path, restart)

    def _offer(self, access: PartnerEntry, asked: Identity, path: Path, restart: bool) -> Offered | None:
        state = path.stat()
        form = self._form(access)
        number = asked.transfer_id if restart else secrets.randbelow(0xFFFFFF) + 1
        context_path = self._private / f"{_digest(access.identifier, path.name, number)}.out"
        version = [state.st_size, state.st_mtime_ns]
        context = Context.load(context_path) if restart else Context.begin(context_path, {"version": version})
        if context is None:
            return None
        if context.head["version"] != version:
            context.drop()
            raise diagnostics.trouble("2.229")
        identity = replace(
            asked,
            transfer_id=number,
            created=datetime.fromtimestamp(state.st_mtime).strftime("%y%m%d%H%M%S"),
            label=path.name,
            article_length=form.length,
            article_format=form.article_format,
            data_code=form.data_code,
            reserved_kb=-(-state.st_size // 1024),
        )
        told = {"partner": access.identifier, "name": path.name, "transfer_id": number, "bytes": state.st_size}
        return Offered(identity, path, form, context, partial(self._tell, "delivered", told))

    def _form(self, access: PartnerEntry) -> Form:
        form = self._rooms.form
        return replace(form, code_page=access.code_page) if form.code_page else form

    # -- messages

    def message(self, access: PartnerEntry, identity: Identity, text: str) -> str | None:
        """Keep a message in ``.pesit/messages.jsonl`` and tell it."""
        told = {
            "partner": access.identifier,
            "name": identity.file_name,
            "transfer_id": identity.transfer_id,
            "text": text,
        }
        with on_disk(), (self._private / "messages.jsonl").open("a", encoding="utf-8") as out:
            out.write(json.dumps({"at": time.time(), **told}, ensure_ascii=False) + "\n")
            out.flush()
            os.fsync(out.fileno())
        self._tell("message", told)
        return "Message reçu."


def _key(partner: str, identity: Identity) -> str:
    """What makes one transfer the same again (F-102), as a name for its files."""
    kept = (identity.file_type, identity.file_name, identity.transfer_id, identity.created)
    return _digest(partner, *kept, identity.initial_sender, identity.final_receiver)


def _digest(*words: object) -> str:
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()[:32]


def _public(head: Mapping[str, Any]) -> dict[str, Any]:
    identity = head["identity"]
    return {
        "partner": head["partner"],
        "named": head["named"],
        "transfer_id": identity["transfer_id"],
        "label": identity["label"],
        "free_text": identity["free_text"],
    }


class Incoming(Held):
    """One file that is coming (``link.flow.Receiving``): data in ``part``, its points in ``context``."""

    def __init__(
        self, context: Context, part: Path, form: Form, limit: int, done: Callable[[int, int], None]
    ) -> None:  # fmt: skip
        """``limit`` in bytes, 0 for none; ``done`` gets bytes and articles when the file is whole and on disk."""
        super().__init__(part, context.reach, context.path, apart=True)
        self._context = context
        self._form = form
        self._limit = limit
        self._done = done

    def position(self) -> SyncPoint:
        """The last durable point; the start where the file is not what the context says."""
        last = self._context.last
        size = self._path.stat().st_size if self._path.exists() else 0
        return last.point if size >= last.place else SyncPoint()

    def truncate(self, point: SyncPoint) -> None:
        """Forget what lies behind ``point``, first in the context, then in the file; 2.228 for a point never had."""
        self._still_ours()
        place = self._context.place(point.number)
        if place is None:
            raise diagnostics.trouble("2.228")
        with on_disk():
            # Not durable: after a power cut the file is as long as an older line says, or that line does not count.
            if point != self._context.last.point:
                self._context.record(point, place)
            self._cut(place)

    def write(self, data: bytes, ends: bool) -> None:
        """Append what it is locally; 2.224 beyond the limit."""
        file = self._own()
        with on_disk():
            file.write(self._form.landed(data, ends=ends))
            if self._limit and file.tell() > self._limit:
                raise diagnostics.trouble("2.224")

    async def sync(self) -> None:
        """As every receiver does; the context has the points."""
        with on_disk():
            await super().sync()

    def end(self, size: int, articles: int) -> None:
        """All of it on disk, then under its name."""
        with on_disk():
            self._force()
            self._root()
            self._done(size, articles)
        self.close()

    def abandon(self, reason: Trouble, *, keep: bool) -> None:
        """Stop; without ``keep`` the transfer is forgotten."""
        if self._file is not None and not keep:
            self._path.unlink(missing_ok=True)
            self._context.drop()
        self.close()


class Repeated:
    """A file that is here whole, whose sender did not hear so: what comes again is counted and thrown away."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def position(self) -> SyncPoint:
        """The last point that was recorded."""
        return self._context.last.point

    def truncate(self, point: SyncPoint) -> None:
        """Nothing is truncated."""

    def write(self, data: bytes, ends: bool) -> None:
        """Here long since."""

    def mark(self, point: SyncPoint) -> None:
        """Known long since."""

    async def sync(self) -> None:
        """On disk long since."""

    def end(self, size: int, articles: int) -> None:
        """Stored long since; 2.229 when it is another file now."""
        if self._context.ended != {"size": size, "articles": articles}:
            raise diagnostics.trouble("2.229")

    def abandon(self, reason: Trouble, *, keep: bool) -> None:
        """Nothing to give up."""


class Offered:
    """A file that is fetched (``link.server.Offering``)."""

    def __init__(
        self, identity: Identity, path: Path, form: Form, context: Context, delivered: Callable[[], None]
    ) -> None:  # fmt: skip
        self.identity = identity
        self._path = path
        self._form = form
        self._context = context
        self._delivered = delivered

    def position(self, number: int) -> SyncPoint | None:
        """The point ``number`` if it was ever set."""
        return self._context.points.get(number)

    def articles(self, start: SyncPoint) -> Iterator[bytes]:
        """The file from ``start`` on."""
        with on_disk(), self._path.open("rb") as source:
            yield from self._form.articles(source, start)

    def marked(self, point: SyncPoint) -> None:
        """A point that the requester may come back to; one that a power cut loses costs a new transfer."""
        with on_disk():
            self._context.record(point, point.offset)

    def acknowledged(self, point: SyncPoint) -> None:
        """Points are known since they were set."""

    def delivered(self) -> None:
        """Say so; the context stays for a requester that does not hear our last word."""
        self._delivered()

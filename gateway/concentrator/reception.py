"""The concentrator as a PeSIT server's application: it takes fichiers in and hands returns out.

Rules.  Who comes is known by certificate and password; wrong passwords are counted and slow the next try.  Whether it
is still in force is asked again before anything is handed out, or believed to be had.
A fichier is named in PI 99, ``<fichier id>.<transmission>.<seal>``.  Returns are asked for as ``RETOURS``: the
server picks, and a return is delivered only when the puller's message says so (F-132), never by the end of
its transfer.  It opens nothing and decides nothing about a content.
"""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from gateway.book.doors import Copied
from gateway.concentrator.boxes import Members
from gateway.concentrator.disk import Disk, OctDiskFull
from gateway.concentrator.keys import Trust
from gateway.concentrator.lists import LISTS, ListsOffered, offer_lists
from gateway.concentrator.settings import ConcentratorSettings, PartnerAccess
from gateway.concentrator.spool import Incoming, Repeated
from gateway.concentrator.store import Store, number_of
from gateway.envelope.certificates import Use
from gateway.envelope.names import common_name
from gateway.errors import Deferred
from gateway.formats.days import iso
from gateway.link.partners import Passwords
from gateway.pesit import diagnostics
from gateway.pesit.records import Form
from gateway.pesit.transfer import Identity, SyncPoint

RETURNS = "RETOURS"
"""PI 12 by which returns are asked for."""

FICHIER_NAME = re.compile(r"([0-9A-Za-z_-]{1,128})\.([1-9][0-9]{0,5})\.([0-9A-Za-z_-]{1,64})")
_NOBODY = PartnerAccess("", "", Path())
"""Who is not known is checked all the same: no password fits, and it takes as long."""


@dataclass(frozen=True)
class Outgoing:
    """A return on offer (``link.server.Offering``); the last acknowledged point is kept for a restart."""

    identity: Identity
    _row: sqlite3.Row
    _store: Store
    _disk: Disk
    _settings: ConcentratorSettings = field(repr=False)

    def position(self, number: int) -> SyncPoint | None:
        """Where point ``number`` of this return lies, None when that is not known."""
        row = self._row
        known = SyncPoint(row["point"], row["offset"], row["articles"], row["spacing"])
        return known.later(number, self.identity.article_length)

    def articles(self, start: SyncPoint) -> Iterator[bytes]:
        """The sealed return from ``start`` on."""
        with (self._settings.returns / self._row["file"]).open("rb") as file:
            yield from Form(self.identity.article_length).articles(file, start)

    def marked(self, point: SyncPoint) -> None:
        """Points lie at even distances: the last acknowledged one tells where the others are."""

    def delivered(self) -> None:
        """The end of a transfer delivers nothing: only the puller's message does."""

    def acknowledged(self, point: SyncPoint) -> None:
        """The puller has it up to ``point``."""
        with self._disk.refusing():
            self._store.pulled(self._row["id"], point.number, point.offset, point.articles, point.spacing)


class Reception:
    """``link.server.Application``; all of it runs in the event loop's thread."""

    def __init__(
        self, settings: ConcentratorSettings, store: Store, disk: Disk, trust: Callable[[], Trust],
        clock: Callable[[], datetime], arrived: Callable[[], None],
    ) -> None:  # fmt: skip
        """``arrived`` is called when a fichier is complete and recorded."""
        self._settings = settings
        self._members = Members(settings, store)
        self._store = store
        self._disk = disk
        self._trust = trust
        self._clock = clock
        self._arrived = arrived
        self._passwords = Passwords(self._members.hashes)
        self._open: dict[int, Incoming] = {}

    # -- who is there

    def connect(self, requester: str, server: str, password: str, certificate: bytes | None) -> PartnerAccess:
        """The partner; 3.301 for another server's name, 3.304 for whom we do not know, 3.322 for too soon, or for
        want of room."""
        if server != self._settings.name:
            raise diagnostics.trouble("3.301")
        partner = self._members.find(requester) or _NOBODY
        with self._disk.refusing("3.322"):
            self._check_certificate(partner, certificate)
        self._passwords.check(requester, password, self._clock().timestamp())
        return partner

    def _check_certificate(self, partner: PartnerAccess, certificate: bytes | None) -> None:
        if certificate is None:
            if self._settings.client_certificate:
                raise diagnostics.trouble("3.304")
            return
        try:
            self._trust().check(certificate, (), self._clock(), Use.TRANSPORT)
        except Deferred as trouble:
            raise diagnostics.trouble("3.322", trouble.text) from None
        fits = partner.client_name in ("", common_name(certificate))
        if not fits or not self._members.may_connect(partner.identifier, certificate, iso(self._clock())):
            raise diagnostics.trouble("3.304")

    # -- fichiers in

    def create(self, access: PartnerAccess, identity: Identity, restart: bool) -> Incoming | Repeated:
        """Take a fichier in, from the start or from its last point.

        2.200 without its name in PI 99, 2.206 too large, 2.201 no room now, 2.226 not for us, 2.233 a restart of
        what is not known here, 2.231 another fichier under the numbers of a first one.
        """
        columns = self._columns(access, identity)
        row = self._store.transfer(columns)
        if row is not None and row["free_text"] != identity.free_text:
            raise diagnostics.trouble("2.231")
        if row is not None and row["received"]:
            return Repeated(row, self._settings.received)
        if row is None and restart:
            raise diagnostics.trouble("2.233")
        with self._disk.refusing("2.201"):
            self._check_room(identity, int(row["offset"]) if row else 0)
            if row is None:
                row = self._store.begin({**columns, "began": iso(self._clock())})
        return self._take_up(row)

    def _columns(self, access: PartnerAccess, identity: Identity) -> dict[str, object]:
        name = FICHIER_NAME.fullmatch(identity.free_text)
        if name is None:
            raise diagnostics.trouble("2.200", "PI 99 : fichier.transmission.scellement attendu")
        if identity.final_receiver not in ("", self._settings.name):
            raise diagnostics.trouble("2.226")
        return {
            "sender": access.identifier,
            "server": identity.server,
            "file_type": identity.file_type,
            "file_name": identity.file_name,
            "transfer_id": identity.transfer_id,
            "created": identity.created,
            "initial_sender": identity.initial_sender,
            "final_receiver": identity.final_receiver,
            "label": identity.label,
            "free_text": identity.free_text,
            "fichier": name[1],
            "transmission": int(name[2]),
            "seal": name[3],
        }

    def _check_room(self, identity: Identity, here: int) -> None:
        """Whether all of it may be taken, of which ``here`` bytes lie in the spool already."""
        size = identity.reserved_kb * 1024
        if size > self._settings.limit:
            raise diagnostics.trouble("2.206")
        if size - here > shutil.disk_usage(self._settings.spool).free:
            raise OctDiskFull

    def _take_up(self, row: sqlite3.Row) -> Incoming:
        transfer = int(row["id"])
        if transfer in self._open:
            self._open.pop(transfer).close()

        def done(part: Copied) -> None:
            self._store.complete(transfer, part, iso(self._clock()))
            self._open.pop(transfer, None)
            self._arrived()

        incoming = Incoming(self._store, row, self._settings, self._disk, done)
        self._open[transfer] = incoming
        return incoming

    # -- returns out

    def select(self, access: PartnerAccess, identity: Identity, restart: bool) -> Outgoing | ListsOffered | None:
        """The oldest return of this partner that it has not got, or on a restart the one it was getting; 2.201 where no
        room is left to note it."""
        with self._disk.refusing("2.201"):
            return self._select(access, identity, restart)

    def _select(self, access: PartnerAccess, identity: Identity, restart: bool) -> Outgoing | ListsOffered | None:
        if identity.file_name == LISTS and identity.file_type == 0 and not restart:
            return offer_lists(self._trust().crls, identity, self._clock())
        if identity.file_name != RETURNS or identity.file_type != 0:
            return None
        now, recipients = self._clock(), self._recipients(access)
        if restart:
            row = self._store.offered(access.identifier, identity.transfer_id, recipients)
        else:
            row = self._store.offer(access.identifier, now.timestamp(), iso(now), recipients)
        if row is None or not (self._settings.returns / row["file"]).exists():  # delivered and cleared away
            return None
        return Outgoing(_return_identity(row, identity), row, self._store, self._disk, self._settings)

    def message(self, access: PartnerAccess, identity: Identity, text: str) -> str | None:
        """The puller has a return: named in PI 91, or else by its PI 13.  2.209 for any other message, 2.205 for
        a return that is not this partner's, 2.219 where no room is left to note it.  Said again, it is answered
        again."""
        if identity.file_name != RETURNS or identity.file_type != 0:
            raise diagnostics.trouble("2.209")
        sender, recipients = access.identifier, self._recipients(access)
        row = self._store.named(sender, text.strip()) or self._store.offered(sender, identity.transfer_id, recipients)
        if row is None or not recipients:
            raise diagnostics.trouble("2.205")
        with self._disk.refusing():
            self._store.deliver(row["id"], iso(self._clock()))
        return str(row["name"])

    def _recipients(self, access: PartnerAccess) -> tuple[str, ...]:
        """To whom that may be sealed which goes out on this connection; nobody once its partner was taken out of
        force, or enrolled again: a box that was stolen takes nothing, and confirms nothing in another's place."""
        same = self._members.find(access.identifier) == access
        return self._members.recipients(access.identifier) if same else ()

    def leave(self, access: PartnerAccess) -> None:
        """Nothing is kept of a connection."""


def _return_identity(row: sqlite3.Row, asked: Identity) -> Identity:
    return Identity(
        RETURNS,
        transfer_id=number_of(row),
        requester=asked.requester,
        server=asked.server,
        created=re.sub(r"\D", "", row["made"])[2:],
        initial_sender=asked.initial_sender,
        final_receiver=asked.final_receiver,
        label=row["name"],
        reserved_kb=-(-row["size"] // 1024),
    )

"""The concentrator as a PeSIT server's application: it takes fichiers in and hands returns out.

Rules.  Who comes is known by certificate and password; wrong passwords are counted and slow the next try.
A fichier is named in PI 99, ``<fichier id>.<transmission>.<seal>``.  Returns are asked for as ``RETOURS``: the
server picks, and a return is delivered only when the puller's message says so (F-132), never by the end of
its transfer.  It opens nothing and decides nothing about a content.
"""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from cryptography import x509
from cryptography.x509.oid import NameOID

from gateway.book.doors import Copied
from gateway.book.moves import iso
from gateway.concentrator.keys import Trust
from gateway.concentrator.settings import ConcentratorSettings, PartnerAccess, password_fits
from gateway.concentrator.spool import Incoming, Repeated
from gateway.concentrator.store import Store, number_of
from gateway.envelope.certificates import Use
from gateway.errors import Deferred
from gateway.pesit import diagnostics
from gateway.pesit.transfer import Identity, SyncPoint

RETURNS = "RETOURS"
"""PI 12 by which returns are asked for."""

_NAME = re.compile(r"([0-9A-Za-z_-]{1,128})\.([1-9][0-9]{0,5})\.([0-9A-Za-z_-]{1,64})")
_NOBODY = PartnerAccess("", f"scrypt${'00' * 16}${'00' * 64}", Path())
"""Against whose hash, which nothing fits, the password of an unknown identifier is tried: it takes as long."""

_FREE_TRIES, _LONGEST_WAIT_S = 3, 300


@dataclass
class Attempts:
    """Wrong passwords in a row of one identifier; after three, each try must wait twice as long as the last."""

    wrong: int = 0
    not_before: float = 0.0

    def count(self, now: float) -> None:
        """One more wrong password at ``now`` (Unix seconds)."""
        self.wrong += 1
        if self.wrong >= _FREE_TRIES:
            self.not_before = now + min(2.0 ** (self.wrong - _FREE_TRIES), _LONGEST_WAIT_S)


@dataclass(frozen=True)
class Outgoing:
    """A return on offer (``link.server.Offering``); the last acknowledged point is kept for a restart."""

    identity: Identity
    _row: sqlite3.Row
    _store: Store
    _settings: ConcentratorSettings = field(repr=False)

    def position(self, number: int) -> SyncPoint | None:
        """Where point ``number`` of this return lies, None when that is not known."""
        row = self._row
        known = SyncPoint(row["point"], row["offset"], row["articles"], row["spacing"])
        return known.later(number, self.identity.article_length)

    def open(self, offset: int) -> BinaryIO:
        """The sealed return from ``offset`` on."""
        file: BinaryIO = (self._settings.returns / self._row["file"]).open("rb")
        file.seek(offset)
        return file

    def acknowledged(self, point: SyncPoint) -> None:
        """The puller has it up to ``point``."""
        self._store.pulled(self._row["id"], point.number, point.offset, point.articles, point.spacing)


class Reception:
    """``link.server.Application``; all of it runs in the event loop's thread."""

    def __init__(
        self, settings: ConcentratorSettings, store: Store, trust: Callable[[], Trust],
        clock: Callable[[], datetime], arrived: Callable[[], None],
    ) -> None:  # fmt: skip
        """``arrived`` is called when a fichier is complete and recorded."""
        self._settings = settings
        self._partners = {partner.identifier: partner for partner in settings.partners}
        self._store = store
        self._trust = trust
        self._clock = clock
        self._arrived = arrived
        self._attempts: dict[str, Attempts] = {}
        self._open: dict[int, Incoming] = {}

    # -- who is there

    def connect(self, requester: str, server: str, password: str, certificate: bytes | None) -> PartnerAccess:
        """The partner; 3.301 for another server's name, 3.304 for whom we do not know, 3.322 for too soon."""
        if server != self._settings.name:
            raise diagnostics.trouble("3.301")
        partner = self._partners.get(requester, _NOBODY)
        self._check_certificate(partner, certificate)
        attempts = self._attempts.setdefault(partner.identifier, Attempts())
        now = self._clock().timestamp()
        if now < attempts.not_before:
            raise diagnostics.trouble("3.322")
        if not password_fits(password, partner.password_hash):
            attempts.count(now)
            raise diagnostics.trouble("3.304")
        del self._attempts[partner.identifier]
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
        if partner.client_name not in ("", _common_name(certificate)):
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
        self._check_room(identity)
        if row is None:
            row = self._store.begin({**columns, "began": iso(self._clock())})
        return self._take_up(row)

    def _columns(self, access: PartnerAccess, identity: Identity) -> dict[str, object]:
        name = _NAME.fullmatch(identity.free_text)
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

    def _check_room(self, identity: Identity) -> None:
        size = identity.reserved_kb * 1024
        if size > self._settings.limit:
            raise diagnostics.trouble("2.206")
        if size > shutil.disk_usage(self._settings.spool).free:
            raise diagnostics.trouble("2.201")

    def _take_up(self, row: sqlite3.Row) -> Incoming:
        transfer = int(row["id"])
        if transfer in self._open:
            self._open.pop(transfer).close()

        def done(part: Copied) -> None:
            self._store.complete(transfer, part, iso(self._clock()))
            self._open.pop(transfer, None)
            self._arrived()

        incoming = Incoming(self._store, row, self._settings, done)
        self._open[transfer] = incoming
        return incoming

    # -- returns out

    def select(self, access: PartnerAccess, identity: Identity, restart: bool) -> Outgoing | None:
        """The oldest return of this partner that it has not got, or on a restart the one it was getting."""
        if identity.file_name != RETURNS or identity.file_type != 0:
            return None
        now = self._clock()
        if restart:
            row = self._store.offered(access.identifier, identity.transfer_id)
        else:
            row = self._store.offer(access.identifier, now.timestamp(), iso(now))
        if row is None or not (self._settings.returns / row["file"]).exists():  # delivered and cleared away
            return None
        return Outgoing(_return_identity(row, identity), row, self._store, self._settings)

    def message(self, access: PartnerAccess, identity: Identity, text: str) -> str | None:
        """The puller has a return: named in PI 91, or else by its PI 13.  2.209 for any other message, 2.205 for
        a return that is not this partner's.  Said again, it is answered again."""
        if identity.file_name != RETURNS or identity.file_type != 0:
            raise diagnostics.trouble("2.209")
        sender = access.identifier
        row = self._store.named(sender, text.strip()) or self._store.offered(sender, identity.transfer_id)
        if row is None:
            raise diagnostics.trouble("2.205")
        self._store.deliver(row["id"], iso(self._clock()))
        return str(row["name"])


def _common_name(certificate: bytes) -> str:
    names = x509.load_der_x509_certificate(certificate).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""


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

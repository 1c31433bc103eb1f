"""forward's own memory: which transfer stands where, so that a restart begins at the last acknowledged point.

A write is remembered whole (F-102: identity and entity as proposed) before the connection, a pull on
ACK(SELECT) before ORF.  A context is bytes counted by the other side too, never truth about a fichier: losing
this file costs a transfer from the start, no more.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from gateway.book.schema import open_durable
from gateway.disk import room
from gateway.errors import Trouble
from gateway.link.context import Kept
from gateway.link.held import Held
from gateway.pesit.transfer import Identity, SyncPoint

MIGRATIONS = (
    """
    CREATE TABLE writes (
        entry    TEXT PRIMARY KEY,       -- <fichier>.<transmission>.<seal>
        identity TEXT NOT NULL,          -- JSON of Identity
        number   INTEGER NOT NULL,       -- last acknowledged point
        offset   INTEGER NOT NULL,
        articles INTEGER NOT NULL,
        spacing  INTEGER NOT NULL,
        done     TEXT NOT NULL DEFAULT '' -- the fact for the keeper, once ACK(TRANS.END) was read
    ) STRICT;
    CREATE TABLE pulls (
        id       INTEGER PRIMARY KEY,
        identity TEXT NOT NULL,          -- as the server gave it in ACK(SELECT)
        number   INTEGER NOT NULL,
        offset   INTEGER NOT NULL,
        articles INTEGER NOT NULL,
        spacing  INTEGER NOT NULL,
        whole    INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE TABLE numbers (last INTEGER NOT NULL) STRICT;
    INSERT INTO numbers VALUES (0);
    """,
)

LAST_TRANSFER_ID = (1 << 24) - 1

KEPT = 1000
"""Writes that are remembered after their end, the last ones: an entry may be offered again until the keeper has read
that it was sent."""


@dataclass(frozen=True)
class Write:
    """A write under way or done."""

    entry: str
    identity: Identity
    point: SyncPoint
    done: str


@dataclass(frozen=True)
class Pull:
    """A read under way, or whole and not yet acknowledged to the server."""

    id: int
    identity: Identity
    point: SyncPoint
    whole: bool


class Transfers:
    """The database and the half-fetched files beside it."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self._db = open_durable(directory / "transfers.db", MIGRATIONS)

    @classmethod
    def begin_after(cls, directory: Path, number: int) -> None:
        """A memory without transfers whose next one gets a number (PI 13) after ``number``."""
        made = cls(directory)
        made._db.execute("UPDATE numbers SET last = ?", (number,))
        made.close()

    def close(self) -> None:
        """End with a checkpoint."""
        self._db.close()

    # -- writes

    def write(self, entry: str) -> Write | None:
        """What is known of an entry of ``outgoing/``."""
        row = self._db.execute("SELECT * FROM writes WHERE entry = ?", (entry,)).fetchone()
        return None if row is None else Write(entry, _identity(row), _point(row), row["done"])

    def begin_write(self, entry: str, identity: Identity) -> Write:
        """A new transfer of an entry, with a transfer id (PI 13) never used before; forgets an older one."""
        made = Identity(**{**asdict(identity), "transfer_id": self._next_number()})
        self._db.execute(
            "INSERT OR REPLACE INTO writes (entry, identity, number, offset, articles, spacing)"
            " VALUES (?, ?, 0, 0, 0, 0)",
            (entry, json.dumps(asdict(made))),
        )
        return Write(entry, made, SyncPoint(), "")

    def _next_number(self) -> int:
        """24 bits, 0 is skipped (F-101)."""
        last = int(self._db.execute("SELECT last FROM numbers").fetchone()[0])
        number = last % LAST_TRANSFER_ID + 1
        self._db.execute("UPDATE numbers SET last = ?", (number,))
        return number

    def acknowledge(self, entry: str, point: SyncPoint) -> None:
        """The other side has an entry up to a point."""
        self._db.execute(
            "UPDATE writes SET number = ?, offset = ?, articles = ?, spacing = ? WHERE entry = ?",
            (point.number, point.offset, point.articles, point.spacing, entry),
        )

    def finish_write(self, entry: str, fact: str) -> None:
        """All of an entry is stored over there; ``fact`` is what the keeper is to know.

        What went by another channel has no identity of PeSIT.
        """
        self._db.execute(
            "INSERT INTO writes (entry, identity, number, offset, articles, spacing, done) VALUES (?, ?, 0, 0, 0, 0, ?)"
            " ON CONFLICT (entry) DO UPDATE SET done = excluded.done",
            (entry, json.dumps(asdict(Identity(""))), fact),
        )
        self._db.execute(
            "DELETE FROM writes WHERE done <> '' AND rowid <= (SELECT max(rowid) FROM writes) - ?", (KEPT,)
        )

    # -- pulls

    def pulls(self) -> list[Pull]:
        """Reads that are not over."""
        rows = self._db.execute("SELECT * FROM pulls ORDER BY id").fetchall()
        return [Pull(row["id"], _identity(row), _point(row), bool(row["whole"])) for row in rows]

    def begin_pull(self, identity: Identity) -> Fetching:
        """Remember a read from nothing."""
        cursor = self._db.execute(
            "INSERT INTO pulls (identity, number, offset, articles, spacing) VALUES (?, 0, 0, 0, 0)",
            (json.dumps(asdict(identity)),),
        )
        return self.fetching(Pull(int(cursor.lastrowid or 0), identity, SyncPoint(), False))

    def fetching(self, pull: Pull) -> Fetching:
        """Where the data of a read go."""
        return Fetching(self, pull)

    def file(self, pull: Pull) -> Path:
        """The file of a read."""
        return self.directory / f"pull-{pull.id}"

    def record_points(self, pull: Pull, points: Sequence[Kept]) -> None:
        """What is on disk up to the last of these may be acknowledged now (F-75)."""
        point = points[-1].point
        self._db.execute(
            "UPDATE pulls SET number = ?, offset = ?, articles = ?, spacing = ? WHERE id = ?",
            (point.number, point.offset, point.articles, point.spacing, pull.id),
        )

    def record_whole(self, pull: Pull) -> None:
        """All of a read is on disk."""
        self._db.execute("UPDATE pulls SET whole = 1 WHERE id = ?", (pull.id,))

    def end_pull(self, pull: Pull) -> None:
        """The server knows that we have it, or the read is given up."""
        self._db.execute("DELETE FROM pulls WHERE id = ?", (pull.id,))
        self.file(pull).unlink(missing_ok=True)


class Fetching(Held):
    """The receiving end of one read (``link.flow.Receiving``)."""

    def __init__(self, transfers: Transfers, pull: Pull) -> None:
        super().__init__(transfers.file(pull), partial(transfers.record_points, pull))
        self.pull = pull
        self._transfers = transfers

    def position(self) -> SyncPoint:
        """The last point recorded."""
        return self.pull.point

    def truncate(self, point: SyncPoint) -> None:
        """Go on from a point."""
        self._cut(point.offset)

    def write(self, data: bytes, ends: bool) -> None:
        """Add data."""
        with room():
            self._own().write(data)

    async def sync(self) -> None:
        """As every receiver does; the database has the points."""
        with room():
            await super().sync()

    def end(self, size: int, articles: int) -> None:
        """All data are here."""
        with room():
            self._force()
            self._root()
        self._transfers.record_whole(self.pull)
        self.close()

    def abandon(self, reason: Trouble, *, keep: bool) -> None:
        """The read broke; without ``keep`` its context is worth nothing."""
        self.close()
        if not keep:
            self._transfers.end_pull(self.pull)


def _identity(row: sqlite3.Row) -> Identity:
    return Identity(**json.loads(row["identity"]))


def _point(row: sqlite3.Row) -> SyncPoint:
    return SyncPoint(row["number"], row["offset"], row["articles"], row["spacing"])

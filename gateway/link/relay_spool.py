"""The spool of a relay: files on their way through, article by article, and messages.

Rules: what was acknowledged to the last node is on disk (F-75, F-113); what was said to the next one is recorded
before it is said, so that a restart finds it again. A row stays when its file has passed: it tells a repetition.
On disk an article is its pieces, each behind its length and whether the article ends with it; so it leaves as
it came. Where a DTF cannot say it, an empty article leaves as a blank, or not at all in binary (F-87).
It knows no connection.
"""

from __future__ import annotations

import json
import sqlite3
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from gateway.errors import Trouble
from gateway.link.context import Kept
from gateway.link.held import Held
from gateway.pesit import diagnostics
from gateway.pesit.records import Form
from gateway.pesit.transfer import BINARY, Identity, SyncPoint

_TABLES = """
CREATE TABLE IF NOT EXISTS files (
    id        INTEGER PRIMARY KEY,
    came_from TEXT NOT NULL,            -- PI 3 of the connection
    key       TEXT NOT NULL,            -- what identifies it across the network
    hop       TEXT NOT NULL,            -- name of the route
    identity  TEXT NOT NULL,            -- JSON
    state     TEXT NOT NULL,            -- coming | whole | passed | refused
    size      INTEGER NOT NULL DEFAULT 0,
    reason    TEXT NOT NULL DEFAULT '',
    UNIQUE (came_from, key)
) STRICT;
CREATE TABLE IF NOT EXISTS points (
    file   INTEGER NOT NULL REFERENCES files (id),
    way    TEXT NOT NULL,               -- in | marked | reached
    number INTEGER NOT NULL,
    point  TEXT NOT NULL,               -- JSON
    place  INTEGER NOT NULL DEFAULT 0,  -- bytes of the spool file before it
    PRIMARY KEY (file, way, number)
) STRICT;
CREATE TABLE IF NOT EXISTS notes (
    id       INTEGER PRIMARY KEY,
    hop      TEXT NOT NULL,
    identity TEXT NOT NULL,
    text     TEXT NOT NULL,
    reason   TEXT NOT NULL DEFAULT ''
) STRICT;
"""

_PIECE = struct.Struct(">H?")


@dataclass(frozen=True)
class Note:
    """A message that waits."""

    id: int
    identity: Identity
    text: str


@dataclass(frozen=True)
class _AsCame(Form):
    """Articles that leave as they came, out of a spool file; ``empty`` is what an empty one leaves as."""

    empty: bytes = b" "

    def articles(self, source: BinaryIO, start: SyncPoint) -> Iterator[bytes]:
        source.seek(0)
        return islice(self._whole(source), start.articles, None)

    def _whole(self, source: BinaryIO) -> Iterator[bytes]:
        pieces: list[bytes] = []
        while head := source.read(_PIECE.size):
            size, ends = _PIECE.unpack(head)
            pieces.append(source.read(size))
            if ends:
                data = b"".join(pieces) or self.empty
                pieces.clear()
                if data:
                    yield data


class Spool:
    """The files and messages in ``directory``."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self._db = sqlite3.connect(directory / "relay.db", isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;" + _TABLES)
        self._open: dict[int, _Incoming] = {}

    def close(self) -> None:
        """Let go of the database."""
        self._db.close()

    # --- in -----------------------------------------------------------------------------------------------------------

    def incoming(
        self, came_from: str, hop: str, identity: Identity, restart: bool, arrived: Callable[[], None]
    ) -> _Incoming | _Again:
        """Where the file goes; ``arrived`` is called when it is whole. 2.233 for a restart of what is not here."""
        row = self._one("SELECT * FROM files WHERE came_from = ? AND key = ?", came_from, _key(identity))
        if row is None and restart:
            raise diagnostics.trouble("2.233")
        if row is not None and row["state"] in ("whole", "passed"):
            return _Again(row["size"])
        if row is None or not restart:
            row = self._begin(came_from, hop, identity)
        file = int(row["id"])
        if file in self._open:
            self._open[file].close()
        self._open[file] = _Incoming(self, file, arrived)
        return self._open[file]

    def _begin(self, came_from: str, hop: str, identity: Identity) -> sqlite3.Row:
        with self._db:
            self._db.execute("BEGIN")
            row = self._one(
                "INSERT INTO files (came_from, key, hop, identity, state) VALUES (?, ?, ?, ?, 'coming')"
                " ON CONFLICT DO UPDATE SET identity = excluded.identity, state = 'coming', reason = '' RETURNING *",
                *(came_from, _key(identity), hop, json.dumps(asdict(identity))),
            )
            assert row is not None
            self._db.execute("DELETE FROM points WHERE file = ?", (row["id"],))
        return row

    def keep_message(self, hop: str, identity: Identity, text: str) -> None:
        """A message for ``hop``, durably."""
        values = (hop, json.dumps(asdict(identity)), text)
        self._db.execute("INSERT INTO notes (hop, identity, text) VALUES (?, ?, ?)", values)

    def came_from(self, identity: Identity) -> str:
        """The neighbour that brought this file, "" for a file that never passed here."""
        row = self._one("SELECT came_from FROM files WHERE key = ? ORDER BY id DESC", _key(identity))
        return str(row["came_from"]) if row else ""

    # --- out ----------------------------------------------------------------------------------------------------------

    def waiting(self, hop: str) -> list[Stored | Note]:
        """What is to be handed to ``hop``: files, then messages, the oldest first."""
        files = self._db.execute("SELECT * FROM files WHERE hop = ? AND state = 'whole' ORDER BY id", (hop,))
        notes = self._db.execute("SELECT * FROM notes WHERE hop = ? AND reason = '' ORDER BY id", (hop,))
        return [
            *(Stored(self, row["id"], _identity(row)) for row in files),
            *(Note(row["id"], _identity(row), row["text"]) for row in notes),
        ]

    def passed(self, thing: Stored | Note) -> None:
        """The next node has it."""
        if isinstance(thing, Note):
            self._db.execute("DELETE FROM notes WHERE id = ?", (thing.id,))
        else:
            self._finish(thing, "passed", "")

    def refused(self, thing: Stored | Note, cause: Trouble) -> None:
        """The next node will never take it; the reason stays."""
        if isinstance(thing, Note):
            self._db.execute("UPDATE notes SET reason = ? WHERE id = ?", (cause.text, thing.id))
        else:
            self._finish(thing, "refused", cause.text)

    def _finish(self, file: Stored, state: str, reason: str) -> None:
        with self._db:
            self._db.execute("BEGIN")
            self._db.execute("UPDATE files SET state = ?, reason = ? WHERE id = ?", (state, reason, file.id))
            self._db.execute("DELETE FROM points WHERE file = ?", (file.id,))
        file.path.unlink(missing_ok=True)

    # --- used by what is on its way -----------------------------------------------------------------------------------

    def path(self, file: int) -> Path:
        """The articles of a file."""
        return self.directory / f"{file}.articles"

    def points(self, file: int, way: str) -> dict[int, tuple[SyncPoint, int]]:
        """The points of one way by number, each with its place in the spool file."""
        rows = self._db.execute("SELECT * FROM points WHERE file = ? AND way = ? ORDER BY number", (file, way))
        return {row["number"]: (SyncPoint(**json.loads(row["point"])), row["place"]) for row in rows}

    def record(self, file: int, way: str, points: Sequence[Kept]) -> None:
        """Points in their order, durably; those behind each are void."""
        with self._db:
            self._db.execute("BEGIN")
            for kept in points:
                number = kept.point.number
                self.cut(file, way, number)
                values = (file, way, number, json.dumps(asdict(kept.point)), kept.place)
                self._db.execute("INSERT OR REPLACE INTO points VALUES (?, ?, ?, ?, ?)", values)

    def cut(self, file: int, way: str, number: int) -> None:
        """Forget the points behind ``number``."""
        self._db.execute("DELETE FROM points WHERE file = ? AND way = ? AND number > ?", (file, way, number))

    def left(self, file: int, by: _Incoming) -> None:
        """A line lets go of a file, unless another has taken it over."""
        if self._open.get(file) is by:
            del self._open[file]

    def whole(self, file: int, size: int) -> None:
        """A file is complete in the spool."""
        with self._db:
            self._db.execute("BEGIN")
            self._db.execute("UPDATE files SET state = 'whole', size = ? WHERE id = ?", (size, file))
            self._db.execute("DELETE FROM points WHERE file = ?", (file,))

    def drop(self, file: int) -> None:
        """Forget a file that its sender gave up."""
        with self._db:
            self._db.execute("BEGIN")
            self._db.execute("DELETE FROM points WHERE file = ?", (file,))
            self._db.execute("DELETE FROM files WHERE id = ?", (file,))
        self.path(file).unlink(missing_ok=True)

    def _one(self, query: str, *values: object) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self._db.execute(query, values).fetchone()
        return row


class _Incoming(Held):
    """A file on its way in (``link.flow.Receiving``)."""

    def __init__(self, spool: Spool, file: int, arrived: Callable[[], None]) -> None:
        super().__init__(spool.path(file), partial(spool.record, file, "in"))
        self._spool = spool
        self._id = file
        self._arrived = arrived

    def position(self) -> SyncPoint:
        """The last point whose data are on disk."""
        known = list(self._spool.points(self._id, "in").values())
        return known[-1][0] if known else SyncPoint()

    def truncate(self, point: SyncPoint) -> None:
        """Back to a point of this file; 2.214 for another."""
        known = self._spool.points(self._id, "in")
        self._still_ours()
        if point.number and point.number not in known:
            raise diagnostics.trouble("2.214")
        place = known[point.number][1] if point.number else 0
        self._spool.cut(self._id, "in", point.number)
        self._cut(place)

    def write(self, data: bytes, ends: bool) -> None:
        """A piece of an article."""
        self._own().write(_PIECE.pack(len(data), ends) + data)

    def end(self, size: int, articles: int) -> None:
        """Data, their entry in the directory, then the row."""
        self._force()
        self._root()
        self.close()
        self._spool.whole(self._id, size)
        self._arrived()

    def abandon(self, reason: Trouble, *, keep: bool) -> None:
        """Stop; without ``keep`` the file is forgotten."""
        if not keep and not self._over:
            self._spool.drop(self._id)
        self.close()

    def close(self) -> None:
        """No more comes from this line."""
        super().close()
        self._spool.left(self._id, self)


@dataclass(frozen=True)
class _Again:
    """A file that is here or has passed already: what comes again is measured and thrown away."""

    size: int

    def position(self) -> SyncPoint:
        """From the start: nothing is kept."""
        return SyncPoint()

    def truncate(self, point: SyncPoint) -> None:
        """Nothing to do."""

    def write(self, data: bytes, ends: bool) -> None:
        """Nothing to do."""

    def mark(self, point: SyncPoint) -> None:
        """Nothing to do."""

    async def sync(self) -> None:
        """Nothing to do."""

    def end(self, size: int, articles: int) -> None:
        """2.231 for another file under the numbers of the first."""
        if size != self.size:
            raise diagnostics.trouble("2.231")

    def abandon(self, reason: Trouble, *, keep: bool) -> None:
        """Nothing to do."""


@dataclass(frozen=True)
class Stored:
    """A file that waits for the next node, and how far that one has it."""

    spool: Spool
    id: int
    identity: Identity

    @property
    def path(self) -> Path:
        """Its articles."""
        return self.spool.path(self.id)

    @property
    def form(self) -> Form:
        """How they are read."""
        empty = b"" if self.identity.data_code == BINARY else b" "
        return _AsCame(self.identity.article_length, text=True, empty=empty)

    @property
    def reached(self) -> SyncPoint | None:
        """The last point that the next node acknowledged; None for a file that it was never offered."""
        known = list(self.spool.points(self.id, "reached").values())
        return known[-1][0] if known else None

    @property
    def points(self) -> dict[int, SyncPoint]:
        """The points that were set on the way there."""
        return {number: point for number, (point, _) in self.spool.points(self.id, "marked").items()}

    def acknowledged(self, point: SyncPoint) -> None:
        """The next node has it up to ``point``."""
        self.spool.record(self.id, "reached", [Kept(point, 0)])

    def marked(self, point: SyncPoint) -> None:
        """A point is about to be set."""
        self.spool.record(self.id, "marked", [Kept(point, 0)])

    def start_again(self) -> None:
        """The next node knows nothing of it: offer it as new."""
        for way in ("marked", "reached"):
            self.spool.cut(self.id, way, -1)


def _key(identity: Identity) -> str:
    known = (identity.file_type, identity.file_name, identity.transfer_id, identity.created)
    return json.dumps([*known, identity.initial_sender, identity.final_receiver])


def _identity(row: sqlite3.Row) -> Identity:
    return Identity(**json.loads(row["identity"]))

"""The board: what may be shown, on a tmpfs of its own; no clear NIR, no patient's name.

``keeper`` writes it after each commit and rebuilds it aside at start or on any trouble; ``status``, ``intake``
and the command line read it.  It is never the truth: losing it costs a rebuild, and it never stops a move.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from gateway.book.moves import Book

SCHEMA = """
CREATE TABLE fichiers (
    id TEXT PRIMARY KEY, state TEXT, since TEXT, transmission INTEGER, seal TEXT, name TEXT, channel TEXT,
    received TEXT, size INTEGER, kind TEXT, lots INTEGER, factures INTEGER, total INTEGER, emitter TEXT,
    not_before REAL, attempts INTEGER, reason_code TEXT, reason_text TEXT, reason_scope TEXT,
    held_reason TEXT, held_since TEXT, held_by TEXT
);
CREATE TABLE events (fichier TEXT, seq INTEGER, text TEXT, PRIMARY KEY (fichier, seq));
CREATE TABLE findings (
    fichier TEXT, rank INTEGER, record INTEGER, position INTEGER, code TEXT, text TEXT, severity TEXT,
    PRIMARY KEY (fichier, rank)
);
CREATE TABLE lots (
    fichier TEXT, rank INTEGER, emitter TEXT, destination TEXT, number TEXT, date TEXT, factures INTEGER,
    amo INTEGER, amc INTEGER, arl TEXT, arl_code TEXT, arl_text TEXT, arl_at TEXT, PRIMARY KEY (fichier, rank)
);
CREATE TABLE factures (
    fichier TEXT, lot INTEGER, rank INTEGER, emitter TEXT, number TEXT, patient TEXT, care_date TEXT,
    spent INTEGER, amo INTEGER, amc INTEGER, amo_state TEXT, amc_state TEXT, amo_paid INTEGER, amc_paid INTEGER,
    reject_code TEXT, reject_text TEXT, settled TEXT, PRIMARY KEY (fichier, lot, rank)
);
CREATE TABLE returns (
    id TEXT PRIMARY KEY, kind TEXT, name TEXT, about TEXT, at TEXT, arrived TEXT, size INTEGER, picked TEXT,
    offered INTEGER
);
CREATE TABLE conditions (
    scope TEXT, name TEXT, code TEXT, text TEXT, since TEXT, detail TEXT, PRIMARY KEY (scope, name)
);
CREATE TABLE vouched (one INTEGER PRIMARY KEY, at REAL);
"""

VOUCH_S = 60.0
"""Between two words of the keeper that the clock holds."""

OF_FICHIER = ("findings", "lots", "factures")
"""Tables whose rows of one fichier are copied from the book as they are."""


class Board:
    """The writer's side."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._vouched = -math.inf

    def rebuild(self, book: Book) -> None:
        """Make a new board aside and rename it into place; readers open it by name at each request."""
        self.close()
        aside = self._path.with_suffix(".new")
        for suffix in ("", "-wal", "-shm"):
            Path(f"{aside}{suffix}").unlink(missing_ok=True)
        connection = sqlite3.connect(aside, isolation_level=None)
        connection.executescript(SCHEMA)
        connection.execute("BEGIN")
        for row in book.connection.execute("SELECT id FROM fichiers"):
            _show(connection, book, row["id"])
        _show_rest(connection, book)
        connection.execute("COMMIT")
        connection.close()
        for suffix in ("-wal", "-shm"):
            Path(f"{self._path}{suffix}").unlink(missing_ok=True)
        aside.chmod(0o640)
        aside.rename(self._path)
        self._connection, self._vouched = _open_writer(self._path), -math.inf

    def show(self, book: Book) -> None:
        """Show what changed since the last time; on any trouble of the board itself, build a new one."""
        changed, book.changed = book.changed, set()
        if self._connection is None:
            return self.rebuild(book)
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for fichier in changed:
                _show(self._connection, book, fichier)
            _show_rest(self._connection, book)
            self._connection.execute("COMMIT")
        except sqlite3.Error:
            self.rebuild(book)

    def state_condition(self, condition: tuple[str, str, str, str, str]) -> None:
        """Say scope, name, code, text and since of a condition that the book cannot take, until it is shown anew."""
        if self._connection is not None:
            self._connection.execute("INSERT OR REPLACE INTO conditions VALUES (?, ?, ?, ?, ?, '{}')", condition)

    def vouch(self, at: float) -> None:
        """Say that the clock, which shows ``at`` (Unix seconds), holds.  It is no condition: a board that is new says
        nothing of the clock until the keeper does."""
        if self._connection is not None and abs(at - self._vouched) >= VOUCH_S:
            with suppress(sqlite3.Error):
                self._connection.execute("INSERT OR REPLACE INTO vouched VALUES (1, ?)", (at,))
                self._vouched = at

    def close(self) -> None:
        """Let go of the file; readers of another user cannot open it until the keeper is back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _open_writer(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=0.2)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=OFF")  # a tmpfs: the book is what lasts
    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # makes -wal and -shm, which no reader may
    return connection


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]


def _copy(board: sqlite3.Connection, rows: Iterable[sqlite3.Row], table: str) -> None:
    names = _columns(board, table)
    marks = ", ".join("?" * len(names))
    board.executemany(
        f"INSERT OR REPLACE INTO {table} VALUES ({marks})",  # noqa: S608
        ([row[name] for name in names] for row in rows),
    )


def _show(board: sqlite3.Connection, book: Book, fichier: str) -> None:
    row = book.fichier(fichier)
    if row is None:
        return
    _copy(board, [row], "fichiers")
    for table in OF_FICHIER:
        board.execute(f"DELETE FROM {table} WHERE fichier = ?", (fichier,))  # noqa: S608
        rows = book.connection.execute(f"SELECT * FROM {table} WHERE fichier = ?", (fichier,))  # noqa: S608
        _copy(board, rows, table)
    events = ((fichier, row.seq, row.text) for row in book.journal(fichier))
    board.executemany("INSERT OR REPLACE INTO events VALUES (?, ?, ?)", events)


def _show_rest(board: sqlite3.Connection, book: Book) -> None:
    for table in ("returns", "conditions"):
        _copy(board, book.connection.execute(f"SELECT * FROM {table}"), table)  # noqa: S608


class BoardReader:
    """The readers' side: opens the file anew for each question, so that no reader ever holds the writer."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def rows(self, query: str, *arguments: object) -> list[dict[str, Any]]:
        """Rows of a query as dictionaries; FileNotFoundError while there is no board."""
        if not self._path.exists():
            raise FileNotFoundError(self._path)
        try:
            with closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=0.5)) as connection:
                connection.row_factory = sqlite3.Row
                return [dict(row) for row in connection.execute(query, arguments)]
        except sqlite3.OperationalError as trouble:
            raise FileNotFoundError(f"{self._path}: {trouble}") from trouble

    def vouched(self, now: float, within: float) -> bool:
        """Whether the keeper said within so many seconds of ``now`` (Unix) that the clock holds; FileNotFoundError
        while there is no board."""
        return bool(self.rows("SELECT 1 FROM vouched WHERE abs(at - ?) <= ?", now, within))

    def fichiers(self, limit: int = 200) -> list[dict[str, Any]]:
        """The newest fichiers first."""
        return self.rows("SELECT * FROM fichiers ORDER BY received DESC, id LIMIT ?", limit)

    def fichier(self, prefix: str) -> list[dict[str, Any]]:
        """Fichiers whose id starts with ``prefix`` (people type the first characters)."""
        return self.rows("SELECT * FROM fichiers WHERE substr(id, 1, ?) = ?", len(prefix), prefix)

    def of_fichier(self, table: str, fichier: str) -> list[dict[str, Any]]:
        """Rows of ``findings``, ``lots``, ``factures`` or ``events`` of one fichier, in order."""
        if table not in (*OF_FICHIER, "events"):
            raise ValueError(table)
        return self.rows(f"SELECT * FROM {table} WHERE fichier = ? ORDER BY rowid", fichier)  # noqa: S608

    def lots(self, limit: int = 500) -> list[dict[str, Any]]:
        """Lots of fichiers that were not refused, with their fichier's name, state and date, newest first."""
        return self.rows(
            "SELECT l.*, f.name, f.state, f.received FROM lots l JOIN fichiers f ON f.id = l.fichier"
            " WHERE f.state <> 'REFUSED' ORDER BY f.received DESC, l.fichier, l.rank LIMIT ?", limit,
        )  # fmt: skip

    def factures(self, limit: int = 1000) -> list[dict[str, Any]]:
        """Factures of fichiers that were not refused, with the ARL of their lot, newest fichier first."""
        return self.rows(
            "SELECT v.*, l.number AS lot_number, l.arl, f.name, f.state, f.received FROM factures v"
            " JOIN lots l ON l.fichier = v.fichier AND l.rank = v.lot JOIN fichiers f ON f.id = v.fichier"
            " WHERE f.state <> 'REFUSED' ORDER BY f.received DESC, v.fichier, v.lot, v.rank LIMIT ?", limit,
        )  # fmt: skip

    def returns(self, limit: int = 200) -> list[dict[str, Any]]:
        """Returns for the practice, newest first."""
        return self.rows("SELECT * FROM returns WHERE kind <> 'receipt' ORDER BY arrived DESC, id LIMIT ?", limit)

    def conditions(self) -> list[dict[str, Any]]:
        """How the routes, the card and the box are; code '' is well."""
        return self.rows("SELECT * FROM conditions ORDER BY scope, name")

    def counts(self) -> dict[str, int]:
        """How many fichiers stand in each state; held ones count under ``held`` as well."""
        counts = {row["state"]: row["n"] for row in self.rows("SELECT state, count(*) n FROM fichiers GROUP BY 1")}
        held = self.rows("SELECT count(*) n FROM fichiers WHERE held_since <> ''")[0]["n"]
        return {**counts, "held": held}

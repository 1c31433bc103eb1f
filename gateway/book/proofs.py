"""What was signed about the journal, and the Merkle trees of its chains, as the book keeps them.

Trees: roots of complete subtrees of 256 rows and more are kept, smaller ones are made from the rows; so a root or
a proof costs a few look-ups at any size.  They are a convenience: ``verify`` believes the rows alone.
Writing methods run inside the caller's transaction.  No key, no file, no clock.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gateway.errors import Refused, Scope
from gateway.journal import merkle
from gateway.journal.chain import EVIDENCE, Row

STORED = 8
"""The level from which subtrees are kept: 256 rows."""


class Tree:
    """The tree over one chain of the book's journal."""

    def __init__(self, connection: sqlite3.Connection, chain: str) -> None:
        self._connection, self.chain = connection, chain

    def size(self) -> int:
        """Rows of the chain."""
        row = self._connection.execute("SELECT max(seq) FROM journal WHERE chain = ?", (self.chain,)).fetchone()
        return int(row[0] or 0)

    def head(self, size: int) -> bytes:
        """The hash of row ``size``."""
        return self._hashes(size, size)[0]

    def root(self, size: int) -> bytes:
        """The root of the first ``size`` rows; Refused JRN-030 (scope box) where one of them is missing."""
        return merkle.root(size, self.node)

    def peaks(self, size: int) -> list[bytes]:
        """The complete subtrees of the first ``size`` rows, largest first."""
        levels = [level for level in range(size.bit_length()) if size >> level & 1]
        return [self.node(level, (size >> level) - 1) for level in reversed(levels)]

    def consistency(self, old: int, size: int) -> list[bytes]:
        """That the first ``size`` rows begin with the first ``old``."""
        return merkle.consistency(old, size, self.node)

    def inclusion(self, seq: int, size: int) -> list[bytes]:
        """The path from row ``seq`` (from 1) to the root of ``size`` rows."""
        return merkle.inclusion(seq - 1, size, self.node)

    def grow(self, size: int) -> None:
        """Keep the complete subtrees of the first ``size`` rows that are not kept yet."""
        done = self._connection.execute(
            "SELECT max(number) + 1 FROM journal_nodes WHERE chain = ? AND level = ?", (self.chain, STORED)
        ).fetchone()[0]
        for block in range(done or 0, size >> STORED):
            level, number = STORED, block
            self._keep(level, number, self._small(level, number))
            while number & 1:
                pair = self.node(level, number - 1), self.node(level, number)
                level, number = level + 1, number >> 1
                self._keep(level, number, merkle.node_hash(*pair))

    def _keep(self, level: int, number: int, hash_: bytes) -> None:
        self._connection.execute(
            "INSERT OR IGNORE INTO journal_nodes VALUES (?, ?, ?, ?)", (self.chain, level, number, hash_)
        )

    def node(self, level: int, number: int) -> bytes:
        """A ``merkle.Node``."""
        if level < STORED:
            return self._small(level, number)
        row = self._connection.execute(
            "SELECT hash FROM journal_nodes WHERE chain = ? AND level = ? AND number = ?", (self.chain, level, number)
        ).fetchone()
        if row is not None:
            return bytes(row[0])
        if level == STORED:
            return self._small(level, number)
        return merkle.node_hash(self.node(level - 1, 2 * number), self.node(level - 1, 2 * number + 1))

    def _small(self, level: int, number: int) -> bytes:
        hashes = self._hashes((number << level) + 1, (number + 1) << level)
        return merkle.complete_root([merkle.leaf_hash(one) for one in hashes])

    def _hashes(self, first: int, last: int) -> list[bytes]:
        rows = self._connection.execute(
            "SELECT hash FROM journal WHERE chain = ? AND seq BETWEEN ? AND ? ORDER BY seq", (self.chain, first, last)
        ).fetchall()
        if len(rows) != last - first + 1:
            text = f"Il manque des lignes au journal ({self.chain}, entre les lignes {first} et {last})."
            raise Refused("JRN-030", text, Scope.BOX)
        return [bytes(row[0]) for row in rows]


class Proofs:
    """Checkpoints, countersigned receipts and time stamps."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def add(
        self, kind: str, chain: str, size: int, root: bytes, about: str, at: str, der: bytes, carried: bool = False
    ) -> str:
        """Keep one; the SHA-256 of its DER, by which a journal row names it."""
        digest = hashlib.sha256(der).hexdigest()
        self._connection.execute(
            "INSERT INTO proofs (kind, chain, size, root, about, at, der, digest, carried)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (kind, chain, size, root, about, at, der, digest, carried),
        )
        return digest

    def about(self, kind: str, about: str) -> list[sqlite3.Row]:
        """Those of a kind about a fichier, or about what a stamp covers, in the order in which they came."""
        return self._connection.execute(
            "SELECT * FROM proofs WHERE kind = ? AND about = ? ORDER BY id", (kind, about)
        ).fetchall()

    def carry(self, proof: int) -> None:
        """A checkpoint goes out with a fichier."""
        self._connection.execute("UPDATE proofs SET carried = 1 WHERE id = ?", (proof,))

    def last_checkpoint(self, chain: str) -> sqlite3.Row | None:
        """The newest checkpoint of a chain."""
        row: sqlite3.Row | None = self._connection.execute(
            "SELECT * FROM proofs WHERE kind = 'checkpoint' AND chain = ? ORDER BY id DESC LIMIT 1", (chain,)
        ).fetchone()
        return row

    def confirmed(self) -> int:
        """The largest size of the evidence chain that the OCT countersigned as good; 0: none."""
        row = self._connection.execute("SELECT max(size) FROM proofs WHERE kind = 'receipt'").fetchone()
        return int(row[0] or 0)

    def carried_between(self, first: int, last: int, most: int) -> list[tuple[int, bytes]]:
        """Sizes and roots of the newest ``most`` checkpoints that went out, ``first`` < size < ``last``, ascending."""
        rows = self._connection.execute(
            "SELECT DISTINCT size, root FROM proofs WHERE kind = 'checkpoint' AND chain = ? AND carried = 1"
            " AND size > ? AND size < ? ORDER BY size DESC LIMIT ?",
            (EVIDENCE, first, last, most),
        ).fetchall()
        return [(int(row["size"]), bytes(row["root"])) for row in reversed(rows)]

    def each(self, after: int = 0) -> Iterator[sqlite3.Row]:
        """All of them in the order in which they came, behind number ``after``."""
        yield from self._connection.execute("SELECT * FROM proofs WHERE id > ? ORDER BY id", (after,))


def read_rows(connection: sqlite3.Connection, chain: str, first: int = 1) -> Iterator[Row]:
    """The rows of a chain from row ``first`` on, in order."""
    query = "SELECT seq, chain, text, hash, fichier FROM journal WHERE chain = ? AND seq >= ? ORDER BY seq"
    yield from map(Row._make, connection.cursor().execute(query, (chain, first)))


def read_told(row: Row) -> dict[str, Any]:
    """What a row tells; nothing where it cannot be read, or not as ours: ``verify`` names it."""
    try:
        told = json.loads(row.text)
        sound = type(told["seq"]) is int and all(told[name].isprintable() for name in ("at", "fichier", "verb"))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        sound = False
    return told if sound else {}


@dataclass(frozen=True)
class Wanted:
    """Which rows are asked for; '' is any.  ``fichier`` is an id or its beginning, ``since`` and ``until`` beginnings
    of ISO moments, both included."""

    fichier: str = ""
    since: str = ""
    until: str = ""
    verb: str = ""

    def has(self, row: Row) -> bool:
        """Whether a row is asked for."""
        told = read_told(row)
        at = told.get("at", "")
        return (
            bool(told)
            and told["fichier"].startswith(self.fichier)
            and at >= self.since
            and (not self.until or at[: len(self.until)] <= self.until)
            and self.verb in ("", told["verb"])
        )


def select(connection: sqlite3.Connection, chain: str, wanted: Wanted, after: int, most: int) -> tuple[list[Row], int]:
    """Rows of a chain behind row ``after`` that are wanted, in order, and the row to go on behind (0: none is left).

    ``most`` rows at most are looked at, so that nobody waits long.
    """
    query = "SELECT seq, chain, text, hash FROM journal WHERE chain = ? AND seq > ?"
    given: tuple[object, ...] = (chain, after)
    if wanted.fichier:  # by its index: '~' is behind every digit and letter
        query, given = query + " AND fichier >= ? AND fichier < ? || '~'", (*given, wanted.fichier, wanted.fichier)
    seen = [Row(*row) for row in connection.execute(query + " ORDER BY seq LIMIT ?", (*given, most))]
    return list(filter(wanted.has, seen)), seen[-1].seq if len(seen) == most else 0

"""The book: the one database of truth, and every move in it.

Rules.  Only ``keeper`` writes.  A move is one transaction: the state by ``UPDATE … WHERE state = from``, the
parts it names, whatever ``gateway.follow`` records with it, and its journal row.  A fact seen twice finds no
arrow and moves nothing.  The book knows no file, door or key; it does not decide when something is tried.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.book.doors import Copied
from gateway.book.schema import check_integrity, open_book, transaction
from gateway.errors import Scope, Trouble
from gateway.fichier import State, Verb, may, target
from gateway.formats.days import iso
from gateway.journal.chain import EVIDENCE, START, Row, row_hash, row_text

DEATHS_BEFORE_HOLD = 5
"""Abnormal deaths of the keeper on one claim in one state, after which a person must look."""

Fact = Mapping[str, Any]


def utc_now() -> datetime:
    """The wall clock; the book takes it as an argument so that tests can set it."""
    return datetime.now(UTC)


class Book:
    """Moves and queries; one connection, one thread."""

    def __init__(self, path: Path, clock: Callable[[], datetime] = utc_now) -> None:
        self.connection = open_book(path)
        check_integrity(self.connection)
        self.clock = clock
        self.changed: set[str] = set()
        """Fichiers to be shown anew on the board; the keeper empties it after each commit."""

    def close(self) -> None:
        """End with a checkpoint, so that the file stands alone."""
        self.connection.close()

    # -- writing

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One commit; an exception inside leaves the book as it was."""
        with transaction(self.connection):
            yield

    def receive(self, fichier: str, columns: Fact, part: Copied) -> bool:
        """First move of a fichier; False if the book has it already.  ``columns`` are those of its table."""
        if self.fichier(fichier) is not None:
            return False
        state, now = target(None, Verb.RECEIVE), iso(self.clock())
        row = {**columns, "id": fichier, "state": state, "since": now}
        names = ", ".join(row)
        marks = ", ".join(f":{name}" for name in row)
        self.connection.execute(f"INSERT INTO fichiers ({names}) VALUES ({marks})", row)  # noqa: S608
        self.name_part(fichier, "received", part)
        self.record(fichier, {"verb": Verb.RECEIVE, "to": state, "part": part.digest, "size": columns["size"]})
        return True

    def move(self, fichier: str, verb: Verb, fact: Fact, **columns: str | int | float | None) -> bool:
        """Move along the arrow of ``verb`` and journal ``fact``; False if no arrow leads from where it stands."""
        row = self.fichier(fichier)
        if row is None or not may(State(row["state"]), verb):
            return False
        source, now = State(row["state"]), iso(self.clock())
        reached = target(source, verb)
        settled = {
            "reason_code": "",
            "reason_text": "",
            "reason_scope": "",
            "claim_state": "",
            "claim_boot": "",
        }
        values = {
            **settled,
            "deaths": 0,
            "attempts": 0,
            "not_before": 0.0,
            **columns,
            "state": reached,
            "since": now,
        }
        self._update(fichier, values, source)
        self.record(fichier, {**fact, "verb": verb, "from": source, "to": reached})
        return True

    def _update(self, fichier: str, values: Mapping[str, object], source: State | None = None) -> None:
        assignments = ", ".join(f"{name} = :{name}" for name in values)
        guard = "" if source is None else " AND state = :source_state"
        done = self.connection.execute(
            f"UPDATE fichiers SET {assignments} WHERE id = :fichier_id{guard}",  # noqa: S608
            {**values, "fichier_id": fichier, "source_state": source},
        )
        if done.rowcount != 1:
            raise RuntimeError(f"{fichier} was not in {source}")
        self.changed.add(fichier)

    def name_part(self, fichier: str, role: str, part: Copied) -> None:
        """A part of a fichier, one per role; a new one takes the place of the old."""
        self.connection.execute(
            "INSERT OR REPLACE INTO parts (fichier, role, digest, size) VALUES (?, ?, ?, ?)",
            (fichier, role, part.digest, part.size),
        )

    def record(self, fichier: str, fact: Fact, chain: str = EVIDENCE) -> None:
        """Append a journal row to its chain, in the transaction of what it tells."""
        head = self.connection.execute(
            "SELECT seq, hash FROM journal WHERE chain = ? ORDER BY seq DESC LIMIT 1", (chain,)
        ).fetchone()
        seq, previous = (head["seq"] + 1, head["hash"]) if head else (1, START)
        text = row_text(seq, chain, iso(self.clock()), {**fact, "fichier": fichier})
        self.connection.execute(
            "INSERT INTO journal (chain, seq, fichier, text, hash) VALUES (?, ?, ?, ?, ?)",
            (chain, seq, fichier, text, row_hash(previous, text)),
        )
        if fichier:
            self.changed.add(fichier)

    def begin(self, fichier: str, seal: str) -> None:
        """The present seal may have begun to leave: said before its first byte, journaled once."""
        row = self.fichier(fichier)
        if row is not None and (row["state"], row["seal"], row["begun"]) == (State.SEALED, seal, 0):
            self._update(fichier, {"begun": 1})
            self.record(fichier, {"verb": "begin", "seal": seal})

    # -- waiting, holding, claims

    def defer(self, fichier: str, trouble: Trouble, not_before: float) -> None:
        """Say why a fichier waits, and until when (Unix seconds); only its own troubles count as attempts."""
        counts = trouble.scope is Scope.FICHIER
        self.connection.execute(
            "UPDATE fichiers SET reason_code = ?, reason_text = ?, reason_scope = ?, not_before = ?,"
            " attempts = attempts + ?, claim_state = '', claim_boot = '' WHERE id = ?",
            (trouble.code, trouble.text, trouble.scope, not_before, int(counts), fichier),
        )
        self.changed.add(fichier)

    def hold(self, fichier: str, reason: str, by: str) -> bool:
        """Start nothing more on a fichier until it is released; False if it is held or final already."""
        row = self.fichier(fichier)
        if row is None or row["held_since"] or row["state"] in (State.INTEGRATED, State.REFUSED):
            return False
        self._update(fichier, {"held_reason": reason, "held_since": iso(self.clock()), "held_by": by})
        self.record(fichier, {"verb": "hold", "reason": reason, "by": by})
        return True

    def release(self, fichier: str, by: str) -> bool:
        """End a hold; False if it was not held."""
        row = self.fichier(fichier)
        if row is None or not row["held_since"]:
            return False
        self._update(fichier, {"held_reason": "", "held_since": "", "held_by": "", "deaths": 0, "not_before": 0.0})
        self.record(fichier, {"verb": "release", "by": by})
        return True

    def claim(self, fichier: str, boot: str) -> None:
        """Say, before the work, that the keeper of this boot works on a fichier in its present state."""
        self.connection.execute("UPDATE fichiers SET claim_state = state, claim_boot = ? WHERE id = ?", (boot, fichier))

    def unclaim(self, fichier: str) -> None:
        """The work ended without a move, and not by a death."""
        self.connection.execute("UPDATE fichiers SET claim_state = '', claim_boot = '' WHERE id = ?", (fichier,))

    def settle_claims(self, boot: str) -> list[str]:
        """At start: count a death for each claim of this boot, hold what died too often, clear all claims."""
        died = self._rows("SELECT id, deaths FROM fichiers WHERE claim_state <> '' AND claim_boot = ?", boot)
        for row in died:
            self._update(row["id"], {"deaths": row["deaths"] + 1})
            if row["deaths"] + 1 >= DEATHS_BEFORE_HOLD:
                self.hold(row["id"], "Le traitement s'est interrompu cinq fois sur ce fichier.", "keeper")
        self.connection.execute("UPDATE fichiers SET claim_state = '', claim_boot = '' WHERE claim_state <> ''")
        return [row["id"] for row in died]

    def state_condition(self, scope: Scope, name: str, code: str, text: str, detail: Fact | None = None) -> bool:
        """Say how a route, the card or the box is ('' as code: well); True when the code changed."""
        before = self.connection.execute(
            "SELECT code FROM conditions WHERE scope = ? AND name = ?", (scope, name)
        ).fetchone()
        changed = before is None or before["code"] != code
        self.connection.execute(
            "INSERT INTO conditions (scope, name, code, text, since, detail) VALUES (:s, :n, :c, :t, :now, :d)"
            " ON CONFLICT (scope, name) DO UPDATE SET text = :t, detail = :d, code = :c,"
            " since = CASE code WHEN :c THEN since ELSE :now END",
            {"s": scope, "n": name, "c": code, "t": text, "now": iso(self.clock()),
             "d": json.dumps(detail or {}, ensure_ascii=False)},
        )  # fmt: skip
        if changed:
            self.record("", {"verb": "condition", "scope": scope, "name": name, "code": code})
        return changed

    # -- reading

    def _rows(self, query: str, *arguments: object) -> list[sqlite3.Row]:
        return self.connection.execute(query, arguments).fetchall()

    def fichier(self, fichier: str) -> sqlite3.Row | None:
        """One fichier's row, or None."""
        row: sqlite3.Row | None = self.connection.execute("SELECT * FROM fichiers WHERE id = ?", (fichier,)).fetchone()
        return row

    def waiting(self, state: State, now: float) -> list[sqlite3.Row]:
        """Fichiers of a state on which work may start at ``now`` (Unix seconds), oldest first."""
        return self._rows(
            "SELECT * FROM fichiers WHERE state = ? AND held_since = '' AND not_before <= ? ORDER BY received, id",
            state, now,
        )  # fmt: skip

    def part(self, fichier: str, role: str) -> Copied:
        """The part of a fichier in a role; KeyError if there is none."""
        row = self.connection.execute(
            "SELECT digest, size FROM parts WHERE fichier = ? AND role = ?", (fichier, role)
        ).fetchone()
        if row is None:
            raise KeyError(f"{fichier} has no part {role}")
        return Copied(row["digest"], row["size"])

    def named_parts(self) -> set[str]:
        """Digests of all parts that some row names."""
        rows = self._rows(
            "SELECT digest FROM parts UNION SELECT delivery FROM returns"
            " UNION SELECT id FROM returns WHERE opened = '' AND (destroyed = '' OR kind IN ('receipt', 'arl'))"
        )
        return {row["digest"] for row in rows}

    def journal(self, fichier: str = "", chain: str = EVIDENCE) -> Iterator[Row]:
        """Rows of a chain in order, all or one fichier's."""
        narrowed = " AND fichier = ?" if fichier else ""
        query = f"SELECT * FROM journal WHERE chain = ?{narrowed} ORDER BY seq"  # noqa: S608
        for row in self.connection.execute(query, (chain, fichier) if fichier else (chain,)):
            yield Row(row["seq"], row["chain"], row["text"], row["hash"])

"""What the receiving end remembers: transfers, verdicts, lots and factures as routed, and the mailboxes.

Rules.  A file is durable before a row names it.  The outcome of a fichier, its routing and every return that
it brings about are one commit.  The key of a fichier is (sender, SHA-256 of the plaintext, transmission): the
database itself refuses a second one.  The store knows no key, no network and no envelope.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from gateway.book.doors import Copied
from gateway.book.schema import transaction
from gateway.concentrator.schema import open_store
from gateway.errors import Trouble
from gateway.formats.findings import Report
from gateway.formats.returns import ReturnHeader

RESTART_KEY = (
    "sender",
    "server",
    "file_type",
    "file_name",
    "transfer_id",
    "created",
    "initial_sender",
    "final_receiver",
)
"""Columns that make two attempts the same transfer (F-102)."""

OFFERS = 3
"""Failed offers of one return after which the others go first."""

NUMBERS = (1 << 24) - 1
"""Transfer ids that PI 13 can tell apart; 0 is none of them (F-101)."""


_SEALED_TO = "recipient IN (SELECT value FROM json_each(?))"
_READABLE = "delivered = '' AND not_before <= ? AND (until = 0 OR until > ?)"
"""What may be handed over: whoever is handed what was signed by a certificate that has ended cannot take it."""

Also = Callable[[sqlite3.Connection], None]


@dataclass(frozen=True)
class Return:
    """A return as it lies in a mailbox: already signed, sealed and durable; offered from ``not_before`` on.

    ``recipient`` is the SHA-256 (hex) of the box's certificate to which it is sealed, ``signer`` of ours by which it is
    signed, which ends at ``until`` (Unix seconds).
    """

    sender: str
    header: ReturnHeader
    part: Copied
    recipient: str
    signer: str
    until: float
    not_before: float


@dataclass(frozen=True)
class Verdict:
    """The one answer to a fichier; ``digest`` is None where the plaintext could not be read."""

    sender: str
    digest: str | None
    fichier: str
    transmission: int
    verdict: str
    code: str
    text: str
    kind: str
    size: int
    receipt: bytes
    at: str


class Store:
    """One connection.  Reception and integration have one each; SQLite orders their commits."""

    def __init__(self, path: Path) -> None:
        self.connection = open_store(path)

    def close(self) -> None:
        """End, with a checkpoint."""
        self.connection.close()

    def transaction(self) -> AbstractContextManager[sqlite3.Connection]:
        """One commit; an exception inside leaves the database as it was."""
        return transaction(self.connection)

    def _rows(self, query: str, *arguments: object) -> list[sqlite3.Row]:
        return self.connection.execute(query, arguments).fetchall()

    def _row(self, query: str, *arguments: object) -> sqlite3.Row | None:
        rows = self._rows(query, *arguments)
        return rows[0] if rows else None

    # -- transfers

    def transfer(self, key: Mapping[str, object]) -> sqlite3.Row | None:
        """The transfer of a restart key, whatever it has come to."""
        where = " AND ".join(f"{column} = ?" for column in RESTART_KEY)
        return self._row(f"SELECT * FROM transfers WHERE {where}", *(key[column] for column in RESTART_KEY))  # noqa: S608

    def begin(self, columns: Mapping[str, object]) -> sqlite3.Row:
        """A new transfer."""
        with self.transaction() as connection:
            number = _insert(connection, "transfers", columns)
        return self._rows("SELECT * FROM transfers WHERE id = ?", number)[0]

    def reach(self, transfer: int, point: int, offset: int, articles: int) -> None:
        """A sync point is durable: bytes up to ``offset`` of the file are on disk."""
        with self.transaction() as connection:
            connection.execute(
                "UPDATE transfers SET point = ?, offset = ?, articles = ? WHERE id = ? AND received = ''",
                (point, offset, articles, transfer),
            )

    def complete(self, transfer: int, part: Copied, at: str) -> None:
        """All of the file is on disk under its digest."""
        with self.transaction() as connection:
            connection.execute(
                "UPDATE transfers SET received = ?, sealed = ?, size = ? WHERE id = ?",
                (at, part.digest, part.size, transfer),
            )

    def land(self, columns: Mapping[str, object], part: Copied, at: str) -> None:
        """A file that came whole by another way than a transfer: begun and complete in one commit."""
        whole = {"began": at, "received": at, "sealed": part.digest, "size": part.size}
        with self.transaction() as connection:
            _insert(connection, "transfers", {**columns, **whole})

    def drop(self, transfer: int) -> None:
        """The sender gave an incomplete transfer up: there is nothing to restart."""
        with self.transaction() as connection:
            connection.execute("DELETE FROM transfers WHERE id = ? AND received = ''", (transfer,))

    def expire(self, since: str) -> None:
        """Forget transfers that began before then and never were complete."""
        with self.transaction() as connection:
            connection.execute("DELETE FROM transfers WHERE received = '' AND began < ?", (since,))

    def receiving(self) -> set[int]:
        """Transfers that may still be restarted."""
        return {row["id"] for row in self._rows("SELECT id FROM transfers WHERE received = ''")}

    # -- verdicts

    def waiting(self, now: float) -> sqlite3.Row | None:
        """The oldest complete transfer without an outcome on which work may start at ``now``."""
        return self._row(
            "SELECT * FROM transfers WHERE outcome = '' AND received <> '' AND not_before <= ?"
            " ORDER BY received, id LIMIT 1",
            now,
        )

    def defer(self, transfer: int, trouble: Trouble, not_before: float) -> None:
        """Say why an outcome waits, and until when (Unix seconds)."""
        with self.transaction() as connection:
            connection.execute(
                "UPDATE transfers SET reason_code = ?, reason_text = ?, not_before = ? WHERE id = ?",
                (trouble.code, trouble.text, not_before, transfer),
            )

    def original(self, sender: str, digest: str | None, transmission: int) -> sqlite3.Row | None:
        """The verdict that this sender already has for these bytes in this transmission."""
        return self._row(
            "SELECT * FROM verdicts WHERE sender = ? AND digest = ? AND transmission = ?", sender, digest, transmission
        )

    def settle(
        self,
        transfer: int,
        verdict: Verdict,
        report: Report | None,
        returns: Sequence[Return],
        also: Also | None = None,
    ) -> None:
        """The outcome of a fichier, where its lots go, and the returns it brings about: one commit, with ``also``."""
        with self.transaction() as connection:
            if also is not None:
                also(connection)
            _insert(connection, "verdicts", {"id": transfer, **vars(verdict)})
            if report is not None:
                _route(connection, transfer, report)
            for item in returns:
                _put(connection, item)
            _conclude(connection, transfer, verdict.verdict)

    def settle_apart(
        self, transfer: int, outcome: str, returns: Sequence[Return], write: Callable[[sqlite3.Connection], None]
    ) -> None:
        """The outcome of what is no fichier, the returns it brings about, and what ``write`` writes: one commit."""
        with self.transaction() as connection:
            write(connection)
            for item in returns:
                _put(connection, item)
            _conclude(connection, transfer, outcome)

    def settle_double(self, transfer: int, original: int, answer: Return, also: Also | None = None) -> None:
        """A double: counted, answered, and nothing else but ``also``."""
        with self.transaction() as connection:
            if also is not None:
                also(connection)
            connection.execute("UPDATE verdicts SET doubles = doubles + 1 WHERE id = ?", (original,))
            _put(connection, answer)
            _conclude(connection, transfer, "double")

    def post(self, item: Return, also: Also) -> None:
        """A return that answers no transfer: one commit, with ``also``."""
        with self.transaction() as connection:
            also(connection)
            _put(connection, item)

    # -- mailboxes (``recipients``: SHA-256 of the certificates to which what a sender may be handed is sealed)

    def offer(self, sender: str, now: float, at: str, recipients: Sequence[str]) -> sqlite3.Row | None:
        """The oldest return that this sender has not got, counted as offered; one that failed three times comes
        last and raises an alarm."""
        with self.transaction() as connection:
            _alarm(connection, sender, at)
            row: sqlite3.Row | None = connection.execute(
                f"SELECT * FROM mailbox WHERE sender = ? AND {_SEALED_TO} AND {_READABLE}"  # noqa: S608
                " ORDER BY offered >= ?, not_before, id LIMIT 1",
                (sender, json.dumps(recipients), now, now, OFFERS),
            ).fetchone()
            if row is not None:
                connection.execute("UPDATE mailbox SET offered = offered + 1 WHERE id = ?", (row["id"],))
        return row

    def offered(self, sender: str, number: int, recipients: Sequence[str]) -> sqlite3.Row | None:
        """The return that went to this sender under a transfer id (``number_of``)."""
        return self._row(
            f"SELECT * FROM mailbox WHERE sender = ? AND {_SEALED_TO} AND offered > 0"  # noqa: S608
            " AND (id - 1) % ? + 1 = ? ORDER BY id DESC LIMIT 1",
            sender, json.dumps(recipients), NUMBERS, number,
        )  # fmt: skip

    def undelivered(self, sender: str, now: float, most: int, recipients: Sequence[str]) -> list[sqlite3.Row]:
        """The oldest returns that this sender has not got, ``most`` of them at most; they do not count as offered."""
        return self._rows(
            f"SELECT * FROM mailbox WHERE sender = ? AND {_SEALED_TO} AND {_READABLE}"  # noqa: S608
            " ORDER BY id LIMIT ?",
            sender, json.dumps(recipients), now, now, most,
        )  # fmt: skip

    def recipients(self) -> list[tuple[str, str]]:
        """(sender, recipient) of what is not delivered yet, where the recipient is known."""
        rows = self._rows("SELECT DISTINCT sender, recipient FROM mailbox WHERE delivered = '' AND recipient <> ''")
        return [(row["sender"], row["recipient"]) for row in rows]

    def sealed_to(self, sender: str, recipient: str) -> list[sqlite3.Row]:
        """The returns for this sender that are sealed to a certificate and not delivered, the oldest first."""
        return self._rows(
            "SELECT * FROM mailbox WHERE sender = ? AND recipient = ? AND delivered = '' ORDER BY id", sender, recipient
        )

    def signed_before(self, signer: str) -> list[sqlite3.Row]:
        """The returns that another certificate of ours signed, and that are not delivered, the oldest first."""
        return self._rows("SELECT * FROM mailbox WHERE delivered = '' AND signer NOT IN ('', ?) ORDER BY id", signer)

    def exchange(self, item: int, part: Copied, recipient: str, signer: str, until: float) -> None:
        """A return that is not delivered lies under another seal now: a transfer of its own, which was not offered."""
        with self.transaction() as connection:
            row = connection.execute("SELECT * FROM mailbox WHERE id = ? AND delivered = ''", (item,)).fetchone()
            if row is None:  # the puller said meanwhile that it has it
                return
            connection.execute("DELETE FROM mailbox WHERE id = ?", (item,))
            kept = {name: row[name] for name in ("sender", "kind", "name", "about", "made", "not_before")}
            sealed = {"file": part.digest, "size": part.size, "recipient": recipient, "signer": signer, "until": until}
            _insert(connection, "mailbox", {**kept, **sealed})

    def named(self, sender: str, name: str) -> sqlite3.Row | None:
        """This sender's return of a name."""
        return self._row("SELECT * FROM mailbox WHERE sender = ? AND name = ?", sender, name)

    def pulled(self, item: int, point: int, offset: int, articles: int, spacing: int) -> None:
        """The puller has a return up to a point; points follow every ``spacing`` bytes."""
        with self.transaction() as connection:
            connection.execute(
                "UPDATE mailbox SET point = ?, offset = ?, articles = ?, spacing = ? WHERE id = ?",
                (point, offset, articles, spacing, item),
            )

    def deliver(self, item: int, at: str) -> None:
        """The puller says that it has this return; said again, it changes nothing."""
        with self.transaction() as connection:
            connection.execute("UPDATE mailbox SET delivered = ? WHERE id = ? AND delivered = ''", (at, item))

    def redeliver(self, sender: str, since: str, files: Collection[str]) -> int:
        """What was delivered since then waits again, where its file is among ``files``; how many."""
        with self.transaction() as connection:
            return connection.execute(
                "UPDATE mailbox SET delivered = '', offered = 0, point = 0, offset = 0, articles = 0, spacing = 0"
                " WHERE sender = ? AND recipient <> '' AND delivered >= ? AND file IN (SELECT value FROM json_each(?))",
                (sender, since, json.dumps(sorted(files))),
            ).rowcount

    def alarm(self, about: str, code: str, text: str, at: str) -> None:
        """Something that a person should look at; said again, it changes nothing."""
        with self.transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO alarms VALUES (?, ?, ?, ?)", (about, code, text, at))

    # -- revocation lists

    def list_numbers(self) -> dict[str, int]:
        """The highest number seen of each authority's revocation lists."""
        return {row["authority"]: int(row["number"]) for row in self._rows("SELECT * FROM lists")}

    def note_list(self, authority: str, number: int) -> None:
        """A list of a higher number was seen."""
        with self.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO lists VALUES (?, ?)", (authority, str(number)))

    # -- files

    def named_files(self, since: str) -> tuple[set[str], set[str]]:
        """Files to keep, by digest: received ones whose outcome is open or that came since then, and returns
        not delivered or delivered since then."""
        received = self._rows(
            "SELECT sealed FROM transfers WHERE received <> '' AND (outcome = '' OR received >= ?)", since
        )
        returns = self._rows("SELECT file FROM mailbox WHERE delivered = '' OR delivered >= ?", since)
        return {row["sealed"] for row in received}, {row["file"] for row in returns}


def number_of(row: sqlite3.Row) -> int:
    """The transfer id (PI 13) under which a return of the mailbox goes."""
    return int((row["id"] - 1) % NUMBERS + 1)


def _insert(connection: sqlite3.Connection, table: str, columns: Mapping[str, object]) -> int:
    names = ", ".join(columns)
    marks = ", ".join(f":{name}" for name in columns)
    done = connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", columns)  # noqa: S608
    return int(done.lastrowid or 0)


def _route(connection: sqlite3.Connection, verdict: int, report: Report) -> None:
    for rank, lot in enumerate(report.lots, start=1):
        connection.execute(
            "INSERT INTO lots VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (verdict, rank, lot.emitter, lot.destination, lot.number, lot.date, len(lot.factures), lot.amo_cents,
             lot.amc_cents),
        )  # fmt: skip
        connection.executemany(
            "INSERT INTO factures VALUES (?, ?, ?, ?, ?, ?)",
            (
                (verdict, rank, n, facture.number, facture.amo_cents, facture.amc_cents)
                for n, facture in enumerate(lot.factures, start=1)
            ),
        )


def _put(connection: sqlite3.Connection, item: Return) -> None:
    header, part = item.header, item.part
    row = {
        "sender": item.sender,
        "kind": header.kind,
        "name": header.name,
        "about": header.about,
        "file": part.digest,
        "size": part.size,
        "recipient": item.recipient,
        "signer": item.signer,
        "until": item.until,
        "made": header.at,
        "not_before": item.not_before,
    }
    _insert(connection, "mailbox", row)


def _conclude(connection: sqlite3.Connection, transfer: int, outcome: str) -> None:
    connection.execute(
        "UPDATE transfers SET outcome = ?, reason_code = '', reason_text = '' WHERE id = ?", (outcome, transfer)
    )


def _alarm(connection: sqlite3.Connection, sender: str, at: str) -> None:
    connection.execute(
        "INSERT OR IGNORE INTO alarms SELECT sender || ' ' || name, 'OCT-006',"
        " 'Retour présenté ' || offered || ' fois sans être remis.', ? FROM mailbox"
        " WHERE sender = ? AND delivered = '' AND offered >= ?",
        (at, sender, OFFERS),
    )

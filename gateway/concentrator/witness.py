"""The witness of the boxes' journals: what each box says of its journal is checked against what it said before.

Rules.  Nothing is refused because of a journal: a head that does not follow is an alarm here and a word in the
receipt; a box that had a head and comes without is an alarm too.  What is countersigned is the last head that was
good.  Fichiers may overtake one another, so an older head that was proven before (``steps``) is known, not backwards.
A head is trusted when a box-sign certificate of this partner's signed it; the first one of a partner is taken as it is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from gateway.concentrator.keys import Trust
from gateway.envelope.certificates import Use
from gateway.errors import Refused, Trouble
from gateway.formats.days import iso
from gateway.formats.receipt import JournalHead
from gateway.journal.chain import EVIDENCE
from gateway.journal.checkpoint import Carried, Checkpoint, check_steps, read_carried, read_checkpoint

Word = Literal["first", "consistent", "known", "backwards", "inconsistent"]

ALARMS: Mapping[Word, tuple[str, str]] = {
    "backwards": ("OCT-013", "Le journal de ce boîtier a reculé : {size} lignes, après {last}."),
    "inconsistent": ("OCT-014", "Le journal de ce boîtier ({size} lignes) ne continue pas celui de {last} lignes."),
}
UNCHECKED = "OCT-015"
"""The checkpoint could not be read, or not be trusted."""
SILENT = (
    "OCT-017",
    "Ce boîtier ne joint plus de point de contrôle à ses fichiers : son journal n'est plus contresigné.",
)


@dataclass(frozen=True)
class Seen:
    """What one fichier told of its box's journal: ``head`` for the receipt, ``roots`` newly proven by size."""

    sender: str
    about: str = ""
    head: JournalHead | None = None
    roots: Mapping[int, bytes] | None = None
    signed: bytes = b""
    alarm: tuple[str, str] | None = None

    def record(self, connection: sqlite3.Connection, at: datetime) -> None:
        """Remember it, in the transaction of the verdict."""
        if self.alarm is not None:
            values = (f"{self.sender} {self.about}", *self.alarm, iso(at))
            connection.execute("INSERT OR IGNORE INTO alarms VALUES (?, ?, ?, ?)", values)
        for size, root in (self.roots or {}).items():
            arrived = self.head is not None and size == self.head.size
            said = (self.head.at, self.signed) if self.head is not None and arrived else ("", b"")
            connection.execute(
                "INSERT INTO heads (sender, size, root, at, signed, seen) VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET at = excluded.at, signed = excluded.signed WHERE at = ''",
                (self.sender, size, root, *said, iso(at)),
            )


class Witness:
    """Reads the heads that the store knows; writes only through ``Seen.record``."""

    def __init__(self, connection: sqlite3.Connection, signers: Callable[[str], tuple[bytes, ...]]) -> None:
        """``signers``: by sender, the certificates (DER) by which its box signs its journal."""
        self._connection, self._signers = connection, signers

    def look(self, sender: str, fichier: str, value: bytes, at: datetime, trust: Trust) -> Seen | None:
        """What came with a fichier; None where nothing ever came, or no certificate of this partner's box is known."""
        if not self._signers(sender):
            return None
        if not value:
            last = self._last(sender)
            return Seen(sender, f"journal {last['size']}", alarm=SILENT) if last else None
        try:
            carried = read_carried(value)
            told = self._checkpoint(sender, carried, at, trust)
        except Trouble as trouble:
            return Seen(sender, f"journal {fichier}", alarm=(UNCHECKED, trouble.text))
        return self._judge(sender, told, carried)

    def _last(self, sender: str) -> sqlite3.Row | None:
        """The last head that was good."""
        row: sqlite3.Row | None = self._connection.execute(
            "SELECT * FROM heads WHERE sender = ? AND at <> '' ORDER BY size DESC LIMIT 1", (sender,)
        ).fetchone()
        return row

    def _checkpoint(self, sender: str, carried: Carried, at: datetime, trust: Trust) -> Checkpoint:
        told, content = read_checkpoint(carried.signed)
        if content.signature.certificate not in self._signers(sender):
            raise Refused("JRN-013", "Le point de contrôle n'est pas signé par le boîtier de ce correspondant.")
        trust.check(content.signature.certificate, content.chain, at, Use.SIGN_JOURNAL)
        if told.chain != EVIDENCE:
            raise Refused("JRN-014", f"Le point de contrôle est celui de la chaîne « {told.chain} ».")
        return told

    def _judge(self, sender: str, told: Checkpoint, carried: Carried) -> Seen:
        last = self._last(sender)
        try:
            roots = check_steps(told, carried.steps)
            word = self._word(sender, told.size, roots, last)
        except Refused:
            word, roots = "inconsistent", {}
        if word in ALARMS:
            code, text = ALARMS[word]
            alarm = (code, text.format(size=told.size, last=last["size"] if last else 0))
            good = JournalHead(last["size"], last["root"].hex(), last["at"], word) if last else None
            return Seen(sender, f"journal {told.size}", good, alarm=alarm)
        if last is not None and told.size < last["size"]:
            return Seen(sender, head=JournalHead(last["size"], last["root"].hex(), last["at"], word))
        head = JournalHead(told.size, told.root, told.at, word)
        return Seen(sender, head=head, roots=roots, signed=carried.signed)

    def _word(self, sender: str, size: int, roots: Mapping[int, bytes], last: sqlite3.Row | None) -> Word:
        """How a head of ``size`` rows, with the ``roots`` proven to lead to it, follows from what is known."""
        if last is None:
            return "first"
        marks = ", ".join("?" * len(roots))
        known = self._connection.execute(
            f"SELECT size, root FROM heads WHERE sender = ? AND size IN ({marks})",  # noqa: S608
            (sender, *roots),
        ).fetchall()
        if any(roots[row["size"]] != row["root"] for row in known):
            return "inconsistent"
        if size > last["size"]:
            return "consistent" if last["size"] in roots else "inconsistent"
        return "known" if any(row["size"] == size for row in known) else "backwards"


def forget(connection: sqlite3.Connection, sender: str, why: str, at: datetime) -> int:
    """A person accepts that a box's journal begins anew (a box restored, or replaced); the heads forgotten."""
    done = connection.execute("DELETE FROM heads WHERE sender = ?", (sender,)).rowcount
    text = f"Journal accepté de nouveau, {done} têtes oubliées : {why}"
    connection.execute(
        "INSERT OR REPLACE INTO alarms VALUES (?, 'OCT-016', ?, ?)", (f"{sender} journal {iso(at)}", text, iso(at))
    )
    return done

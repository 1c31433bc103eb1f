"""Returns that wait for a box which lost its keys, or was away for long: opened with the OCT's own key, sealed to the
box's new certificate, signed by ours of now.

Rules.  What is sealed to a certificate that is no longer in force (revoked, or of an enrolment before the last) is
handed to nobody; it waits until the partner has another one in force, and then lies under its own name in another
seal.  What it says is the same bytes, by which the box knows a return that it took already.  A renewal strands
nothing: until the new certificate is seen at work, and after, the old one opens what is sealed to it.
What one of our certificates signed is signed again when another took its place: it would have ended, or be revoked,
before a box that is away reads it.  What could not be, and has ended, is handed to nobody.
The new seal is durable before the store names it; the old one is swept like any file that no row names.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from gateway.concentrator.boxes import Members
from gateway.concentrator.keys import Trust
from gateway.concentrator.landing import Landing
from gateway.concentrator.mailbox import Mailbox
from gateway.concentrator.settings import ConcentratorSettings
from gateway.concentrator.store import Store
from gateway.errors import Refused, Scope, Trouble
from gateway.formats.days import iso

STUCK = "OCT-019"
"""A return that our own key does not open, or a certificate of the box that may not be sealed to."""


class Resealing:
    """The worker's look at the mailboxes; between two looks it knows only what it could not do."""

    def __init__(
        self, settings: ConcentratorSettings, store: Store, members: Members, mailbox: Mailbox, landing: Landing,
        trust: Callable[[], Trust], clock: Callable[[], datetime],
    ) -> None:  # fmt: skip
        """``trust`` reads the revocation lists anew at each call."""
        self._retry = timedelta(seconds=settings.retry_s)
        self._store = store
        self._mailbox = mailbox
        self._landing = landing
        self._members = members
        self._trust = trust
        self._clock = clock
        self._not_before: dict[int, datetime] = {}

    def work(self) -> bool:
        """Seal the oldest return that waits for it anew; False if there is none, or none can be sealed now."""
        at = self._clock()
        row = next((row for row in self._stranded() if self._not_before.get(row["id"], at) <= at), None)
        if row is None:
            return False
        try:
            self._seal(row, at)
        except Trouble as trouble:
            self._not_before[row["id"]] = at + self._retry
            if isinstance(trouble, Refused) and trouble.scope is not Scope.BOX:
                text = f"Ce retour ne peut pas être signé et scellé de nouveau : {trouble.text}"
                self._store.alarm(f"{row['sender']} {row['name']}", STUCK, text, iso(at))
        return True

    def _stranded(self) -> Iterator[sqlite3.Row]:
        """What is sealed to a certificate out of force, of partners that have another; what was signed by one of ours
        that is not in force."""
        for sender, recipient in self._store.recipients():
            in_force = self._members.recipients(sender)
            if in_force and recipient not in in_force:
                yield from self._store.sealed_to(sender, recipient)
        for row in self._store.signed_before(self._mailbox.signer):
            if self._members.recipients(row["sender"]):
                yield row

    def _seal(self, row: sqlite3.Row, at: datetime) -> None:
        made = self._mailbox.make_again(row, at, self._trust())
        self._landing.withdraw(row["sender"], row["name"])
        self._store.exchange(row["id"], *made)

"""The daily turn that ends what is kept: sealed copies, returns, follow-up, digests, names in the access chain.

Rule 1: intent, act, proof (``gateway.book.retention``); killed at any instant, the next start goes on.
Rule 2: nothing is destroyed on the word of the box's own clock alone: it counts up to a week beyond the last moment
that the OCT or an authority signed, so that a clock that jumps ahead destroys nothing.  A box that has heard nothing
for longer says so and waits.
Rule 3: one fichier at a time, the watchdog fed between them; nothing here stops a move.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.book import retention as rows
from gateway.book.backup import clear_asides
from gateway.errors import Refused, Scope
from gateway.formats.days import iso
from gateway.formats.words import day
from gateway.services.keeper.desk import Desk
from gateway.services.keeper.mandates import today

BEYOND = timedelta(days=7)
"""How far past the last moment that others signed the box's own clock is believed."""

_HEARD = "SELECT max(at) FROM (SELECT at FROM returns UNION ALL SELECT since FROM lists)"
"""The last moment that the OCT signed in a return, or an authority in a revocation list."""

LEFT_S = 3600.0
"""A backup copies the book in less; an older copy was left by one that was killed."""


def check_copies(row: Any) -> None:
    """Refused RVL-003 for a fichier whose sealed copies are no more."""
    if row["destroyed"]:
        text = (
            f"Les copies scellées de ce fichier ont été détruites le {day(row['destroyed'])}, au terme de leur durée."
        )
        raise Refused("RVL-003", text)


class Retention:
    """One turn at start and one on each new day."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._done: tuple[str, str] | None = None

    def look(self) -> None:
        """Nothing, or the turn of the day; another when something is heard at last."""
        late, _ = self._desk.told(Scope.BOX, "retention")
        if self._done != (today(self._desk), self._heard() if late else ""):
            self.turn()
            late, _ = self._desk.told(Scope.BOX, "retention")
            self._done = (today(self._desk), self._heard() if late else "")

    def turn(self) -> None:
        """Destroy all that is due; then leave nothing of it in free pages and in the log of the database."""
        desk = self._desk
        until = self._until()
        if until is not None:
            self._give_up(until)
        for thing, fact in rows.intents(desk.book):
            self._destroy(thing, fact)
        if until is not None:
            self._end_rows(until)
        desk.parts.sweep(desk.book.named_parts())
        clear_asides(desk.paths.book, time.time() - LEFT_S)
        desk.book.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    # -- until when

    def _until(self) -> datetime | None:
        """The moment up to which things are due; None before the OCT has ever signed one."""
        desk = self._desk
        last = self._heard()
        if not last:
            return None
        now = desk.book.clock()
        heard = datetime.fromisoformat(last[:19]).replace(tzinfo=UTC) + BEYOND
        late = now > heard and bool(rows.due_parts(desk.book, rows.COPIES, self._before(now, "copies_days")))
        text = "Des copies arrivées à terme ne sont pas détruites : aucune heure confirmée par le concentrateur depuis"
        desk.condition(Scope.BOX, "retention", "RET-CLOCK" if late else "", f"{text} le {day(last)}." if late else "")
        return min(now, heard)

    def _heard(self) -> str:
        return str(self._desk.book.connection.execute(_HEARD).fetchone()[0] or "")

    def _before(self, until: datetime, name: str) -> str:
        return iso(until - timedelta(days=getattr(self._desk.settings.retention, name)))

    def _rule(self, name: str) -> str:
        return f"{name} = {getattr(self._desk.settings.retention, name)}"

    # -- intents

    def _give_up(self, until: datetime) -> None:
        desk, at = self._desk, iso(self._desk.book.clock())
        for kind in rows.ROLES:
            name = f"{kind}_days"
            for fichier in rows.due_parts(desk.book, kind, self._before(until, name)):
                with desk.commit():
                    rows.give_up_parts(desk.book, fichier, kind, self._rule(name), at)
                desk.runtime.alive()
        picked, unread = self._before(until, "returns_days"), self._before(until, "follow_days")
        for key in rows.due_returns(desk.book, picked, unread):
            with desk.commit():
                rows.give_up_return(desk.book, key, self._rule("returns_days"), at)
            desk.runtime.alive()
        for key in rows.due_originals(desk.book, self._before(until, "returns_days")):
            with desk.commit():
                rows.give_up_original(desk.book, key, self._rule("returns_days"), at)
            desk.runtime.alive()
        for year in desk.persons.years():
            if until.year - year > desk.settings.retention.access_years:
                fact = {"class": rows.NAMES, "rule": self._rule("access_years"), "fichier": "", "year": year}
                with desk.commit():
                    rows.intend(desk.book, f"{rows.NAMES} {year}", fact)

    # -- acts and proofs

    def _destroy(self, thing: str, fact: dict[str, Any]) -> None:
        """Remove what an intent names, then prove it; left for the next turn while another service still has a link."""
        desk = self._desk
        if fact["class"] == rows.NAMES:
            desk.persons.destroy(fact["year"])
        else:
            self._withdraw(fact)
            if not desk.parts.destroy([part["digest"] for part in fact["parts"]]):
                desk.runtime.log("warning", f"{thing}: still in a door, destroyed later")
                return
        with desk.commit():
            rows.prove(desk.book, thing, fact)
        desk.runtime.alive()

    def _withdraw(self, fact: dict[str, Any]) -> None:
        """Take our own links out of the doors; what the taker has of them it has copied."""
        prefix = f"{fact['fichier']}." if fact["fichier"] else f"return.{fact['part']}."
        door = self._desk.outgoing if fact["fichier"] else self._desk.counter
        for name in door.names():
            if name.startswith(prefix):
                door.withdraw(name)

    def _end_rows(self, until: datetime) -> None:
        desk = self._desk
        paid, sent = self._before(until, "paid_days"), self._before(until, "follow_days")
        for fichier in rows.due_follow(desk.book, paid, sent):
            with desk.commit():
                rows.end_follow(desk.book, fichier, f"{self._rule('paid_days')}, {self._rule('follow_days')}")
            desk.runtime.alive()
        forgotten = rows.due_digests(desk.book, self._before(until, "digests_days"))
        if forgotten:
            with desk.book.transaction():
                rows.end_digests(desk.book, forgotten, self._rule("digests_days"))
            desk.board.rebuild(desk.book)

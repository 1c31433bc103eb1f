"""Whether the clock may decide anything: it is held against what is known to be past.

Rules.  The floor is the latest moment that somebody else vouches for: the making of a verified revocation list, a
return that our OCT signed, the release of this program.  Below it the clock is wrong.  Far above it the clock is wrong
too, or nothing has come for so long that every list is out of date anyway.  Our own last commit counts as well, with
more patience, and only where the clock held: so one wrong moment drags nothing along for long.
While the clock does not hold nothing is signed, judged, checked or cleared away; all that needs no clock goes on, the
taking of lists among it, which is how a floor that lies too far back rises.  It recovers by itself with the clock; a
person may say that the clock is right, with a reason, which is journaled.

It does not set the clock: that is systemd-timesyncd's part, or a person's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gateway.book.moves import Book
from gateway.errors import Deferred, Refused, Scope
from gateway.follow.moments import on_words
from gateway.formats.days import iso
from gateway.process.release import RELEASED

TOLERANCE = timedelta(minutes=15)
"""How far behind a moment that others signed our clock may be."""

AHEAD = "CLK-003"
"""The doubt of a clock that is ahead, or of a box that was away for long."""

_WITNESS, _OWN = "witness", "own"
_ADVICE = "Mettez-la à l'heure, ou branchez la passerelle à Internet : d'ici là rien n'est signé ni vérifié."


@dataclass(frozen=True)
class Known:
    """What is past: ``witness`` by the word of others, who are named in ``what``; ``own`` by ours, if ever."""

    witness: datetime
    what: str
    own: datetime | None = None


def doubt(now: datetime, known: Known, back: timedelta, ahead: timedelta) -> Deferred | None:
    """Why the clock cannot be right, if it cannot: Deferred CLK-001 … CLK-003 (scope box).

    ``back`` is how far it may be behind our last commit, ``ahead`` how far before everything that others vouch for.
    """
    if now < known.witness - TOLERANCE:
        text = f"retarde : il est plus tard que {_words(known.witness)} ({known.what}). {_ADVICE}"
        return Deferred("CLK-001", f"L'horloge de la passerelle {text}", Scope.BOX)
    if known.own is not None and now < known.own - back:
        text = f"a reculé : la passerelle a déjà travaillé {_words(known.own)}. {_ADVICE}"
        return Deferred("CLK-002", f"L'horloge de la passerelle {text}", Scope.BOX)
    if now > known.witness + ahead:
        text = f"avance, ou rien n'est plus venu depuis {_words(known.witness)} ({known.what}). {_ADVICE}"
        return Deferred(AHEAD, f"L'horloge de la passerelle {text}", Scope.BOX)
    return None


def _words(at: datetime) -> str:
    return on_words(iso(at))


class Watch:
    """The floor as the book keeps it, and the clock of the book held against it."""

    def __init__(self, book: Book, back: timedelta, ahead: timedelta) -> None:
        self._book, self._back, self._ahead = book, back, ahead
        self.known = self._read()
        self._held = False

    def _read(self) -> Known:
        rows = {row["name"]: row for row in self._book.connection.execute("SELECT * FROM moments")}
        said, own = rows.get(_WITNESS), rows.get(_OWN)
        known = Known(RELEASED, "la version de son logiciel", datetime.fromisoformat(own["at"]) if own else None)
        if said is None or datetime.fromisoformat(said["at"]) < RELEASED:
            return known
        return Known(datetime.fromisoformat(said["at"]), said["what"], known.own)

    def read_again(self) -> None:
        """Know what the book says, and nothing of what was in a transaction that it did not take."""
        self.known = self._read()

    def doubt(self) -> Deferred | None:
        """What is wrong with the clock now, None where it holds."""
        return doubt(self._book.clock(), self.known, self._back, self._ahead)

    def words(self) -> str:
        """The same as a sentence, '' where the clock holds."""
        wrong = self.doubt()
        return wrong.text if wrong else ""

    def check(self) -> None:
        """Raise what is wrong with the clock."""
        wrong = self.doubt()
        if wrong is not None:
            raise wrong

    def recovered(self) -> bool:
        """Whether the clock holds now and did not when this was last asked, or this is the first time."""
        before, self._held = self._held, self.doubt() is None
        return self._held and not before

    # -- in a transaction of the book

    def mark(self) -> None:
        """We commit now; where the clock does not hold, that says nothing."""
        now = self._book.clock()
        behind = self.known.own is None or now.replace(microsecond=0) > self.known.own
        if behind and self.doubt() is None:
            self._write(_OWN, now, "")

    def witness(self, at: datetime, what: str) -> None:
        """Others signed something at that moment; ``what`` it is, in words.  An earlier moment says nothing new."""
        if at > self.known.witness:
            self._write(_WITNESS, at, what)

    def accept(self, why: str, by: str) -> None:
        """A person says that the clock is right: what contradicted it is forgotten.  Journaled.

        Refused CLK-004 where this very program is younger.
        """
        now = self._book.clock()
        if now < RELEASED:
            raise Refused("CLK-004", f"L'horloge retarde : ce logiciel a été fait {_words(RELEASED)}.", Scope.BOX)
        fact = {"verb": "clock", "why": why, "by": by, "witness": iso(self.known.witness), "what": self.known.what}
        self._book.record("", {**fact, "own": iso(self.known.own) if self.known.own else ""})
        self._write(_WITNESS, now, "la confirmation d'une personne")
        self._write(_OWN, now, "")

    def _write(self, name: str, at: datetime, what: str) -> None:
        self._book.connection.execute(
            "INSERT INTO moments (name, at, what) VALUES (?, ?, ?)"
            " ON CONFLICT (name) DO UPDATE SET at = excluded.at, what = excluded.what",
            (name, iso(at.astimezone(UTC)), what),
        )
        self.known = self._read()

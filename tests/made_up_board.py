"""A board of made-up fichiers in every state, written by the real book and the real board."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from gateway.book.board import Board
from gateway.book.doors import Copied
from gateway.book.moves import Book
from gateway.errors import Deferred, Scope
from gateway.fichier import State, Verb
from gateway.formats.days import iso

NOW = datetime(2026, 11, 23, 13, 30, tzinfo=UTC)
"""14 h 30 in Paris, a Monday."""

PATH = {
    State.RECEIVED: (),
    State.CHECKED: (Verb.CHECK,),
    State.SIGNED: (Verb.CHECK, Verb.SIGN),
    State.SEALED: (Verb.CHECK, Verb.SIGN, Verb.SEAL),
    State.SENT: (Verb.CHECK, Verb.SIGN, Verb.SEAL, Verb.SEND),
    State.INTEGRATED: (Verb.CHECK, Verb.SIGN, Verb.SEAL, Verb.SEND, Verb.INTEGRATE),
    State.REFUSED: (Verb.REFUSE,),
}


class MadeUp:
    """A book, its board, and a clock that tests set."""

    def __init__(self, folder: Path, board: Path) -> None:
        self.now = NOW
        self.book = Book(folder / "book.db", lambda: self.now)
        board.parent.mkdir(parents=True, exist_ok=True)
        self.board = Board(board)
        self.show()

    def show(self) -> None:
        """What a commit of the keeper ends with."""
        self.board.show(self.book)

    def close(self) -> None:
        """Let go of both files."""
        self.board.close()
        self.book.close()

    def fichier(self, key: str, state: State, name: str = "", lots: int = 1, **columns: Any) -> str:
        """A fichier with ``lots`` lots of two factures each, moved to its state; its id."""
        one = (key.encode().hex() + "0" * 32)[:32]
        row = {
            "name": name or f"B2_{key}.b2",
            "channel": "folder",
            "received": iso(self.now),
            "size": 4096,
            "digest": "",
        }
        sums = {"kind": "b2", "lots": lots, "factures": 2 * lots, "total": 2 * lots * 2650, "emitter": "751012345"}
        with self.book.transaction():
            assert self.book.receive(one, row | sums | columns, Copied("aa", 4096))
            self._lots(one, lots)
            for verb in PATH[state]:
                reason = {"reason_code": "B2-017", "reason_text": "Le total de la facture 3 est faux."}
                assert self.book.move(one, verb, {}, **(reason if verb is Verb.REFUSE else {}))
        self.show()
        return one

    def _lots(self, one: str, lots: int) -> None:
        for lot in range(1, lots + 1):
            self.book.connection.execute(
                "INSERT INTO lots (fichier, rank, emitter, destination, number, date, factures, amo, amc)"
                " VALUES (?, ?, '751012345', '01751000000000', ?, '2026-11-20', 2, 3710, 1590)",
                (one, lot, f"{lot:03d}"),
            )
            for rank in (1, 2):
                self.book.connection.execute(
                    "INSERT INTO factures (fichier, lot, rank, emitter, number, patient, care_date, spent, amo, amc)"
                    " VALUES (?, ?, ?, '751012345', ?, 'pseudonym', '2026-11-20', 2650, 1855, 795)",
                    (one, lot, rank, f"{lot:03d}{rank:06d}"),
                )

    def finding(self, one: str, severity: str = "blocks") -> None:
        """A finding of the check."""
        self.change(
            "INSERT INTO findings VALUES (?, 1, 12, 55, 'B2-017', 'Le total de la facture 3 est faux.', ?)",
            one,
            severity,
        )

    def change(self, statement: str, *values: object) -> None:
        """Any change of the book's tables, shown."""
        with self.book.transaction():
            self.book.connection.execute(statement, values)
            self.book.changed |= {str(value) for value in values}
        self.show()

    def condition(self, scope: Scope, name: str, code: str, text: str, **detail: Any) -> None:
        """A condition, shown."""
        with self.book.transaction():
            self.book.state_condition(scope, name, code, text, detail)
        self.show()

    def hold(self, one: str, reason: str) -> None:
        """A hold, shown."""
        with self.book.transaction():
            assert self.book.hold(one, reason, "admin")
        self.show()

    def defer(self, one: str, text: str, scope: Scope, seconds: float = 600) -> None:
        """A reason to wait, shown."""
        with self.book.transaction():
            self.book.defer(one, Deferred("X-1", text, scope), (self.now + timedelta(seconds=seconds)).timestamp())
        self.show()


def made_up_day(made: MadeUp) -> dict[State, str]:
    """A day with something of everything; an id in each state."""
    made.now = NOW - timedelta(hours=5)
    ids = {State.INTEGRATED: made.fichier("done1", State.INTEGRATED, lots=2)}
    for number in (2, 3, 4):
        made.now += timedelta(minutes=20)
        made.fichier(f"done{number}", State.INTEGRATED)
    made.now = NOW - timedelta(hours=1)
    for state in (State.REFUSED, State.SENT, State.SEALED, State.SIGNED, State.CHECKED, State.RECEIVED):
        made.now += timedelta(minutes=5)
        ids[state] = made.fichier(f"a{state.lower()}", state, lots=3 if state is State.CHECKED else 1)
    made.finding(ids[State.REFUSED])
    done = ids[State.INTEGRATED]
    made.change("UPDATE lots SET arl = 'positive', arl_at = ? WHERE fichier = ? AND rank = 1", iso(made.now), done)
    made.change(
        "UPDATE factures SET amo_state = 'P', amo_paid = 1855, amc_state = 'R', reject_code = '45',"
        " reject_text = 'Droits fermés', settled = ? WHERE fichier = ? AND lot = 1 AND rank = 1", iso(made.now), done,
    )  # fmt: skip
    made.change(
        "INSERT INTO returns (id, kind, name, about, at, arrived, delivery, size) VALUES"
        " ('r1', 'rsp', 'RSP_0001.noe', ?, '', ?, 'x', 700)", done, iso(made.now),
    )  # fmt: skip
    made.now = NOW
    return ids

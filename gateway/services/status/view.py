"""What there is to show: the board, the card's pending signature, the transfer under way.

Everything that pages, JSON and lamps show is read here once, so that they cannot differ.  Nothing is kept
between two questions; while there is no board, questions are ``Deferred`` STA-001.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from gateway.book.board import BoardReader
from gateway.book.doors import Door
from gateway.book.moves import utc_now
from gateway.card.client import UnlockClient
from gateway.config import Paths
from gateway.errors import Deferred, Scope
from gateway.follow import figures
from gateway.follow.figures import Task, read_facts, tasks
from gateway.follow.headline import RESTARTING, Headline, fichier_words, headline
from gateway.follow.timeline import PART_WORDS, arl_words, event
from gateway.lan.http import failure

PROGRESS_LIMIT = 4096

STALE = 60.0
"""Seconds after which what forward said of a transfer is no longer said."""

CARD_PATIENCE = 3.0
"""Seconds that a page waits for the card service."""

CHECKED_NAMES = "SELECT id, name FROM fichiers WHERE state = 'CHECKED'"
"""What may await a signature."""

PIN = re.compile(r"[0-9]{4,8}")

Row = dict[str, Any]

WRONG_CODE: Row = {"ok": False, "code": "STA-003", "text": "Le code de la carte a de 4 à 8 chiffres.", "tries": None}
WRONG_CARD: Row = {
    "ok": False, "code": "STA-004", "text": "Cette carte n'est dans aucun lecteur : insérez-la ou prenez-en une autre.",
    "tries": None,
}  # fmt: skip
"""What is said of a code or a card without asking the card."""


@dataclass(frozen=True)
class Progress:
    """The transfer under way: bytes the other side has, of how many."""

    fichier: str
    sent: int
    size: int

    @property
    def percent(self) -> int:
        """Whole hundredths, at most 100."""
        return min(100, 100 * self.sent // max(1, self.size))


@dataclass(frozen=True)
class Situation:
    """How things stand now: the same for page, JSON and lamps."""

    headline: Headline
    tasks: tuple[Task, ...] = ()
    progress: Progress | None = None
    counts: dict[str, int] | None = None

    def to_json(self) -> Row:
        """As ``/api/v1/status`` gives it."""
        return {
            **asdict(self.headline),
            "tasks": [asdict(task) for task in self.tasks],
            "progress": None if self.progress is None else asdict(self.progress),
            "counts": self.counts,
        }


@dataclass(frozen=True)
class Batch:
    """What one code given to one card would sign: the root, its items with their fichier's name, the sums; ``until``
    which hour, HH:MM, it would also serve for what comes later, None: it would not."""

    card: Row
    root: str
    items: tuple[Row, ...]
    policy: str
    until: str | None

    @property
    def lots(self) -> int:
        """Lots of the batch."""
        return sum(item["lots"] for item in self.items)

    @property
    def factures(self) -> int:
        """Factures of the batch."""
        return sum(item["count"] for item in self.items)

    @property
    def total(self) -> int:
        """Cents of the batch."""
        return sum(item["total"] for item in self.items)

    def to_json(self) -> Row:
        """As ``/api/v1/card`` gives it."""
        return {**asdict(self), "lots": self.lots, "factures": self.factures, "total": self.total}


@dataclass(frozen=True)
class Pending:
    """What awaits a code: the batch of the one card that is spoken of first, or of none, and that of each card."""

    first: Batch
    cards: tuple[Batch, ...]

    @property
    def to_sign(self) -> tuple[Batch, ...]:
        """The batches to show: each card's that has something to sign; where no card lies, what would await one."""
        return tuple(batch for batch in self.cards or (self.first,) if batch.items)

    @property
    def kept(self) -> tuple[Batch, ...]:
        """The cards whose code is kept for what comes later."""
        return tuple(batch for batch in self.cards if batch.card["state"] == "ready")

    def to_json(self) -> Row:
        """As ``/api/v1/card`` gives it: the first card's batch, and that of each under ``cards``."""
        return {**self.first.to_json(), "cards": [batch.to_json() for batch in self.cards]}


class View:
    """Answers questions about the box."""

    def __init__(self, paths: Paths, clock: Callable[[], datetime] = utc_now) -> None:
        self.clock = clock
        self._board = BoardReader(paths.board)
        self._watched = (paths.board, paths.board.with_name(f"{paths.board.name}-wal"), paths.progress)
        self._progress = paths.progress
        self._socket = paths.socket("unlock")
        self._card = UnlockClient(self._socket)

    def mark(self) -> tuple[object, ...]:
        """Differs whenever there may be something new to show; costs three ``stat``."""
        return tuple(_mark(path) for path in self._watched)

    # -- the whole

    def situation(self) -> Situation:
        """How things stand; while there is no board: restarting."""
        try:
            facts = read_facts(self._board, self.clock())
            counts = self._board.counts()
        except FileNotFoundError:
            return Situation(RESTARTING)
        told = headline(facts, self.clock())
        return Situation(told, tasks(facts, told), self.progress(), counts)

    def progress(self) -> Progress | None:
        """The transfer under way, from forward's own word; None when it says nothing new or nothing clear."""
        try:
            age = self.clock().timestamp() - self._progress.stat().st_mtime
            told = json.loads(Door(self._progress.parent).read(self._progress.name, PROGRESS_LIMIT))
            return Progress(str(told["fichier"]), int(told["sent"]), int(told["size"])) if age < STALE else None
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return None

    # -- parts

    def fichiers(self, state: str = "", limit: int = 200) -> list[Row]:
        """The newest fichiers with their present words."""
        with _board_or_deferred():
            rows = figures.fichiers(self._board, state, limit)
        return [{**row, "text": fichier_words(row)} for row in rows]

    def fichier(self, prefix: str) -> Row:
        """One fichier, by the beginning of its id, with its life, findings, lots and factures; Refused HTTP-404."""
        with _board_or_deferred():
            rows = self._board.fichier(prefix)
            if len(rows) != 1:
                raise failure(404, "Aucun fichier, ou plusieurs, sous cet identifiant.")
            row = rows[0]
            parts = {table: self._board.of_fichier(table, row["id"]) for table in ("findings", "lots", "factures")}
            events = [event(told["text"]) for told in self._board.of_fichier("events", row["id"])]
        return {
            **row,
            **parts,
            "text": fichier_words(row),
            "events": events,
            "lots_count": row["lots"],
            "factures_count": row["factures"],
            "lots": [{**lot, "text": arl_words({**lot, "state": row["state"]})} for lot in parts["lots"]],
            "factures": [_with_words(facture) for facture in parts["factures"]],
        }

    def lots(self, arl: str = "", limit: int = 500) -> list[Row]:
        """Lots of the newest fichiers with the words of their ARL."""
        with _board_or_deferred():
            rows = figures.lots(self._board, self.clock(), arl, limit)
        return [{**row, "text": arl_words(row)} for row in rows]

    def factures(self, part: str = "", limit: int = 500) -> list[Row]:
        """Factures of the newest fichiers with the words of their parts; no pseudonym of a patient."""
        with _board_or_deferred():
            rows = figures.factures(self._board, part, limit)
        return [_with_words(row) for row in rows]

    def sums(self) -> dict[str, int]:
        """Sums over all factures, cents."""
        with _board_or_deferred():
            return figures.sums(self._board)

    def returns(self) -> list[Row]:
        """Returns for the practice, newest first."""
        with _board_or_deferred():
            return self._board.returns()

    # -- the card

    async def pending(self) -> Pending:
        """What is about to be signed; Deferred (scope card) where the card service does not answer."""
        try:
            async with asyncio.timeout(CARD_PATIENCE):
                told = await self._card.pending()
        except TimeoutError:
            raise Deferred("STA-002", "Le service de la carte est occupé.", Scope.CARD) from None
        names = self._names()
        return Pending(_batch(told, names), tuple(_batch(view, names) for view in told["cards"]))

    def _names(self) -> dict[str, str]:
        try:
            return {row["id"]: row["name"] for row in self._board.rows(CHECKED_NAMES)}
        except FileNotFoundError:
            return {}

    async def unlock(self, pin: str, root: str, last_try: bool = False, card: str | None = None) -> Row:
        """Have the displayed batch signed: ``{"ok": true}``, or ok false with code, text and tries left.

        ``card`` is its serial's last four digits, None where only one is meant.  An empty ``pin`` is typed on the
        reader's own keys.  ``last_try``: the person knows that a wrong code now blocks the card.
        """
        if pin and not PIN.fullmatch(pin):
            return WRONG_CODE
        if card is not None or not pin:
            there = [batch.card for batch in (await self.pending()).cards if card in (None, batch.card["serial"])]
            if card is not None and not there:
                return WRONG_CARD
            if not pin and not (there and all(one["pad"] for one in there)):
                return WRONG_CODE
        apart = UnlockClient(self._socket)  # a code takes its time; meanwhile pages ask, and another card signs
        try:
            return await apart.unlock(pin, root, last_try, card)
        finally:
            await apart.close()

    async def forget(self) -> None:
        """Have every kept code dropped; Deferred (scope card) where the card service does not say that it was."""
        apart = UnlockClient(self._socket)  # behind a card that is busy it takes its time
        try:
            await apart.forget()
        finally:
            await apart.close()


def _batch(view: Row, names: dict[str, str]) -> Batch:
    items = tuple({**item, "name": names.get(item["fichier"], item["fichier"][:8])} for item in view["items"])
    return Batch(view["card"], view["root"], items, view["policy"], view["until"])


def _with_words(facture: Row) -> Row:
    words = {f"{part}_text": PART_WORDS.get(facture[f"{part}_state"], "") for part in ("amo", "amc")}
    return {**{name: value for name, value in facture.items() if name != "patient"}, **words}


def _mark(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_mtime_ns, found.st_size)


@contextmanager
def _board_or_deferred() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise Deferred("STA-001", f"{RESTARTING.sentence} Réessayez dans un instant.", Scope.BOX) from None

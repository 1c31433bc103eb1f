"""The keeper's desk: what every part of the keeper works with, and the one way to commit.

Order, always: parts durable, commit, board, and only then doors.  What a crash leaves undone after a commit
(an entry not yet offered, a word not yet said) is done again at start from the book alone.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from gateway.book.board import Board
from gateway.book.doors import Door
from gateway.book.mandates import declare
from gateway.book.moves import Book
from gateway.book.parts import Parts
from gateway.book.retention import CLOSED
from gateway.config import Paths, setting
from gateway.disk import DiskFull
from gateway.errors import Refused, Scope
from gateway.fichier import State
from gateway.follow.headline import advice
from gateway.formats.days import iso
from gateway.formats.mandates import RULES, Absence, Card, Emitter, Mandate, Practitioner, Register
from gateway.process.runtime import Runtime
from gateway.services.keeper.clock import AHEAD, Watch
from gateway.services.keeper.declared import stored
from gateway.services.keeper.ending import ended_words
from gateway.services.keeper.keys import Keys, Trust, read_keys, read_trust
from gateway.services.keeper.limits import RetentionSettings, RevealSettings
from gateway.services.keeper.persons import Persons
from gateway.services.keeper.verification import Verification

BOOT = Path("/proc/sys/kernel/random/boot_id")
ROOM = 1 << 20
"""Bytes: a disk with less is full, whether or not something has failed on it yet."""


@dataclass(frozen=True)
class KeeperSettings:
    """The section [keeper]."""

    poll_s: float = setting(0.25, "secondes entre deux regards sur les portes")
    profile: str = setting("b2-cp", "profil de contrôle des fichiers B2 : b2-cp ou mutsante")
    retry_s: float = setting(30.0, "premier délai avant un nouvel essai sur un fichier, en secondes")
    retry_max_s: float = setting(3600.0, "délai maximal entre deux essais, en secondes")
    clock_back_h: float = setting(
        3.0, "recul de l'horloge depuis le dernier travail au-delà duquel rien n'est signé, en h"
    )
    clock_ahead_days: float = setting(
        60.0, "avance de l'horloge sur tout ce qui est connu au-delà de laquelle de même, en j"
    )
    lists_warn_days: float = setting(5.0, "jours avant que les listes de révocation ne vaillent plus où c'est dit")
    free_min: int = setting(200 << 20, "espace disque libre sous lequel la passerelle le dit, en octets")
    journal_to_oct: bool = setting(True, "joindre aux fichiers un point de contrôle du journal, que l'OCT contresigne")
    mandate_rule: str = setting("required", "required : nul ne signe sans mandat ; open : toute carte présente signe")
    practitioners: tuple[Practitioner, ...] = setting(
        (), "qui signe ici : holder, name, since, until (docs/mandats.md)"
    )
    emitters: tuple[Emitter, ...] = setting(
        (), "numéros d'émetteur du cabinet : number, holder (son titulaire), since, until"
    )
    cards: tuple[Card, ...] = setting((), "cartes admises, pour qui en déclare : certificate, holder, since, until")
    mandates: tuple[Mandate, ...] = setting((), "qui signe pour quel numéro : holder, emitter, role, since, until")
    absences: tuple[Absence, ...] = setting((), "absences déclarées : holder, since, until")
    retention: RetentionSettings = setting(RetentionSettings(), "combien de temps chaque chose est gardée")
    reveal: RevealSettings = setting(RevealSettings(), "combien de consultations en clair")

    def __post_init__(self) -> None:
        if self.mandate_rule not in RULES:
            text = f"[keeper] mandate_rule : « {self.mandate_rule} » n'est ni {' ni '.join(RULES)}."
            raise Refused("CFG-008", text, Scope.BOX)
        self.register()  # what does not hold together is refused with the file, not at the first signature

    def register(self) -> Register:
        """The tables of who may sign."""
        return Register(self.practitioners, self.emitters, self.cards, self.mandates, self.absences)


class Desk:
    """Book, board, parts, doors, keys."""

    def __init__(self, runtime: Runtime, paths: Paths, settings: KeeperSettings) -> None:
        self.runtime, self.paths, self.settings = runtime, paths, settings
        self.book = Book(paths.book / "book.db")
        self.parts = Parts(paths.parts)
        self.board = Board(paths.board)
        self.new, self.outgoing, self.arrived, self.counter = (
            Door(paths.door(name)) for name in ("new", "outgoing", "arrived", "counter")
        )
        self.keys: Keys = read_keys(paths)
        self.trust: Trust = read_trust(paths, self.book)
        self.persons = Persons(paths.book / "years", self.keys.pseudonym)
        self.register = stored(paths.settings) or settings.register()
        self.verification = Verification(paths)
        back, ahead = timedelta(hours=settings.clock_back_h), timedelta(days=settings.clock_ahead_days)
        self.watch = Watch(self.book, back, ahead)
        self.boot = BOOT.read_text().strip()
        self.put_off: dict[str, float] = {}
        """Entries of ``arrived/`` that cannot be checked now, and until when (monotonic seconds) they are left."""
        self.unreadable: set[str] = set()
        """Entries of ``new/`` that box-seal does not open, and of ``arrived/`` that are no fact: left, and said."""
        self.full: DiskFull | None = None
        """Something failed for want of room, and what follows from the book may be undone."""

    def start(self) -> None:
        """Make whole what a crash left half done."""
        for door in (self.outgoing, self.counter):
            door.sweep()
        with self.book.transaction():
            died = self.book.settle_claims(self.boot)
            declare(self.book, self.register)
        for fichier in died:
            self.runtime.log("warning", f"interrupted while working on {fichier}")
        self.parts.sweep(self.book.named_parts())
        self.board.rebuild(self.book)
        for row in self.book.connection.execute("SELECT * FROM fichiers").fetchall():
            self.offer(row["id"])
            self.take_back(row["id"])
            self.say(row["id"])
        for row in self.book.connection.execute(
            "SELECT * FROM returns WHERE delivery <> '' AND picked = ''"
        ).fetchall():
            self.hand_out(row["id"])

    def start_again(self) -> None:
        """The same after a full disk, if it has room by now; the claims that it left are no deaths."""
        if shutil.disk_usage(self.paths.state).free < ROOM:
            raise DiskFull
        with self.book.transaction():
            self.book.settle_claims(boot="")
        self.watch.read_again()
        self.start()
        self.look_after_box()
        self.full = None

    @contextmanager
    def commit(self) -> Iterator[None]:
        """One transaction of the book, then the board and the practice's words."""
        with self.book.transaction():
            yield
            self.watch.mark()
        changed = set(self.book.changed)
        self.board.show(self.book)
        for fichier in sorted(changed):
            self.say(fichier)

    @contextmanager
    def claim(self, fichier: str) -> Iterator[None]:
        """Work under a claim: a death inside counts against the fichier, anything else does not."""
        with self.book.transaction():
            self.book.claim(fichier, self.boot)
        try:
            yield
        except asyncio.CancelledError:
            self._unclaim(fichier)
            raise
        self._unclaim(fichier)

    def _unclaim(self, fichier: str) -> None:
        row = self.book.fichier(fichier)
        if row is not None and row["claim_state"]:
            with self.book.transaction():
                self.book.unclaim(fichier)

    # -- what follows from the book, and may be done again

    def offer(self, fichier: str) -> None:
        """Offer the sealed part of a fichier that is not held to forward, under the name that says which seal it is."""
        row = self.book.fichier(fichier)
        if row is not None and row["state"] == State.SEALED and not row["held_since"]:
            part = self.book.part(fichier, "sealed")
            self.outgoing.link(entry_name(fichier, row["transmission"], row["seal"]), self.parts.file(part.digest))

    def take_back(self, fichier: str) -> None:
        """Withdraw what was offered of a fichier that is held since; a transfer under way goes on."""
        row = self.book.fichier(fichier)
        if row is not None and row["state"] == State.SEALED and row["held_since"]:
            self.outgoing.withdraw(entry_name(fichier, row["transmission"], row["seal"]))

    def hand_out(self, key: str) -> None:
        """Offer a return to intake, unless it was picked up.

        Intake puts its pick-up into ``new/`` before it removes the entry: so an entry that is missing was
        never offered, or its pick-up is seen there when looked for in this order.
        """
        row = self.book.connection.execute("SELECT * FROM returns WHERE id = ?", (key,)).fetchone()
        name = f"{key}.{row['offered']}"
        if not row["delivery"] or row["picked"] or self.counter.has(f"return.{name}"):
            return
        if not self.new.has(f"picked.{name}"):
            self.counter.link(f"return.{name}", self.parts.file(row["delivery"]))

    def say(self, fichier: str) -> None:
        """The present word on a fichier for the practice's ``receipts/``."""
        row = self.book.fichier(fichier)
        if row is None or row["name"] == CLOSED:
            return  # of a follow-up that is over the practice keeps the last word it had
        rank = self.book.connection.execute("SELECT max(seq) FROM journal WHERE fichier = ?", (fichier,)).fetchone()[0]
        self.counter.put(f"word.{fichier}.{rank}", json.dumps(self._word(row), ensure_ascii=False).encode())

    def _word(self, row: Any) -> dict[str, Any]:
        lots = self.book.connection.execute(
            "SELECT number, destination, date, factures, amo, amc, arl, arl_code, arl_text FROM lots"
            " WHERE fichier = ? ORDER BY rank", (row["id"],),
        )  # fmt: skip
        findings = self.book.connection.execute(
            "SELECT * FROM findings WHERE fichier = ? AND severity = 'blocks' ORDER BY rank", (row["id"],)
        )
        return {
            "id": row["id"], "name": row["name"], "state": row["state"], "since": row["since"],
            "received": row["received"], "transmission": row["transmission"],
            "code": row["reason_code"], "text": row["reason_text"], "advice": advice(row), "held": row["held_reason"],
            "lots": [dict(lot) for lot in lots],
            "findings": [
                f"enregistrement {found['record']}, position {found['position']} : {found['code']} {found['text']}"
                for found in findings
            ],
        }  # fmt: skip

    # -- the box itself

    def look_after_box(self) -> None:
        """The rungs of the ladder that the keeper can see: disk space."""
        free = shutil.disk_usage(self.paths.state).free
        if self.full or free < ROOM:
            full = self.full or DiskFull()
            self.condition(Scope.BOX, "disk", full.code, full.text)
            return
        short = free < self.settings.free_min
        text = f"Il ne reste que {free >> 20} Mio sur le disque de la passerelle." if short else ""
        self.condition(Scope.BOX, "disk", "BOX-002" if short else "", text)

    def say_full(self, full: DiskFull) -> None:
        """On the board alone, which lies in memory; the book is told when it can take it."""
        self.full = full
        self.board.state_condition((Scope.BOX, "disk", full.code, full.text, iso(self.book.clock())))

    def clock_holds(self) -> bool:
        """Whether the clock may decide anything now; it is said when not, and nothing waits for what it then showed."""
        wrong = self.watch.doubt()
        if_right = ended_words(self.paths, self.book.clock()) if wrong and wrong.code == AHEAD else ""
        self.condition(Scope.BOX, "clock", wrong.code if wrong else "", self.watch.words() + if_right)
        if wrong is None:
            self.board.vouch(self.book.clock().timestamp())
        if self.watch.recovered():
            latest = self.book.clock().timestamp() + self.settings.retry_max_s
            with self.commit():
                self.book.connection.execute("UPDATE fichiers SET not_before = 0.0 WHERE not_before > ?", (latest,))
        return wrong is None

    def told(self, scope: Scope, name: str) -> tuple[str, dict[str, Any]]:
        """Code and detail of a condition as it was last stated; '' is well."""
        row = self.book.connection.execute(
            "SELECT code, detail FROM conditions WHERE scope = ? AND name = ?", (scope, name)
        ).fetchone()
        return (row["code"], json.loads(row["detail"])) if row else ("", {})

    def condition(self, scope: Scope, name: str, code: str, text: str, detail: dict[str, Any] | None = None) -> None:
        """State a condition; nothing is written when it says what it said before."""
        row = self.book.connection.execute(
            "SELECT * FROM conditions WHERE scope = ? AND name = ?", (scope, name)
        ).fetchone()
        told = json.dumps(detail or {}, ensure_ascii=False)
        if row is None or (row["code"], row["text"], row["detail"]) != (code, text, told):
            with self.commit():
                self.book.state_condition(scope, name, code, text, detail)


def entry_name(fichier: str, transmission: int, seal: str) -> str:
    """The name of a sealed part in ``outgoing/``, and the key of forward's restart context."""
    return f"{fichier}.{transmission}.{seal}"

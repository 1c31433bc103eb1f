"""Who may sign what waits here: each fichier is offered with the holders whose card may sign it.

Rules.  What nobody may sign today is held with words, and goes on by itself on the day when somebody may.  Who
signed is verified again after the fact, at the time of the signature; a card that signs while its holder is declared
absent is an alarm.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from gateway.book.mandates import emitters_of
from gateway.card.proof import Item
from gateway.envelope.certificates import holder
from gateway.errors import Scope, Trouble
from gateway.fichier import State
from gateway.formats.days import day_of
from gateway.formats.mandates import Mandate, Register
from gateway.services.keeper.desk import Desk

BY = "mandate"
"""Who holds a fichier that nobody may sign."""

PRESENT = ("locked", "ready")
"""States of a card that could sign."""


def today(desk: Desk) -> str:
    """The present day of Paris."""
    return day_of(desk.book.clock())


def _required(desk: Desk) -> bool:
    return desk.settings.mandate_rule == "required"


def offer(desk: Desk, rows: Iterable[sqlite3.Row]) -> list[Item]:
    """What is offered to the card; what nobody may sign is held instead."""
    items, day = [], today(desk)
    for row in rows:
        holders: tuple[str, ...] = ()
        if _required(desk):
            emitters = emitters_of(desk.book, row["id"])
            holders = desk.register.holders(emitters, day)
            if not holders:
                with desk.commit():
                    desk.book.hold(row["id"], desk.register.missing(emitters, day), BY)
                continue
        digest = bytes.fromhex(row["digest"])
        items.append(Item(row["id"], digest, row["factures"], row["total"], row["lots"], row["emitter"], None, holders))
    return items


def release(desk: Desk) -> None:
    """Let go what was held until somebody may sign it."""
    held = desk.book.connection.execute(
        "SELECT id FROM fichiers WHERE state = ? AND held_by = ?", (State.CHECKED, BY)
    ).fetchall()
    for row in held:
        if not _required(desk) or desk.register.holders(emitters_of(desk.book, row["id"]), today(desk)):
            with desk.commit():
                desk.book.release(row["id"], BY)


def state_missing(desk: Desk) -> None:
    """The rung of the ladder: how many fichiers wait because nobody may sign them."""
    held = desk.book.connection.execute(
        "SELECT held_reason, count(*) AS n FROM fichiers WHERE state = ? AND held_by = ? GROUP BY 1 ORDER BY 2 DESC",
        (State.CHECKED, BY),
    ).fetchall()
    text = held[0]["held_reason"] if held else ""
    desk.condition(Scope.CARD, BY, "MND-001" if held else "", text, {"held": sum(row["n"] for row in held)})


# -- after the fact


def check_signer(desk: Desk, fichier: str, certificate: bytes, at: datetime) -> tuple[Mandate, ...]:
    """The mandates under which the owner of ``certificate`` (DER) signed a fichier at the moment ``at``.

    Refused (scope card) MND-002 … MND-004; no mandate is needed where the rule is ``open``.
    """
    signer, day = holder(certificate).identifier, day_of(at)
    desk.register.check_person(signer, hashlib.sha256(certificate).hexdigest(), day)
    if not _required(desk):
        return ()
    return desk.register.check_mandate(signer, emitters_of(desk.book, fichier), day)


def alarm(desk: Desk, absent: str, trouble: Trouble) -> None:
    """A card signed while its holder is declared absent; said until the absence is over.  In a transaction."""
    desk.book.state_condition(Scope.CARD, "absence", trouble.code, trouble.text, {"holder": absent})


def end_alarm(desk: Desk) -> None:
    """Nobody of whom the alarm tells is absent any more."""
    code, detail = desk.told(Scope.CARD, "absence")
    absent = detail.get("holder") or detail.get("rpps", "")  # the second: as a book of the version before has it
    if code and desk.register.absence(absent, today(desk)) is None:
        desk.condition(Scope.CARD, "absence", "", "")


# -- which card


def wanted(register: Register, items: Sequence[Item]) -> list[str]:
    """Whose cards could sign what is offered, by name; nobody where any card may."""
    holders = dict.fromkeys(holder for item in items for holder in item.holders)
    return [register.name(holder) for holder in holders]


def fitting(cards: Iterable[dict[str, Any]], items: Sequence[Item]) -> dict[str, Any] | None:
    """The first card that could sign something of what is offered."""
    return next((card for card in cards if card["state"] in PRESENT and _fits(card, items)), None)


def _fits(card: dict[str, Any], items: Sequence[Item]) -> bool:
    return any(not item.holders or card["identifier"] in item.holders for item in items)

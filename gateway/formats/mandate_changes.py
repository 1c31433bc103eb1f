"""A change of who may sign: what it is in words, the digests that a card proves, and whose card may prove it.

Rules.  What concerns a titulaire, or a number of theirs, only a titulaire of that number changes: nobody gives
themselves a mandate on another's number, nor gets another out of the way first.  The rest (a new number, a locum, a
member of staff, a number that has no titulaire any more) any titulaire of the practice changes.  Whoever is declared
absent changes nothing, as they sign nothing.

Pure: it knows neither card nor file; the day is an argument.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, fields

from gateway.formats import canonical
from gateway.formats.mandates import (
    TITULAIRE,
    Absence,
    Card,
    Dated,
    Emitter,
    Mandate,
    Practitioner,
    Register,
    emitter_words,
)
from gateway.formats.words import day as day_words

TABLES = tuple(one.name for one in fields(Register))
"""The five tables, as settings name them."""

_ROWS: Mapping[type[Dated], str] = {
    Practitioner: "personne : {name} ({holder})",
    Emitter: "émetteur : {number}, de {who}",
    Card: "carte : {certificate:.16}…, de {who}",
    Mandate: "mandat : {who}, {role} pour l'émetteur {emitter}",
    Absence: "absence : {who}",
}
"""A row in words, without its days."""


def digest(register: Register) -> bytes:
    """SHA-256 of the canonical writing of all five tables, rows in their order (of two mandates the first counts)."""
    return hashlib.sha256(canonical.encode(register)).digest()


def differences(before: Register, after: Register) -> tuple[str, ...]:
    """What a change withdraws and adds, one sentence each; () where nothing changes."""
    told = []
    for table in TABLES:
        held, declared = getattr(before, table), getattr(after, table)
        rows = [f"Retiré – {_row_words(before, row)}" for row in held if row not in declared]
        rows += [f"Ajouté – {_row_words(after, row)}" for row in declared if row not in held]
        if not rows and held != declared:
            rows = [f"Les lignes de « {table} » changent d'ordre ou de nombre."]
        told += rows
    return tuple(told)


def _row_words(register: Register, row: Dated) -> str:
    columns = asdict(row)
    words = _ROWS[type(row)].format(**columns, who=register.name(columns["holder"]))
    since, until = day_words(row.since), day_words(row.until)
    days = {(True, True): f", du {since} au {until}", (True, False): f", à partir du {since}",
            (False, True): f", jusqu'au {until}", (False, False): ""}  # fmt: skip
    return words + days[bool(since), bool(until)]


def titulaires(register: Register, day: str) -> dict[str, set[str]]:
    """Each emitter number that has a titulaire on ``day``, absent or not, with all of them."""
    found: dict[str, set[str]] = {}
    for mandate in register.in_force(day):
        if mandate.role == TITULAIRE:
            found.setdefault(mandate.emitter, set()).add(mandate.holder)
    return found


def touched(before: Register, after: Register, day: str) -> tuple[str, ...]:
    """The numbers that have a titulaire on ``day`` and of which, or of whose titulaires, a row changes; in order."""
    held = titulaires(before, day)
    return tuple(sorted(n for n, who in held.items() if _about(before, n, who) != _about(after, n, who)))


def _about(register: Register, number: str, holders: set[str]) -> list[tuple[Dated, ...]]:
    """The rows of a number, and those of these persons themselves; a mandate is its number's, not its holder's."""
    persons = (register.practitioners, register.cards, register.absences)
    return [
        tuple(one for one in register.emitters if one.number == number),
        tuple(one for one in register.mandates if one.emitter == number),
        *(tuple(one for one in rows if one.holder in holders) for rows in persons),
    ]


def able(before: Register, after: Register, day: str) -> tuple[str, ...]:
    """The holders whose card may prove this change on ``day``, in order."""
    held = titulaires(before, day)
    everybody = sorted(set().union(*held.values()))
    guarded = [held[number] for number in touched(before, after, day)]
    return tuple(
        holder
        for holder in everybody
        if before.absence(holder, day) is None and all(holder in owners for owners in guarded)
    )


def unable_words(before: Register, after: Register, day: str) -> str:
    """Why nobody's card may prove this change on ``day``, as a sentence; '' where somebody's may."""
    if able(before, after, day):
        return ""
    if not titulaires(before, day):
        return "Aucun titulaire n'a mandat aujourd'hui : la première déclaration se fait dans gateway.toml."
    what = emitter_words(touched(before, after, day)) if touched(before, after, day) else "le cabinet"
    return (
        f"Ce changement touche {what}, et aucun titulaire présent ne peut le faire à lui seul :"
        " faites un changement par titulaire, ou attendez la fin de l'absence."
    )

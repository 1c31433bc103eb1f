"""Who may sign for whom: dated tables of practitioners, emitter numbers, cards, mandates and absences.

Rules.  A mandate is declared, never derived from a holder's identifier (``formats.holder``).  A row holds from its
first day to its last, both included, in days of Paris; '' leaves that end open.  One person signs a fichier for all
its emitters; documents name no emitter, and any mandate of the day serves.  Whoever is declared absent signs
nothing; who has declared cards signs with those alone.

Pure: it knows neither where the tables are kept nor what a card is; the day is an argument.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, fields
from datetime import date

from gateway.errors import Refused, Scope
from gateway.formats.holder import IDENTIFIER, IDENTIFIER_WORDS, UNPRINTED, identifier_words
from gateway.formats.words import day as day_words

TITULAIRE = "titulaire"
ROLES = (TITULAIRE, "remplaçant", "secrétariat")
RULES = ("required", "open")
"""Whether a signature needs a mandate, or any card whose holder is not absent may sign."""

ABSENT = "MND-003"
"""Code of a signature by who is declared absent: an alarm."""

_FORMS = {
    "holder": (IDENTIFIER, IDENTIFIER_WORDS),
    "name": (f"[^{UNPRINTED}]{{0,255}}", "un texte d'une ligne"),
    "emitter": (r"[0-9]{9}", "neuf chiffres"),
    "number": (r"[0-9]{9}", "neuf chiffres"),
    "certificate": (r"[0-9a-f]{64}", "un SHA-256 en hexadécimal"),
    "role": ("|".join(ROLES), f"{', '.join(ROLES[:-1])} ou {ROLES[-1]}"),
}
"""Form of a column, as a regular expression and in words."""


@dataclass(frozen=True, kw_only=True)
class Dated:
    """A row and its days; Refused MND-006 (scope box) where a column has not its form."""

    since: str = field(default="", metadata={"doc": "premier jour, AAAA-MM-JJ ; vide : depuis toujours"})
    until: str = field(default="", metadata={"doc": "dernier jour, AAAA-MM-JJ ; vide : sans fin"})

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            pattern, words = _FORMS.get(one.name, (".*", ""))
            if not re.fullmatch(pattern, value):
                raise _misfit(f"« {value} » n'est pas une valeur de « {one.name} » ({words})")
        for value in filter(None, (self.since, self.until)):
            _check_day(value)
        if self.until and self.until < self.since:
            raise _misfit(f"le dernier jour ({self.until}) précède le premier ({self.since})")

    def covers(self, day: str) -> bool:
        """Whether the row holds on ``day``."""
        return self.since <= day and (not self.until or day <= self.until)


def _check_day(value: str) -> None:
    try:
        sound = date.fromisoformat(value).isoformat() == value
    except ValueError:
        sound = False
    if not sound:
        raise _misfit(f"« {value} » n'est pas un jour (AAAA-MM-JJ)")


def _misfit(words: str) -> Refused:
    return Refused("MND-006", f"Mandats : {words}.", Scope.BOX)


def _once_rpps(doc: str) -> dict[str, str]:
    return {"doc": doc, "was": "rpps"}  # as settings were written when an RPPS was the only identifier


@dataclass(frozen=True)
class Practitioner(Dated):
    """A person who may come to sign here."""

    holder: str = field(metadata=_once_rpps("identifiant de porteur"))
    name: str = field(metadata={"doc": "nom, tel que la page le montre"})


@dataclass(frozen=True)
class Emitter(Dated):
    """A number under which the practice invoices, and whose it is."""

    number: str = field(metadata={"doc": "numéro d'émetteur, neuf chiffres"})
    holder: str = field(metadata=_once_rpps("identifiant de son titulaire"))


@dataclass(frozen=True)
class Card(Dated):
    """A card by the SHA-256 of its signature certificate."""

    certificate: str = field(metadata={"doc": "SHA-256 du certificat de signature"})
    holder: str = field(metadata=_once_rpps("identifiant de son porteur"))


@dataclass(frozen=True)
class Mandate(Dated):
    """Who may sign for an emitter, as what."""

    holder: str = field(metadata=_once_rpps("identifiant de qui signe"))
    emitter: str = field(metadata={"doc": "numéro d'émetteur pour lequel il signe"})
    role: str = field(metadata={"doc": "titulaire, remplaçant ou secrétariat"})


@dataclass(frozen=True)
class Absence(Dated):
    """When nobody may sign with this person's card."""

    holder: str = field(metadata=_once_rpps("identifiant de l'absent"))


def mandates_of(mandates: Iterable[Mandate], holder: str, emitters: Collection[str], day: str) -> tuple[Mandate, ...]:
    """The mandate of a holder for each of ``emitters`` on ``day``, or any one for no emitter; () if one is missing."""
    held = [one for one in mandates if one.holder == holder and one.covers(day)]
    if not emitters:
        return tuple(held[:1])
    found = {one.emitter: one for one in reversed(held)}
    return tuple(found[number] for number in emitters) if set(emitters) <= found.keys() else ()


@dataclass(frozen=True)
class Register:
    """The five tables of a practice; Refused MND-006 where a row names whom or what no other row declares."""

    practitioners: tuple[Practitioner, ...] = ()
    emitters: tuple[Emitter, ...] = ()
    cards: tuple[Card, ...] = ()
    mandates: tuple[Mandate, ...] = ()
    absences: tuple[Absence, ...] = ()

    def __post_init__(self) -> None:
        known = {one.holder for one in self.practitioners}
        named: tuple[Emitter | Card | Mandate | Absence, ...]
        named = (*self.emitters, *self.cards, *self.mandates, *self.absences)
        for one in named:
            if one.holder not in known:
                raise _misfit(f"le porteur {one.holder} n'est pas déclaré")
        numbers = {one.number for one in self.emitters}
        for mandate in self.mandates:
            if mandate.emitter not in numbers:
                raise _misfit(f"le numéro d'émetteur {mandate.emitter} n'est pas déclaré")

    def name(self, holder: str) -> str:
        """How a person is called here; the identifier of who is not declared."""
        return next((one.name for one in self.practitioners if one.holder == holder), identifier_words(holder))

    def absence(self, holder: str, day: str) -> Absence | None:
        """The declared absence of a person on ``day``."""
        return next((one for one in self.absences if one.holder == holder and one.covers(day)), None)

    def in_force(self, day: str) -> tuple[Mandate, ...]:
        """The mandates that hold on ``day``: person and number are the practice's own on that day too."""
        here = {one.holder for one in self.practitioners if one.covers(day)}
        numbers = {one.number for one in self.emitters if one.covers(day)}
        return tuple(one for one in self.mandates if one.covers(day) and one.holder in here and one.emitter in numbers)

    def mandates_of(self, holder: str, emitters: Collection[str], day: str) -> tuple[Mandate, ...]:
        """As the function of this name, where person and numbers are the practice's own on that day."""
        return mandates_of(self.in_force(day), holder, emitters, day)

    def mandated(self, emitters: Collection[str], day: str) -> tuple[str, ...]:
        """Holders with a mandate for all of ``emitters``, present or not, in order."""
        everybody = sorted({one.holder for one in self.mandates})
        return tuple(holder for holder in everybody if self.mandates_of(holder, emitters, day))

    def holders(self, emitters: Collection[str], day: str) -> tuple[str, ...]:
        """Holders whose card may sign for all of ``emitters`` on ``day``, in order."""
        return tuple(holder for holder in self.mandated(emitters, day) if self.absence(holder, day) is None)

    def check_person(self, holder: str, certificate: str, day: str) -> None:
        """Refused (scope card) MND-003 for who is declared absent, MND-004 for a card that is not his declared one."""
        absence = self.absence(holder, day)
        if absence is not None:
            ends = f" jusqu'au {day_words(absence.until)}" if absence.until else ""
            text = f"La carte de {self.name(holder)} a signé alors que son absence est déclarée{ends}."
            raise Refused(ABSENT, text, Scope.CARD)
        declared = [one for one in self.cards if one.holder == holder]
        if declared and not any(one.certificate == certificate and one.covers(day) for one in declared):
            text = f"La carte qui a signé n'est pas une carte déclarée de {self.name(holder)}."
            raise Refused("MND-004", text, Scope.CARD)

    def check_mandate(self, holder: str, emitters: Collection[str], day: str) -> tuple[Mandate, ...]:
        """The mandates under which ``holder`` signs for ``emitters`` on ``day``; Refused MND-002 (scope card)."""
        found = self.mandates_of(holder, emitters, day)
        if not found:
            text = f"{self.name(holder)} n'a pas de mandat pour {emitter_words(emitters)} le {day_words(day)}."
            raise Refused("MND-002", text, Scope.CARD)
        return found

    def missing(self, emitters: Collection[str], day: str) -> str:
        """Why nobody may sign for ``emitters`` on ``day``, as a sentence."""
        mandated = self.mandated(emitters, day)
        if not mandated:
            return f"Personne n'a de mandat pour signer pour {emitter_words(emitters)}."
        away = " et ".join(self.name(holder) for holder in mandated)
        return f"Personne d'autre que {away}, en absence déclarée, n'a de mandat pour {emitter_words(emitters)}."


def emitter_words(emitters: Collection[str]) -> str:
    """'l'émetteur 991038431', 'les émetteurs 1 et 2', or 'des documents' where there is none."""
    if not emitters:
        return "des documents"
    return f"l{'es émetteurs' if len(emitters) > 1 else chr(39) + 'émetteur'} {' et '.join(emitters)}"

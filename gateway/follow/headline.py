"""The one sentence that says how things stand, and the ladder of rungs that it is read from.

From the practice's network to the payers, each rung says whether it holds, since when, and when the box tries
again by itself; the first rung of the worst level is the headline.  Pure: facts and the present in, words out.
Lamps, page, API and command line all show this one headline; nothing else decides a level.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from gateway.fichier import FINAL, State
from gateway.follow import refusals
from gateway.follow.moments import at_words, moment, on_words, since_words
from gateway.formats.words import plural

Row = Mapping[str, Any]

PATIENCE = timedelta(hours=24)
"""How long a route may fail before a person is asked to help, although the box goes on trying."""


class Level(StrEnum):
    """How a rung, and the whole box, stands; the value is what API, style sheet and lamps use."""

    OK = "ok"
    ATTENTION = "attention"
    FAULT = "fault"


SEVERITY = {Level.OK: 0, Level.ATTENTION: 1, Level.FAULT: 2}

LEVEL_WORDS = {Level.OK: "En ordre", Level.ATTENTION: "À voir", Level.FAULT: "En panne"}
"""What stands beside every colour."""


@dataclass(frozen=True)
class Rung:
    """One step of the ladder; ``since`` and ``next`` (the box's next attempt) are ISO moments or ''."""

    name: str
    title: str
    level: Level
    text: str
    since: str = ""
    next: str = ""


@dataclass(frozen=True)
class Headline:
    """How the box stands; ``signature``: the card is there and waits for a person to sign."""

    level: Level
    sentence: str
    rungs: tuple[Rung, ...] = ()
    signature: bool = False


@dataclass(frozen=True)
class Facts:
    """What the headline is made from; moments are ISO UTC or ''."""

    waiting: Mapping[str, int] = field(default_factory=dict)
    """Fichiers in each state, without those held."""
    held: int = 0
    conditions: Sequence[Row] = ()
    integrated_today: int = 0
    last_integrated: str = ""
    last_received: str = ""
    refused: Mapping[str, int] = field(default_factory=dict)
    """Fichiers refused lately, by the code of the refusal."""
    negative_lots_lately: int = 0
    rejected_factures: int = 0
    silent_lots: int = 0
    """Lots whose ARL is late."""

    def condition(self, scope: str, name: str) -> Row:
        """One condition; an empty row is well."""
        found = (row for row in self.conditions if (row["scope"], row["name"]) == (scope, name))
        return next(found, {"name": name, "code": "", "text": "", "since": "", "detail": "{}"})

    def failing(self, scope: str) -> list[Row]:
        """The conditions of a scope that are not well."""
        return [row for row in self.conditions if row["scope"] == scope and row["code"]]

    def count(self, *states: State) -> int:
        """Fichiers in these states that are not held."""
        return sum(self.waiting.get(state, 0) for state in states)


RESTARTING = Headline(Level.ATTENTION, "La passerelle redémarre.")
"""While the board cannot be read."""


def headline(facts: Facts, now: datetime) -> Headline:
    """The ladder and its headline."""
    rungs = tuple(make(facts, now) for make in LADDER)
    worst = max((rung.level for rung in rungs), key=SEVERITY.__getitem__)
    failing = next(rung for rung in rungs if rung.level is worst)
    sentence = _all_well(facts, now) if worst is Level.OK else failing.text
    return Headline(worst, sentence, rungs, _wants_signature(facts))


def detail(row: Row) -> dict[str, Any]:
    """The JSON detail of a condition."""
    told: dict[str, Any] = json.loads(row["detail"] or "{}")
    return told


def _all_well(facts: Facts, now: datetime) -> str:
    under_way = facts.count(State.RECEIVED, State.CHECKED, State.SIGNED, State.SEALED, State.SENT)
    today = f"{plural(facts.integrated_today, 'fichier')} pris en charge aujourd'hui"
    if under_way:
        return f"Tout va bien : {plural(under_way, 'fichier')} en cours, {today}."
    if facts.integrated_today:
        return f"Tout est transmis : {today}."
    if facts.last_integrated:
        return f"Tout est transmis. Dernier fichier pris en charge {at_words(facts.last_integrated, now)}."
    return "La passerelle est prête ; aucun fichier n'a encore été transmis."


# -- the rungs, in the order of the ladder


def _practice(facts: Facts, now: datetime) -> Rung:
    last = facts.last_received
    text = f"Dernier fichier reçu {at_words(last, now)}." if last else "Aucun fichier reçu pour l'instant."
    return Rung("practice", "Cabinet", Level.OK, text)


@dataclass(frozen=True)
class CardState:
    """What a state of the card means: while fichiers wait for a signature, and while none does."""

    waiting: Level
    idle: Level
    text: str
    """'' for the words of the condition itself."""
    advice: str
    stops: bool = True
    """Whether it is what the waiting fichiers wait for."""


_CERTIFICATE = "Demandez une nouvelle carte."
_WANTED = "Insérez la carte CPS du praticien."

CARD_STATES = {
    # of what is well, the one thing to say
    "notice": CardState(Level.OK, Level.OK, "", "", stops=False),
    # the card service and pcscd
    "no-service": CardState(
        Level.FAULT, Level.FAULT, "Le service de lecture des cartes ne répond pas.",
        "La passerelle le relance ; si cela dure, redémarrez-la.",
    ),
    # the reader, the card, which card
    "no-reader": CardState(
        Level.FAULT, Level.ATTENTION, "Aucun lecteur de cartes n'est branché.", "Branchez le lecteur."
    ),
    "absent": CardState(
        Level.ATTENTION, Level.OK, "La carte du praticien n'est pas dans le lecteur.", "Insérez la carte CPS."
    ),
    "reading": CardState(Level.ATTENTION, Level.OK, "La carte est en cours de lecture.", "Patientez un instant."),
    "busy": CardState(Level.ATTENTION, Level.OK, "", "Fermez le logiciel qui se sert de la carte."),
    "foreign": CardState(Level.ATTENTION, Level.ATTENTION, "", _WANTED),
    "trouble": CardState(Level.ATTENTION, Level.ATTENTION, "", "Retirez la carte et remettez-la."),
    "unfinished": CardState(
        Level.ATTENTION, Level.ATTENTION, "", "Faites terminer cette mise à jour par l'émetteur de la carte."
    ),
    "wrong-card": CardState(Level.ATTENTION, Level.OK, "", _WANTED),
    # who may sign
    "absent-holder": CardState(
        Level.FAULT, Level.FAULT, "", "Vérifiez qui s'est servi de cette carte.", stops=False
    ),
    "no-mandate": CardState(Level.ATTENTION, Level.ATTENTION, "", "Déclarez qui peut signer."),
    # the code
    "blocked": CardState(Level.FAULT, Level.FAULT, "Le code de la carte est bloqué.", "Débloquez la carte."),
    "locked": CardState(Level.ATTENTION, Level.OK, "", "Tapez le code de la carte."),
    # until when its certificate is valid
    "revoked": CardState(Level.FAULT, Level.ATTENTION, "", _CERTIFICATE),
    "expired": CardState(Level.FAULT, Level.ATTENTION, "", _CERTIFICATE),
    "expiring": CardState(Level.ATTENTION, Level.ATTENTION, "", "Demandez son renouvellement.", stops=False),
    "left": CardState(Level.ATTENTION, Level.ATTENTION, "", "Retirez la carte du lecteur.", stops=False),
    "ready": CardState(Level.OK, Level.OK, "La carte est prête.", ""),
    "signing": CardState(Level.OK, Level.OK, "La carte signe.", ""),
}  # fmt: skip
"""By the ``state`` that the card service or the keeper tells, in the order of the ladder: of several that fail
alike, the first speaks."""

STATE_OF_CODE = {
    "": "ready",
    "CPS-LOCKED": "locked",
    "CPS-LAST-TRY": "locked",
    "CPS-SERVICE": "no-service",
    "CPS-NO-SERVICE": "no-service",
    "CPS-NO-READER": "no-reader",
    "CPS-READING": "reading",
    "CPS-BUSY": "busy",
    "CPS-ABSENT": "absent",
    "CPS-REMOVED": "absent",
    "CPS-UPDATE": "unfinished",
    "CPS-6983": "blocked",
    "MND-001": "no-mandate",
    "MND-002": "wrong-card",
    "MND-003": "absent-holder",
    "MND-004": "wrong-card",
    "MND-005": "wrong-card",
    "CMS-032": "expired",
    "CMS-036": "revoked",
    "MND-CERT-0": "expired",
    "MND-CERT-7": "expiring",
    "MND-CERT-14": "expiring",
    "MND-CERT-30": "expiring",
    "MND-CERT-60": "notice",
    "MND-CERT-90": "notice",
}
"""The state where a condition tells its code alone; any other code is ``trouble``."""

NAMES_CARD = ("absent", "foreign", "wrong-card")
"""States whose advice is to insert a card: whose, where that is known."""

_RANK = {state: rank for rank, state in enumerate(CARD_STATES)}


def card_state(row: Row) -> str:
    """The state of the card, from one of its conditions."""
    state = detail(row).get("state")
    return state if state in CARD_STATES else STATE_OF_CODE.get(row["code"], "trouble")


def _wants_signature(facts: Facts) -> bool:
    return bool(facts.count(State.CHECKED)) and card_state(facts.condition("card", "card")) == "locked"


def _card(facts: Facts, now: datetime) -> Rung:
    """The first step between pcscd and the certificate that fails, of the worst level."""
    own = facts.condition("card", "card")
    rungs = [_card_rung(facts, row, own) for row in (own, *facts.failing("card"))]
    return min(rungs, key=lambda each: (-SEVERITY[each[0].level], each[1]))[0]


def _card_rung(facts: Facts, row: Row, own: Row) -> tuple[Rung, int]:
    """The rung as one condition tells it, and the place of its state on the ladder."""
    state = card_state(row)
    means, count = CARD_STATES[state], int(detail(row).get("held", facts.count(State.CHECKED)))
    level = means.waiting if count else means.idle
    text = means.text or row["text"] or "La carte est dans le lecteur."
    advice = _advice(state, detail(own).get("wanted", []))
    if count and state == "locked":
        text = f"{_wait(count)} votre signature. {row['text'] or advice}"
    elif level is not Level.OK:
        waits = f"{_open(text)} : {_wait(count)}." if count and means.stops else text
        text = f"{waits} {advice}"
    return Rung("card", "Carte et lecteur", level, text, row["since"] if level is not Level.OK else ""), _RANK[state]


def _advice(state: str, wanted: Sequence[str]) -> str:
    if state in NAMES_CARD and wanted:
        return f"Insérez la carte CPS de {' ou de '.join(wanted)}."
    return CARD_STATES[state].advice


BOX_LEVELS = {
    "clock": Level.FAULT,
    "disk": Level.FAULT,
    "keeper": Level.FAULT,
    "lists-over": Level.FAULT,
    "certificates": Level.ATTENTION,
}
"""How bad a condition of the box is, by its name; any other asks for attention."""

BY_HAND = "KEY-CERT-0"
"""The box's own certificates have ended: it mends nothing by itself any more."""

CALL = "Prévenez la personne qui suit votre passerelle."


def _box(facts: Facts, now: datetime) -> Rung:
    failing = [(_box_level(row), row) for row in facts.failing("box")]
    if failing:
        level, row = max(failing, key=lambda each: SEVERITY[each[0]])
        return Rung("box", "Passerelle", level, f"{row['text']} {CALL}", row["since"])
    return Rung("box", "Passerelle", Level.OK, "Heure, disque et certificats sont en ordre.")


def _box_level(row: Row) -> Level:
    return Level.FAULT if row["code"] == BY_HAND else BOX_LEVELS.get(row["name"], Level.ATTENTION)


def _line(facts: Facts, now: datetime) -> Rung:
    row = facts.condition("route", "line")
    return _route(facts, now, row, Rung("line", "Ligne Internet", Level.OK, "Aucune panne de ligne signalée."))


def _oct(facts: Facts, now: datetime) -> Rung:
    row = facts.condition("route", "oct")
    if not row["code"]:
        row = next((other for other in facts.failing("route") if other["name"] != "line"), row)
    well = "Le concentrateur répond." if row["since"] else "Pas encore de liaison avec le concentrateur."
    return _route(facts, now, row, Rung("oct", "Concentrateur", Level.OK, well))


def _route(facts: Facts, now: datetime, row: Row, well: Rung) -> Rung:
    """A route that fails: what the box does by itself, or whom to call when it no longer helps to wait."""
    if not row["code"]:
        return well
    following = str(detail(row).get("next") or "")
    count = facts.count(State.SIGNED, State.SEALED)
    waits = [_wait(count)] if count else []
    if following and row["code"] != BY_HAND and now - moment(row["since"]) < PATIENCE:
        promise = ", ".join([*waits, f"prochain essai {at_words(following, now)}"])
        level, advice = Level.ATTENTION, f"Rien à faire : {promise}."
    else:
        promise = "".join(f" {wait}." for wait in waits)
        level, advice = Level.FAULT, f"{CALL}{promise}"
    text = f"{_open(row['text'])} {since_words(row['since'], now)}. {advice}"
    return replace(well, level=level, text=text, since=row["since"], next=following)


def _payers(facts: Facts, now: datetime) -> Rung:
    title = "Caisses et mutuelles"
    if facts.negative_lots_lately:
        count = facts.negative_lots_lately
        text = f"{plural(count, 'lot refusé', 'lots refusés')} par une caisse (ARL négatif) : à corriger et à renvoyer."
        return Rung("payers", title, Level.ATTENTION, text)
    told = [
        plural(facts.silent_lots, "lot sans ARL", "lots sans ARL") if facts.silent_lots else "",
        plural(facts.rejected_factures, "facture rejetée", "factures rejetées") if facts.rejected_factures else "",
    ]
    text = ", ".join(part for part in told if part)
    return Rung("payers", title, Level.OK, f"À suivre : {text}." if text else "Aucun rejet à traiter.")


def _fichiers(facts: Facts, now: datetime) -> Rung:
    title = "Vos fichiers"
    if facts.refused:
        count = plural(sum(facts.refused.values()), "fichier refusé", "fichiers refusés")
        text = f"{count} : {refusals.words(facts.refused)}."
        return Rung("fichiers", title, Level.ATTENTION, text)
    if facts.held:
        text = f"{plural(facts.held, 'fichier mis', 'fichiers mis')} en attente : une décision est attendue."
        return Rung("fichiers", title, Level.ATTENTION, text)
    return Rung("fichiers", title, Level.OK, "Aucun fichier refusé, aucun en attente d'une décision.")


LADDER = (_practice, _card, _box, _line, _oct, _payers, _fichiers)
"""From the practice's own network outwards; what the fichiers themselves hold comes last."""


def _wait(count: int) -> str:
    return f"{plural(count, 'fichier')} {'attend' if count == 1 else 'attendent'}"


def _open(sentence: str) -> str:
    """A sentence that goes on."""
    return sentence.rstrip().removesuffix(".")


# -- one fichier

WORDS = {
    State.RECEIVED: "Reçu, en cours de contrôle.",
    State.CHECKED: "Contrôlé, attend la signature du praticien.",
    State.SIGNED: "Signé, va être scellé pour le concentrateur.",
    State.SEALED: "Signé et scellé, attend la transmission.",
    State.SENT: "Transmis, attend l'accusé du concentrateur.",
    State.INTEGRATED: "Pris en charge par le concentrateur {since}.",
    State.REFUSED: "Refusé : {reason}",
}
"""The present word on a fichier, by its state."""


def fichier_words(row: Row) -> str:
    """The present word on a fichier, from its row of the book or the board: state, reason, what to do, hold."""
    state = State(row["state"])
    reason = row["reason_text"] or "raison non précisée."
    text = WORDS[state].format(since=on_words(row["since"]), reason=reason)
    if row["held_since"]:
        return f"Mis en attente {on_words(row['held_since'])} : {row['held_reason']}"
    more = row["reason_text"] if state not in FINAL else advice(row)
    return f"{text} {more}".rstrip()


def advice(row: Row) -> str:
    """What to do about a refused fichier, where its reason does not say it; '' for any other, and for one whose
    reason is no longer kept."""
    refused = row["state"] == State.REFUSED and row["reason_text"]
    return refusals.cure(row["reason_code"]).advice if refused else ""

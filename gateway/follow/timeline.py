"""The life of a fichier as sentences: journal rows, lots and parts of factures in words.  Pure, tables only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from gateway.fichier import State, Verb

EVENTS: Mapping[str, str] = {
    Verb.RECEIVE: "Reçu du logiciel du cabinet",
    Verb.CHECK: "Contrôlé",
    Verb.SIGN: "Signé par la carte du praticien",
    Verb.RETRACT: "Signature retirée, une autre est nécessaire",
    Verb.SEAL: "Scellé pour le concentrateur",
    Verb.UNSEAL: "À sceller de nouveau",
    Verb.SEND: "Transmis au concentrateur",
    Verb.INTEGRATE: "Pris en charge par le concentrateur",
    Verb.REFUSE: "Refusé",
    Verb.RESEND: "Renvoi demandé",
    "begin": "Transmission commencée",
    "decline": "Signature non acceptée",
    "hold": "Mis en attente",
    "release": "Remis en route",
    "acknowledge": "ARL reçu",
    "settle": "Retour d'un payeur reçu",
    "destroy": "Détruit au terme de sa durée",
    "return": "Retour arrivé du concentrateur",
    "pick up": "Retour relevé par le cabinet",
    "redeliver": "Retour remis de nouveau à disposition",
    # the box
    "condition": "État constaté",
    "restore": "Passerelle reprise d'une sauvegarde",
    "clock": "Horloge confirmée par une personne",
    "list": "Liste de révocation lue",
    # who may sign
    "declare": "Déclaration de qui signe",
    "withdraw": "Déclaration retirée",
    "authorise": "Changement des mandats autorisé par une carte",
    # keys and certificates
    "keys in force": "Certificats mis en vigueur",
    "ask renewal": "Renouvellement des clés demandé",
    "renew": "Clés renouvelées",
    "refuse renewal": "Certificats renouvelés refusés",
    "drop renewal": "Demande de renouvellement abandonnée",
    "destroy key": "Destruction d'une ancienne clé",
    "follow announcement": "Annonce du concentrateur suivie",
    "refuse announcement": "Annonce du concentrateur refusée",
    "learn authorities": "Autorités suivantes reconnues",
    # the journal itself
    "checkpoint": "Point de contrôle de la chaîne des consultations",
    "stamp": "Contremarque de temps reçue",
    "repair": "Segment du journal réparé",
    # who looked at what
    "reveal": "Facture montrée en clair",
    "export": "Données d'une personne exportées",
    "list accesses": "Consultations relues",
    "read journal": "Journal lu",
    "evidence": "Preuve d'un fichier remise",
    "alarm seen": "Alarme de consultation levée",
}
"""What happened, by the verb of a journal row; one that a later version wrote is shown as it is."""

DETAILS = {
    "lot": "lot {}",
    "facture": "facture {}",
    "transmission": "transmission n° {}",
    "role": "{}",
    "verdict": "{}",
    "code": "{}",
    "text": "{}",
    "reason": "{}",
    "why": "{}",
}
"""What is told beside it, by the name in the row."""

VERDICTS = {"positive": "positif", "negative": "négatif", "integrated": "pris", "refused": "refusé"}

ARL_WORDS = {"positive": "ARL positif", "negative": "ARL négatif", "": "ARL attendu"}

PART_WORDS = {"P": "payée", "R": "rejetée", "D": "différée", "": "sans nouvelle"}
"""A part of a facture by its state."""


def event(text: str) -> dict[str, Any]:
    """A journal row as shown: ``at`` (ISO UTC), ``verb``, ``text`` in French."""
    fact: dict[str, Any] = json.loads(text)
    told = [form.format(VERDICTS.get(str(fact[name]), fact[name])) for name, form in DETAILS.items() if fact.get(name)]
    words = verb_words(fact["verb"])
    return {"at": fact["at"], "verb": fact["verb"], "text": " : ".join([words, ", ".join(told)] if told else [words])}


def verb_words(verb: str) -> str:
    """The French words of a journal row's verb."""
    return EVENTS.get(verb, verb)


def arl_words(lot: Mapping[str, Any]) -> str:
    """The ARL of a lot, from its row; with the payer's code and words where there are any."""
    if not lot["arl"] and lot.get("state", State.INTEGRATED) != State.INTEGRATED:
        return "pas encore transmis"
    told = " ".join(part for part in (lot["arl_code"], lot["arl_text"]) if part)
    words = ARL_WORDS[lot["arl"]]
    return f"{words} : {told}" if told else words

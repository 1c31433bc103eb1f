"""The headline: which rung it is, what it says, and what follows for lamps and pages."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.fichier import State
from gateway.follow.headline import CARD_STATES, LADDER, Facts, Headline, Level, fichier_words, headline

NOW = datetime(2026, 11, 23, 13, 30, tzinfo=UTC)
SINCE = "2026-11-23T13:02:00Z"


def condition(scope: str, name: str, code: str, text: str = "", since: str = SINCE, **detail: Any) -> dict[str, Any]:
    return {"scope": scope, "name": name, "code": code, "text": text, "since": since, "detail": json.dumps(detail)}


def card(state: str, text: str = "Le mot de la carte.", **detail: Any) -> dict[str, Any]:
    return condition("card", "card", f"CPS-{state}", text, state=state, **detail)


def other(code: str, text: str, **detail: Any) -> dict[str, Any]:
    return condition("card", "other", code, text, **detail)


DOWN = condition("route", "oct", "LNK-1", "Le concentrateur ne répond pas.", next="2026-11-23T13:40:00Z")


def told(**facts: Any) -> Headline:
    made = headline(Facts(**facts), NOW)
    return Headline(made.level, made.sentence.replace("\u00a0", " "), made.rungs, made.signature)


CASES = [
    ({}, "ok", "La passerelle est prête ; aucun fichier n'a encore été transmis."),
    ({"integrated_today": 4}, "ok", "Tout est transmis : 4 fichiers pris en charge aujourd'hui."),
    ({"integrated_today": 1}, "ok", "Tout est transmis : 1 fichier pris en charge aujourd'hui."),
    (
        {"integrated_today": 1, "waiting": {"SENT": 2}},
        "ok",
        "Tout va bien : 2 fichiers en cours, 1 fichier pris en charge aujourd'hui.",
    ),
    (
        {"last_integrated": "2026-11-22T09:00:00Z"},
        "ok",
        "Tout est transmis. Dernier fichier pris en charge hier à 10 h 00.",
    ),
    (
        {"waiting": {"CHECKED": 3}, "conditions": [card("absent")]},
        "attention",
        "La carte du praticien n'est pas dans le lecteur : 3 fichiers attendent. Insérez la carte CPS.",
    ),
    ({"conditions": [card("absent")], "integrated_today": 2}, "ok",
     "Tout est transmis : 2 fichiers pris en charge aujourd'hui."),
    (
        {"waiting": {"CHECKED": 1}, "conditions": [card("locked", "Carte insérée : le code porteur est attendu.")]},
        "attention",
        "1 fichier attend votre signature. Carte insérée : le code porteur est attendu.",
    ),
    (
        {"waiting": {"CHECKED": 1}, "conditions": [card("no-reader")]},
        "fault",
        "Aucun lecteur de cartes n'est branché : 1 fichier attend. Branchez le lecteur.",
    ),
    (
        {"waiting": {"CHECKED": 2}, "conditions": [card("foreign", "La carte n'est pas une CPS.")]},
        "attention",
        "La carte n'est pas une CPS : 2 fichiers attendent. Insérez la carte CPS du praticien.",
    ),
    (
        {"waiting": {"CHECKED": 2}, "conditions": [card("unfinished", "La mise à jour n'est pas finie.")]},
        "attention",
        "La mise à jour n'est pas finie : 2 fichiers attendent."
        " Faites terminer cette mise à jour par l'émetteur de la carte.",
    ),
    (
        {"waiting": {"CHECKED": 2}, "conditions": [card("busy", "Un autre programme garde la carte pour lui.")]},
        "attention",
        "Un autre programme garde la carte pour lui : 2 fichiers attendent."
        " Fermez le logiciel qui se sert de la carte.",
    ),
    (
        {"waiting": {"CHECKED": 2}, "conditions": [card("reading")]},
        "attention",
        "La carte est en cours de lecture : 2 fichiers attendent. Patientez un instant.",
    ),
    ({"conditions": [card("blocked")]}, "fault", "Le code de la carte est bloqué. Débloquez la carte."),
    (
        {"waiting": {"CHECKED": 1}, "conditions": [condition("card", "card", "CPS-ABSENT")]},
        "attention",
        "La carte du praticien n'est pas dans le lecteur : 1 fichier attend. Insérez la carte CPS.",
    ),
    (
        {"waiting": {"CHECKED": 1}, "conditions": [condition("card", "keeper", "SIG-001", "La carte a mal signé.")]},
        "attention",
        "La carte a mal signé : 1 fichier attend. Retirez la carte et remettez-la.",
    ),
    (
        {"waiting": {"CHECKED": 1}, "conditions": [card("absent", wanted=["Claire ESSAI", "Paul EXEMPLE"])]},
        "attention",
        "La carte du praticien n'est pas dans le lecteur : 1 fichier attend."
        " Insérez la carte CPS de Claire ESSAI ou de Paul EXEMPLE.",
    ),
    (
        {"waiting": {"CHECKED": 2}, "conditions": [card("wrong-card", "C'est la carte de Paul.", wanted=["Claire"])]},
        "attention",
        "C'est la carte de Paul : 2 fichiers attendent. Insérez la carte CPS de Claire.",
    ),
    ({"conditions": [card("wrong-card")], "integrated_today": 1}, "ok",
     "Tout est transmis : 1 fichier pris en charge aujourd'hui."),
    (
        {"waiting": {"CHECKED": 1}, "conditions": [card("locked"), other("MND-001", "Nul n'a de mandat.", held=3)]},
        "attention",
        "Nul n'a de mandat : 3 fichiers attendent. Déclarez qui peut signer.",
    ),
    (
        {"waiting": {"CHECKED": 1}, "conditions": [card("absent"), other("MND-001", "Nul n'a de mandat.", held=3)]},
        "attention",
        "La carte du praticien n'est pas dans le lecteur : 1 fichier attend. Insérez la carte CPS.",
    ),
    (
        {"waiting": {"CHECKED": 1}, "conditions": [card("locked"), other("CMS-036", "Le certificat est révoqué.")]},
        "fault",
        "Le certificat est révoqué : 1 fichier attend. Demandez une nouvelle carte.",
    ),
    (
        {"waiting": {"CHECKED": 1}, "conditions": [card("locked"), other("MND-CERT-30", "Le certificat expire.")]},
        "attention",
        "1 fichier attend votre signature. Le mot de la carte.",
    ),
    (
        {"waiting": {"CHECKED": 1}, "conditions": [card("ready"), other("MND-CERT-7", "Le certificat expire.")]},
        "attention",
        "Le certificat expire. Demandez son renouvellement.",
    ),
    (
        {"conditions": [card("ready"), other("MND-003", "La carte de Claire a signé en son absence.")]},
        "fault",
        "La carte de Claire a signé en son absence. Vérifiez qui s'est servi de cette carte.",
    ),
    (
        {"waiting": {"SEALED": 11, "SIGNED": 1}, "conditions": [DOWN]},
        "attention",
        "Le concentrateur ne répond pas depuis 14 h 02."
        " Rien à faire : 12 fichiers attendent, prochain essai à 14 h 40.",
    ),
    (
        {"conditions": [DOWN]},
        "attention",
        "Le concentrateur ne répond pas depuis 14 h 02. Rien à faire : prochain essai à 14 h 40.",
    ),
    (
        {"waiting": {"SEALED": 1}, "conditions": [condition("route", "oct", "PES-1", "Le mot de passe est refusé.")]},
        "fault",
        "Le mot de passe est refusé depuis 14 h 02. Prévenez la personne qui suit votre passerelle. 1 fichier attend.",
    ),
    (
        {"conditions": [DOWN | {"since": "2026-11-22T13:00:00Z"}]},
        "fault",
        "Le concentrateur ne répond pas depuis hier 14 h 00. Prévenez la personne qui suit votre passerelle.",
    ),
    (
        {"conditions": [condition("route", "line", "NET-1", "La ligne Internet est coupée.", next=SINCE), DOWN]},
        "attention",
        "La ligne Internet est coupée depuis 14 h 02. Rien à faire : prochain essai à 14 h 02.",
    ),
    (
        {"conditions": [condition("route", "returns", "RET-1", "Un retour n'a pas pu être lu.")]},
        "fault",
        "Un retour n'a pas pu être lu depuis 14 h 02. Prévenez la personne qui suit votre passerelle.",
    ),
    (
        {"conditions": [condition("box", "certificates", "C", "Un certificat expire."),
                        condition("box", "disk", "D", "Le disque est plein.")]},
        "fault",
        "Le disque est plein. Prévenez la personne qui suit votre passerelle.",
    ),
    (
        {"conditions": [condition("box", "certificates", "C", "Un certificat expire.")]},
        "attention",
        "Un certificat expire. Prévenez la personne qui suit votre passerelle.",
    ),
    (
        {"negative_lots_lately": 2},
        "attention",
        "2 lots refusés par une caisse (ARL négatif) : à corriger et à renvoyer.",
    ),
    ({"refused": {"B2-017": 1}}, "attention", "1 fichier refusé : à corriger et à remettre."),
    (
        {"refused": {"OCT-011": 1}},
        "attention",
        "1 fichier refusé : à renvoyer (gateway resend) quand le concentrateur aura déclaré le mandat.",
    ),
    (
        {"refused": {"B2-017": 1, "CMS-036": 1, "OCT-011": 2, "B2-001": 2}},
        "attention",
        "6 fichiers refusés : 3 à corriger et à remettre ;"
        " 2 à renvoyer (gateway resend) quand le concentrateur aura déclaré le mandat ;"
        " 1 à renvoyer (gateway resend) pour signature par une autre carte.",
    ),
    ({"held": 1}, "attention", "1 fichier mis en attente : une décision est attendue."),
    ({"rejected_factures": 3, "silent_lots": 1, "integrated_today": 1}, "ok",
     "Tout est transmis : 1 fichier pris en charge aujourd'hui."),
]  # fmt: skip


@pytest.mark.parametrize(("facts", "level", "sentence"), CASES)
def test_the_headline(facts: dict[str, Any], level: str, sentence: str) -> None:
    made = told(**facts)
    assert (made.level, made.sentence) == (level, sentence)
    assert len(made.rungs) == len(LADDER)


def test_the_first_rung_of_the_worst_level_speaks() -> None:
    disk = condition("box", "disk", "D", "Le disque est plein.")
    made = told(waiting={"CHECKED": 1}, conditions=[card("absent"), disk, DOWN], refused={"B2-017": 1})
    assert made.sentence.startswith("Le disque est plein.")
    assert [rung.level for rung in made.rungs] == ["ok", "attention", "fault", "ok", "attention", "ok", "attention"]
    assert [rung.name for rung in made.rungs if rung.next] == ["oct"]
    assert made.rungs[4].next == "2026-11-23T13:40:00Z"
    assert made.rungs[4].since == SINCE


def test_what_is_to_follow_is_on_the_payers_rung_though_all_is_well() -> None:
    made = told(rejected_factures=3, silent_lots=1)
    assert made.rungs[5].text == "À suivre : 1 lot sans ARL, 3 factures rejetées."


@pytest.mark.parametrize("state", CARD_STATES)
@pytest.mark.parametrize("count", [0, 1])
def test_a_signature_is_awaited_only_when_a_code_is_all_that_is_missing(state: str, count: int) -> None:
    made = told(waiting={"CHECKED": count}, conditions=[card(state)])
    assert made.signature == (state == "locked" and count == 1)
    assert made.level == (CARD_STATES[state].waiting if count else CARD_STATES[state].idle)


def test_the_end_of_a_certificate_is_said_early_without_a_fault() -> None:
    made = told(conditions=[card("absent"), other("MND-CERT-90", "Le certificat expire dans 80 jours.")])
    assert (made.level, made.rungs[1].text) == ("ok", "Le certificat expire dans 80 jours.")


def test_patience_ends_after_a_day() -> None:
    for age, level in ((timedelta(hours=23, minutes=59), Level.ATTENTION), (timedelta(hours=24), Level.FAULT)):
        since = (NOW - age).strftime("%Y-%m-%dT%H:%M:%SZ")
        assert told(conditions=[DOWN | {"since": since}]).level is level


def row(state: str, **columns: str) -> dict[str, str]:
    return {
        "state": state,
        "since": SINCE,
        "reason_code": "",
        "reason_text": "",
        "held_since": "",
        "held_reason": "",
        **columns,
    }


WORDS = [
    (row("RECEIVED"), "Reçu, en cours de contrôle."),
    (row("CHECKED"), "Contrôlé, attend la signature du praticien."),
    (row("SIGNED"), "Signé, va être scellé pour le concentrateur."),
    (row("SEALED"), "Signé et scellé, attend la transmission."),
    (row("SENT"), "Transmis, attend l'accusé du concentrateur."),
    (row("INTEGRATED"), "Pris en charge par le concentrateur le 23/11/2026 à 14 h 02."),
    (row("REFUSED", reason_text="Le fichier {est} vide."), "Refusé : Le fichier {est} vide."),
    (row("REFUSED"), "Refusé : raison non précisée."),
    (row("REFUSED", reason_code="B2-017", reason_text="Le total est faux."), "Refusé : Le total est faux."),
    (
        row("REFUSED", reason_code="OCT-011", reason_text="Claire n'avait pas de mandat."),
        "Refusé : Claire n'avait pas de mandat. Rien n'est à corriger dans le fichier : il faut que le concentrateur"
        " déclare ce mandat chez lui, ou qu'une autre carte signe, puis renvoyer le fichier (gateway resend).",
    ),
    (row("REFUSED", reason_code="OCT-011"), "Refusé : raison non précisée."),
    (row("SENT", reason_code="OCT-011"), "Transmis, attend l'accusé du concentrateur."),
    (
        row("SEALED", reason_text="La ligne est coupée."),
        "Signé et scellé, attend la transmission. La ligne est coupée.",
    ),
    (
        row("CHECKED", held_since=SINCE, held_reason="Pas de mandat."),
        "Mis en attente le 23/11/2026 à 14 h 02 : Pas de mandat.",
    ),
]


@pytest.mark.parametrize(("given", "words"), WORDS)
def test_the_word_on_a_fichier(given: dict[str, str], words: str) -> None:
    assert fichier_words(given).replace("\u00a0", " ") == words


def test_every_state_has_its_word() -> None:
    assert {given["state"] for given, _ in WORDS} == set(State)

"""Journal rows and lots in words."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from stage import REPO
from written_verbs import written_verbs

from gateway.follow.timeline import EVENTS, arl_words, event


@pytest.mark.parametrize(
    ("fact", "text"),
    [
        ({"verb": "receive", "to": "RECEIVED"}, "Reçu du logiciel du cabinet"),
        ({"verb": "resend", "why": "demandé par la caisse"}, "Renvoi demandé : demandé par la caisse"),
        ({"verb": "acknowledge", "lot": "001", "verdict": "negative", "code": "12"}, "ARL reçu : lot 001, négatif, 12"),
        ({"verb": "settle", "facture": "000000001"}, "Retour d'un payeur reçu : facture 000000001"),
        ({"verb": "hold", "reason": "Pas de mandat.", "by": "admin"}, "Mis en attente : Pas de mandat."),
        (
            {"verb": "sign", "holder": "99900000011", "role": "remplaçant"},
            "Signé par la carte du praticien : remplaçant",
        ),
        ({"verb": "retract", "code": "CMS-036"}, "Signature retirée, une autre est nécessaire : CMS-036"),
        ({"verb": "decline", "code": "MND-002"}, "Signature non acceptée : MND-002"),
        ({"verb": "new verb"}, "new verb"),
    ],
)
def test_events(fact: dict[str, Any], text: str) -> None:
    shown = event(json.dumps({**fact, "at": "2026-11-23T13:02:00Z"}))
    assert shown == {"at": "2026-11-23T13:02:00Z", "verb": fact["verb"], "text": text}


def test_every_verb_that_is_written_has_words_and_no_other() -> None:
    assert written_verbs() == set(EVENTS)


def test_the_page_for_auditors_has_the_same_table() -> None:
    done = subprocess.run([sys.executable, REPO / "docs/draw_verbs.py", "--check"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_they_are_told_apart() -> None:
    assert len(set(EVENTS.values())) == len(EVENTS)


@pytest.mark.parametrize(
    ("lot", "words"),
    [
        ({"arl": "", "arl_code": "", "arl_text": "", "state": "SENT"}, "pas encore transmis"),
        ({"arl": "", "arl_code": "", "arl_text": "", "state": "INTEGRATED"}, "ARL attendu"),
        ({"arl": "positive", "arl_code": "", "arl_text": ""}, "ARL positif"),
        ({"arl": "negative", "arl_code": "12", "arl_text": "Norme inconnue"}, "ARL négatif : 12 Norme inconnue"),
    ],
)
def test_arl_words(lot: dict[str, str], words: str) -> None:
    assert arl_words(lot) == words

"""A kept code on the status page: that it is, of which card, and the form that has it dropped."""

from __future__ import annotations

import re
from typing import Any

import pytest
from status_bench import Service

from gateway.fichier import State

FORGET = [{"op": "forget"}]


@pytest.fixture
def kept(service: Service, day: dict[State, str]) -> Service:
    """One card, whose code is kept."""
    service.card.wait_for(day[State.CHECKED])
    service.card.keep()
    return service


def forget(service: Service, origin: str | None = "same", **fields: str) -> tuple[int, str, str | None]:
    """Submit the form as a browser would, with changed fields: status, page, and where it leads."""
    (form,) = (form for form in service.forms() if "code" not in form)
    response, text = service.submit("/oubli", {**form, **fields}, origin)
    return response.status, text, response.getheader("location")


def test_a_kept_code_is_said_and_can_be_dropped(kept: Service) -> None:
    text = kept.page("/")
    assert "Le code de la carte de Dr Élise Martin …4321 est gardé jusqu'à 23 h 30 au plus tard" in text
    assert re.search(r'<form method="post" action="/oubli">.*?<button>Oublier le code</button>', text, re.DOTALL)
    assert forget(kept)[::2] == (303, "/?oubli=ok")
    assert kept.card.unlocks == FORGET
    kept.card.views[0]["card"]["state"] = "locked"
    text = kept.page("/?oubli=ok")
    assert "Code oublié" in text
    assert 'action="/oubli"' not in text


@pytest.mark.parametrize("state", ["locked", "signing", "reading", "blocked", "left"])
def test_nothing_is_offered_where_no_code_is_kept(kept: Service, state: str) -> None:
    kept.card.views[0]["card"]["state"] = state
    assert 'action="/oubli"' not in kept.page("/")
    kept.card.views = []
    assert 'action="/oubli"' not in kept.page("/")


def test_the_words_of_what_was_not_done_are_not_shown(kept: Service) -> None:
    for query in ("", "?oubli=non", "?signature=oubli", "?oubli"):
        assert 'class="said' not in kept.page(f"/{query}")


def test_one_card_s_kept_code_beside_another_s_form(kept: Service, day: dict[State, str]) -> None:
    kept.card.and_for(day[State.RECEIVED])
    assert sorted("code" in form for form in kept.forms()) == [False, True]
    assert kept.sign(which=0)[0].status == 303
    assert forget(kept)[0] == 303
    assert [ask["op"] for ask in kept.card.unlocks] == ["unlock", "forget"]


def test_two_kept_codes_have_one_form(kept: Service, day: dict[State, str]) -> None:
    kept.card.and_for(day[State.RECEIVED])
    kept.card.keep(1, "12:05")
    text = kept.page("/")
    assert "de Dr Paul Durand …8765 est gardé jusqu'à 12 h 05" in text
    assert text.count('action="/oubli"') == 1
    assert "Oublier les codes" in text
    assert forget(kept)[0] == 303
    assert kept.card.unlocks == FORGET


@pytest.mark.parametrize(
    "changed",
    [
        {"jeton": "wrong"},
        {"jeton": ""},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": None},
    ],
)
def test_what_is_not_our_form_reaches_no_card(kept: Service, changed: dict[str, Any]) -> None:
    assert forget(kept, **changed)[0] == 403
    assert kept.card.unlocks == []


def test_a_link_does_not_do_it(kept: Service) -> None:
    assert kept.ask("/oubli")[0].status == 405
    assert kept.card.unlocks == []


def test_a_card_service_that_does_not_do_it_is_said(kept: Service) -> None:
    kept.card.answer = {"ok": False, "code": "CPS-REQUEST", "text": "La demande à la carte n'est pas prévue."}
    status, text, _ = forget(kept)
    assert status == 503
    assert 'role="alert" id="refus">La demande à la carte n' in text
    assert "Code oublié" not in text
    (form,) = kept.forms()
    kept.card.gone = True
    response, text = kept.submit("/oubli", form)
    assert response.status == 503
    assert "Le service de la carte ne répond pas." in text

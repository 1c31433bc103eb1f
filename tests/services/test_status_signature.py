"""The signature on the status page and by its JSON: what is shown for each card, and what reaches the card service."""

from __future__ import annotations

import json
import re
import threading
from typing import Any
from urllib.parse import urlencode

import pytest
from pin_scan import CODE, PUK
from status_bench import NOBODY, OTHER_ROOT, ROOT, Service

from gateway.fichier import State


def test_what_is_about_to_be_signed_is_shown(service: Service, day: dict[State, str]) -> None:
    service.card.wait_for(day[State.CHECKED])
    text = service.page("/")
    assert "3 lots, 41 factures, 2 318,40 €, Dr Élise Martin" in text
    assert "B2_achecked.b2" in text
    field = re.search(r'<input id="code"[^>]*>', text)
    assert field is not None
    assert all(part in field[0] for part in ('type="password"', 'inputmode="numeric"', 'autocomplete="off"'))
    assert "http-equiv" not in text  # a page that reloads itself would take the code from under the fingers
    told = service.api("card")
    assert (told["lots"], told["factures"], told["total"], told["root"]) == (3, 41, 231840, ROOT)


@pytest.mark.parametrize(
    ("policy", "until", "words"),
    [
        ("this-batch", None, "Le code ne sert qu'à ce qui est affiché ci-dessus."),
        ("until 12:30", None, "Le code ne sert qu'à ce qui est affiché ci-dessus."),
        (
            "until 12:30",
            "12:30",
            "Le code sera gardé jusqu'à 12 h 30 au plus tard : tout ce que cette carte peut signer d'ici là",
        ),
        ("each", None, "Un code par fichier"),
    ],
)
def test_what_a_code_serves_for_is_shown_before_it_is_given(
    service: Service, day: dict[State, str], policy: str, until: str | None, words: str
) -> None:
    service.card.wait_for(day[State.CHECKED])
    service.card.views[0] |= {"policy": policy, "until": until}
    text = service.page("/")
    said = ("ne sert qu'à ce qui", "sera gardé", "Un code par fichier")
    assert [one in text for one in said].count(True) == 1
    assert words in text


def test_a_code_signs_what_was_shown(service: Service, day: dict[State, str]) -> None:
    service.card.wait_for(day[State.CHECKED])
    response, _ = service.sign()
    assert (response.status, response.getheader("location")) == (303, "/?signature=ok")
    assert service.card.unlocks == [{"op": "unlock", "pin": CODE, "root": ROOT, "card": "4321"}]
    assert "Code accepté" in service.page("/?signature=ok")


def test_a_refused_code_is_said_and_never_repeated(service: Service, day: dict[State, str]) -> None:
    service.card.wait_for(day[State.CHECKED], tries=2)
    service.card.answer = {"ok": False, "code": "CPS-63C", "text": "Code refusé, essais restants : 2.", "tries": 2}
    response, text = service.sign(code=PUK)
    assert response.status == 422
    assert 'role="alert" id="refus">Code refusé, essais restants : 2.' in text
    assert "2 essais restants" in text
    assert PUK not in text


def test_the_last_try_is_a_person_s_decision(service: Service, day: dict[State, str]) -> None:
    service.card.wait_for(day[State.CHECKED], tries=1)
    assert 'name="dernier" type="checkbox" value="oui" required' in service.page("/")
    assert service.sign(dernier="oui")[0].status == 303
    assert [ask["op"] for ask in service.card.unlocks] == ["unlock-last-try"]


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"jeton": "wrong"}, 403),
        ({"jeton": "é"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": None}, 403),
        ({"code": "12"}, 422),
        ({"code": "abcd"}, 422),
        ({"code": f"{CODE}\n"}, 422),
        ({"code": ""}, 422),
        ({"card": "9999"}, 422),
        ({"card": ""}, 422),
    ],
)
def test_what_is_not_our_form_reaches_no_card(
    service: Service, day: dict[State, str], changed: dict[str, Any], status: int
) -> None:
    service.card.wait_for(day[State.CHECKED])
    assert service.sign(**changed)[0].status == status
    assert service.card.unlocks == []


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ({"pin": CODE, "root": ROOT}, {}, 200),
        ({"pin": CODE, "root": ROOT, "last_try": True}, {}, 200),
        ({"pin": "12", "root": ROOT}, {}, 422),
        ({"pin": 1234, "root": ROOT}, {}, 400),
        ({"pin": None, "root": ROOT}, {}, 400),
        ({"root": ROOT}, {}, 422),
        ({"pin": "", "root": ROOT}, {}, 422),
        ({"pin": CODE}, {}, 400),
        ({"pin": CODE, "root": ROOT, "card": "4321"}, {}, 200),
        ({"pin": CODE, "root": ROOT, "card": None}, {}, 200),
        ({"pin": CODE, "root": ROOT, "card": "9999"}, {}, 422),
        ({"pin": CODE, "root": ROOT, "card": 4321}, {}, 400),
        (["pin", "root"], {}, 400),
        ({"pin": CODE, "root": ROOT}, {"origin": "http://evil.example"}, 403),
        ({"pin": CODE, "root": ROOT}, {"content_type": "text/plain"}, 415),
        ({"pin": "1" * 2000, "root": ROOT}, {}, 413),
    ],
)
def test_unlock_by_the_api(service: Service, body: Any, headers: dict[str, str], status: int) -> None:
    service.card.wait_for("f")
    content = {"content_type": "application/json", **headers}
    response, text = service.ask("/api/v1/card/unlock", "POST", json.dumps(body).encode(), **content)
    assert response.status == status
    assert CODE not in text
    assert len(service.card.unlocks) == (status == 200)


def test_a_card_service_that_is_not_there(service: Service, day: dict[State, str]) -> None:
    service.card.wait_for(day[State.CHECKED])
    assert "À signer" in service.page("/")
    service.card.gone = True
    assert '<h2 id="signature-title">' not in service.page("/")
    assert service.api("card", 503)["code"] == "CPS-SERVICE"
    service.card.gone = False
    (form,) = service.forms()
    service.card.gone = True
    response, text = service.ask(
        "/signature", "POST", urlencode({**form, "code": CODE}).encode(),
        content_type="application/x-www-form-urlencoded", origin=f"http://127.0.0.1:{service.port}",
    )  # fmt: skip
    assert response.status == 503
    assert "Le service de la carte ne répond pas." in text


# -- several cards


def unlock(service: Service, **asked: Any) -> tuple[int, dict[str, Any]]:
    body = json.dumps(asked).encode()
    response, text = service.ask("/api/v1/card/unlock", "POST", body, content_type="application/json")
    return response.status, json.loads(text)


@pytest.fixture
def two(service: Service, day: dict[State, str]) -> Service:
    """Two cards, each with a fichier of its own to sign; the second on its last but one try."""
    service.card.wait_for(day[State.CHECKED])
    service.card.and_for(day[State.RECEIVED], tries=2)
    return service


def test_each_card_has_a_part_of_the_page(two: Service) -> None:
    text = two.page("/")
    titles = re.findall(r'<h2 id="(signature-title[^"]*)">([^<]*)</h2>', text)
    assert titles == [
        ("signature-title", "À signer par Dr Élise Martin, carte …4321"),
        ("signature-title-2", "À signer par Dr Paul Durand, carte …8765"),
    ]
    first, second = text.split('<section class="card signature"')[1:]
    assert "3 lots, 41 factures, 2 318,40 €, Dr Élise Martin" in first
    assert "1 lot, 7 factures, 99,00 €, Dr Paul Durand" in second
    assert "B2_achecked.b2" in first
    assert "B2_achecked.b2" not in second.partition("</section>")[0]
    assert "essais restants" not in first
    assert "2 essais restants" in second
    for part, name, serial in ((first, "code", "4321"), (second, "code-2", "8765")):
        assert f'<label for="{name}">Code porteur de la carte …{serial}</label>' in part
        assert f'<input id="{name}" name="code" type="password"' in part


def test_the_last_try_of_each_card_is_asked_apart(two: Service) -> None:
    for view in two.card.views:
        view["card"]["tries"] = 1
    text = two.page("/")
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert {"dernier", "dernier-2"} == set(re.findall(r'for="(dernier[^"]*)"', text))
    assert two.sign(which=1, dernier="oui")[0].status == 303
    assert two.card.unlocks == [{"op": "unlock-last-try", "pin": CODE, "root": OTHER_ROOT, "card": "8765"}]


@pytest.mark.parametrize(("which", "root", "serial"), [(0, ROOT, "4321"), (1, OTHER_ROOT, "8765")])
def test_each_form_signs_its_own_root_with_its_own_card(two: Service, which: int, root: str, serial: str) -> None:
    assert two.sign(which=which)[0].status == 303
    assert two.card.unlocks == [{"op": "unlock", "pin": CODE, "root": root, "card": serial}]


def test_a_refusal_is_said_at_the_card_that_was_asked(two: Service) -> None:
    two.card.answer = {"ok": False, "code": "CPS-63C", "text": "Code refusé, essais restants : 1.", "tries": 1}
    response, text = two.sign(which=1)
    assert response.status == 422
    assert re.findall(r'<input id="([^"]+)"[^>]*aria-describedby="refus" aria-invalid="true">', text) == ["code-2"]


def test_only_cards_with_something_to_sign_are_shown(two: Service) -> None:
    two.card.views[0]["items"] = []
    assert [form["card"] for form in two.forms()] == ["8765"]
    assert '<h2 id="signature-title">À signer</h2>' in two.page("/")
    two.card.views[1]["card"].update(state="blocked", text="Le code porteur est bloqué : débloquez la carte.")
    assert two.forms() == []
    assert "Le code porteur est bloqué" in two.page("/")


def test_without_a_card_what_waits_is_shown_with_the_reason(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = [{"fichier": "f", "count": 41, "total": 1, "lots": 3, "emitter": "751012345", "holders": []}]
    monkeypatch.setitem(NOBODY, "items", waiting)
    service.made.fichier("f", State.CHECKED)
    text = service.page("/")
    assert "3 lots, 41 factures" in text
    assert "insérez la carte CPS" in text
    assert service.forms() == []
    assert service.api("card")["cards"] == []


def test_a_card_that_is_gone_is_refused_in_words(two: Service) -> None:
    response, text = two.sign(which=1, card="9999")
    assert response.status == 422
    assert 'role="alert" id="refus">Cette carte n' in text
    told = unlock(two, pin=CODE, root=ROOT, card="9999")
    assert told == (422, {
        "ok": False, "code": "STA-004", "tries": None,
        "text": "Cette carte n'est dans aucun lecteur : insérez-la ou prenez-en une autre.",
    })  # fmt: skip
    assert two.card.unlocks == []


def test_the_api_says_all_cards_and_takes_one(two: Service) -> None:
    told = two.api("card")
    assert [(one["card"]["serial"], one["root"], one["factures"], one["total"]) for one in told["cards"]] == [
        ("4321", ROOT, 41, 231840), ("8765", OTHER_ROOT, 7, 9900),
    ]  # fmt: skip
    assert {**told["cards"][0], "cards": told["cards"]} == told
    assert unlock(two, pin=CODE, root=OTHER_ROOT, card="8765") == (200, {"ok": True})
    assert two.card.unlocks == [{"op": "unlock", "pin": CODE, "root": OTHER_ROOT, "card": "8765"}]


# -- a reader with keys of its own


def test_a_reader_s_own_keys_need_no_code_on_the_page(service: Service, day: dict[State, str]) -> None:
    service.card.wait_for(day[State.CHECKED], pad=True)
    service.card.typed.set()
    text = service.page("/")
    assert re.search(r'<button class="primary"[^>]*>Saisir le code sur le lecteur</button>', text)
    assert 'type="password"' not in text
    assert service.sign()[0].status == 303
    assert service.card.unlocks == [{"op": "unlock", "pin": "", "root": ROOT, "card": "4321"}]


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"card": "8765"}, 200),
        ({"card": "8765", "pin": ""}, 200),
        ({"card": "8765", "pin": CODE}, 200),
        ({"card": "4321"}, 422),  # its reader has no keys
        ({"card": "4321", "pin": ""}, 422),
        ({}, 422),  # which of the two?
        ({"card": "8765", "pin": "12"}, 422),
    ],
)
def test_no_code_by_the_api_only_for_such_a_reader(two: Service, asked: dict[str, str], status: int) -> None:
    two.card.views[1]["card"]["pad"] = True
    two.card.typed.set()
    assert unlock(two, root=OTHER_ROOT, **asked)[0] == status
    assert len(two.card.unlocks) == (status == 200)


def test_one_such_card_needs_no_name(service: Service) -> None:
    service.card.wait_for("f", pad=True)
    service.card.typed.set()
    assert unlock(service, root=ROOT) == (200, {"ok": True})
    service.card.views = []
    assert unlock(service, root=ROOT)[0] == 422
    assert [ask["card"] for ask in service.card.unlocks] == [None]


def test_while_a_code_is_typed_the_page_answers_and_another_card_signs(two: Service) -> None:
    two.card.views[1]["card"]["pad"] = True
    typing = threading.Thread(target=two.sign, kwargs={"which": 1})
    typing.start()
    two.eventually(lambda: bool(two.card.unlocks))
    assert len(two.forms()) == 2
    assert two.sign(which=0)[0].status == 303
    assert [ask["card"] for ask in two.card.unlocks] == ["8765", "4321"]
    assert typing.is_alive()
    two.card.typed.set()
    typing.join(10)

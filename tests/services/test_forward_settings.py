"""[forward] and its reserve, as they are written."""

from __future__ import annotations

import pytest

from gateway.config import read_section, sample
from gateway.errors import Refused, Scope
from gateway.services.forward.settings import ForwardSettings, ReserveSettings


def test_the_reserve_is_a_section_of_its_own() -> None:
    table = {"reserve_after_s": 60, "reserve": {"host": "secours.example", "port": 2222}}
    read = read_section(ForwardSettings, table, "[forward]")
    assert (read.reserve_after_s, read.reserve.host, read.reserve.port, read.reserve.patience_s) == (
        60.0, "secours.example", 2222, 30.0,
    )  # fmt: skip
    assert "[forward.reserve]" in sample({"forward": ForwardSettings})


def test_addresses_come_after_the_usual_one() -> None:
    settings = ForwardSettings(host="a", port=1, addresses=("b.example:2", "[::1]:3"))
    assert settings.every_address == [("a", 1), ("b.example", 2), ("::1", 3)]


@pytest.mark.parametrize("text", ["b.example", ":1", "b:", "b:x", "b:-1", "b:²"])
def test_what_is_no_address_is_said(text: str) -> None:
    with pytest.raises(Refused) as refused:
        _ = ForwardSettings(addresses=(text,)).every_address
    assert (refused.value.code, refused.value.scope) == ("FWD-001", Scope.BOX)
    assert "n° 1" in refused.value.text
    assert text not in refused.value.text


HIDDEN_TEXTS = {
    "oct.example:8790 refuse": "(adresse masquée) refuse",
    "Connect call failed ('192.0.2.7', 8790)": "Connect call failed ('(adresse masquée)', 8790)",
    "joint 192.0.2.7:8790": "joint (adresse masquée)",
    "2001:db8::7 et [2001:db8::7]:22": "(adresse masquée) et (adresse masquée)",
    "b.example:2, secours.example.": "(adresse masquée), (adresse masquée).",
    "not-oct.example et oct.example.net": "not-oct.example et (adresse masquée).net",
    "Diagnostic 3.304 à 08:15:30, version 1.2": "Diagnostic 3.304 à 08:15:30, version 1.2",
}


@pytest.mark.parametrize("text", HIDDEN_TEXTS)
def test_no_address_of_the_oct_is_told(text: str) -> None:
    reserve = ReserveSettings(host="secours.example")
    settings = ForwardSettings(host="oct.example", addresses=("b.example:2",), reserve=reserve)
    assert settings.hidden(text) == HIDDEN_TEXTS[text]

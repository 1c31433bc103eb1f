"""[forward] and its reserve, as they are written."""

from __future__ import annotations

import pytest

from gateway.config import read_section, sample
from gateway.errors import Refused, Scope
from gateway.services.forward.settings import ForwardSettings


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
    assert text in refused.value.text

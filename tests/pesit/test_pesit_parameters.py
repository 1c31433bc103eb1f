"""Codings of single values; the FPDU level is in test_pesit_codec."""

from __future__ import annotations

import pytest

from gateway.errors import Refused, Scope
from gateway.pesit.parameters import GROUPS, PARAMETERS, Value, decode, encode


@pytest.mark.parametrize(
    ("code", "value", "coded"),
    [
        (13, 101, "65"),
        (13, 0, "00"),
        (27, 1 << 32, "0100000000"),
        (12, "INVOICES  ", "494e564f49434553"),
        (91, "first ", "666972737420"),
        (14, 0xE0, "e0"),
        (51, "260101120000", "323630313031313230303030"),
        (7, b"\0\x20\x02", "002002"),
        (37, "", ""),
    ],
)
def test_strict_form(code: int, value: Value, coded: str) -> None:
    assert encode(code, value).hex() == coded


@pytest.mark.parametrize(
    ("code", "value", "scope"),
    [
        (12, "X" * 77, Scope.FICHIER),
        (3, "X" * 25, Scope.ROUTE),
        (5, "mot de passe trop long", Scope.ROUTE),
        (91, "5 €", Scope.FICHIER),
        (91, "x" * 4097, Scope.FICHIER),
    ],
)
def test_what_a_user_wrote_and_cannot_go_is_refused_in_words(code: int, value: str, scope: Scope) -> None:
    with pytest.raises(Refused, match=f"PI {code}") as refused:
        encode(code, value)
    assert (refused.value.code, refused.value.scope) == ("PES-VALUE", scope)


def test_strings_longer_than_the_standard_come_in() -> None:
    assert decode(37, b"x" * 512) == "x" * 512


def test_groups_hold_known_parameters_and_are_none_themselves() -> None:
    members = [code for codes in GROUPS.values() for code in codes]
    assert set(members) <= set(PARAMETERS)
    assert len(members) == len(set(members))
    assert not set(GROUPS) & set(PARAMETERS)

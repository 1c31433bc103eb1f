"""Diagnostics become one of two troubles, by their row."""

from __future__ import annotations

import pytest

from gateway.errors import Deferred, Refused, Scope, Trouble
from gateway.pesit.diagnostics import DIAGNOSTICS, code_of, decode, encode, row_of, trouble


@pytest.mark.parametrize(
    ("code", "kind", "scope"),
    [
        ("2.201", Deferred, Scope.ROUTE),
        ("2.204", Refused, Scope.FICHIER),
        ("2.226", Refused, Scope.FICHIER),
        ("3.301", Refused, Scope.ROUTE),
        ("3.304", Refused, Scope.ROUTE),
        ("3.311", Deferred, Scope.ROUTE),
        ("3.322", Deferred, Scope.ROUTE),
        ("2.299", Deferred, Scope.FICHIER),
        ("2.777", Deferred, Scope.FICHIER),
        ("3.777", Deferred, Scope.ROUTE),
        ("9.001", Deferred, Scope.ROUTE),
    ],
)
def test_kind_and_scope(code: str, kind: type[Trouble], scope: Scope) -> None:
    found = trouble(code, "texte du pair")
    assert (type(found), found.scope, found.code) == (kind, scope, f"PES-{code}")
    assert code in found.text
    assert "texte du pair" in found.text


def test_connection_level_never_refuses_a_fichier() -> None:
    assert all(row.scope is Scope.ROUTE for row in DIAGNOSTICS.values() if row.code.startswith("3"))


@pytest.mark.parametrize("code", ["0.000", *DIAGNOSTICS])
def test_coding(code: str) -> None:
    assert decode(encode(code)) == code


def test_foreign_trouble_takes_the_given_code() -> None:
    assert code_of(trouble("2.219"), "2.213") == "2.219"
    assert code_of(Refused("B2-017", "x"), "2.213") == "2.213"


def test_refusals_of_a_restart() -> None:
    forgotten = {code for code in DIAGNOSTICS if row_of(code).forgotten}
    assert forgotten == {
        "2.204", "2.205", "2.214", "2.218", "2.227", "2.228", "2.229", "2.230", "2.233",
    }  # fmt: skip


@pytest.mark.parametrize("detail", ["", "ici SRV", "un (deux) trois"])
def test_our_own_sentence_is_not_said_twice(detail: str) -> None:
    said = trouble("3.301", detail).text
    assert trouble("3.301", said).text == said

"""The guide lists every code with its effect and its sentence, as the tables have them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.formats import b2_mutsante, b2_tables, documents, kinds, noemie_tables

GUIDE = (Path(__file__).parents[2] / "docs" / "flux.md").read_text(encoding="utf-8")
EFFECTS = {"blocks": "bloque", "warns": "avertit", "says": "informe"}
TABLES = (kinds.RULES, b2_tables.RULES, b2_mutsante.RULES, documents.RULES, noemie_tables.RULES)
RULES = {code: rule for rules in TABLES for code, rule in rules.items()}


def test_no_code_is_used_twice() -> None:
    assert len(RULES) == sum(len(rules) for rules in TABLES)


@pytest.mark.parametrize("code", RULES)
def test_every_code_is_in_the_guide(code: str) -> None:
    assert f"| {code} | {EFFECTS[RULES[code].severity]} | {RULES[code].text} |\n" in GUIDE

"""A changed, removed, reordered or inserted row is found and named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.journal.chain import EVIDENCE, START, Row, first_break, row_hash, row_text


def rows(count: int) -> list[Row]:
    made, previous = [], START
    for seq in range(1, count + 1):
        text = row_text(seq, EVIDENCE, "2026-11-22T08:00:00Z", {"verb": "check", "fichier": f"f{seq}"})
        made.append(Row(seq, EVIDENCE, text, row_hash(previous, text)))
        previous = made[-1].hash
    return made


def test_a_whole_chain_holds() -> None:
    assert first_break(rows(5)) is None
    assert first_break([]) is None


def test_text_is_canonical() -> None:
    assert row_text(1, "evidence", "t", {"b": 1, "a": "é"}) == '{"a":"é","at":"t","b":1,"chain":"evidence","seq":1}'


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda r: [r[0], replace(r[1], text=r[1].text.replace("f2", "fX")), *r[2:]], "ligne 2 modifiée"),
        (lambda r: [r[0], *r[2:]], "ligne 2 absente"),
        (lambda r: [r[0], r[2], r[1], *r[3:]], "ligne 2 absente"),
        (lambda r: [r[0], replace(r[2], seq=2), replace(r[1], seq=3), *r[3:]], "ligne 2 modifiée"),
        (lambda r: r[1:], "ligne 1 absente"),
    ],
)
def test_a_break_is_named(spoil: object, named: str) -> None:
    word = first_break(spoil(rows(5)))  # type: ignore[operator]
    assert word is not None
    assert word.startswith(named)

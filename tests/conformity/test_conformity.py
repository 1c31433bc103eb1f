"""The page says what the tests say, and every fact has its test or its reason."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from table import HERE, complaints, page

TABLE = Path(__file__).with_name("table.py")


def test_the_page_is_what_the_tests_say() -> None:
    done = subprocess.run([sys.executable, str(TABLE), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_fact_of_these_chapters_is_declared() -> None:
    chapters = [(1, 5), (10, 15), (20, 25), (30, 36), (40, 40), (50, 62), (70, 95), (100, 113), (130, 137)]
    declared = set(tomllib.loads((HERE / "facts.toml").read_text(encoding="utf-8")))
    assert {f"F-{n:02}" for first, last in chapters for n in range(first, last + 1)} <= declared


@pytest.mark.parametrize(
    ("facts", "shown", "expected"),
    [
        ({"F-01": {"says": "x"}}, {}, "F-01 has neither a test nor a reason: x"),
        ({"F-01": {"says": "x", "not_shown": "y"}}, {"F-01": {"t"}}, "F-01 is said not to be shown, and t shows it"),
        ({}, {"F-99": {"t"}}, "F-99 is no fact: t"),
        ({"F-01": {"says": "x"}, "F-02": {"says": "x", "not_shown": "y"}}, {"F-01": {"t"}}, None),
    ],
)
def test_what_is_amiss(facts: dict[str, dict[str, str]], shown: dict[str, set[str]], expected: str | None) -> None:
    assert list(complaints(facts, shown)) == ([expected] if expected else [])


def test_a_row_names_its_tests() -> None:
    written = page({"F-01": {"says": "x"}}, {"F-01": {"b: two", "*a*"}})
    assert written.endswith("| F-01 | x | *a*; b: two |\n")

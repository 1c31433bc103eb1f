"""Words that page and command line share."""

from __future__ import annotations

import pytest

from gateway.formats import words


@pytest.mark.parametrize(
    ("cents", "text"),
    [
        (0, "0,00 €"),
        (5, "0,05 €"),
        (123456, "1 234,56 €"),
        (123456789, "1 234 567,89 €"),
        (-2300, "-23,00 €"),
    ],
)
def test_euros(cents: int, text: str) -> None:
    assert words.euros(cents) == text.replace(" ", "\u00a0")


@pytest.mark.parametrize(("count", "text"), [(0, "0 cheval"), (1, "1 cheval"), (2, "2 chevaux")])
def test_plural(count: int, text: str) -> None:
    assert words.plural(count, "cheval", "chevaux") == text


def test_plural_takes_an_s() -> None:
    assert words.plural(3, "lot") == "3 lots"


def test_day() -> None:
    assert words.day("2025-11-22") == "22/11/2025"
    assert words.day("2025-11-22T10:00:00Z") == "22/11/2025"
    assert words.day("") == ""


def test_a_masked_nir_shows_three_characters() -> None:
    assert words.mask_nir("155059999999968") == "155…"
    assert words.mask_nir("") == ""


def test_nothing_unprintable_goes_through() -> None:
    assert words.printable("a\x1b[2J\n\ud800\u202eé ") == "a?[2J???é "

"""Keys and days, against numbers whose keys are public."""

from __future__ import annotations

import pytest

from gateway.formats.keys import luhn_digit, luhn_ok, nir_key, read_day, write_day


@pytest.mark.parametrize(
    ("nir", "key"),
    [
        ("1550599999999", 68),
        ("2600699999998", 81),
        ("199012A999997", 10),
        ("199012B999997", 37),
        ("2690549588157", 80),
        ("155059999999", None),
        ("15505999999999", None),
        ("155059C999999", None),
        ("1550A99999999", None),
        ("155 599999999", None),
        ("", None),
    ],
)
def test_nir_key(nir: str, key: int | None) -> None:
    assert nir_key(nir) == key


@pytest.mark.parametrize(
    ("number", "good"),
    [
        ("991038431", True),
        ("420788606", True),
        ("98532005", True),
        ("0098532005", True),
        ("991038432", False),
        ("", False),
        ("99103843A", False),
        ("٩٩", False),
    ],
)
def test_luhn(number: str, good: bool) -> None:
    assert luhn_ok(number) is good


def test_luhn_digit() -> None:
    assert luhn_digit("99103843") == "1"


@pytest.mark.parametrize(
    ("zone", "day"),
    [("251122", "2025-11-22"), ("000000", ""), ("      ", ""), ("250230", ""), ("2511", ""), ("²51122", "")],
)
def test_days(zone: str, day: str) -> None:
    assert read_day(zone) == day
    if day:
        assert write_day(day) == zone


def test_no_day_is_zeros() -> None:
    assert write_day("") == "000000"

"""Names of the reserve channel."""

from __future__ import annotations

import pytest

from gateway.formats.landing import DEMAND, had_name, landing_name, partial_name, read_landing_name

DIGEST = "0123456789abcdef" * 4


def test_a_whole_name_reads_back() -> None:
    assert read_landing_name(landing_name("f1.2.3", DIGEST)) == ("f1.2.3", DIGEST)


@pytest.mark.parametrize("name", ["", DIGEST, f".{DIGEST}", f"f1.1.1.{DIGEST[1:]}", f"f1.1.1.{DIGEST.upper()}", DEMAND])
def test_other_names_are_none(name: str) -> None:
    assert read_landing_name(name) is None


def test_partials_are_hidden_and_no_whole_name() -> None:
    partial = partial_name(landing_name("f1.1.1", DIGEST))
    assert partial.startswith(".") and read_landing_name(partial) is None


def test_marks_are_no_names_of_returns() -> None:
    assert had_name("receipt_00000001") == "receipt_00000001.remis"

"""Layouts: lossless both ways, and zone for zone those of the researched table."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.formats import b2_tables, noemie_tables
from gateway.formats.layout import Layout, Zone

FAMILIES = {"B2-CP": b2_tables.LAYOUTS, "NOEMIE-PS": noemie_tables.LAYOUTS}
ALL = [layout for tables in FAMILIES.values() for layout in tables.values()]
ROWS = [
    row
    for row in csv.DictReader((Path(__file__).parents[1] / "vectors" / "flux-layouts.csv").open(encoding="utf-8"))
    if row["family"] in FAMILIES
]


def test_every_row_of_the_table_is_a_zone() -> None:
    for row in ROWS:
        zone = FAMILIES[row["family"]][row["record"]].zone(row["key"])
        presence = "?" if row["confidence"] == "guess" else row["presence"]
        expected = (int(row["from"]), int(row["length"]), row["type"], presence)
        assert (zone.start, zone.length, zone.kind, zone.presence) == expected, row
        assert zone.meaning


def test_no_zone_beyond_the_table() -> None:
    assert len(ROWS) == sum(len(layout.zones) for layout in ALL)


@pytest.mark.parametrize("record", b2_tables.LAYOUTS)
def test_a_b2_record_has_128_characters(record: str) -> None:
    assert b2_tables.LAYOUTS[record].length == 128


@given(st.sampled_from(ALL), st.data())
def test_what_is_read_is_written_back(layout: Layout, data: st.DataObject) -> None:
    text = data.draw(st.text(st.characters(max_codepoint=255), min_size=layout.length, max_size=layout.length))
    assert layout.write(layout.read(text)) == text


@given(st.sampled_from(ALL), st.data())
def test_write_read_write(layout: Layout, data: st.DataObject) -> None:
    values: dict[str, str | int] = {
        zone.name: data.draw(
            st.integers(0, 10**zone.length - 1) if zone.kind == "N" else st.text("AZ 09", max_size=zone.length)
        )
        for zone in layout.zones
        if zone.name not in ("rec", "eoe")
    }
    record = layout.write(values)
    assert record.startswith(layout.record)
    assert len(record) == layout.length
    assert layout.write(layout.read(record)) == record


@pytest.mark.parametrize(
    ("zone", "value", "written"),
    [
        (Zone("n", 1, 4, "N", "M", "n"), 7, "0007"),
        (Zone("n", 1, 4, "N", "M", "n"), "7", "0007"),
        (Zone("n", 1, 4, "N", "M", "n"), "  7 ", "  7 "),
        (Zone("n", 1, 4, "N", "M", "n"), "", "0000"),
        (Zone("a", 1, 4, "A", "M", "a"), "AB", "AB  "),
        (Zone("a", 1, 4, "A", "M", "a"), 12, "12  "),
    ],
)
def test_alignment(zone: Zone, value: str | int, written: str) -> None:
    assert zone.write(value) == written


@pytest.mark.parametrize("value", ["12345", 12345, -1])
def test_what_does_not_fit_is_a_bug(value: str | int) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        Zone("n", 1, 4, "N", "M", "n").write(value)


def test_an_unknown_zone_is_a_bug() -> None:
    with pytest.raises(ValueError, match="no zone"):
        b2_tables.LOT_START.write({"nonsense": 1})

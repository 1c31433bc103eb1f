"""Persons in the access chain: searchable and readable while their year's key lives, nobody afterwards."""

from __future__ import annotations

from pathlib import Path

from gateway.services.keeper.persons import Persons

SECRET = b"p" * 32


def test_a_person_is_the_same_within_a_year_and_another_in_the_next(tmp_path: Path) -> None:
    persons = Persons(tmp_path / "years", SECRET)
    first = persons.fact(2026, "claire", "abcd", "contrôle")
    assert persons.fact(2026, "claire", "abcd", "autre")["patient"] == first["patient"]
    assert persons.fact(2027, "claire", "abcd", "contrôle")["patient"] != first["patient"]
    assert persons.name(2026, "account", "claire") == first["account"] != persons.name(2026, "patient", "claire")
    assert "claire" not in str(first)
    assert "contrôle" not in str(first)


def test_who_and_why_can_be_read_until_the_key_is_destroyed(tmp_path: Path) -> None:
    persons = Persons(tmp_path / "years", SECRET)
    row = {"at": "2026-11-22T08:00:00Z", **persons.fact(2026, "claire", "abcd", "contrôle")}
    again = Persons(tmp_path / "years", SECRET)
    assert again.words(row) == {"account": "claire", "why": "contrôle"}
    persons.fact(2027, "claire", "", "")
    persons.destroy(2026)
    persons.destroy(2026)
    assert persons.years() == [2027]
    assert persons.words(row) == {}
    assert persons.name(2026, "patient", "abcd") == ""
    assert [path.name for path in (tmp_path / "years").iterdir()] == ["2027.salt"]


def test_neither_the_salts_nor_the_pseudonym_key_alone_names_anybody(tmp_path: Path) -> None:
    persons = Persons(tmp_path / "years", SECRET)
    row = {"at": "2026-11-22T08:00:00Z", **persons.fact(2026, "claire", "abcd", "contrôle")}
    salts_only = Persons(tmp_path / "years", b"q" * 32)
    assert salts_only.words(row) == {}
    assert salts_only.name(2026, "patient", "abcd") != row["patient"]
    key_only = Persons(tmp_path / "nowhere", SECRET)
    key_only.begin(2026)
    assert key_only.words(row) == {}
    assert key_only.name(2026, "patient", "abcd") != row["patient"]


def test_salts_are_the_keepers_alone(tmp_path: Path) -> None:
    persons = Persons(tmp_path / "years", SECRET)
    persons.begin(2026)
    assert (tmp_path / "years").stat().st_mode & 0o077 == 0
    assert (tmp_path / "years" / "2026.salt").stat().st_mode & 0o077 == 0

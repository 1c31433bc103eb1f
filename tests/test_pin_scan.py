"""A planted code is found, whatever it looks like, and other digits are none."""

from __future__ import annotations

import base64
import json
import random
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from pin_scan import BLOCK, CODE, CODES, INPUTS, PUK, found, is_random, remove, strange


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not below pytest's own directory, which is searched at the end of the run."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


PLANTED = {
    "words": f"card: code {CODE} refused",
    "JSON": json.dumps({"op": "unlock", "pin": CODE}),
    "an argument": f"gateway card sign --pin={CODE}",
    "a trace": "> 00 20 00 01 04 30 38 37 32  < 90 00",
    "a trace without blanks": "APDU: 002000010430383732",
    "pyscard's list": "[0, 32, 0, 1, 4, 48, 56, 55, 50]",
    "Python's list in hexadecimal": "0x30 0x38 0x37 0x32",
    "a dump": "\x00\x01\x00\x20\x00\x01\x040872\x02\x00",
    "bytes": f"b'{CODE}'",
    "base64": base64.b64encode(CODE.encode()).decode(),
}


@pytest.mark.parametrize("how", PLANTED)
def test_a_planted_code_is_found(folder: Path, how: str) -> None:
    (folder / "some.log").write_bytes(b"first line\n" + PLANTED[how].encode("latin-1") + b"\nlast line\n")
    assert found(folder)


@pytest.mark.parametrize("code", CODES)
def test_every_code_of_the_tests_is_found(folder: Path, code: str) -> None:
    (folder / "some.log").write_text(f"{'x' * 5_000_000} {code}")
    (folder / "some.trace").write_text(" ".join(f"{byte:02x}" for byte in b"\x00\x20\x00\x01" + code.encode()))
    with closing(sqlite3.connect(folder / "some.db")) as database, database:
        database.execute("CREATE TABLE typed (code TEXT)")
        database.execute("INSERT INTO typed VALUES (?)", (code,))
    assert {Path(find.split(": ")[0]).name for find in found(folder)} == {"some.log", "some.trace", "some.db"}


@pytest.mark.parametrize(
    "text", ["12:00:00.087212", "pid 10872", "00000872", "a0872f", "0x0872ab", "0.0872 s", "3087", "48, 56, 55"]
)
def test_other_digits_are_no_code(folder: Path, text: str) -> None:
    (folder / "some.log").write_text(text)
    assert not found(folder)


def test_sealed_bytes_are_left_out_and_a_dump_is_not(folder: Path) -> None:
    drawn = random.Random(1)
    (folder / "sealed").write_bytes(drawn.randbytes(20_000) + f" {CODE} ".encode() + drawn.randbytes(20_000))
    dump = b"\x7fELF" + bytes(20_000) + drawn.randbytes(20_000) + f"\0{CODE}\0".encode() + bytes(20_000)
    (folder / "core").write_bytes(dump)
    assert [is_random(folder / name) for name in ("sealed", "core")] == [True, False]
    assert {Path(find.split(": ")[0]).name for find in found(folder)} == {"core"}


@pytest.mark.parametrize("place", [0, BLOCK - 2, BLOCK - 70, 1 << 40])
def test_it_is_found_anywhere_in_a_file_of_any_size(folder: Path, place: int) -> None:
    with (folder / "large.log").open("wb") as out:
        out.write(b"." * (BLOCK + 100) if place < BLOCK else b".")
        out.seek(place)
        out.write(CODE.encode())
        out.seek((1 << 40) + 100)
        out.write(b"\n")
    assert len(found(folder)) == 1


def test_inputs_are_passed_over_by_name_and_few(folder: Path) -> None:
    assert len(INPUTS) == 2
    (folder / "code.pin").write_text(f"{CODE}\n")
    (folder / "codes-1.json").write_text(json.dumps({"secrets": {"1": CODE, "2": PUK}}))
    assert (found(folder), strange(folder)) == ([], [])
    (folder / "code.pin.log").write_text(f"{CODE}\n")
    assert len(found(folder)) == 1


def test_a_card_with_a_code_of_its_own_is_told(folder: Path) -> None:
    (folder / "other.pin").write_text("5731\n")
    (folder / "codes.json").write_text(json.dumps({"secrets": {"1": "5732", "2": PUK}}))
    assert len(strange(folder)) == 2


def test_what_is_removed_is_searched_first() -> None:
    folder = Path(tempfile.mkdtemp())
    (folder / "planted.log").write_text(f"VERIFY {CODE}\n")
    with pytest.raises(AssertionError, match="planted"):
        remove(folder)
    assert not folder.exists()


def test_bare_digits_among_sealed_bytes_are_chance_wherever_the_sealed_bytes_end(folder: Path) -> None:
    drawn = random.Random(1)
    (folder / "half-sealed").write_bytes(
        drawn.randbytes(20_000) + f" {CODE} ".encode() + drawn.randbytes(20_000) + bytes(20_000)
    )
    assert not is_random(folder / "half-sealed") and not found(folder)


@pytest.mark.parametrize("form", [f"\x04{CODE}", f"pin={CODE},", base64.b64encode(CODE.encode()).decode()])
def test_a_code_in_a_shape_of_its_own_is_found_between_sealed_bytes(folder: Path, form: str) -> None:
    drawn = random.Random(1)
    (folder / "record").write_bytes(
        bytes(5_000) + drawn.randbytes(40) + f'{{"{form}"}}'.encode("latin-1") + drawn.randbytes(40) + bytes(5_000)
    )
    assert found(folder)

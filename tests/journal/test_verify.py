"""Every way to touch every row is found and named; also where somebody recomputed all hashes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import pytest

from gateway.journal.chain import EVIDENCE, START, Row, row_hash, row_text
from gateway.journal.merkle import Frontier
from gateway.journal.verify import Finding, Mark, Reading, Start, first_difference

COUNT = 12
AT = "2026-11-22T08:00:{:02d}Z"


def rows(count: int = COUNT) -> list[Row]:
    made, previous = [], START
    for seq in range(1, count + 1):
        text = row_text(seq, EVIDENCE, AT.format(seq), {"verb": "check", "fichier": f"f{seq}"})
        made.append(Row(seq, EVIDENCE, text, row_hash(previous, text)))
        previous = made[-1].hash
    return made


def root(given: list[Row]) -> bytes:
    frontier = Frontier()
    for row in given:
        frontier.add(row.hash)
    return frontier.root()


def marks(*sizes: int) -> list[Mark]:
    return [Mark(size, root(rows()[:size]), f"le point {size}") for size in sizes]


def findings(given: list[Row], *sizes: int, start: Start | None = None) -> list[Finding]:
    reading = Reading(EVIDENCE, "livre", marks(*sizes), start)
    for _ in reading.read(given):
        pass
    reading.finish()
    return reading.findings


def unplaced(given: list[Row]) -> list[Row]:
    """As segments give them: only the text says where a row stands."""
    return [row._replace(seq=0) for row in given]


def rechained(given: list[Row], renumber: bool = True) -> list[Row]:
    """What somebody without the key can do: all numbers and hashes made new."""
    made, previous = [], START
    for seq, row in enumerate(given, start=1):
        told = json.loads(row.text)
        text = row_text(seq if renumber else told["seq"], EVIDENCE, told["at"], told)
        made.append(Row(seq, EVIDENCE, text, row_hash(previous, text)))
        previous = made[-1].hash
    return made


def changed(row: Row) -> Row:
    return row._replace(text=row.text.replace('"check"', '"cheat"'))


def test_a_whole_chain_holds() -> None:
    assert findings(rows(), 1, 4, 7, COUNT) == []
    assert findings(unplaced(rows()), 1, 4, 7, COUNT) == []
    assert findings([]) == []


@pytest.mark.parametrize("place", [lambda given: given, unplaced], ids=["book", "segments"])
@pytest.mark.parametrize("at", range(COUNT))
def test_each_row_touched_is_named(place: Callable[[list[Row]], list[Row]], at: int) -> None:
    whole = rows()
    one_bit = bytes([whole[at].hash[0] ^ 1]) + whole[at].hash[1:]
    for number, (touched, kinds) in enumerate((
        ([*whole[:at], changed(whole[at]), *whole[at + 1 :]], {"changed"}),
        ([*whole[:at], whole[at]._replace(hash=one_bit), *whole[at + 1 :]], {"changed"}),
        ([*whole[:at], whole[at]._replace(text="{}"), *whole[at + 1 :]], {"unreadable"}),
        ([*whole[:at], *whole[at + 1 :]], {"removed", "truncated"}),
        ([*whole[:at], whole[at], *whole[at:]], {"inserted"}),
        (whole[:at], {"truncated"}),
    )):  # fmt: skip
        found = findings(place(touched), COUNT)
        assert found, number
        assert found[0].kind in kinds
        assert found[0].seq == at + 1
        assert all(one.where == "livre" and one.chain == EVIDENCE for one in found)
        if found[0].kind in ("changed",):
            assert found[0].at == AT.format(at + 1)
            assert len(found) == 1, "one touched row is one finding"


@pytest.mark.parametrize("at", range(COUNT - 1))
def test_two_rows_swapped_are_named(at: int) -> None:
    whole = rows()
    swapped = [*whole[:at], whole[at + 1], whole[at], *whole[at + 2 :]]
    named = findings(unplaced(swapped), COUNT)
    assert {one.kind for one in named} == {"removed", "inserted"} and named[0].seq == at + 1
    texts = [row._replace(seq=seq) for seq, row in enumerate(swapped, start=1)]
    assert findings(texts, COUNT)[0].seq == at + 1


@pytest.mark.parametrize("at", range(COUNT))
def test_recomputed_hashes_do_not_answer_to_what_was_signed(at: int) -> None:
    whole = rows()
    extra = changed(whole[0])
    cases = [
        rechained([*whole[:at], changed(whole[at]), *whole[at + 1 :]]),
        rechained([*whole[:at], *whole[at + 1 :]]),
        rechained([*whole[:at], extra, *whole[at:]]),
        rechained([whole[at], *whole[:at], *whole[at + 1 :]]) if at else rechained([whole[1], whole[0], *whole[2:]]),
    ]
    for number, touched in enumerate(cases):
        assert findings(touched) == [], "nothing but a signature shows it"
        found = findings(touched, *range(1, COUNT + 1))
        assert len(found) >= 1 and found[0].kind in ("forged", "truncated"), number
        first = 1 if number == 3 else at + 1
        assert found[0].seq == first, "every row is signed: the very row is named"
        coarse = findings(touched, 6, COUNT)
        assert coarse[0].kind in ("forged", "truncated")


def test_numbers_that_do_not_fit_their_place_are_named() -> None:
    whole = rows()
    moved = rechained([whole[0], whole[2], whole[1], *whole[3:]], renumber=False)
    assert findings(moved)[0].kind == "moved"
    assert findings(moved)[0].seq == 2


def test_a_row_of_the_other_chain_is_named() -> None:
    whole = rows(3)
    text = whole[1].text.replace("evidence", "access")
    strange = [whole[0], Row(2, EVIDENCE, text, row_hash(whole[0].hash, text)), whole[2]]
    assert findings(strange)[0].kind == "unreadable"


def test_a_reading_may_begin_behind_a_row_that_the_tree_vouches_for() -> None:
    whole, frontier = rows(), Frontier()
    for row in whole[:5]:
        frontier.add(row.hash)
    start = Start(whole[4].hash, frontier)
    assert findings(whole[5:], 3, 5, 9, COUNT, start=start) == []
    wrong = Start(hashlib.sha256(b"").digest(), Frontier([b"\1" * 32, b"\2" * 32], 5))
    assert findings(whole[5:], COUNT, start=wrong)[0].kind == "changed"


def test_signed_things_that_rows_name_are_listed() -> None:
    text = row_text(1, EVIDENCE, AT.format(1), {"verb": "stamp", "fichier": "", "signed": "ab"})
    reading = Reading(EVIDENCE, "livre")
    assert list(reading.read([Row(1, EVIDENCE, text, row_hash(START, text))])) == [1]
    assert reading.named == {"ab": (1, AT.format(1))}


@pytest.mark.parametrize("at", range(COUNT))
def test_the_first_difference_between_book_and_segments(at: int) -> None:
    whole, segments = rows(), unplaced(rows())
    assert first_difference(whole, segments, EVIDENCE, COUNT) is None
    assert first_difference(whole, segments[:-1], EVIDENCE, COUNT - 1) is None, "the last is not in files yet"
    ours = rechained([*whole[:at], changed(whole[at]), *whole[at + 1 :]])
    for book, files in ((ours, segments), (whole, unplaced(ours)), (whole, segments[:at])):
        found = first_difference(book, files, EVIDENCE, COUNT)
        assert found is not None and found.seq == at + 1
    assert first_difference(whole[:at], segments, EVIDENCE, COUNT) is not None

"""B2: every rule has a case that breaks it and nothing else worse, and no bytes give a traceback."""

from __future__ import annotations

import pytest
from b2_edits import SAMPLES, TWO_LOTS, Edit, drop, put, then
from hypothesis import given
from hypothesis import strategies as st

from gateway.formats import b2
from gateway.formats.b2_tables import FILE_END, FILE_START, MOST_BYTES, RULES
from gateway.formats.b2_write import write_fichier
from gateway.formats.findings import Facture, Lot, Report


def other_emitter(data: bytes) -> bytes:
    """A wrong Luhn key, everywhere."""
    return data.replace(b"991038431", b"991038432")


def with_line_ends(data: bytes) -> bytes:
    return b"".join(data[at : at + 128] + b"\r\n" for at in range(0, len(data), 128))


def many_factures(_: bytes) -> bytes:
    """334 sound factures: 1006 records."""
    factures = (Facture(f"{n:09d}", "155059999999968", 700, 0, 700, "2025-11-03") for n in range(1, 335))
    lot = Lot("991038431", "00000001025996", "001", "2025-11-22", tuple(factures))
    return write_fichier([lot], "SYN001", "2025-11-22")


NO_FACTURE = (12, 11, f"{0:014d}{0:027d}")
"""Counts and totals of a lot end, all zero."""
NO_LINE = [(4, 39, f"{0:019d}"), (4, 115, f"{0:08d}"), (8, 14, "0001"), (8, 25, f"{11500:09d}{11500:09d}")]
"""A facture end without lines, and the lot end and file end that go with it."""

# code, severity, (record, position), edit
CASES: list[tuple[str, str, tuple[int, int], Edit]] = [
    ("B2-001", "blocks", (18, 1), lambda data: data[:-10]),
    ("B2-002", "says", (18, 1), with_line_ends),
    ("B2-003", "blocks", (2, 1), drop(2)),
    ("B2-003", "blocks", (19, 1), lambda data: data + data[-128:]),
    ("B2-004", "blocks", (17, 1), drop(18)),
    ("B2-005", "blocks", (6, 1), drop(6)),
    ("B2-006", "blocks", (18, 20), put((18, 20, "PROG"))),
    ("B2-007", "blocks", (1, 83), put((1, 83, "127"))),
    ("B2-008", "blocks", (18, 56), put((18, 56, "00000017"))),
    ("B2-009", "blocks", (18, 83), put((18, 83, "003"))),
    ("B2-010", "warns", (1006, 1), many_factures),
    ("B2-011", "blocks", (6, 42), put((6, 42, "0002300X"))),
    ("B2-012", "warns", (4, 71), put((4, 71, "ABCDE"))),
    ("B2-013", "blocks", (4, 1), put((4, 1, "7"))),
    ("B2-014", "says", (18, 1), put((1, 62, "PS"))),
    ("B2-015", "says", (4, 1), put((4, 11, "F"))),
    ("B2-016", "says", (2, 1), put((2, 30, "É"))),
    ("B2-017", "blocks", (3, 25), put((3, 25, "00"))),
    ("B2-018", "blocks", (3, 12), put((3, 12, "15505999999X9"))),
    ("B2-019", "blocks", (3, 2), other_emitter),
    ("B2-020", "warns", (3, 119), put((3, 119, "0098532006"))),
    ("B2-021", "blocks", (3, 2), put((3, 2, "420788606"))),
    ("B2-022", "warns", (2, 2), put((1, 11, "420788606"), (18, 11, "420788606"))),
    ("B2-023", "blocks", (2, 20), put((2, 20, "000"), (10, 52, "000"))),
    ("B2-024", "blocks", (10, 52), put((10, 52, "009"))),
    ("B2-025", "blocks", (11, 20), put((11, 20, "001"), (17, 52, "001"))),
    ("B2-026", "blocks", (3, 30), put(*((record, 30, "000000000") for record in range(3, 7)))),
    ("B2-027", "blocks", (7, 30), put(*((record, 30, "001000001") for record in range(7, 10)))),
    ("B2-028", "blocks", (4, 30), put((4, 30, "001000009"))),
    ("B2-029", "blocks", (6, 39), put((6, 39, "003"))),
    ("B2-030", "blocks", (6, 50), put((6, 50, "00022900"))),
    ("B2-030", "warns", (6, 50), put((4, 11, "F"))),
    ("B2-031", "blocks", (10, 11), put((10, 11, "003"))),
    ("B2-032", "blocks", (10, 25), put((10, 25, "000034600"))),
    ("B2-033", "warns", (10, 34), put((10, 34, "000000001"))),
    ("B2-034", "blocks", (3, 103), put((3, 103, "251399"))),
    ("B2-035", "blocks", (3, 109), put((3, 103, "251111"))),
    ("B2-036", "warns", (4, 44), put((2, 72, "251101"))),
    ("B2-038", "warns", (12, 1), then(drop(12, 13, 14, 15, 16), put(NO_FACTURE, (13, 56, "00000013")))),
    ("B2-039", "warns", (4, 1), then(drop(4, 5), put(*NO_LINE, (16, 56, "00000016")))),
    ("B2-040", "warns", (6, 1), put((4, 122, "0000001"), (6, 82, "00000001"))),
    ("B2-041", "blocks", (2, 1), drop(*range(2, 18))),
    ("B2-042", "warns", (1, 66), put((1, 66, "B3"))),
    ("B2-043", "blocks", (1, 1), lambda data: data.ljust(MOST_BYTES + 1)),
]


def found(report: Report) -> set[tuple[str, str, tuple[int, int]]]:
    return {(one.code, one.severity, (one.record, one.position)) for one in report.findings}


@pytest.mark.parametrize(("code", "severity", "place", "edit"), CASES, ids=[f"{case[0]}-{case[1]}" for case in CASES])
def test_a_broken_rule_is_found_in_its_place(code: str, severity: str, place: tuple[int, int], edit: Edit) -> None:
    report = b2.check(edit(TWO_LOTS))
    assert (code, severity, place) in found(report)
    if severity != "blocks":
        assert not report.blocked


def test_every_rule_has_a_case() -> None:
    assert {case[0] for case in CASES} | {"B2-037"} == set(RULES)


def test_the_sample_is_sound_and_read() -> None:
    report = b2.check(TWO_LOTS)
    assert report.findings == ()
    assert report.lots == (
        Lot(
            "991038431",
            "00000001025996",
            "001",
            "2025-11-22",
            (
                Facture("001000001", "155059999999968", 23000, 0, 23000, "2025-11-03"),
                Facture("001000002", "260069999999881", 11500, 0, 11500, "2025-11-04"),
            ),
        ),
        Lot(
            "991038431",
            "00000001025996",
            "002",
            "2025-11-22",
            (Facture("001000003", "199012A99999710", 34500, 0, 34500, "2025-11-05"),),
        ),
    )


@pytest.mark.parametrize(("name", "code"), [("b2_bad_nir_key", "B2-017"), ("b2_bad_no_999", "B2-004")])
def test_the_bad_samples_are_refused(name: str, code: str) -> None:
    report = b2.check((SAMPLES / f"{name}.b2").read_bytes())
    assert report.blocked
    assert code in {finding.code for finding in report.findings}


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r"])
def test_line_ends_change_nothing_else(end: bytes) -> None:
    joined = end.join(TWO_LOTS[at : at + 128] for at in range(0, len(TWO_LOTS), 128))
    report = b2.check(joined + end)
    assert report.lots == b2.check(TWO_LOTS).lots
    assert [finding.code for finding in report.findings] == ["B2-002"]


@pytest.mark.parametrize(("today", "codes"), [("", []), ("2025-11-22", []), ("2025-11-21", ["B2-037", "B2-037"])])
def test_a_lot_in_the_future_needs_a_clock(today: str, codes: list[str]) -> None:
    assert [finding.code for finding in b2.check(TWO_LOTS, today=today).findings] == codes


@pytest.mark.parametrize(("total", "good"), [(1000, True), (700, True), (900, True), (200, False), (0, False)])
def test_the_lot_total_may_be_the_expense_or_what_is_asked(total: int, good: bool) -> None:
    facture = Facture("000000001", "155059999999968", 700, 200, 1000, "2025-11-03")
    lot = Lot("991038431", "00000001025996", "001", "2025-11-22", (facture,))
    data = write_fichier([lot], "SYN001", "2025-11-22")
    assert b2.check(put((6, 25, f"{total:09d}"))(data)).blocked is not good


def test_another_norm_is_checked_for_structure_only() -> None:
    report = b2.check(put((1, 62, "PS"), (3, 25, "00"), (6, 42, "XXXXXXXX"), (10, 25, "999999999"))(TWO_LOTS))
    assert not report.blocked
    assert report.lots == ()
    assert [(one.code, one.severity) for one in report.findings] == [("B2-017", "warns"), ("B2-014", "says")]
    assert "2 lots, 3 factures" in report.findings[-1].text
    assert b2.check(drop(6)(put((1, 62, "PS"))(TWO_LOTS))).blocked


def test_no_finding_holds_a_nir() -> None:
    nirs = ("1550599999999", "2600699999998", "199012A999997")
    for _, _, _, edit in CASES:
        for finding in b2.check(edit(TWO_LOTS)).findings:
            assert not any(nir in finding.text for nir in nirs)


def test_a_2s_is_carried() -> None:
    second = TWO_LOTS[256:384]
    data = TWO_LOTS[:384] + second[:10] + b"S" + second[11:] + TWO_LOTS[384:]
    report = b2.check(put((11, 14, "0004"), (11, 11, "003"), (19, 56, "00000019"))(data))
    assert not report.blocked
    assert [finding.code for finding in report.findings] == ["B2-015"]


def test_an_unknown_profile_is_a_bug() -> None:
    with pytest.raises(ValueError, match="no profile"):
        b2.check(TWO_LOTS, "nonsense")


@given(st.binary(max_size=600))
def test_any_bytes_give_a_report(data: bytes) -> None:
    report = b2.check(data)
    assert Report.from_json(report.to_json()) == report
    assert report.blocked


@given(st.integers(0, len(TWO_LOTS) - 1))
def test_a_cut_file_is_refused(size: int) -> None:
    assert b2.check(TWO_LOTS[:size]).blocked


FLIPS = st.lists(st.tuples(st.integers(0, len(TWO_LOTS) - 1), st.integers(0, 255)), max_size=20)
RECORDS = [FILE_START.write({"norm": "CP"}), FILE_END.write({}), *(kind.ljust(128) for kind in "123456")]


@given(FLIPS, st.sampled_from(b2.PROFILES))
def test_flipped_bytes_give_a_report(flips: list[tuple[int, int]], profile: str) -> None:
    data = bytearray(TWO_LOTS)
    for at, value in flips:
        data[at] = value
    report = b2.check(bytes(data), profile, today="2025-11-22")
    assert Report.from_json(report.to_json()) == report


@given(st.lists(st.sampled_from(RECORDS)))
def test_records_in_any_order_give_a_report(records: list[str]) -> None:
    report = b2.check("".join(records).encode())
    assert report.blocked
    assert Report.from_json(report.to_json()) == report

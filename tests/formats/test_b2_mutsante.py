"""Profile mutsante: every demand is found lacking where it lacks, and only there."""

from __future__ import annotations

import pytest
from b2_edits import Edit, put

from gateway.formats import b2
from gateway.formats.b2_mutsante import DEMANDS, RULES, Demand, lacks
from gateway.formats.b2_tables import FACTURE_START, FEE_LINE
from gateway.formats.b2_write import write_fichier
from gateway.formats.findings import Facture, Lot

WITH_AMC = write_fichier(
    [
        Lot(
            "991038431",
            "00000001025996",
            "001",
            "2025-11-22",
            (Facture("001000001", "155059999999968", 700, 300, 1000, "2025-11-03"),),
        )
    ],
    "SYN001",
    "2025-11-22",
)

CASES: list[tuple[str, tuple[int, int], Edit]] = [
    ("MS-01", (3, 119), put((3, 119, "          "))),
    ("MS-03", (3, 96), put((3, 96, "000000"))),
    ("MS-03", (3, 102), put((3, 102, "0"))),
    ("MS-04", (2, 30), put((2, 30, " " * 40))),
    ("MS-09", (5, 115), put((5, 115, "00000000"))),
    ("MS-11", (5, 82), put((5, 82, "00000000"))),
    ("MS-12", (5, 82), put((5, 82, "00000900"))),
    ("MS-15", (4, 56), put((4, 56, "     "))),
    ("MS-16", (4, 61), put((4, 61, "000"))),
    ("MS-16", (4, 65), put((4, 65, "00000"))),
    ("MS-16", (4, 76), put((4, 76, "0000000"))),
    ("MS-17", (4, 102), put((4, 102, "00000000"))),
    ("MS-18", (4, 83), put((4, 83, "00000000"))),
    ("MS-19", (4, 91), put((4, 91, "101"))),
    ("MS-21", (4, 122), put((4, 122, "       "))),
    ("MS-22", (4, 94), put((4, 94, "00000900"))),
]


def codes(data: bytes, profile: str) -> set[tuple[str, str, tuple[int, int]]]:
    report = b2.check(data, profile)
    return {(one.code, one.severity, (one.record, one.position)) for one in report.findings if one.code in RULES}


def test_what_is_complete_passes() -> None:
    assert b2.check(WITH_AMC, "mutsante").findings == ()


@pytest.mark.parametrize(("code", "place", "edit"), CASES, ids=[f"{case[0]}-{case[1][1]}" for case in CASES])
def test_a_lack_blocks_where_the_profile_is_asked_for(code: str, place: tuple[int, int], edit: Edit) -> None:
    assert (code, "blocks", place) in codes(edit(WITH_AMC), "mutsante")


def test_every_rule_has_a_case() -> None:
    assert {case[0] for case in CASES} == set(RULES)


def test_it_only_warns_without_the_profile() -> None:
    broken = put((3, 119, " " * 10))(WITH_AMC)
    assert codes(broken, "b2-cp") == {("MS-01", "warns", (3, 119))}
    assert not b2.check(broken).blocked


def test_an_invoice_without_amc_part_is_left_alone_without_the_profile() -> None:
    broken = put((3, 119, " " * 10), (5, 82, "00000000"))(WITH_AMC)
    assert codes(broken, "b2-cp") == set()
    assert ("MS-11", "blocks", (5, 82)) in codes(broken, "mutsante")


ON_FEES = [demand for demand in DEMANDS if demand.record == "4"]


@pytest.mark.parametrize("demand", ON_FEES, ids=lambda demand: demand.zone)
def test_fee_lines_have_the_same_demands(demand: Demand) -> None:
    lacking = {(lack.code, lack.position) for lack in lacks("4", 9, FEE_LINE.read(" " * 128))}
    assert (demand.code, FEE_LINE.zone(demand.zone).start) in lacking


def test_a_lack_names_its_record() -> None:
    assert {lack.record for lack in lacks("2", 7, FACTURE_START.read(" " * 128))} == {7}

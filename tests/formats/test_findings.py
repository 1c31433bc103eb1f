"""Reports: totals, their JSON, and the bound on what is listed."""

from __future__ import annotations

import pytest

from gateway.errors import Refused
from gateway.formats.findings import MOST_FINDINGS, Facture, Finding, Findings, Lot, Report, Rule

RULES = {
    "T-1": Rule("warns", "Voici {what}."),
    "T-2": Rule("blocks", "Assez."),
    "T-3": Rule("says", "Dit."),
}
LOTS = (
    Lot("991038431", "00000001025996", "001", "2025-11-22", (Facture("000000001", "1", 700, 200, 1000, "2025-11-03"),)),
    Lot(
        "991038431",
        "00000001025996",
        "002",
        "2025-11-22",
        (Facture("000000002", "2", 70, 20, 100), Facture("000000003", "3", 7, 2, 10)),
    ),
)


def test_totals() -> None:
    report = Report("b2", (), LOTS)
    assert (report.facture_count, report.amo_cents, report.amc_cents, report.spent_cents) == (3, 777, 222, 1110)
    assert (LOTS[1].amo_cents, LOTS[1].amc_cents, LOTS[1].spent_cents) == (77, 22, 110)


@pytest.mark.parametrize(("severity", "blocked"), [("blocks", True), ("warns", False), ("says", False)])
def test_only_what_blocks_blocks(severity: str, blocked: bool) -> None:
    assert Report("b2", (Finding(1, 1, "T", "t", severity),)).blocked is blocked  # type: ignore[arg-type]


def test_a_report_crosses_a_process_boundary() -> None:
    report = Report("b2", (Finding(3, 25, "B2-017", "Clé « fausse ».", "blocks"),), LOTS)
    assert Report.from_json(report.to_json()) == report


@pytest.mark.parametrize("data", [b"", b"{}", b'{"findings":[],"kind":"b2"}', b'{"findings":[],"kind":"x","lots":[]}'])
def test_a_childs_nonsense_is_refused(data: bytes) -> None:
    with pytest.raises(Refused, match="FMT-009"):
        Report.from_json(data)


def test_facts_are_made_printable() -> None:
    findings = Findings(RULES)
    findings.add("T-1", 1, what="a\x1bb")
    assert findings.close()[0].text == "Voici a?b."


def test_what_is_only_said_is_said_once() -> None:
    findings = Findings(RULES)
    for record in range(1, 5):
        findings.add("T-3", record)
    assert [found.record for found in findings.close()] == [1]


@pytest.mark.parametrize(("last", "severity"), [("T-1", "warns"), ("T-2", "blocks")])
def test_unlisted_findings_are_counted_and_still_block(last: str, severity: str) -> None:
    findings = Findings(RULES)
    for _ in range(MOST_FINDINGS + 1):
        findings.add("T-1", 1, what="x")
    findings.add(last, 1, what="x")
    closed = findings.close()
    assert len(closed) == MOST_FINDINGS + 1
    assert (closed[-1].code, closed[-1].severity) == ("FMT-008", severity)
    assert "2 autres" in closed[-1].text

"""A fichier is recognised by its first bytes; what is not recognised is refused with its reason."""

from __future__ import annotations

import gzip

import pytest
from b2_edits import SAMPLES, TWO_LOTS
from hypothesis import given
from hypothesis import strategies as st

from gateway.formats import kinds
from gateway.formats.findings import Kind, Report

RETURN = (SAMPLES / "noemie_new_form_paid_and_rejected.noe").read_bytes()
CASES: list[tuple[bytes, Kind, list[str]]] = [
    (TWO_LOTS, "b2", []),
    (TWO_LOTS[:20], "b2", ["B2-001", "B2-004", "B2-041"]),
    (b"%PDF-1.7 %%EOF", "documents", ["DOC-002"]),
    (b"\xff\xd8\xff\xd9", "documents", ["DOC-002"]),
    (RETURN, "noemie", ["FMT-002"]),
    (b"0128" + RETURN, "noemie", ["FMT-002"]),
    (gzip.compress(RETURN), "noemie", ["FMT-002"]),
    (gzip.compress(TWO_LOTS), "unknown", ["FMT-001"]),
    (b"0128" + TWO_LOTS, "unknown", ["FMT-001"]),
    (b"\x1f\x8b broken", "unknown", ["FMT-001"]),
    (b"", "unknown", ["FMT-003"]),
    (b"000", "unknown", ["FMT-001"]),
    (b"00012", "unknown", ["FMT-001"]),
    (b"nom;montant\n", "unknown", ["FMT-001"]),
]


@pytest.mark.parametrize(("data", "kind", "codes"), CASES, ids=[str(n) for n in range(len(CASES))])
def test_kinds(data: bytes, kind: Kind, codes: list[str]) -> None:
    assert kinds.recognise(data) == kind
    report = kinds.check_fichier(memoryview(data))
    assert report.kind == kind
    assert [one.code for one in report.findings] == codes


def test_the_profile_reaches_the_check() -> None:
    assert not kinds.check_fichier(TWO_LOTS).blocked
    assert kinds.check_fichier(TWO_LOTS, "mutsante").blocked


def test_the_day_reaches_the_check() -> None:
    assert "B2-037" in {one.code for one in kinds.check_fichier(TWO_LOTS, today="2020-01-01").findings}


@given(st.binary() | st.tuples(st.sampled_from([case[0][:140] for case in CASES]), st.binary()).map(b"".join))
def test_any_bytes_give_a_report(data: bytes) -> None:
    report = kinds.check_fichier(data)
    assert Report.from_json(report.to_json()) == report

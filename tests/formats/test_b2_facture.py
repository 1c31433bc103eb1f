"""Content of a facture: plain and complementary lines, fee lines, first day of care."""

from __future__ import annotations

import pytest
from b2_edits import TWO_LOTS, put

from gateway.formats import b2
from gateway.formats.b2_facture import cents, is_plain, place
from gateway.formats.b2_tables import FEE_LINE, HOSPITAL_LINE

LINE = {"start": "251103", "end": "251103", "act": "SD"}
FEE = {"care_date": "251103", "act": "C"}


@pytest.mark.parametrize(
    ("kind", "values", "plain"),
    [
        ("3", LINE, True),
        ("3", {**LINE, "amo": "XXXXXXXX"}, True),
        ("3", {**LINE, "end": "251399"}, True),
        ("3", {**LINE, "end": "      ", "act": "1    "}, False),
        ("3", {**LINE, "blank_11": "F"}, False),
        ("4", FEE, True),
        ("4", {**FEE, "act": "     "}, True),
        ("4", {"care_date": "      ", "act": "     "}, False),
        ("4", {**FEE, "blank_11": "M"}, False),
    ],
)
def test_plain_or_complementary(kind: str, values: dict[str, str | int], plain: bool) -> None:
    layout = {"3": HOSPITAL_LINE, "4": FEE_LINE}[kind]
    assert is_plain(kind, layout.read(layout.write(values))) is plain


@pytest.mark.parametrize(("value", "amount"), [("00012", 12), ("     ", 0), ("00X12", 0), ("", 0)])
def test_cents(value: str, amount: int) -> None:
    assert cents(value) == amount


def test_place() -> None:
    assert place("3", "amo") == (94, "montant remboursable AMO")


def test_fee_lines_are_summed_into_the_fees() -> None:
    """The second hospital line of the first facture becomes a fee line of 20 €, 14 € for the AMO."""
    old = HOSPITAL_LINE.read(TWO_LOTS[512:640].decode())
    fee = FEE_LINE.write(
        {
            **{zone: old[zone] for zone in ("emitter_no", "nir", "nir_key", "rank", "invoice_no")},
            "treat_mode": 19,
            "specialty": 1,
            "care_date": "251101",
            "act": "CS",
            "qty": 1,
            "coef": 100,
            "unit_price": 2000,
            "base": 2000,
            "rate": 70,
            "amo": 1400,
            "fees": 2000,
            "amc": 600,
        }
    )
    end = put((6, 42, "0001150000011500"), (6, 58, "0000200000001400"), (6, 90, "00000600"), (6, 115, "00011500"))
    totals = put((3, 119, "0098532005"), (10, 14, "0002"), (10, 25, "000025000000024400000000600"))
    report = b2.check(put((5, 1, fee))(end(totals(TWO_LOTS))))
    assert report.findings == ()
    facture = report.lots[0].factures[0]
    assert (facture.amo_cents, facture.amc_cents, facture.spent_cents) == (12900, 600, 13500)
    assert facture.care_date == "2025-11-01"


def test_the_entry_is_the_care_date_where_no_line_says_one() -> None:
    report = b2.check(put((4, 11, "F"), (5, 11, "F"))(TWO_LOTS))
    assert report.lots[0].factures[0].care_date == "2025-11-03"
    assert not report.blocked

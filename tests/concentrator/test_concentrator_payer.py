"""The payer's stand-in: what is paid adds up, what is rejected says why, hostile numbers end nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from concentrator_bench import DAY, facture, lots

from gateway.concentrator.payer import answers
from gateway.concentrator.settings import PayerSettings
from gateway.formats.arl import Arl
from gateway.formats.findings import Lot, Report
from gateway.formats.noemie import read

AT = datetime(2026, 11, 22, 23, 30, tzinfo=UTC)  # already the 23rd in Paris


def report(*of: Lot) -> Report:
    return Report("b2", (), of)


def test_each_lot_gets_an_arl_and_each_destination_one_return() -> None:
    first, second = lots(1, 2, 2)
    other = replace(second, destination="00000001025997")
    said = answers(PayerSettings(), "f1", report(first, second, other), AT)
    assert [one.kind for one in said] == ["arl", "arl", "arl", "rsp", "rsp"]
    returns = [read(one.body) for one in said if one.kind == "rsp"]
    assert [(one.emitter_no, len(one.factures)) for one in returns] == [("00000001025996", 4), ("00000001025997", 2)]
    assert all(one.findings == () for one in returns)
    assert {one.created for one in returns} == {"2026-11-23"}
    assert {one.transfers[0].accounting_date for one in returns} == {"2026-11-23"}
    assert returns[0].dest_no == "00000991038431"


def test_paid_in_full_or_rejected_with_code_and_label() -> None:
    made = replace(lots()[0], factures=(facture(1, 2300), facture(2, 1150), facture(3, 700, amc=300)))
    nir = made.factures[2].nir
    payer = PayerSettings(reject=("000000002", nir[-6:]), reject_code="1234", reject_label="FIN DE DROITS")
    paid = read(answers(payer, "f1", report(made), AT)[-1].body)
    one, two, three = paid.factures
    assert one.amo is not None and (one.amo.asked_cents, one.amo.state, one.amo.paid_cents) == (2300, "P", 2300)
    for rejected in (two, three):
        assert rejected.amo is not None and (rejected.amo.state, rejected.amo.paid_cents) == ("R", 0)
        assert [(reject.code, reject.label) for reject in rejected.rejects] == [("1234", "FIN DE DROITS")]
    assert three.amc is not None and three.amc.state == "R"
    assert paid.total_cents == 2300
    assert [(facture.lot_number, facture.lot_date) for facture in paid.factures] == [("001", DAY)] * 3


def test_a_complementary_part_is_paid_too() -> None:
    made = replace(lots()[0], factures=(facture(1, 700, amc=300),))
    paid = read(answers(PayerSettings(), "f1", report(made), AT)[-1].body)
    assert paid.findings == ()
    assert paid.factures[0].amc is not None and paid.factures[0].amc.paid_cents == 300
    assert paid.total_cents == 1000


def test_a_lot_with_a_negative_arl_is_not_paid() -> None:
    said = answers(PayerSettings(negative_arl=("002",)), "f1", report(*lots(1, 2, 2)), AT)
    arls = [Arl.from_bytes(one.body) for one in said if one.kind == "arl"]
    assert [arl.verdict for arl in arls] == ["positive", "negative"]
    assert arls[1].code and arls[1].text
    (rsp,) = [read(one.body) for one in said if one.kind == "rsp"]
    assert {facture.lot_number for facture in rsp.factures} == {"001"}


def test_documents_are_not_the_payers() -> None:
    assert answers(PayerSettings(), "f1", Report("documents", ()), AT) == []


def test_amounts_that_no_zone_can_hold_leave_the_lot_unanswered() -> None:
    made = replace(lots()[0], factures=(facture(1, 10**9),))
    assert [one.kind for one in answers(PayerSettings(), "f1", report(made), AT)] == ["arl"]

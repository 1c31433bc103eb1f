"""One facture in clear: the same facture that the check counts at that rank, and nothing of any other."""

from __future__ import annotations

import pytest
from b2_edits import TWO_LOTS, drop, put
from samples import b2

from gateway.formats import canonical
from gateway.formats.b2 import check
from gateway.formats.b2_reveal import read_facture
from gateway.formats.b2_revealed import NOTHING, Revealed

EDITS = {
    "as it is": lambda data: data,
    "line ends": lambda data: b"\r\n".join(data[at : at + 128] for at in range(0, len(data), 128)),
    "a facture that is not closed": drop(5),
    "a record of no type": put((4, 1, "X")),
    "a complement behind the type 2": lambda data: data[: 3 * 128] + data[2 * 128 : 3 * 128] + data[3 * 128 :],
    "a lot that is not closed": drop(next(n for n in range(1, 30) if TWO_LOTS[(n - 1) * 128 :][:1] == b"6")),
}


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("data", [b2(7, (3, 2)), TWO_LOTS], ids=["made", "sample"])
def test_it_counts_as_the_check_does(edit: str, data: bytes) -> None:
    edited = EDITS[edit](data)
    lots = check(edited).lots
    for lot_rank, lot in enumerate(lots, start=1):
        for rank, facture in enumerate(lot.factures, start=1):
            found = read_facture(edited, lot_rank, rank)
            assert (found.nir, found.number) == (facture.nir, facture.number)
        assert read_facture(edited, lot_rank, len(lot.factures) + 1) == NOTHING
    assert read_facture(edited, len(lots) + 1, 1) == NOTHING


def test_its_zones_are_as_written_and_of_no_other_facture() -> None:
    data = b2(7, (3, 2))
    others = {facture.nir for lot in check(data).lots for facture in lot.factures}
    found = read_facture(data, 2, 1)
    zones = {(one.kind, one.name): one.value for one in found.zones}
    facture = check(data).lots[1].factures[0]
    assert zones["2", "nir"] + zones["2", "nir_key"] == facture.nir
    assert zones["2", "invoice_no"] == facture.number
    assert int(zones["5", "amo_hosp"]) == facture.amo_cents
    assert "".join(zones["3", "start"]) == facture.care_date[2:].replace("-", "")
    told = found.to_json().decode()
    assert facture.nir[:13] in told
    assert not [nir for nir in others - {facture.nir} if nir[:13] in told]


def test_complements_are_counted_and_not_read() -> None:
    data = EDITS["a complement behind the type 2"](TWO_LOTS)
    plain, found = read_facture(TWO_LOTS, 1, 1), read_facture(data, 1, 1)
    assert found.complements == plain.complements + 1
    assert [(one.kind, one.name, one.value) for one in found.zones] == [
        (one.kind, one.name, one.value) for one in plain.zones
    ]


def test_any_bytes_give_an_answer_that_reads_back() -> None:
    for data in (b"", b"2" * 128, b"1" * 128 + b"2" * 128 + b"5" * 128, bytes(range(256)) * 40):
        found = read_facture(data, 1, 1)
        assert Revealed.from_json(found.to_json()) == found
    assert canonical.encode(NOTHING) == NOTHING.to_json()

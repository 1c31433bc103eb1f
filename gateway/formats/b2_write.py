"""Write a B2 file (norm CP) that holds given lots: for demonstrations, trials and tests.

Rule: ``check(write_fichier(lots)).lots == lots`` and no finding.
It makes one hospital line for each facture and leaves at zero what the lots do not say; the practice's own
software makes the files that are sent for real.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gateway.formats.b2_tables import (
    FACTURE_END,
    FACTURE_START,
    FILE_END,
    FILE_START,
    HOSPITAL_LINE,
    LOT_END,
    LOT_START,
)
from gateway.formats.findings import Facture, Lot
from gateway.formats.keys import write_day

_CMPP = {"category": 189, "status": 60, "tariff_mode": 5}
"""Category, legal status and tariff mode as a production file of a CMPP has them (flux facts 2.3)."""


def write_fichier(
    lots: Sequence[Lot],
    file_id: str,
    created: str,
    name: str = "CABINET D'ESSAI",
    amc_no: str = "98532005",
) -> bytes:
    """One file 000 … 999 with ``lots``, all of one emitter and destination.  ``file_id`` is at most six
    alphanumerics, ``created`` 'YYYY-MM-DD', ``amc_no`` the body of factures that have an AMC part.
    ValueError when a value does not fit its zone."""
    ends = {
        "emitter_type": "TE",
        "emitter_no": lots[0].emitter,
        "dest_type": "CT",
        "dest_no": lots[0].destination,
        "application": "TR",
        "file_id": file_id,
    }
    records = [
        FILE_START.write({**ends, "created": write_day(created), "norm": "CP", "norm_ver": "B2", "rec_len": 128})
    ]
    for lot in lots:
        records.extend(_lot(lot, name, amc_no))
    records.append(FILE_END.write({**ends, "n_records": len(records) + 1, "n_batches": len(lots)}))
    return "".join(records).encode("ascii", "replace")


def _lot(lot: Lot, name: str, amc_no: str) -> Iterator[str]:
    yield LOT_START.write(
        {
            **_CMPP,
            "emitter_no": lot.emitter,
            "dest_org": lot.destination[-3:],
            "batch_no": lot.number,
            "name": name,
            "family": "B2",
            "created": write_day(lot.date),
            "norm": "CP",
            "norm_edition": "062007",
            "currency": "U",
        }
    )
    for facture in lot.factures:
        yield from _facture(lot, facture, amc_no)
    count = len(lot.factures)
    yield LOT_END.write(
        {
            "emitter_no": lot.emitter,
            "n_type2": count,
            "n_type3": count,
            "n_18": count,
            "n_type5": count,
            "total_1": lot.spent_cents,
            "total_2": lot.amo_cents,
            "total_3": lot.amc_cents,
            "batch_no": lot.number,
        }
    )


def _facture(lot: Lot, facture: Facture, amc_no: str) -> Iterator[str]:
    care = write_day(facture.care_date)
    spent, amo, amc = facture.spent_cents, facture.amo_cents, facture.amc_cents
    same = {
        "emitter_no": lot.emitter,
        "nir": facture.nir[:13],
        "nir_key": facture.nir[13:],
        "invoice_no": facture.number,
    }
    yield FACTURE_START.write(
        {
            **same,
            "operation": "1",
            "entry_no": facture.number,
            "scheme": lot.destination[6:8],
            "fund": lot.destination[-3:],
            "rights_proof": "3",
            "insurance": 10,
            "exemption": "0",
            "birth": facture.nir[1:5] + "01",
            "birth_rank": 1,
            "entry": care,
            "exit": care,
            "amc_no": amc_no.zfill(10) if amc else "",
        }
    )
    yield HOSPITAL_LINE.write(
        {
            **same,
            "treat_mode": 19,
            "discipline": 320,
            "start": care,
            "end": care,
            "act": "SD",
            "qty": 1,
            "coef": 100,
            "unit_price": spent,
            "base": spent,
            "rate": amo * 100 // spent if spent else 0,
            "amo": amo,
            "spent": spent,
            "amc": amc,
        }
    )
    yield FACTURE_END.write(
        {
            **same,
            "lines": 1,
            "base_hosp": spent,
            "amo_hosp": amo,
            "patient": spent - amo,
            "amc_hosp": amc,
            "total_hosp": spent,
        }
    )

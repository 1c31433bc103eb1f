"""Write a NOEMIE-PS return in its new form (071, 102, 103, 198, 199, 294), as a payer does.

For the payer that stands in at the concentrator, demonstrations and tests: ``read(write_return(r)) == r``.
Only what the new form needs is written; totals and counts are computed, never taken from the value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gateway.formats.keys import write_day
from gateway.formats.noemie_tables import LAYOUTS, LEVELS
from gateway.formats.noemie_values import Part, Reject, Return, ReturnedFacture


@dataclass(frozen=True)
class Person:
    """Who an invoice is about: what 103 says beside the NIR.  ``birth`` is YYMMDD as the zone has it, since
    a birth date may be no day of the calendar."""

    birth_name: str = ""
    first_name: str = ""
    birth: str = "000000"
    birth_rank: int = 1
    ben_name: str = ""
    ben_first: str = ""


_NOBODY = Person()


def write_return(value: Return, people: Mapping[str, Person] | None = None, test: bool = False) -> bytes:
    """The bytes of a return with one transfer; ``people`` by invoice number, where known; ``test`` marks the flow as a
    trial.  ValueError for what this form cannot hold: several transfers, paid lines, withholdings."""
    if len(value.transfers) != 1 or value.withholdings or value.lumps_cents or value.unknown:
        raise ValueError("the new form is written with one transfer, and without withholdings or payments")
    total = sum(facture.paid_cents for facture in value.factures)
    ends: dict[str, str | int] = {
        "emitter_type": value.emitter_type,
        "emitter_no": value.emitter_no,
        "dest_type": value.dest_type,
        "dest_no": value.dest_no,
        "file_id": value.file_id,
        "flow": "T" if test else "",
    }
    written = [_file_start(value, ends)]
    written.extend(_opening(value))
    for facture in value.factures:
        written.extend(_facture(facture, (people or {}).get(facture.number, _NOBODY)))
    written.extend(_entity("295", text=comment) for comment in value.comments)
    count = len(value.factures)
    written.append(_entity("990", level_id=value.dest_no[-9:], count=count, total=abs(total), sign=_sign(total)))
    written.append(_file_end(value, ends, len(written) + 1, total))
    return "".join(written).encode("latin-1", "replace")


def _sign(cents: int) -> str:
    return "N" if cents < 0 else "P"


def _entity(entity: str, /, **values: str | int) -> str:
    return LAYOUTS[entity].write({"level": LEVELS.get(entity, "99"), **values})


def _file_start(value: Return, ends: Mapping[str, str | int]) -> str:
    fixed: dict[str, str | int] = {"packed": "0", "ciphered": "N", "currency": "U", "rec_len": 128}
    return LAYOUTS["000"].write({**ends, **fixed, "created": write_day(value.created), "reference": value.reference})


def _file_end(value: Return, ends: Mapping[str, str | int], entities: int, total: int) -> str:
    lots = {(facture.lot_number, facture.lot_date) for facture in value.factures}
    return LAYOUTS["999"].write(
        {**ends, "n_records": entities, "n_batches": len(lots), "total": abs(total), "sign": _sign(total)}
    )


def _opening(value: Return) -> Iterator[str]:
    for body in value.bodies:
        yield _entity("010", amc_no=body[:-1], amc_key=body[-1:])
    yield _entity("040", payee=value.payee)
    transfer = value.transfers[0]
    yield _entity(
        "071",
        acc_date=write_day(transfer.accounting_date),
        label1=transfer.label1,
        label2=transfer.label2,
        payer=transfer.payer,
    )
    yield _entity("081", kind=1)


def _facture(facture: ReturnedFacture, person: Person) -> Iterator[str]:
    if facture.lines:
        raise ValueError(f"invoice {facture.number}: paid lines are not written")
    yield _entity(
        "102",
        invoice_no=facture.number,
        invoice_ext=facture.extension,
        batch_no=facture.lot_number,
        batch_date=write_day(facture.lot_date),
        invoice_kind=facture.kind,
        invoice_date=write_day(facture.invoice_date),
        amc_treatment=facture.amc_treatment,
        insurance=facture.insurance,
    )
    yield _entity("103", nir=facture.nir[:13], nir_key=facture.nir[13:], **vars(person))
    if facture.amo:
        yield _entity("198", **_part(facture.amo))
    if facture.amc:
        yield _entity("199", amc_no=facture.amc_no, **_part(facture.amc))
    for reject in facture.rejects:
        yield _reject(reject)


def _part(part: Part) -> dict[str, str | int]:
    if part.asked_cents is None:
        raise ValueError("the new form says what was asked")
    return {
        "asked": part.asked_cents,
        "state": part.state,
        "paid": abs(part.paid_cents),
        "sign": _sign(part.paid_cents),
    }


def _reject(reject: Reject) -> str:
    return _entity(
        "294",
        code=reject.code,
        label=reject.label,
        scope=reject.scope,
        part=reject.part,
        act=reject.act,
        care_date=write_day(reject.care_date),
        info=reject.info,
    )

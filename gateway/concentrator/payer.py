"""The payer's stand-in: an ARL for each lot, a NOEMIE return for each destination.

It answers from the report of the check alone, at the moment of integration, so that no NIR is ever kept: the
answers are sealed to the box at once and offered when their delay is over.  It pays what is asked, in full,
but for what the settings tell it to reject.  Documents get no ARL: the layout of theirs is not established.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from gateway.concentrator.settings import PayerSettings
from gateway.formats.arl import Arl, ArlLot
from gateway.formats.days import day_of, iso
from gateway.formats.findings import Facture, Lot, Report
from gateway.formats.noemie_values import Part, Reject, Return, ReturnedFacture, Transfer
from gateway.formats.noemie_write import write_return

EXCHANGE = "908"
"""NOEMIE reference of the exchange."""


NEGATIVE = ("LOT-REJET", "Lot rejeté par le payeur.")
"""Code and text of a negative ARL; ours, since the national codes are not public."""


@dataclass(frozen=True)
class Answer:
    """The body of one return, before it is signed and sealed."""

    kind: Literal["arl", "rsp"]
    body: bytes


def answers(payer: PayerSettings, fichier: str, report: Report, at: datetime) -> list[Answer]:
    """What the payer says to an integrated fichier: its ARL first, then a return for each destination."""
    arls = [_arl(payer, fichier, lot, at) for lot in report.lots]
    taken: dict[str, list[Lot]] = defaultdict(list)
    for lot, arl in zip(report.lots, arls, strict=True):
        if arl.verdict == "positive":
            taken[lot.destination].append(lot)
    said = [Answer("arl", arl.to_bytes()) for arl in arls]
    for lots in taken.values():
        with suppress(ValueError):  # amounts or numbers that NOEMIE's zones cannot hold: such lots stay unanswered
            said.append(Answer("rsp", write_return(_return(payer, fichier, lots, at), {})))
    return said


def _arl(payer: PayerSettings, fichier: str, lot: Lot, at: datetime) -> Arl:
    negative = lot.number in payer.negative_arl
    code, text = NEGATIVE if negative else ("", "")
    about = ArlLot(lot.emitter, lot.destination, lot.number, lot.date)
    return Arl(fichier, about, "negative" if negative else "positive", code, text, iso(at), payer.name)


def _return(payer: PayerSettings, fichier: str, lots: list[Lot], at: datetime) -> Return:
    """The return of one destination, its accounting day being today in Paris."""
    day, destination = day_of(at), lots[0].destination
    factures = tuple(_answered(payer, lot, facture) for lot in lots for facture in lot.factures)
    reference = hashlib.sha256(f"{fichier} {destination}".encode()).hexdigest()[:6].upper()
    return Return(
        reference=EXCHANGE,
        emitter_type="CT",
        emitter_no=destination,
        dest_type="TE",
        dest_no=lots[0].emitter.zfill(14),
        payee=lots[0].emitter.zfill(15),
        file_id=reference,
        created=day,
        total_cents=sum(facture.paid_cents for facture in factures),
        transfers=(Transfer(day, payer.name[:32], f"REF VIR {reference}", destination[-8:].zfill(10)),),
        factures=factures,
        unknown=(),
        findings=(),
    )


def _answered(payer: PayerSettings, lot: Lot, facture: Facture) -> ReturnedFacture:
    rejected = any(facture.number == one or facture.nir.endswith(one) for one in payer.reject)
    rejects = (Reject(payer.reject_code, payer.reject_label, "F", "O", care_date=facture.care_date),)
    return ReturnedFacture(
        number=facture.number,
        lot_number=lot.number,
        lot_date=lot.date,
        kind="B",
        amo=_part(facture.amo_cents, rejected),
        amc=_part(facture.amc_cents, rejected) if facture.amc_cents else None,
        rejects=rejects if rejected else (),
        nir=facture.nir,
        amc_no=payer.amc_no if facture.amc_cents else "",
        invoice_date=lot.date,
        insurance="10",
    )


def _part(asked: int, rejected: bool) -> Part:
    return Part(asked, "R", 0) if rejected else Part(asked, "P", asked)

"""What a NOEMIE return says, as values; amounts are integer cents, days 'YYYY-MM-DD' or ''.

A ``Return`` has one JSON writing, since it is read in a child without keys and used by ``keeper``, which
trusts none of it beyond its form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gateway.formats import canonical
from gateway.formats.canonical import Sentence, Short
from gateway.formats.findings import Finding

State = Literal["", "P", "R", "D"]


@dataclass(frozen=True)
class Transfer:
    """The bank transfer (071) or accounting day (070: labels empty) that pays what follows it."""

    accounting_date: Short
    label1: Short
    label2: Short
    payer: Short


@dataclass(frozen=True)
class Part:
    """One payer's answer: '' not handled, P paid, R rejected, D deferred.  ``asked_cents`` is None where the
    return does not say it (old family)."""

    asked_cents: int | None
    state: State
    paid_cents: int


@dataclass(frozen=True)
class Reject:
    """A reject or signal with the payer's own words.  ``scope`` F invoice, L line, A refined code; ``part``
    C complementary, O compulsory or both; both are '' in the old family."""

    code: Short
    label: Sentence
    scope: Short
    part: Short
    act: Short = ""
    care_date: Short = ""
    info: Short = ""


@dataclass(frozen=True)
class Line:
    """A paid act (210) or hospital cost (220), amounts in cents."""

    act: Short
    care_date: Short
    spent_cents: int
    base_cents: int
    paid_cents: int
    amc_cents: int


@dataclass(frozen=True)
class ReturnedFacture:
    """An invoice in a return.  ``lot_number`` and ``lot_date`` are '' where the return does not say them;
    ``kind`` is 102's letter; ``nir`` is 15 characters with its key; ``amc_no`` the body of the AMC part."""

    number: Short
    lot_number: Short
    lot_date: Short
    kind: Short
    amo: Part | None = None
    amc: Part | None = None
    rejects: tuple[Reject, ...] = ()
    lines: tuple[Line, ...] = ()
    nir: Short = ""
    amc_no: Short = ""
    extension: Short = ""
    invoice_date: Short = ""
    insurance: Short = ""
    amc_treatment: Short = ""

    @property
    def paid_cents(self) -> int:
        """Paid by both payers."""
        return sum(part.paid_cents for part in (self.amo, self.amc) if part)


@dataclass(frozen=True)
class Withholding:
    """A recovery (250): what is taken back now and what remains due."""

    reference: Short
    date: Short
    kind: Short
    operation: Short
    amount_cents: int
    balance_cents: int


@dataclass(frozen=True)
class Unknown:
    """An entity kept raw: where it starts (bytes, unpacked) and its characters (Latin-1)."""

    offset: int
    raw: str


@dataclass(frozen=True)
class Return:
    """A return as read.  ``reference`` is the exchange (578, 908 …); ``emitter_no`` the payer and ``dest_no``
    the practice, 14 characters; ``created`` 'YYYY-MM-DD' or ''; ``bodies`` the AMC numbers of 010."""

    reference: Short
    emitter_no: Short
    dest_no: Short
    file_id: Short
    created: Short
    total_cents: int
    transfers: tuple[Transfer, ...]
    factures: tuple[ReturnedFacture, ...]
    unknown: tuple[Unknown, ...]
    findings: tuple[Finding, ...]
    emitter_type: Short = ""
    dest_type: Short = ""
    payee: Short = ""
    bodies: tuple[Short, ...] = ()
    withholdings: tuple[Withholding, ...] = ()
    lumps_cents: int = 0
    comments: tuple[Sentence, ...] = ()

    @property
    def blocked(self) -> bool:
        """Whether nothing may be settled from this reading."""
        return any(finding.severity == "blocks" for finding in self.findings)

    def to_json(self) -> bytes:
        """The one writing of this reading."""
        return canonical.encode(self)

    @classmethod
    def from_json(cls, data: bytes) -> Return:
        """The reading that a child wrote; Refused FMT-009 when it is not one."""
        return canonical.decode(cls, data, "FMT-009", "La lecture du retour")

"""What a check says about a fichier: findings, and the lots and factures that were read in it.

Rule 1: a ``Report`` is values only and has one JSON writing, since it is made in a child without keys and
read by ``keeper``, which trusts none of it beyond its form.
Rule 2: amounts are integer cents; days are 'YYYY-MM-DD', '' where not read.
It does not decide what is done with a blocked fichier.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gateway.formats import canonical, words
from gateway.formats.canonical import Sentence, Short
from gateway.formats.masking import without_nir

Severity = Literal["blocks", "warns", "says"]
Kind = Literal["b2", "documents", "noemie", "unknown"]

MOST_FINDINGS = 200
"""Findings listed in one report; what comes after is counted, not listed."""


@dataclass(frozen=True)
class Finding:
    """One thing found: where (record and position in the record, both 1-based; in a document the position
    is that of the byte in the file), a stable code, a French sentence, and what it does to the fichier."""

    record: int
    position: int
    code: Short
    text: Sentence
    severity: Severity


@dataclass(frozen=True)
class Facture:
    """One invoice as sent: 9-digit number, NIR with its key (15 characters), amounts in cents."""

    number: Short
    nir: Short
    amo_cents: int
    amc_cents: int
    spent_cents: int
    care_date: Short = ""


@dataclass(frozen=True)
class Lot:
    """One batch: emitter (9 digits), destination (14 characters of the file header), number (3 digits)."""

    emitter: Short
    destination: Short
    number: Short
    date: Short
    factures: tuple[Facture, ...]

    @property
    def amo_cents(self) -> int:
        """Asked from the compulsory fund."""
        return sum(facture.amo_cents for facture in self.factures)

    @property
    def amc_cents(self) -> int:
        """Asked from the complementary body."""
        return sum(facture.amc_cents for facture in self.factures)

    @property
    def spent_cents(self) -> int:
        """Invoiced in all."""
        return sum(facture.spent_cents for facture in self.factures)


@dataclass(frozen=True)
class Report:
    """The outcome of a check."""

    kind: Kind
    findings: tuple[Finding, ...]
    lots: tuple[Lot, ...] = ()

    @property
    def blocked(self) -> bool:
        """Whether at least one finding refuses the fichier."""
        return any(finding.severity == "blocks" for finding in self.findings)

    @property
    def facture_count(self) -> int:
        """Factures in all lots."""
        return sum(len(lot.factures) for lot in self.lots)

    @property
    def amo_cents(self) -> int:
        """Asked from compulsory funds, all lots."""
        return sum(lot.amo_cents for lot in self.lots)

    @property
    def amc_cents(self) -> int:
        """Asked from complementary bodies, all lots."""
        return sum(lot.amc_cents for lot in self.lots)

    @property
    def spent_cents(self) -> int:
        """Invoiced in all, all lots."""
        return sum(lot.spent_cents for lot in self.lots)

    def to_json(self) -> bytes:
        """The one writing of this report."""
        return canonical.encode(self)

    @classmethod
    def from_json(cls, data: bytes) -> Report:
        """The report that a child wrote; Refused FMT-009 when it is not one."""
        return canonical.decode(cls, data, "FMT-009", "Le rapport de contrôle")


@dataclass(frozen=True)
class Rule:
    """What a code stands for: its severity and its sentence, with named places to fill in."""

    severity: Severity
    text: str


class Findings:
    """Collects findings by code and stops listing, not counting, after MOST_FINDINGS."""

    def __init__(self, rules: dict[str, Rule]) -> None:
        self._rules = rules
        self._listed: list[Finding] = []
        self._said: set[str] = set()
        self._unlisted = 0
        self._unlisted_block = False

    def add(
        self, code: str, record: int, position: int = 1, severity: Severity | None = None, /, **facts: object
    ) -> None:
        """One finding of rule ``code``; ``severity`` where the rule's own is too strong here.  What is only
        said is said once, so that it never crowds out what blocks."""
        rule = self._rules[code]
        grave = severity or rule.severity
        if grave == "says":
            if code in self._said:
                return
            self._said.add(code)
        if len(self._listed) < MOST_FINDINGS:
            told = {name: without_nir(words.printable(str(fact))) for name, fact in facts.items()}
            text = rule.text.format(**told)
            self._listed.append(Finding(record, position, code, text, grave))
        else:
            self._unlisted += 1
            self._unlisted_block |= grave == "blocks"

    def close(self) -> tuple[Finding, ...]:
        """All of it; a last FMT-008 counts what was not listed and blocks if any of that does."""
        if not self._unlisted:
            return tuple(self._listed)
        text = f"{self._unlisted} autres constats ne sont pas détaillés."
        last = Finding(1, 1, "FMT-008", text, "blocks" if self._unlisted_block else "warns")
        return (*self._listed, last)

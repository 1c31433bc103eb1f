"""Profile ``mutsante``: what an invoice with a complementary part must hold (seed 004, requirements 252-273).

A table of demands on zones of norm CP.  Demands 2, 5, 6, 7, 10 and 13 (NIR, FINESS key, invoice and lot
number, AMO total, care dates) are general rules of ``gateway.formats.b2`` already.
Not read, because norm CP has no proven zone for it: the address (half of 4), the invoice date (8) and the
prescription date (14).  They are not checked, and no finding pretends that they were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from gateway.formats.b2_tables import LAYOUTS
from gateway.formats.findings import Findings, Rule
from gateway.formats.keys import is_digits

Values = Mapping[str, str]


def _filled(value: str) -> bool:
    return bool(value.strip(" 0"))


def _percentage(value: str) -> bool:
    return is_digits(value) and int(value) <= 100


@dataclass(frozen=True)
class Demand:
    """``zone`` of record type ``record`` must satisfy ``holds``."""

    code: str
    record: str
    zone: str
    holds: Callable[[str], bool]


DEMANDS = (
    Demand("MS-01", "2", "amc_no", _filled),
    Demand("MS-03", "2", "birth", _filled),
    Demand("MS-03", "2", "birth_rank", _filled),
    Demand("MS-15", "3", "act", _filled),
    Demand("MS-15", "4", "act", _filled),
    Demand("MS-16", "3", "coef", _filled),
    Demand("MS-16", "4", "coef", _filled),
    Demand("MS-16", "3", "unit_price", _filled),
    Demand("MS-16", "4", "unit_price", _filled),
    Demand("MS-16", "3", "qty", _filled),
    Demand("MS-16", "4", "qty", _filled),
    Demand("MS-17", "3", "spent", _filled),
    Demand("MS-17", "4", "fees", _filled),
    Demand("MS-18", "3", "base", _filled),
    Demand("MS-18", "4", "base", _filled),
    Demand("MS-19", "3", "rate", _percentage),
    Demand("MS-19", "4", "rate", _percentage),
    Demand("MS-21", "3", "amc", is_digits),
    Demand("MS-21", "4", "amc", is_digits),
)

RULES = {
    "MS-01": Rule("warns", "Le numéro d'organisme complémentaire manque (Mut'Santé, donnée 1)."),
    "MS-03": Rule("warns", "« {zone} » manque (Mut'Santé, donnée 3)."),
    "MS-04": Rule("warns", "Le nom du professionnel manque dans l'en-tête du lot (Mut'Santé, donnée 4)."),
    "MS-09": Rule("warns", "Le total de la dépense est nul (Mut'Santé, donnée 9)."),
    "MS-11": Rule("warns", "Le total de la part complémentaire est nul (Mut'Santé, donnée 11)."),
    "MS-12": Rule("warns", "Le reste à charge de la facture est négatif : {found} (Mut'Santé, donnée 12)."),
    "MS-15": Rule("warns", "« {zone} » manque (Mut'Santé, donnée 15)."),
    "MS-16": Rule("warns", "« {zone} » manque ou est nul (Mut'Santé, donnée 16)."),
    "MS-17": Rule("warns", "« {zone} » manque ou est nul (Mut'Santé, donnée 17)."),
    "MS-18": Rule("warns", "« {zone} » manque ou est nulle (Mut'Santé, donnée 18)."),
    "MS-19": Rule("warns", "« {zone} » n'est pas un pourcentage : {found} (Mut'Santé, donnée 19)."),
    "MS-21": Rule("warns", "« {zone} » manque (Mut'Santé, donnée 21)."),
    "MS-22": Rule("warns", "Le reste à charge de la ligne est négatif : {found} (Mut'Santé, donnée 22)."),
}

_BY_RECORD = {kind: tuple(demand for demand in DEMANDS if demand.record == kind) for kind in ("2", "3", "4")}


@dataclass(frozen=True)
class Lack:
    """A demand not met; kept until it is known whether the facture asks for a complementary part."""

    code: str
    record: int
    position: int
    facts: Mapping[str, str]

    def add_to(self, findings: Findings, asked: bool) -> None:
        """Blocks where the profile was asked for, warns otherwise."""
        findings.add(self.code, self.record, self.position, "blocks" if asked else "warns", **self.facts)


def lacks(kind: str, record: int, values: Values) -> Iterator[Lack]:
    """The demands that record number ``record`` of type ``kind`` does not meet."""
    for demand in _BY_RECORD[kind]:
        if not demand.holds(values[demand.zone]):
            zone = LAYOUTS[kind].zone(demand.zone)
            yield Lack(demand.code, record, zone.start, {"zone": zone.meaning, "found": values[demand.zone]})

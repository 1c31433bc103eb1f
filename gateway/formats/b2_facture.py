"""The content of one B2 facture and of one lot (norm CP): keys, days, counts and totals.

Rule 1: a facture in the course of being read is held here in the open; it becomes a ``Facture`` once its
type 5 was seen, and its amounts are those of the type 5.
Rule 2: a complementary record (2S, 3F, 4M…) is carried and not read; where one stands, what cannot be
verified any more warns instead of blocking.
It knows nothing of the order of records: ``gateway.formats.b2`` does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.formats import b2_mutsante, words
from gateway.formats.b2_mutsante import Lack
from gateway.formats.b2_tables import DAYS, LAYOUTS, MARKS, SUMS
from gateway.formats.findings import Facture, Findings, Severity
from gateway.formats.keys import is_digits, luhn_ok, nir_key, read_day

Values = Mapping[str, str]

_SAME = ("emitter_no", "nir", "nir_key", "rank", "invoice_no")
"""Zones that every plain record of a facture repeats."""


@dataclass
class OpenFacture:
    """A facture between its type 2 and its type 5."""

    record: int
    values: Values
    lots_day: str
    sums: Counter[tuple[str, str]] = field(default_factory=Counter)
    plain: Counter[str] = field(default_factory=Counter)
    complements: Counter[str] = field(default_factory=Counter)
    first_care: str = ""
    lacks: list[Lack] = field(default_factory=list)

    @property
    def number(self) -> str:
        """Its invoice number, as written."""
        return self.values["invoice_no"]


def cents(value: str) -> int:
    """The amount or count in a zone; 0 where it is blank or was found not to be digits."""
    return int(value) if is_digits(value) else 0


def place(kind: str, zone: str) -> tuple[int, str]:
    """Position and French name of a zone of record type ``kind``."""
    found = LAYOUTS[kind].zone(zone)
    return found.start, found.meaning


def check_zones(findings: Findings, kind: str, record: int, values: Values) -> None:
    """Digits where digits are due, and days that are days."""
    for zone in LAYOUTS[kind].zones:
        if zone.kind != "N" or zone.presence == "?" or is_digits(values[zone.name]):
            continue
        if zone.presence == "M" or values[zone.name].strip():
            code = "B2-011" if zone.presence == "M" else "B2-012"
            findings.add(code, record, zone.start, zone=zone.meaning)
    for name in DAYS.get(kind, ()):
        if is_digits(values[name]) and not read_day(values[name]):
            position, meaning = place(kind, name)
            findings.add("B2-034", record, position, zone=meaning, found=values[name])


def is_plain(kind: str, values: Values) -> bool:
    """Whether a detail record is a plain 3 or 4 rather than a 3F, 3H, 4B, 4M… (see ``MARKS``)."""
    wrong = sum(not _shows(mark, values[zone]) for zone, mark in MARKS[kind])
    return values["blank_11"] == " " and wrong < 2


def _shows(mark: str, value: str) -> bool:
    return bool(read_day(value)) if mark == "day" else value[:1].isalpha()


def check_keys(findings: Findings, record: int, values: Values) -> None:
    """NIR key, emitter key and key of the complementary body of a type 2."""
    expected = nir_key(values["nir"])
    if expected is None:
        findings.add("B2-018", record, place("2", "nir")[0])
    elif values["nir_key"] != f"{expected:02d}":
        at = place("2", "nir_key")[0]
        findings.add("B2-017", record, at, found=values["nir_key"], expected=f"{expected:02d}")
    if not luhn_ok(values["emitter_no"]):
        findings.add("B2-019", record, place("2", "emitter_no")[0], found=values["emitter_no"])
    body = values["amc_no"]
    if is_digits(body) and int(body) and not luhn_ok(body):
        findings.add("B2-020", record, place("2", "amc_no")[0], found=body)


def start(findings: Findings, record: int, values: Values, lots_day: str) -> OpenFacture:
    """Open a facture at its type 2."""
    check_zones(findings, "2", record, values)
    check_keys(findings, record, values)
    _check_days(findings, "2", record, values["entry"], values["exit"])
    if not cents(values["invoice_no"]):
        findings.add("B2-026", record, place("2", "invoice_no")[0])
    opened = OpenFacture(record, values, lots_day)
    opened.lacks.extend(b2_mutsante.lacks("2", record, values))
    return opened


def take_line(findings: Findings, facture: OpenFacture, kind: str, record: int, values: Values) -> None:
    """A detail record of type 3 or 4."""
    if not is_plain(kind, values):
        facture.complements[kind] += 1
        findings.add("B2-015", record, found=kind)
        return
    check_zones(findings, kind, record, values)
    _check_same(findings, facture, kind, record, values)
    facture.plain[kind] += 1
    for _, of, zone in SUMS:
        if of == kind:
            facture.sums[of, zone] += cents(values[zone])
    first, last = DAYS[kind][0], DAYS[kind][-1]
    _check_days(findings, kind, record, values[first], values[last])
    _note_care(findings, facture, kind, record, read_day(values[first]))
    facture.lacks.extend(b2_mutsante.lacks(kind, record, values))
    rest = cents(values["spent" if kind == "3" else "fees"]) - cents(values["amo"]) - cents(values["amc"])
    if rest < 0:
        at = place(kind, "amo")[0]
        facture.lacks.append(Lack("MS-22", record, at, {"found": words.euros(rest)}))


def take_complement(findings: Findings, facture: OpenFacture, kind: str, record: int) -> None:
    """A 2S, 2B or 2C behind the type 2."""
    facture.complements[kind] += 1
    findings.add("B2-015", record, found=kind)


def finish(findings: Findings, facture: OpenFacture, record: int, values: Values, strict: bool) -> Facture:
    """Close a facture at its type 5; ``strict`` is profile mutsante."""
    check_zones(findings, "5", record, values)
    _check_same(findings, facture, "5", record, values)
    _check_lines(findings, facture, record, values)
    done = Facture(
        words.printable(facture.number),
        words.printable(facture.values["nir"] + facture.values["nir_key"]),
        cents(values["amo_hosp"]) + cents(values["fees_amo"]),
        cents(values["amc_hosp"]) + cents(values["amc_fees"]),
        cents(values["total_hosp"]) + cents(values["fees"]),
        facture.first_care or read_day(facture.values["entry"]),
    )
    _check_amounts(findings, facture, record, done, strict)
    return done


def _check_same(findings: Findings, facture: OpenFacture, kind: str, record: int, values: Values) -> None:
    for zone in _SAME:
        if values[zone] != facture.values[zone]:
            at, meaning = place(kind, zone)
            findings.add("B2-028", record, at, zone=meaning)


def _check_days(findings: Findings, kind: str, record: int, first: str, last: str) -> None:
    start_day, end_day = read_day(first), read_day(last)
    if start_day and end_day and end_day < start_day:
        at = place(kind, DAYS[kind][-1])[0]
        findings.add("B2-035", record, at, start=words.day(start_day), end=words.day(end_day))


def _note_care(findings: Findings, facture: OpenFacture, kind: str, record: int, care: str) -> None:
    if not care:
        return
    if not facture.first_care or care < facture.first_care:
        facture.first_care = care
    if facture.lots_day and care > facture.lots_day:
        at = place(kind, DAYS[kind][0])[0]
        findings.add("B2-036", record, at, found=words.day(care), lot=words.day(facture.lots_day))


def _check_lines(findings: Findings, facture: OpenFacture, record: int, values: Values) -> None:
    """The type 5 against the detail records that were read."""
    plain, others = facture.plain.total(), facture.complements.total()
    if not plain + others:
        findings.add("B2-039", record, number=facture.number)
    if not plain <= cents(values["lines"]) <= plain + others:
        at = place("5", "lines")[0]
        findings.add("B2-029", record, at, said=values["lines"], counted=plain + others)
    for zone, of, line_zone in SUMS:
        said, counted = cents(values[zone]), facture.sums[of, line_zone]
        if said != counted:
            at, meaning = place("5", zone)
            grave: Severity | None = "warns" if facture.complements[of] else None
            facts = {"said": words.euros(said), "counted": words.euros(counted)}
            findings.add("B2-030", record, at, grave, zone=meaning.capitalize(), **facts)


def _check_amounts(findings: Findings, facture: OpenFacture, record: int, done: Facture, strict: bool) -> None:
    rest = done.spent_cents - done.amo_cents - done.amc_cents
    if rest < 0:
        asked = words.euros(done.amo_cents + done.amc_cents)
        findings.add("B2-040", record, asked=asked, spent=words.euros(done.spent_cents))
    if not strict and not done.amc_cents:
        return
    at = place("5", "amc_hosp")[0]
    if not done.spent_cents:
        facture.lacks.append(Lack("MS-09", record, place("5", "total_hosp")[0], {}))
    if not done.amc_cents:
        facture.lacks.append(Lack("MS-11", record, at, {}))
    if rest < 0:
        facture.lacks.append(Lack("MS-12", record, at, {"found": words.euros(rest)}))
    for lack in facture.lacks:
        lack.add_to(findings, strict)

"""Read a NOEMIE-PS return: what was paid, rejected and withheld, and whether its controls agree.

Rule 1: a return is carried unchanged whatever is found here; a finding that blocks means that nothing may
be settled from this reading, never that the return is kept from the practice.
Rule 2: any bytes give a ``Return``; what is not known is kept raw with its offset, not guessed.
Rule 3: in the old family (100, 210/220, 290) no entity states the outcome of an invoice: the AMO part is
what its lines pay, and it is called rejected when a 290 stands and nothing is paid.  That is our reading.
Names and addresses are left in the bytes; of a person only the NIR is taken, to match the invoice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import cast

from gateway.formats import words
from gateway.formats.findings import Findings
from gateway.formats.keys import is_digits, nir_key, read_day
from gateway.formats.noemie_entities import MOST_BYTES, Entity, entities, unpack
from gateway.formats.noemie_tables import DAY_FIRST, ENDS_AGREE, LAYOUTS, OPENERS, RULES
from gateway.formats.noemie_values import (
    Line,
    Part,
    Reject,
    Return,
    ReturnedFacture,
    State,
    Transfer,
    Unknown,
    Withholding,
)

__all__ = ["Line", "Part", "Reject", "Return", "ReturnedFacture", "Transfer", "Unknown", "Withholding", "read"]

Values = Mapping[str, str]

MOST_ENTITIES = 200_000
"""Entities read in one return; what comes after is not looked at and said so."""


def read(data: bytes | memoryview) -> Return:
    """The reading of any bytes as a return.  Source: flux facts 3."""
    reader = _Reader()
    try:
        plain = unpack(data)
    except ValueError:
        return reader.give_up("NOE-014")
    if len(plain) > MOST_BYTES:
        return reader.give_up("NOE-017", limit=MOST_BYTES)
    for entity in entities(plain):
        if not reader.take(entity):
            break
    return reader.close(len(plain))


def _text(value: str) -> str:
    return words.printable(value.strip())


def _cents(value: str, sign: str = "P") -> int:
    amount = int(value) if is_digits(value) else 0
    return -amount if sign == "N" else amount


@dataclass
class _Open:
    """The invoice being read."""

    facture: ReturnedFacture
    rejects: list[Reject] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)

    def close(self) -> ReturnedFacture:
        paid = sum(line.paid_cents for line in self.lines)
        amo = self.facture.amo
        if amo is None and (self.lines or self.rejects) and self.facture.amc is None:
            amo = Part(None, "R" if self.rejects and not paid else "P", paid)
        return replace(self.facture, amo=amo, rejects=tuple(self.rejects), lines=tuple(self.lines))


class _Reader:
    """One pass over the entities of a return."""

    def __init__(self) -> None:
        self._findings = Findings(RULES)
        self._count = 0
        self._header: Values = {}
        self._end: Values | None = None
        self._end_offset = 0
        self._lot = ("", "")
        self._open: _Open | None = None
        self._transfers: list[Transfer] = []
        self._factures: list[ReturnedFacture] = []
        self._unknown: list[Unknown] = []
        self._withholdings: list[Withholding] = []
        self._bodies: list[str] = []
        self._comments: list[str] = []
        self._payee = ""
        self._kinds: Counter[str] = Counter()
        self._sums: Counter[str] = Counter()
        self._marks: dict[str, tuple[Counter[str], Counter[str]]] = {"": (Counter(), Counter())}

    def give_up(self, code: str, **facts: object) -> Return:
        """The empty reading of bytes that are no return."""
        self._findings.add(code, 1, **facts)
        return self._result()

    def take(self, entity: Entity) -> bool:
        """The next entity; False when no more is wanted."""
        if self._count >= MOST_ENTITIES:
            self._find("NOE-016", limit=MOST_ENTITIES)
            return False
        self._count += 1
        values = entity.values
        if values is None:
            self._keep_raw(entity)
        else:
            self._check_digits(entity.code, values)
            self._kinds[entity.code] += 1
            if entity.code in OPENERS:
                self._marks[entity.code] = (self._kinds.copy(), self._sums.copy())
            handler = _HANDLERS.get(entity.code)
            if handler is not None:
                handler(self, values)
        self._end_offset = entity.offset + len(entity.raw)
        return self._end is None

    def close(self, size: int) -> Return:
        """The reading, once every entity was taken."""
        self._close_facture()
        if not self._header:
            self._find("NOE-001")
        elif self._end is None:
            self._find("NOE-002")
        else:
            self._check_end(self._end)
            if size > self._end_offset + 2:
                self._find("NOE-012", size=size - self._end_offset)
        if any(f.amc and f.amc.paid_cents and not (f.amc_no or self._bodies) for f in self._factures):
            self._find("NOE-015")
        return self._result()

    def _result(self) -> Return:
        head = {zone: _text(value) for zone, value in self._header.items()}
        created = head.get("created", "")
        if head.get("reference") in DAY_FIRST:
            created = created[4:] + created[2:4] + created[:2]
        return Return(
            reference=head.get("reference", ""),
            emitter_no=head.get("emitter_no", ""),
            dest_no=head.get("dest_no", ""),
            file_id=head.get("file_id", ""),
            created=read_day(created),
            total_cents=_cents(self._end["total"], self._end["sign"]) if self._end else 0,
            transfers=tuple(self._transfers),
            factures=tuple(self._factures),
            unknown=tuple(self._unknown),
            findings=self._findings.close(),
            emitter_type=head.get("emitter_type", ""),
            dest_type=head.get("dest_type", ""),
            payee=self._payee,
            bodies=tuple(self._bodies),
            withholdings=tuple(self._withholdings),
            lumps_cents=self._sums["lump"],
            comments=tuple(self._comments),
        )

    def _find(self, code: str, position: int = 1, /, **facts: object) -> None:
        self._findings.add(code, max(self._count, 1), position, **facts)

    def _keep_raw(self, entity: Entity) -> None:
        self._kinds[entity.code] += 1
        self._unknown.append(Unknown(entity.offset, entity.raw))
        code = "NOE-004" if entity.code in LAYOUTS else "NOE-003"
        self._find(code, entity=entity.code, offset=entity.offset)

    def _check_digits(self, code: str, values: Values) -> None:
        for zone in LAYOUTS[code].zones:
            value = values[zone.name]
            # blanks for a numeric zone that is not used: accepted, like zeros (not established)
            if zone.kind == "N" and value.strip() and not is_digits(value):
                self._find("NOE-010", zone.start, zone=zone.meaning, entity=code)

    def _file_start(self, values: Values) -> None:
        self._header = self._header or values

    def _body(self, values: Values) -> None:
        self._bodies.append(_text(values["amc_no"] + values["amc_key"]))

    def _take_payee(self, values: Values) -> None:
        self._payee = _text(values["payee"])

    def _transfer(self, values: Values) -> None:
        labels = (_text(values.get(zone, "")) for zone in ("label1", "label2", "payer"))
        self._transfers.append(Transfer(read_day(values["acc_date"]), *labels))

    def _take_lot(self, values: Values) -> None:
        self._lot = (_text(values["batch_no"]), read_day(values["batch_date"]))

    def _facture(self, values: Values) -> None:
        self._close_facture()
        number, day = self._lot
        if values.get("batch_no", "").strip():
            number, day = _text(values["batch_no"]), read_day(values["batch_date"])
        self._open = _Open(
            ReturnedFacture(
                _text(values["invoice_no"]),
                number,
                day,
                _text(values.get("invoice_kind", "")),
                extension=_text(values.get("invoice_ext", "")),
                invoice_date=read_day(values.get("invoice_date", "")),
                insurance=_text(values.get("insurance", "")),
                amc_treatment=_text(values.get("amc_treatment", "")),
            )
        )

    def _person(self, values: Values) -> None:
        key = nir_key(values["nir"])
        if values["nir_key"] != f"{key:02d}" if key else values["nir"].strip():
            self._find("NOE-011", LAYOUTS["103"].zone("nir_key").start)
        self._change("103", nir=_text(values["nir"] + values["nir_key"]))

    def _amo_part(self, values: Values) -> None:
        self._change("198", amo=self._part("amo", values))

    def _amc_part(self, values: Values) -> None:
        self._change("199", amc=self._part("amc", values), amc_no=_text(values["amc_no"]))

    def _part(self, payer: str, values: Values) -> Part:
        part = Part(
            _cents(values["asked"]),
            cast("State", values["state"] if values["state"] in "PRD" else ""),
            _cents(values["paid"], values["sign"]),
        )
        self._sums[payer] += part.paid_cents
        return part

    def _change(self, entity: str, **changes: object) -> None:
        if self._open is None:
            self._find("NOE-013", entity=entity)
        else:
            self._open.facture = replace(self._open.facture, **changes)  # type: ignore[arg-type]

    def _line(self, values: Values) -> None:
        line = Line(
            _text(values["act"] + values["act_compl"]),
            read_day(values["start"]),
            _cents(values["spent"]),
            _cents(values["base"]),
            _cents(values["paid"], values["sign"]),
            _cents(values["amc_amt"]),
        )
        if self._open is None:
            self._find("NOE-013", entity=values["rec"])
            return
        self._open.lines.append(line)
        self._sums["lines"] += line.paid_cents

    def _old_reject(self, values: Values) -> None:
        self._reject(values, Reject(_text(values["code"]), _text(values["label"]), "", ""))

    def _new_reject(self, values: Values) -> None:
        scope, part, act, info = (_text(values[zone]) for zone in ("scope", "part", "act", "info"))
        day = read_day(values["care_date"])
        self._reject(values, Reject(_text(values["code"]), _text(values["label"]), scope, part, act, day, info))

    def _reject(self, values: Values, reject: Reject) -> None:
        if self._open is None:
            self._find("NOE-013", entity=values["rec"])
        else:
            self._open.rejects.append(reject)

    def _withholding(self, values: Values) -> None:
        amount = _cents(values["amount"], values["sign"])
        self._sums["withheld"] += amount
        reference, kind, operation = (_text(values[zone]) for zone in ("debt_ref", "debt_kind", "operation"))
        day, balance = read_day(values["debt_date"]), _cents(values["balance"])
        self._withholdings.append(Withholding(reference, day, kind, operation, amount, balance))

    def _lump(self, values: Values) -> None:
        self._sums["lump"] += _cents(values["amount"])

    def _comment(self, values: Values) -> None:
        self._comments.append(_text(values["text"]))

    def _file_end(self, values: Values) -> None:
        self._end = values

    def _close_facture(self) -> None:
        if self._open is not None:
            self._factures.append(self._open.close())
        self._open = None

    def _level_end(self, values: Values) -> None:
        """990: programs differ on which level they name, so that any open level may be the one closed."""
        count, total = _cents(values["count"]), _cents(values["total"], values["sign"])
        counts: set[int] = set()
        totals: set[int] = set()
        for kinds, sums in self._marks.values():
            below = self._kinds - kinds
            counts.update(below[code] for code in below.keys() - {"990"})
            counts.add(below["100"] + below["102"])
            totals.update(_totals({name: self._sums[name] - sums[name] for name in _SUMS}))
        if values["count"].strip() and count not in counts:
            self._find("NOE-007", LAYOUTS["990"].zone("count").start, said=count)
        if total not in totals:
            self._find("NOE-008", LAYOUTS["990"].zone("total").start, said=words.euros(total))

    def _check_end(self, end: Values) -> None:
        for zone in ENDS_AGREE:
            if self._header.get(zone) != end[zone]:
                place = LAYOUTS["999"].zone(zone)
                self._find("NOE-009", place.start, zone=place.meaning)
        at = LAYOUTS["999"].zone
        if _cents(end["n_records"]) != self._count:
            self._find("NOE-005", at("n_records").start, said=_cents(end["n_records"]), counted=self._count)
        total, paid = _cents(end["total"], end["sign"]), sum(f.paid_cents for f in self._factures)
        if total not in _totals({name: self._sums[name] for name in _SUMS}):
            facts = {"said": words.euros(total), "counted": words.euros(paid)}
            self._find("NOE-006", at("total").start, **facts)


_SUMS = ("amo", "amc", "lines", "lump", "withheld")


def _totals(sums: Mapping[str, int]) -> set[int]:
    """What a control total may rightly be: which payers, payments and withholdings it includes differs by
    payer and is not established."""
    amo, amc, lines = sums["amo"], sums["amc"], sums["lines"]
    # a payer that paid nothing is no reading of its own: else a total of zero would always pass
    parts = {part for part in (amo, amc, lines) if part} or {0}
    if amo and amc:
        parts.add(amo + amc)
    with_lumps = parts | {part + sums["lump"] for part in parts}
    return with_lumps | {part - abs(sums["withheld"]) for part in with_lumps}


_HANDLERS: dict[str, Callable[[_Reader, Values], None]] = {
    "000": _Reader._file_start,
    "010": _Reader._body,
    "020": _Reader._take_payee,
    "040": _Reader._take_payee,
    "070": _Reader._transfer,
    "071": _Reader._transfer,
    "080": _Reader._take_lot,
    "100": _Reader._facture,
    "102": _Reader._facture,
    "103": _Reader._person,
    "110": _Reader._person,
    "198": _Reader._amo_part,
    "199": _Reader._amc_part,
    "210": _Reader._line,
    "220": _Reader._line,
    "250": _Reader._withholding,
    "261": _Reader._lump,
    "290": _Reader._old_reject,
    "294": _Reader._new_reject,
    "295": _Reader._comment,
    "990": _Reader._level_end,
    "999": _Reader._file_end,
}

"""Check a B2 file and read its lots: 128-character records, 000 (1 (2 details 5)* 6)* 999.

Rule 1: the file is read, never rewritten; line ends that a transport added are skipped.
Rule 2: three levels.  Structure always blocks; keys, days, counts and totals block; what a profile wants
warns, and blocks when that profile was asked for.
Rule 3: zones are proven for norm CP only.  For any other norm the structure is checked, wrong keys warn,
and no lot is read: amounts in unproven zones would be inventions.
The clock is an argument (``today``); without it nothing is called future.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from gateway.formats import b2_facture, b2_mutsante, b2_tables, words
from gateway.formats.b2_facture import OpenFacture, Values, cents, place
from gateway.formats.b2_tables import AFTER, LAYOUTS, ORDER, PLACES, RECORD_LENGTH, RULES
from gateway.formats.findings import Facture, Findings, Lot, Report, Severity
from gateway.formats.keys import read_day

PROFILES = ("b2-cp", "mutsante")


def records(data: bytes | memoryview) -> Iterator[str]:
    """The records of a file as text (Latin-1, so that any byte passes); the last may be short."""
    offset = 0
    while offset < len(data):
        yield bytes(data[offset : offset + RECORD_LENGTH]).decode("latin-1")
        offset += RECORD_LENGTH
        if data[offset : offset + 1] == b"\r":
            offset += 1
        if data[offset : offset + 1] == b"\n":
            offset += 1


def check(data: bytes | memoryview, profile: str = "b2-cp", today: str = "") -> Report:
    """The report on one B2 file.  ``profile`` is one of PROFILES (ValueError otherwise); ``today`` is
    'YYYY-MM-DD' or ''.  Source: flux facts 2.1-2.3 and 13."""
    if profile not in PROFILES:
        raise ValueError(f"no profile {profile!r}")
    walk = _Walk(strict=profile == "mutsante", today=today)
    read = 0
    if len(data) > b2_tables.MOST_BYTES:
        return walk.give_up(len(data))
    for text in records(data):
        walk.take(text)
        read += len(text)
    return walk.close(line_ends=read < len(data))


class _B2Findings(Findings):
    """Findings whose severity falls to a warning where the norm's zones are not proven."""

    proven = True

    def add(
        self, code: str, record: int, position: int = 1, severity: Severity | None = None, /, **facts: object
    ) -> None:
        if not self.proven and code not in b2_tables.STRUCTURE and RULES[code].severity == "blocks":
            severity = "warns"
        super().add(code, record, position, severity, **facts)


@dataclass
class _OpenLot:
    """A lot between its type 1 and its type 6."""

    values: Values
    factures: list[Facture] = field(default_factory=list)
    started: int = 0
    ended: int = 0
    hospital_lines: int = 0
    complements: int = 0

    @property
    def day(self) -> str:
        return read_day(self.values["created"])


class _Walk:
    """One pass over the records of a file."""

    def __init__(self, strict: bool, today: str) -> None:
        self._findings = _B2Findings(RULES | b2_mutsante.RULES)
        self._strict = strict
        self._today = today
        self._place = "start"
        self._record = 0
        self._counts = dict.fromkeys(LAYOUTS, 0)
        self._header: Values = {}
        self._lot: _OpenLot | None = None
        self._facture: OpenFacture | None = None
        self._lots: list[Lot] = []
        self._lot_numbers: set[tuple[str, str]] = set()
        self._numbers: set[tuple[str, str]] = set()

    def take(self, text: str) -> None:
        """The next record."""
        self._record += 1
        if len(text) < RECORD_LENGTH:
            self._find("B2-001", size=len(text))
            return
        if not text.isascii():
            self._find("B2-016")
        kind = text[:3] if text[0] in "09" else text[0]
        if kind not in LAYOUTS:
            self._find("B2-013", found=kind)
            return
        self._counts[kind] += 1
        after = ORDER.get((self._place, kind))
        if after is None:
            self._find("B2-003", found=kind, expected=PLACES[self._place])
        self._place = after or AFTER[kind]
        if self._findings.proven or kind in _ANY_NORM:
            _HANDLERS[kind](self, LAYOUTS[kind].read(text))

    def give_up(self, size: int) -> Report:
        """The report on a file that is too large to be read through."""
        self._find("B2-043", size=size, limit=b2_tables.MOST_BYTES)
        return Report("b2", self._findings.close())

    def close(self, line_ends: bool) -> Report:
        """The report, once every record was taken."""
        if line_ends:
            self._find("B2-002")
        if self._place != "end":
            self._find("B2-004", expected=PLACES[self._place])
        if self._record > b2_tables.LIKELY_MOST_RECORDS:
            self._find("B2-010", counted=self._record)
        if not self._counts["1"]:
            self._find("B2-041")
        if not self._findings.proven:
            norm = self._header["norm"].strip()
            self._find("B2-014", lots=self._counts["1"], factures=self._counts["5"], norm=norm)
        self._close_lot()
        return Report("b2", self._findings.close(), tuple(self._lots))

    def _find(self, code: str, position: int = 1, /, **facts: object) -> None:
        self._findings.add(code, max(self._record, 1), position, **facts)

    def _find_at(self, code: str, kind: str, zone: str, /, **facts: object) -> None:
        at, meaning = place(kind, zone)
        self._find(code, at, **{"zone": meaning, **facts})

    def _file_start(self, values: Values) -> None:
        if self._header:
            return
        self._header = values
        self._findings.proven = values["norm"].strip() == "CP"
        b2_facture.check_zones(self._findings, "000", self._record, values)
        if values["rec_len"] != str(RECORD_LENGTH):
            self._find_at("B2-007", "000", "rec_len", found=values["rec_len"])
        if values["norm_ver"] != "B2":
            self._find_at("B2-042", "000", "norm_ver", found=values["norm_ver"], expected="B2")

    def _lot_start(self, values: Values) -> None:
        self._close_lot()
        self._lot = lot = _OpenLot(values)
        b2_facture.check_zones(self._findings, "1", self._record, values)
        file_emitter = self._header.get("emitter_no", "")[-9:]
        if values["emitter_no"] != file_emitter:
            facts = {"found": values["emitter_no"], "expected": file_emitter}
            self._find_at("B2-022", "1", "emitter_no", **facts)
        if not cents(values["batch_no"]):
            self._find_at("B2-023", "1", "batch_no")
        key = (values["emitter_no"], values["batch_no"])
        if key in self._lot_numbers:
            self._find_at("B2-025", "1", "batch_no", found=values["batch_no"])
        self._lot_numbers.add(key)
        if not values["name"].strip() and self._strict:
            self._findings.add("MS-04", self._record, place("1", "name")[0], "blocks")
        if self._today and lot.day > self._today:
            self._find_at("B2-037", "1", "created", found=words.day(lot.day))

    def _facture_start(self, values: Values) -> None:
        if not self._findings.proven:
            b2_facture.check_keys(self._findings, self._record, values)
            return
        if self._facture is not None:
            if values["blank_11"] != " " or values["invoice_no"] == self._facture.number:
                b2_facture.take_complement(self._findings, self._facture, "2", self._record)
                return
            self._find("B2-005", number=self._facture.number)
        lots_day = self._lot.day if self._lot else ""
        self._facture = b2_facture.start(self._findings, self._record, values, lots_day)
        self._check_lot_emitter("2", values)
        key = (values["emitter_no"], values["invoice_no"])
        if key in self._numbers:
            self._find_at("B2-027", "2", "invoice_no", found=values["invoice_no"])
        self._numbers.add(key)
        if self._lot:
            self._lot.started += 1

    def _check_lot_emitter(self, kind: str, values: Values) -> None:
        if self._lot and values["emitter_no"] != self._lot.values["emitter_no"]:
            facts = {"found": values["emitter_no"], "expected": self._lot.values["emitter_no"]}
            self._find_at("B2-021", kind, "emitter_no", **facts)

    def _hospital_line(self, values: Values) -> None:
        self._line("3", values)

    def _fee_line(self, values: Values) -> None:
        self._line("4", values)

    def _line(self, kind: str, values: Values) -> None:
        if self._facture is not None:
            b2_facture.take_line(self._findings, self._facture, kind, self._record, values)

    def _facture_end(self, values: Values) -> None:
        facture, self._facture = self._facture, None
        if facture is None:
            return
        done = b2_facture.finish(self._findings, facture, self._record, values, self._strict)
        if self._lot is not None:
            self._lot.ended += 1
            self._lot.hospital_lines += facture.plain["3"]
            self._lot.complements += facture.complements.total()
            self._lot.factures.append(done)

    def _lot_end(self, values: Values) -> None:
        lot = self._lot
        if lot is None:
            return
        b2_facture.check_zones(self._findings, "6", self._record, values)
        self._check_lot_emitter("6", values)
        if values["batch_no"] != lot.values["batch_no"]:
            facts = {"found": values["batch_no"], "expected": lot.values["batch_no"]}
            self._find_at("B2-024", "6", "batch_no", **facts)
        if not lot.factures:
            self._find("B2-038", number=lot.values["batch_no"])
        self._check_lot_counts(lot, values)
        self._check_lot_totals(lot, values)
        self._close_lot()

    def _check_lot_counts(self, lot: _OpenLot, values: Values) -> None:
        # whether a complementary record is counted is not established: either count passes
        counted = {"n_type2": lot.started, "n_type3": lot.hospital_lines, "n_type5": lot.ended}
        for zone, count in counted.items():
            allowance = 0 if zone == "n_type5" else lot.complements
            if not count <= cents(values[zone]) <= count + allowance:
                meaning = place("6", zone)[1].capitalize()
                self._find_at("B2-031", "6", zone, zone=meaning, said=values[zone], counted=count)

    def _check_lot_totals(self, lot: _OpenLot, values: Values) -> None:
        """Which of the sums ``total_1`` is, is not proven beyond a lot that the AMO pays in full: it may be
        the expense, the AMO part, or what is asked in all.  Totals 2 and 3 rest on a guess and warn."""
        spent = sum(facture.spent_cents for facture in lot.factures)
        amo = sum(facture.amo_cents for facture in lot.factures)
        amc = sum(facture.amc_cents for facture in lot.factures)
        if cents(values["total_1"]) not in (spent, amo, amo + amc):
            said = words.euros(cents(values["total_1"]))
            self._find_at("B2-032", "6", "total_1", said=said, counted=words.euros(spent))
        for zone, count in (("total_2", amo), ("total_3", amc)):
            if cents(values[zone]) != count:
                said = words.euros(cents(values[zone]))
                self._find_at("B2-033", "6", zone, said=said, counted=words.euros(count))

    def _close_lot(self) -> None:
        lot, self._lot, self._facture = self._lot, None, None
        if lot is None:
            return
        destination = words.printable(self._header.get("dest_no", "").strip())
        emitter, number = (words.printable(lot.values[zone]) for zone in ("emitter_no", "batch_no"))
        self._lots.append(Lot(emitter, destination, number, lot.day, tuple(lot.factures)))

    def _file_end(self, values: Values) -> None:
        b2_facture.check_zones(self._findings, "999", self._record, values)
        for zone in b2_tables.ENDS_AGREE:
            first = self._header.get(zone, values[zone])
            if values[zone] != first:
                self._find_at("B2-006", "999", zone, start=first.strip(), end=values[zone].strip())
        for zone, code, counted in (
            ("n_records", "B2-008", self._record),
            ("n_batches", "B2-009", self._counts["1"]),
        ):
            if cents(values[zone]) != counted:
                self._find_at(code, "999", zone, said=values[zone], counted=counted)


_HANDLERS: dict[str, Callable[[_Walk, Values], None]] = {
    "000": _Walk._file_start,
    "1": _Walk._lot_start,
    "2": _Walk._facture_start,
    "3": _Walk._hospital_line,
    "4": _Walk._fee_line,
    "5": _Walk._facture_end,
    "6": _Walk._lot_end,
    "999": _Walk._file_end,
}

_ANY_NORM = frozenset({"000", "2", "999"})
"""Records that are looked into whatever the norm: the two ends, and the keys of a type 2."""

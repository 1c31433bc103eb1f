"""The clear fields of one facture of a B2 file (norm CP): what *reveal* shows, and nothing of any other facture.

Rule 1: lots and factures are counted as ``gateway.formats.b2`` counts them, so that a rank names the same
facture here and in the book.
Rule 2: every zone is given as it stands, in the order of the file; what a zone means beyond its layout, and what
a complementary record (2S, 3F, 4M…) holds, is not guessed: those are counted only.
It checks nothing and decides nothing about who may see it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from gateway.formats import words
from gateway.formats.b2 import records
from gateway.formats.b2_facture import Values, is_plain
from gateway.formats.b2_revealed import NOTHING, Revealed, Shown
from gateway.formats.b2_tables import LAYOUTS, MARKS, RECORD_LENGTH

_ENDS_OF_LOT = ("1", "6")
_READ = frozenset({*_ENDS_OF_LOT, "2", "3", "4", "5"})


@dataclass
class _Open:
    """A facture between its type 2 and its type 5."""

    nir: str
    number: str
    zones: list[Shown] = field(default_factory=list)
    complements: int = 0

    def take(self, record: int, kind: str, values: Values) -> None:
        """A record of this facture."""
        plain = is_plain(kind, values) if kind in MARKS else kind != "2" or not self.zones
        if not plain:
            self.complements += 1
            return
        for zone in LAYOUTS[kind].zones:
            value = words.printable(values[zone.name]).strip()
            if value and zone.name != "rec":
                self.zones.append(Shown(record, kind, zone.name, zone.meaning, value))

    def goes_on(self, values: Values) -> bool:
        """Whether a type 2 is a complement of this facture rather than the start of another."""
        return values["blank_11"] != " " or values["invoice_no"] == self.number


def read_facture(data: bytes | memoryview, lot: int, facture: int) -> Revealed:
    """The ``facture``-th facture of the ``lot``-th lot, both from 1; ``NOTHING`` when there is none."""
    for place, found in _factures(data):
        if place == (lot, facture):
            number = words.printable(found.number)
            return Revealed(words.printable(found.nir), number, tuple(found.zones), found.complements)
    return NOTHING


def _factures(data: bytes | memoryview) -> Iterator[tuple[tuple[int, int], _Open]]:
    """Each closed facture with the ranks of its lot and of itself."""
    lot = closed = 0
    inside, opened = False, None
    for record, text in enumerate(records(data), start=1):
        kind = text[0]
        if len(text) < RECORD_LENGTH or kind not in _READ:
            continue
        if kind in _ENDS_OF_LOT:
            inside, opened = kind == "1", None
            lot, closed = lot + inside, 0
            continue
        values = LAYOUTS[kind].read(text)
        if kind == "2" and not (opened and opened.goes_on(values)):
            opened = _Open(values["nir"] + values["nir_key"], values["invoice_no"])
        if opened is None:
            continue
        opened.take(record, kind, values)
        if kind == "5":
            closed += inside
            if inside:
                yield (lot, closed), opened
            opened = None

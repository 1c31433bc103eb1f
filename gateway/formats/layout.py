"""Records as tables: a zone, a layout, and how to read and write one record by its layout.

Rule 1: a layout is data; the only code that knows where a zone lies is here.
Rule 2: reading keeps every character of a zone, blanks included, so that write(read(record)) is the record.
It does not judge a value: whether a zone *should* hold digits is said by its ``kind`` and ``presence`` and
checked by the formats.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Zone:
    """One zone of a record: ``start`` is 1-based, ``kind`` is N (digits) or A (text), ``presence`` is
    M (mandatory), O (optional) or ? (meaning or place not proven: carried, never checked).
    ``meaning`` is French, for findings and listings."""

    name: str
    start: int
    length: int
    kind: str
    presence: str
    meaning: str

    @property
    def end(self) -> int:
        """Position of the last character, 1-based."""
        return self.start + self.length - 1

    def read(self, text: str) -> str:
        """The raw characters of this zone in a record."""
        return text[self.start - 1 : self.end]

    def write(self, value: str | int) -> str:
        """``value`` at this zone's length: digits right aligned over zeros, text left aligned over blanks;
        a string of the full length goes through unchanged.  ValueError when it does not fit."""
        text = str(value)
        if len(text) > self.length or (isinstance(value, int) and value < 0):
            raise ValueError(f"{self.name}: {text!r} does not fit {self.length} characters")
        if self.kind == "N" and len(text) < self.length:
            return text.zfill(self.length)
        return text.ljust(self.length)


@dataclass(frozen=True)
class Layout:
    """The zones of one record or entity, without a hole; ``record`` is its number as written."""

    record: str
    zones: tuple[Zone, ...]

    @classmethod
    def of(cls, record: str, table: str) -> Layout:
        """A layout from lines ``name length kind presence meaning``; starts follow from the lengths."""
        zones: list[Zone] = []
        start = 1
        for line in table.strip().splitlines():
            name, length, kind, presence, meaning = line.split(maxsplit=4)
            zones.append(Zone(name, start, int(length), kind, presence, meaning))
            start += int(length)
        return cls(record, tuple(zones))

    @cached_property
    def length(self) -> int:
        """Characters in the whole record."""
        return self.zones[-1].end

    @cached_property
    def _by_name(self) -> dict[str, Zone]:
        return {zone.name: zone for zone in self.zones}

    def zone(self, name: str) -> Zone:
        """The zone called ``name``; KeyError when the layout has none."""
        return self._by_name[name]

    def read(self, text: str) -> dict[str, str]:
        """Every zone's raw characters by name; a short record gives short or empty zones."""
        return {zone.name: text[zone.start - 1 : zone.end] for zone in self.zones}

    def write(self, values: Mapping[str, str | int]) -> str:
        """The record that holds ``values``; what is not named is zeros (N) or blanks (A), except ``rec``
        (the record's number) and ``eoe`` (the ``@`` that ends a NOEMIE entity)."""
        unknown = values.keys() - self._by_name.keys()
        if unknown:
            raise ValueError(f"record {self.record} has no zone {sorted(unknown)}")
        given = {"rec": self.record, "eoe": "@", **values}
        return "".join(zone.write(given.get(zone.name, "")) for zone in self.zones)

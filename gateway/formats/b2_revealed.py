"""One facture in clear as the keeper's child hands it over: values only, so that the keeper loads no reader of B2."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.formats import canonical
from gateway.formats.canonical import Short


@dataclass(frozen=True)
class Shown:
    """One zone: number of its record in the file, the record's type, the zone's name, its French meaning, its
    characters as written without the blanks around them."""

    record: int
    kind: Short
    name: Short
    meaning: Short
    value: Short


@dataclass(frozen=True)
class Revealed:
    """One facture.  ``nir`` is that of its type 2 with its key (15 characters), ``number`` its invoice number;
    both are '' when the file has no such facture, which then has no zones."""

    nir: Short
    number: Short
    zones: tuple[Shown, ...]
    complements: int = 0

    def to_json(self) -> bytes:
        """The one writing, as the keeper's child gives it."""
        return canonical.encode(self)

    @classmethod
    def from_json(cls, data: bytes) -> Revealed:
        """What a child wrote; Refused FMT-011 when it is no such thing."""
        return canonical.decode(cls, data, "FMT-011", "La lecture de la facture")


NOTHING = Revealed("", "", ())

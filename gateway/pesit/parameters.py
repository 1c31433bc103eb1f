"""The parameters (PI) and parameter groups (PGI) of PeSIT E, as a table, with their codings.

Rules: one row per PI (F-30 to F-35); values leave in their strict form and come in leniently.
It does not know which FPDU carries which parameter: that is ``gateway.pesit.fpdus``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gateway.errors import Refused, Scope

Value = int | str | bytes


class Coding(StrEnum):
    """How the value of a PI is coded (F-33); the letters are the standard's."""

    C = "C"
    """Characters; trailing blanks mean nothing, all blank means absent."""
    T = "T"
    """Ours, for PI 91: characters of which every blank counts, for a text may come in pieces."""
    N = "N"
    """Unsigned number, big-endian, in the fewest bytes."""
    S = "S"
    """Symbol, one byte."""
    M = "M"
    """Bit mask, here always one byte."""
    D = "D"
    """Date, YYMMDDhhmmss."""
    A = "A"
    """Aggregate of exactly ``maximum`` bytes, left to who reads it."""


@dataclass(frozen=True)
class Parameter:
    """One PI: ``maximum`` is the longest value in bytes."""

    code: int
    coding: Coding
    maximum: int
    name: str


_ROWS = (
    (1, "S", 1, "CRC in use"),
    (2, "A", 3, "diagnostic"),
    (3, "C", 24, "requester"),
    (4, "C", 24, "server"),
    (5, "C", 16, "access control"),
    (6, "N", 2, "version"),
    (7, "A", 3, "sync option"),
    (11, "N", 2, "file type"),
    (12, "C", 76, "file name"),
    (13, "N", 3, "transfer id"),
    (14, "M", 1, "requested attributes"),
    (15, "S", 1, "restarted"),
    (16, "S", 1, "data code"),
    (17, "S", 1, "priority"),
    (18, "N", 3, "restart point"),
    (19, "S", 1, "end-of-transfer code"),
    (20, "N", 3, "sync point number"),
    (21, "A", 2, "compression"),
    (22, "S", 1, "access type"),
    (23, "S", 1, "resynchronisation"),
    (25, "N", 2, "maximum entity size"),
    (26, "N", 2, "watchdog"),
    (27, "N", 8, "byte count"),
    (28, "N", 4, "article count"),
    (29, "C", 254, "diagnostic complement"),
    (31, "M", 1, "article format"),
    (32, "N", 2, "article length"),
    (33, "S", 1, "file organisation"),
    (34, "N", 2, "signature taken into account"),
    (36, "N", 64, "SIT seal"),
    (37, "C", 80, "file label"),
    (38, "N", 2, "key length"),
    (39, "N", 2, "key offset"),
    (41, "S", 1, "reservation unit"),
    (42, "N", 4, "maximum reservation"),
    (51, "D", 12, "creation date"),
    (52, "D", 12, "last extraction date"),
    (61, "C", 24, "initial sender"),
    (62, "C", 24, "final receiver"),
    (91, "T", 4096, "message"),
    (99, "C", 254, "free message"),
)

PARAMETERS = {code: Parameter(code, Coding(coding), maximum, name) for code, coding, maximum, name in _ROWS}
"""Every PI of the Hors-SIT profile; 63, 64 and 71 to 83 belong to other profiles and are skipped on input."""

_OF_THE_ROUTE = frozenset({3, 4, 5})
"""Who the two ends are, whatever the file."""

GROUPS = {
    9: (3, 4, 11, 12),
    30: (31, 32, 33, 34, 36, 37, 38, 39),
    40: (41, 42),
    50: (51, 52),
}
"""PGI to the PIs it may hold (F-31)."""


def encode(code: int, value: Value) -> bytes:
    """The strict form of one value, without code and length; b"" for an empty string (send no unit then).

    ``Refused`` for characters that cannot go or are too many: a user may have chosen them. ValueError when the
    value does not fit the row otherwise: that is a fault of ours.
    """
    row = PARAMETERS[code]
    match row.coding:
        case Coding.C | Coding.D if isinstance(value, str):
            coded = _characters(row, value.rstrip(" "))
        case Coding.T if isinstance(value, str):
            coded = _characters(row, value)
        case Coding.N | Coding.S | Coding.M if isinstance(value, int) and value >= 0:
            coded = value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")
        case Coding.A if isinstance(value, bytes) and len(value) == row.maximum:
            coded = value
        case _:
            raise ValueError(f"PI {code} ({row.name}) cannot hold {value!r}")
    if len(coded) > row.maximum:
        raise ValueError(f"PI {code} ({row.name}) is {len(coded)} bytes long, {row.maximum} at most")
    return coded


def _characters(row: Parameter, value: str) -> bytes:
    scope = Scope.ROUTE if row.code in _OF_THE_ROUTE else Scope.FICHIER
    if len(value) > row.maximum:
        text = f"{len(value)} caractères pour le PI {row.code}, qui en tient {row.maximum}."
        raise Refused("PES-VALUE", text, scope)
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError as cause:
        text = f"Le caractère {value[cause.start]!r} ne peut pas passer dans le PI {row.code}."
        raise Refused("PES-VALUE", text, scope) from None


def decode(code: int, coded: bytes) -> Value:
    """The value of one unit, leniently: strings trimmed and of any length, numbers with leading zeros.

    ValueError when a number, symbol or aggregate has a width that its row excludes.
    """
    row = PARAMETERS[code]
    if row.coding in (Coding.C, Coding.D):
        return coded.decode("latin-1").rstrip(" ")
    if row.coding is Coding.T:
        return coded.decode("latin-1")
    if len(coded) > row.maximum or (row.coding is Coding.A and len(coded) != row.maximum):
        raise ValueError(f"PI {code} de {len(coded)} octets")
    return coded if row.coding is Coding.A else int.from_bytes(coded, "big")

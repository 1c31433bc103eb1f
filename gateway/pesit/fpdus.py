"""The FPDUs of PeSIT E: codes, and the parameters of each in their canonical order.

Rules: the parameter column is in the notation of the standard's own tables (4.7.4, facts F-23 and 4.2), so
that the two can be read side by side:

    m  mandatory, in both directions
    s  always sent by us, tolerated when a peer leaves it out
    o  optional
    30{...}  a group; its letter says whether the group is there, the letters inside hold once it is

It codes nothing: that is ``gateway.pesit.codec``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Item:
    """One place in an FPDU: a PI, or a PGI with its members."""

    code: int
    need: str
    members: tuple[Item, ...] = ()


@dataclass(frozen=True)
class Layout:
    """One FPDU: name, phase byte, type byte, parameters in ascending code order."""

    name: str
    phase: int
    kind: int
    items: tuple[Item, ...]


_ROWS = (
    ("CONNECT", 0x40, 0x20, "o1 m3 m4 o5 m6 o7 m22 o23 o26 o99"),
    ("ACONNECT", 0x40, 0x21, "o5 m6 o7 o23 o99"),
    ("RCONNECT", 0x40, 0x22, "m2 o29 o99"),
    ("RELEASE", 0x40, 0x23, "m2 o29 o99"),
    ("RELCONF", 0x40, 0x24, "o99"),
    ("ABORT", 0x40, 0x25, "m2 o29"),
    (
        "CREATE",
        0xC0,
        0x11,
        "m9{o3 o4 m11 m12} m13 o15 o16 m17 m25 s30{o31 m32 o33 o34 o36 o37 o38 o39} s40{o41 m42} "
        "s50{m51 o52} o61 o62 o99",
    ),
    ("ACK(CREATE)", 0xC0, 0x30, "m2 o13 m25 o29 o99"),
    ("SELECT", 0xC0, 0x12, "m9{o3 o4 m11 m12} m13 o14 o15 m17 m25 o61 o62 o99"),
    (
        "ACK(SELECT)",
        0xC0,
        0x31,
        "m2 m9{o3 o4 m11 m12} m13 o16 m25 o29 o30{o31 m32 o33 o34 o36 o37 o38 o39} o40{o41 m42} o50{m51 o52} o99",
    ),
    ("DESELECT", 0xC0, 0x13, "m2 o29 o99"),
    ("ACK(DESELECT)", 0xC0, 0x32, "m2 o29 o99"),
    ("ORF", 0xC0, 0x14, "o21"),
    ("ACK(ORF)", 0xC0, 0x33, "m2 o21 o29"),
    ("CRF", 0xC0, 0x15, "m2 o29"),
    ("ACK(CRF)", 0xC0, 0x34, "m2 o29"),
    ("READ", 0xC0, 0x01, "m18"),
    ("ACK(READ)", 0xC0, 0x35, "m2 o29"),
    ("WRITE", 0xC0, 0x02, ""),
    ("ACK(WRITE)", 0xC0, 0x36, "m2 m18 o29"),
    ("TRANS.END", 0xC0, 0x08, "o27 o28"),
    ("ACK(TRANS.END)", 0xC0, 0x37, "m2 o27 o28 o29"),
    ("DTF.END", 0xC0, 0x04, "m2 o29"),
    ("SYN", 0xC0, 0x03, "m20"),
    ("ACK(SYN)", 0xC0, 0x38, "m20"),
    ("RESYN", 0xC0, 0x05, "m2 m18 o29"),
    ("ACK(RESYN)", 0xC0, 0x39, "m18"),
    ("IDT", 0xC0, 0x06, "m2 s19 o29"),
    ("ACK(IDT)", 0xC0, 0x3A, ""),
    ("MSG", 0xC0, 0x16, "m9{o3 o4 m11 m12} m13 o14 o16 o50{m51} o61 o62 o91"),
    ("MSGDM", 0xC0, 0x17, "m9{o3 o4 m11 m12} m13 o14 o16 o50{m51} o61 o62 o91"),
    ("MSGMM", 0xC0, 0x18, "m91"),
    ("MSGFM", 0xC0, 0x19, "m91"),
    ("ACK(MSG)", 0xC0, 0x3B, "m2 o13 o16 o91"),
    ("DTF", 0x00, 0x00, ""),
    ("DTFMA", 0x00, 0x40, ""),
    ("DTFDA", 0x00, 0x41, ""),
    ("DTFFA", 0x00, 0x42, ""),
)

_ITEM = re.compile(r"([mso])?(\d+)(?:\{([^}]*)\})?")


def _items(notation: str) -> tuple[Item, ...]:
    return tuple(
        Item(int(code), need, _items(members) if members else ()) for need, code, members in _ITEM.findall(notation)
    )


FPDUS = {name: Layout(name, phase, kind, _items(notation)) for name, phase, kind, notation in _ROWS}
"""FPDU name to its row."""

BY_CODE = {(row.phase, row.kind): row for row in FPDUS.values()}
"""(phase byte, type byte) to its row."""

DATA = frozenset({"DTF", "DTFDA", "DTFMA", "DTFFA"})
"""The FPDUs that carry articles and no parameters."""

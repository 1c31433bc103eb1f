"""The notation of FPDUs in vectors and dialogs: ``CREATE 9{11=0 12='FSE'} 13=101 16=2``.

A value is written as it reads: ``'text'`` (``\\xNN`` for what is not printable, trailing blanks count), a
number, ``2.204`` for PI 2, ``32KB/2`` for PI 7, ``x0103`` for bytes as they are. ``code=-`` says: absent.
``coded`` makes the bytes of what is written, in that order and that width, right or wrong; so a script can
say what the product never would. ``shown`` writes what the product understood.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gateway.pesit import diagnostics
from gateway.pesit.codec import Fpdu, header
from gateway.pesit.parameters import PARAMETERS, Coding, Value, decode

_UNIT = re.compile(r"\s*(?:(\d+)=('[^']*'|\S+?)(?=[\s}]|$)|(\d+)\{|(\}))")
_ESCAPE = re.compile(r"\\x([0-9a-fA-F]{2})")


@dataclass(frozen=True)
class Written:
    """One unit: ``coded`` is its value, None for ``-``; a group has ``members`` instead."""

    code: int
    coded: bytes | None
    members: tuple[Written, ...] = ()
    group: bool = False


def text_of(quoted: str) -> bytes:
    """The bytes of a quoted text."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), quoted[1:-1]).encode("latin-1")


def _value(code: int, word: str) -> bytes | None:
    if word == "-":
        return None
    if word.startswith("'"):
        return text_of(word)
    if word.startswith("x"):
        return bytes.fromhex(word[1:])
    if code == 2:
        return diagnostics.encode(word)
    if code == 7:
        interval, window = word.split("KB/")
        return int(interval).to_bytes(2, "big") + bytes([int(window)])
    number = int(word)
    return number.to_bytes(max(1, (number.bit_length() + 7) // 8), "big")


def written(text: str) -> list[Written]:
    """The units of ``text``; ValueError where it is not in the notation."""
    stack: list[list[Written]] = [[]]
    opened: list[int] = []
    at = 0
    while at < len(text.rstrip()):
        found = _UNIT.match(text, at)
        if not found:
            raise ValueError(f"not a unit: {text[at:]!r}")
        at = found.end()
        if found[1]:
            stack[-1].append(Written(int(found[1]), _value(int(found[1]), found[2])))
        elif found[3]:
            opened.append(int(found[3]))
            stack.append([])
        else:
            members = stack.pop()
            stack[-1].append(Written(opened.pop(), None, tuple(members), group=True))
    assert len(stack) == 1, f"a group is not closed: {text!r}"
    return stack[0]


def _unit(item: Written) -> bytes:
    value = b"".join(map(_unit, item.members)) if item.group else item.coded
    assert value is not None
    length = bytes([len(value)]) if len(value) < 255 else b"\xff" + len(value).to_bytes(2, "big")
    return bytes([item.code]) + length + value


def coded(name: str, units: str, destination: int, source: int) -> bytes:
    """The FPDU ``name`` with ``units`` exactly as they are written."""
    body = b"".join(_unit(item) for item in written(units))
    return header(name, 6 + len(body), destination, source) + body


def _flat(items: list[Written] | tuple[Written, ...]) -> Iterator[Written]:
    for item in items:
        yield from _flat(item.members) if item.group else [item]


def expected(units: str) -> dict[int, Value | None]:
    """The values that ``units`` ask for, None for those that must be absent."""
    return {item.code: None if item.coded is None else decode(item.code, item.coded) for item in _flat(written(units))}


def quoted(data: bytes) -> str:
    """``data`` as a quoted text."""
    return "'" + "".join(chr(b) if 32 <= b < 127 and b not in b"'\\" else f"\\x{b:02x}" for b in data) + "'"


def shown_value(code: int, value: Value) -> str:
    """One value in the notation."""
    if code == 2 and isinstance(value, bytes):
        return diagnostics.decode(value)
    if code == 7 and isinstance(value, bytes):
        return f"{int.from_bytes(value[:2], 'big')}KB/{value[2]}"
    if isinstance(value, bytes):
        return "x" + value.hex()
    if isinstance(value, str):
        return quoted(value.encode("latin-1"))
    return f"x{value:02x}" if PARAMETERS[code].coding is Coding.M else str(value)


def shown(fpdu: Fpdu, *, ids: bool = True) -> str:
    """An FPDU in the notation, its values in ascending order and without their groups."""
    return " ".join([fpdu.name, *([f"{fpdu.destination:02x}<{fpdu.source:02x}"] * ids), *_values(fpdu.values)])


def _values(values: Mapping[int, Value]) -> Iterator[str]:
    return (f"{code}={shown_value(code, values[code])}" for code in sorted(values))

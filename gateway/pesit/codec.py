"""FPDUs to bytes and back: strict out, lenient in.

Rules: parameters leave in ascending order, numbers in the fewest bytes, strings without padding, no unit of
length 0 (F-30 to F-35). Coming in, unknown units, other orders, repeats (the first wins), leading zeros and
padding are accepted and noted; what cannot be read is a ``Violation`` with 3.311 or 3.318, nothing else.
An ``Fpdu`` is the one representation of a message: groups are a matter of the bytes, so its values are
flat, keyed by PI number. It knows nothing of states.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from gateway.pesit import diagnostics, parameters
from gateway.pesit.diagnostics import Violation
from gateway.pesit.fpdus import BY_CODE, DATA, FPDUS, Item
from gateway.pesit.parameters import GROUPS, PARAMETERS, Value

HEADER = 6
LONGEST = 65535


@dataclass(frozen=True, slots=True)
class Fpdu:
    """One FPDU: ``values`` by PI number; ``body`` for the DTF family, whose ``source`` is the article count.

    ``notes`` says what had to be overlooked on input; it is empty on output.
    """

    name: str
    values: Mapping[int, Value] = field(default_factory=dict)
    destination: int = 0
    source: int = 0
    body: bytes = b""
    notes: tuple[str, ...] = ()

    @property
    def diagnostic(self) -> str:
        """The code in PI 2, "0.000" when there is none."""
        value = self.values.get(2)
        return diagnostics.decode(value) if isinstance(value, bytes) else diagnostics.SUCCESS

    def number(self, code: int, default: int = 0) -> int:
        """The value of a numeric PI, or ``default``."""
        value = self.values.get(code, default)
        return value if isinstance(value, int) else default

    def text(self, code: int) -> str:
        """The value of a character PI, or ""."""
        value = self.values.get(code, "")
        return value if isinstance(value, str) else ""


_CODES = {row.name: bytes((row.phase, row.kind)) for row in FPDUS.values()}


def unit(code: int, coded: bytes) -> bytes:
    """Code, length, value; nothing at all for an empty value."""
    if not coded:
        return b""
    length = bytes([len(coded)]) if len(coded) < 255 else b"\xff" + len(coded).to_bytes(2, "big")
    return bytes([code]) + length + coded


def _coded(item: Item, values: Mapping[int, Value], name: str) -> bytes:
    if item.members:
        present = any(member.code in values for member in item.members)
        inside = b"".join(_coded(member, values, name) for member in item.members) if present else b""
        coded = unit(item.code, inside)
    elif item.code in values:
        coded = unit(item.code, parameters.encode(item.code, values[item.code]))
    else:
        coded = b""
    if item.need == "m" and not coded:
        raise ValueError(f"{name} lacks PI {item.code}")
    return coded


def encode(fpdu: Fpdu, *, bare_abort: bool = False) -> bytes:
    """The bytes of an FPDU; ``bare_abort`` gives the nine-byte ABORT of the standard (F-40).

    ValueError when a mandatory parameter is missing or a value does not fit: a fault of ours.
    """
    row = FPDUS[fpdu.name]
    body = fpdu.body
    if fpdu.name not in DATA:
        refused = fpdu.name.startswith("ACK(") and fpdu.diagnostic != diagnostics.SUCCESS
        items = tuple(Item(i.code, "o", i.members) for i in row.items) if refused else row.items
        body = b"".join(_coded(item, fpdu.values, fpdu.name) for item in items)
    if bare_abort and fpdu.name == "ABORT":
        body = diagnostics.encode(fpdu.diagnostic)
    return header(fpdu.name, HEADER + len(body), fpdu.destination, fpdu.source) + body


def header(name: str, length: int, destination: int, source: int) -> bytes:
    """The six bytes before an FPDU; ``length`` includes them (F-20)."""
    return length.to_bytes(2, "big") + _CODES[name] + bytes((destination, source))


def _units(body: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(body):
        code, length, start = body[at], body[at + 1] if at + 1 < len(body) else LONGEST, at + 2
        if length == 255:
            length, start = int.from_bytes(body[at + 2 : at + 4], "big"), at + 4
        at = start + length
        if at > len(body):
            raise Violation("3.318", f"Le paramètre PI {code} reçu dépasse la fin de son message PeSIT.")
        yield code, body[start:at]


def _read(body: bytes, values: dict[int, Value], notes: list[str], *, inside: bool = False) -> None:
    last = 0
    for code, coded in _units(body):
        if code < last:
            notes.append(f"PI {code} after {last}")
        last = code
        if code in GROUPS and not inside:
            _read(coded, values, notes, inside=True)
        elif code not in PARAMETERS:
            notes.append(f"PI {code} unknown")
        elif code in values:
            notes.append(f"PI {code} repeated")
        elif coded and (value := _value(code, coded)) != "":
            values[code] = value


def _value(code: int, coded: bytes) -> Value:
    try:
        return parameters.decode(code, coded)
    except ValueError:
        raise Violation("3.318", f"Le paramètre PI {code} reçu a une longueur de {len(coded)} octets.") from None


def _missing(items: tuple[Item, ...], values: Mapping[int, Value]) -> Iterator[int]:
    for item in items:
        if not item.members:
            if item.need == "m" and item.code not in values:
                yield item.code
        elif item.need == "m" or any(member.code in values for member in item.members):
            yield from _missing(item.members, values)


def decode(frame: bytes) -> Fpdu:
    """The FPDU in ``frame``, which holds exactly one; ``Violation`` when it cannot be read."""
    row = BY_CODE.get((frame[2], frame[3])) if len(frame) >= HEADER else None
    if row is None or int.from_bytes(frame[:2], "big") != len(frame):
        raise Violation("3.311", f"Le message PeSIT reçu commence par {frame[:HEADER].hex()}, qui n'existe pas.")
    body = frame[HEADER:]
    if row.name in DATA:
        return Fpdu(row.name, {}, frame[4], frame[5], body)
    if row.name == "ABORT":
        return Fpdu(row.name, _abort_values(body), frame[4], frame[5])
    values: dict[int, Value] = {}
    notes: list[str] = []
    _read(body, values, notes)
    fpdu = Fpdu(row.name, values, frame[4], frame[5], b"", tuple(notes))
    # A refusal may carry nothing but its diagnostic.
    missing = next(_missing(row.items, values), None) if fpdu.diagnostic == diagnostics.SUCCESS else None
    if missing is not None:
        raise Violation("3.318", f"Le message PeSIT {row.name} reçu n'a pas le paramètre obligatoire PI {missing}.")
    return fpdu


def _abort_values(body: bytes) -> dict[int, Value]:
    """PI 2 bare or coded, or nothing: the link is going down anyway (F-40)."""
    if len(body) == 3:
        return {2: body}
    values: dict[int, Value] = {}
    try:
        _read(body, values, [])
    except Violation:
        return {}
    return values


def articles(body: bytes, count: int) -> list[bytes]:
    """The articles of a DTF body; ``count`` is byte 6 of its header (F-82, F-85)."""
    prefixed_one = count == 1 and int.from_bytes(body[:2], "big") == len(body) - 2
    if count == 0 or (count == 1 and not prefixed_one):
        return [body]
    found: list[bytes] = []
    at = 0
    while at < len(body):
        end = at + 2 + int.from_bytes(body[at : at + 2], "big")
        if end > len(body):
            break
        found.append(body[at + 2 : end])
        at = end
    if at != len(body) or len(found) != count:
        raise Violation("3.311", f"Un DTF annonce {count} articles et en contient {len(found)}.")
    return found

"""The card's table of contents: PKCS#15 directory files read into values (PKCS #15 v1.1 = ISO 7816-15).

Duty: the few ASN.1 types a CPS3 uses (ODF, PrKDF, CDF, DODF, AODF) and nothing else.  A directory file is a run of
entries padded with 00 or FF; an entry of a kind that is not known here is passed over, a broken one refuses the card.

It deliberately does not know files, commands or what an entry will be used for.
"""
# asn1crypto declares types by mutable class attributes, and carries no annotations:
# ruff: noqa: RUF012
# mypy: disable-error-code="misc"

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from asn1crypto import core, parser

from gateway.errors import Refused, Scope


@dataclass(frozen=True)
class PrivateKey:
    """A private key on the card: its number, the iD it shares with its certificate, what it is for."""

    label: str
    identifier: bytes
    usage: frozenset[str]
    reference: int


@dataclass(frozen=True)
class CertificateEntry:
    """Where a certificate lies; ``identifier`` is the iD of its key."""

    label: str
    identifier: bytes
    path: bytes


@dataclass(frozen=True)
class PinEntry:
    """A secret code: number for VERIFY, lengths in digits, and whether it only unblocks another."""

    label: str
    reference: int
    shortest: int
    longest: int
    unblocks: bool


@dataclass(frozen=True)
class DataEntry:
    """A data object of the trade (activities, billing …): where it lies, and whether only the code opens it."""

    label: str
    private: bool
    path: bytes


class _Anything(core.SequenceOf):
    """A SEQUENCE of which at most the first element matters here."""

    _child_spec = core.Any


class _Path(core.Sequence):
    _fields = [
        ("path", core.OctetString),
        ("index", core.Integer, {"optional": True}),
        ("length", core.Integer, {"implicit": 0, "optional": True}),
    ]


class _Flags(core.BitString):
    _map = {0: "private", 1: "modifiable"}


class _Common(core.Sequence):
    _fields = [
        ("label", core.UTF8String, {"optional": True}),
        ("flags", _Flags, {"optional": True}),
        ("auth_id", core.OctetString, {"optional": True}),
        ("user_consent", core.Integer, {"optional": True}),
        ("access_rules", _Anything, {"optional": True}),
    ]


class _Usage(core.BitString):
    _map = {
        0: "encrypt", 1: "decrypt", 2: "sign", 3: "sign_recover", 4: "wrap", 5: "unwrap",
        6: "verify", 7: "verify_recover", 8: "derive", 9: "non_repudiation",
    }  # fmt: skip


class _Access(core.BitString):
    _map = {0: "sensitive", 1: "extractable", 2: "always", 3: "never", 4: "local"}


class _KeyClass(core.Sequence):
    _fields = [
        ("identifier", core.OctetString),
        ("usage", _Usage),
        ("native", core.Boolean, {"default": True}),
        ("access", _Access, {"optional": True}),
        ("reference", core.Integer, {"optional": True}),
        ("start", core.GeneralizedTime, {"optional": True}),
        ("end", core.GeneralizedTime, {"implicit": 0, "optional": True}),
        ("algorithms", core.SequenceOf, {"implicit": 1, "optional": True, "spec": core.Integer}),
    ]


class _Key(core.Sequence):
    _fields = [
        ("common", _Common),
        ("key", _KeyClass),
        ("subclass", _Anything, {"explicit": 0, "optional": True}),
        ("type", _Anything, {"explicit": 1}),
    ]


class _Certificate(core.Sequence):
    _fields = [
        ("common", _Common),
        ("certificate", _Anything),
        ("subclass", _Anything, {"explicit": 0, "optional": True}),
        ("type", _Anything, {"explicit": 1}),
    ]


class _Data(core.Sequence):
    _fields = [
        ("common", _Common),
        ("data", _Anything),
        ("subclass", _Anything, {"explicit": 0, "optional": True}),
        ("type", _Path, {"explicit": 1}),
    ]


class _PinFlags(core.BitString):
    _map = {6: "unblocking"}


class _PinType(core.Sequence):
    _fields = [
        ("flags", _PinFlags),
        ("type", core.Enumerated),
        ("shortest", core.Integer),
        ("stored", core.Integer),
        ("longest", core.Integer, {"optional": True}),
        ("reference", core.Integer, {"implicit": 0, "default": 0}),
        ("padding", core.OctetString, {"optional": True}),
        ("changed", core.GeneralizedTime, {"optional": True}),
        ("path", _Path, {"optional": True}),
    ]


class _Pin(core.Sequence):
    _fields = [
        ("common", _Common),
        ("pin", _Anything),
        ("subclass", _Anything, {"explicit": 0, "optional": True}),
        ("type", _PinType, {"explicit": 1}),
    ]


_Entry = TypeVar("_Entry")

PRIVATE_KEYS, CERTIFICATES, DATA_OBJECTS, PINS = 0, 4, 7, 8
"""Tags by which the ODF points to the directory files (PKCS #15 §6.2)."""

_SEQUENCE = (0, 1, 16)


def _entries(file: bytes) -> Iterator[tuple[tuple[int, int, int], bytes, bytes]]:
    """Each (class, method, tag), entry and its content in a directory file, up to the padding."""
    rest = file
    while rest and rest[0] not in (0x00, 0xFF):
        try:
            class_, method, tag, header, content, trailer = parser.parse(rest)
        except ValueError as error:
            raise _unreadable() from error
        entry = header + content + trailer
        yield (class_, method, tag), entry, content
        rest = rest[len(entry) :]


def _unreadable() -> Refused:
    return Refused("CPS-PKCS15", "La table des matières de la carte (PKCS#15) est illisible.", Scope.CARD)


def _objects(file: bytes, kind: type[core.Sequence], read: Callable[[Any], _Entry]) -> tuple[_Entry, ...]:
    """The plain SEQUENCE entries of ``file``, as ``read`` makes them: RSA keys, X.509 certificates, PINs are such."""
    try:
        return tuple(read(kind.load(entry, strict=True)) for tag, entry, _ in _entries(file) if tag == _SEQUENCE)
    except (ValueError, TypeError, KeyError, IndexError) as error:  # asn1crypto decodes late, as it is read
        raise _unreadable() from error


def directories(odf: bytes) -> dict[int, list[bytes]]:
    """The paths that EF.ODF gives, by the tag of what the file holds."""
    found: dict[int, list[bytes]] = {}
    for (_, _, tag), _, content in _entries(odf):
        try:
            path = _Path.load(content, strict=True)
            found.setdefault(tag, []).append(path["path"].native)
        except (ValueError, TypeError) as error:
            raise _unreadable() from error
    return found


def private_keys(prkdf: bytes) -> tuple[PrivateKey, ...]:
    """The RSA keys of an EF.PrKD."""
    return _objects(prkdf, _Key, _read_key)


def _read_key(entry: Any) -> PrivateKey:
    key = entry["key"]
    usage = frozenset(key["usage"].native)
    return PrivateKey(_label(entry), key["identifier"].native, usage, key["reference"].native & 0xFF)


def certificates(cdf: bytes) -> tuple[CertificateEntry, ...]:
    """The certificates of an EF.CD."""
    return _objects(cdf, _Certificate, _read_certificate)


def _read_certificate(entry: Any) -> CertificateEntry:
    identifier = entry["certificate"][0].parse(core.OctetString).native
    return CertificateEntry(_label(entry), identifier, entry["type"][0].parse(_Path)["path"].native)


def data_objects(dodf: bytes) -> tuple[DataEntry, ...]:
    """The plain data objects of an EF.DOD."""
    return _objects(dodf, _Data, _read_data)


def _read_data(entry: Any) -> DataEntry:
    common = entry["common"]
    private = "private" in (common["flags"].native or ()) or common["auth_id"].native is not None
    return DataEntry(_label(entry), private, entry["type"]["path"].native)


def pins(aodf: bytes) -> tuple[PinEntry, ...]:
    """The codes of an EF.AOD."""
    return _objects(aodf, _Pin, _read_pin)


def _read_pin(entry: Any) -> PinEntry:
    kind = entry["type"]
    return PinEntry(
        _label(entry),
        kind["reference"].native,
        kind["shortest"].native,
        kind["longest"].native or kind["stored"].native,
        "unblocking" in kind["flags"].native,
    )


def _label(entry: Any) -> str:
    return str(entry["common"]["label"].native or "")

"""What the card holds: its tree of files, as a CPS3 is known to have it (contact side).

Published contents are byte for byte: EF.ATR, the FCP, the sizes of EF.DIR and EF.SN.ICC.  What is not published
is ours: the identifiers of EF.PrKD and EF.DOD, TokenInfo's words, and a serial number that begins with 80, the
trade's mark of a test card, after the issuer that every client checks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from virtual_cps.der import bits, integer, octets, sequence, text, tlv

AID_CONTACT = bytes.fromhex("E828BD080F8025000001FF0010")
AID_CONTACTLESS = bytes.fromhex("E828BD080F8025000001FF0020")
AID_CARD = bytes.fromhex("8025000001FF0100")
MF, CONTACT, CONTACTLESS = 0x3F00, 0x0001, 0x0002

SIGN_KEY, LOGIN_KEY, TECHNICAL_KEY = 0x81, 0x82, 0x83
PIN, PUK = 1, 2

FREE, BY_PIN, BY_ISSUER, NEVER = 0x00, 0x11, 0x45, 0xFF
"""Who may read or write a file: bytes of an access rule (0x45: under secure messaging, which is not emulated)."""
_EF_ATR = bytes.fromhex(
    "804301B8460404B0ECC147039401804F088025000001FF0100E01002020104020201040202010002020100780806062B8122F8780282029000"
)

_SHA1, _SHA256 = "06052B0E03021A", "0609608648016503040201"
_RSA, _RSA_SHA1, _RSA_SHA256 = "06092A864886F70D010101", "06092A864886F70D010105", "06092A864886F70D01010B"
ALGORITHMS = (
    # reference, PKCS#11 mechanism, operations (bits of PKCS #15 §6.9), object identifier, card's algorithm
    (1, 0x220, (6,), _SHA1, 0x10),
    (2, 0x250, (6,), _SHA256, 0x40),
    (3, 0x006, (1,), _RSA_SHA1, 0x12),
    (4, 0x040, (1,), _RSA_SHA256, 0x42),
    (5, 0x001, (1,), _RSA, 0x02),
    (6, 0x001, (5,), _RSA, 0x1A),
)


@dataclass(frozen=True)
class File:
    """An elementary file: where it is, its short identifier (0: none), what it holds, who may read it with contacts,
    who may write it, who may read it without contacts."""

    folder: int
    identifier: int
    content: bytes
    short: int = 0
    read: int = FREE
    update: int = BY_ISSUER
    over_air: int = FREE

    def fcp(self) -> bytes:
        """The control parameters that SELECT gives: contact rules 8C, contactless 9C."""
        rules = bytes([0x7B, 0x45, 0xFF, 0xFF, 0xFF, self.update, self.read])
        air = bytes([0x7B, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, self.over_air])
        return tlv(
            0x62,
            tlv(0x80, len(self.content).to_bytes(2, "big")),
            tlv(0x82, b"\x01"),
            tlv(0x83, self.identifier.to_bytes(2, "big")),
            tlv(0x88, bytes([self.short << 3])),
            tlv(0xA1, tlv(0x8C, rules), tlv(0x9C, air)),
            tlv(0x8A, b"\x05"),
        )


def folder_fcp(identifier: int) -> bytes:
    """The control parameters of the root or of an application."""
    name = {MF: AID_CARD, CONTACT: AID_CONTACT, CONTACTLESS: AID_CONTACTLESS}[identifier]
    rules = tlv(0x8C, bytes.fromhex("7BFFFFFFFFFF00"))
    return tlv(
        0x62,
        tlv(0x80, b"\0\0"),
        tlv(0x82, b"\x38"),
        tlv(0x83, identifier.to_bytes(2, "big")),
        tlv(0x84, name),
        tlv(0xA1, rules),
        tlv(0x8A, b"\x05"),
    )


def luhn_digit(digits: str) -> str:
    """The check digit of ISO/IEC 7812-1 annex B for ``digits``."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 - place % 2)
        total += value // 10 + value % 10
    return str(-total % 10)


def serial_file(card_number: int) -> bytes:
    """EF.SN.ICC of the test card ``card_number`` (six digits)."""
    digits = f"802500000180{card_number:06d}"
    return bytes.fromhex(f"5A0A{digits}{luhn_digit(digits)}F")


def directory() -> bytes:
    """EF.DIR, 101 bytes; the contactless application first, for OpenSC takes the second for its own."""

    def record(aid: bytes, label: str, folder: int) -> bytes:
        path = MF.to_bytes(2, "big") + folder.to_bytes(2, "big")
        proof = tlv(0x73, tlv(0x4F, AID_CONTACT))
        return tlv(0x61, tlv(0x4F, aid), tlv(0x50, label.encode()), tlv(0x51, path), proof)

    return record(AID_CONTACTLESS, "CPX IAS CL", CONTACTLESS) + record(AID_CONTACT, "CPX IAS", CONTACT)


def _path(identifier: int) -> bytes:
    return sequence(octets(identifier.to_bytes(2, "big")))


def _rule(modes: tuple[int, ...], condition: bytes) -> bytes:
    return sequence(bits(modes), condition)


def key_identifier(number: int, application: bytes = AID_CONTACT) -> bytes:
    return application + bytes([number])


def _private_key(label: str, number: int, flags: bytes, usage: tuple[int, ...], modes: tuple[int, ...]) -> bytes:
    rules = sequence(_rule(modes, octets(b"\x01")))
    return sequence(
        sequence(text(label), flags, octets(b"\x01"), rules),
        sequence(octets(key_identifier(number)), bits(usage), bits((0, 2, 3)), integer(0x80 | number)),
        tlv(0xA1, sequence(sequence(octets(b"")), integer(2048))),
    )


def private_keys() -> bytes:
    """EF.PrKD: the signature key (non-repudiation) and the authentication key (decrypt, sign)."""
    return _private_key("CPS_PRIV_SIG", 1, bits((0,)), (9,), (5,)) + _private_key(
        "CPS_PRIV_AUT", 2, bits((0, 1)), (1, 2), (7, 9)
    )


def _certificate(label: str, number: int, identifier: int) -> bytes:
    return sequence(
        sequence(text(label), bits(())),
        sequence(octets(key_identifier(number))),
        tlv(0xA1, sequence(_path(identifier))),
    )


def _pin(label: str, number: int, flags: tuple[int, ...], digits: int) -> bytes:
    rules = sequence(_rule((0,), octets(b"\x02")), _rule((1,), octets(b"\x01")), _rule((2,), tlv(0x05)))
    kind = sequence(
        bits(flags), tlv(0x0A, b"\x01"), integer(digits), integer(digits), integer(digits), tlv(0x80, bytes([number]))
    )
    return sequence(
        sequence(text(label), bits(()), octets(b"\x02"), rules), sequence(octets(bytes([number]))), tlv(0xA1, kind)
    )


def _token(serial: bytes) -> bytes:
    algorithms = (
        sequence(
            integer(reference),
            integer(mechanism),
            tlv(0x05),
            bits(operations),
            bytes.fromhex(oid),
            integer(algorithm),
        )
        for reference, mechanism, operations, oid, algorithm in ALGORITHMS
    )
    return sequence(
        integer(0),
        octets(serial),
        text("OCT-GATEWAY TEST"),
        tlv(0x80, b"CPS DE TEST 80"),
        bits((1, 2, 3)),
        tlv(0xA2, *algorithms),
    )


@dataclass(frozen=True)
class DataObject:
    """One data object of the trade: its name, its file, what it holds, whether only the code opens it."""

    label: str
    identifier: int
    content: bytes
    private: bool = False
    writable: bool = False


def _activity(company: str, sector: str) -> bytes:
    """One place of practice; the layout is a third party's testimony."""
    return tlv(0xEE, tlv(0x84, company.encode()), tlv(0x85, b"0000000000"), tlv(0x86, sector.encode()))


DATA_OBJECTS = (
    DataObject("CPS_DATA", 0xD107, bytes(64), writable=True),
    DataObject("CPS_ID_CARD", 0xD101, b"CARTE DE TEST 80"),
    DataObject("CPS_NAME_PS", 0xD102, b"TITULAIRE DE TEST"),
    DataObject("CPS_LANG_PS", 0xD103, b"fr"),
    DataObject("CPS_INFO_PS", 0xD104, b"DONNEES DE TEST SM26"),
    DataObject("CPS_ACTIVITY_01_PS", 0xD120, _activity("CABINET DE TEST", "SA07"), private=True),
    DataObject("CPS_ACTIVITY_03_PS", 0xD122, _activity("CLINIQUE DE TEST", "SA01"), private=True),
    DataObject("CPS_SIT_FACT", 0xD110, b"FACTURATION DE TEST", private=True),
)
"""The names are the trade's, and activities need not follow one another; files and contents are ours."""


def _data_entry(one: DataObject) -> bytes:
    flags, code = [0] * one.private + [1] * one.writable, octets(b"\x01") if one.private else b""
    common = sequence(text(one.label), bits(flags), code)
    return sequence(common, sequence(text("CPS")), tlv(0xA1, _path(one.identifier)))


def _data_files(written: Mapping[int, str]) -> tuple[File, ...]:
    return tuple(
        File(
            CONTACT,
            one.identifier,
            bytes.fromhex(written[one.identifier]) if one.identifier in written else one.content,
            read=BY_PIN if one.private else FREE,
            update=BY_PIN if one.writable else BY_ISSUER,
            over_air=NEVER if one.private else FREE,
        )
        for one in DATA_OBJECTS
    )


def _contactless(certificate: bytes) -> tuple[File, ...]:
    """The application without contacts: one technical key, its certificate, no code."""
    key = sequence(
        sequence(text("CPS_PRIV_TECH_AUT"), bits((0,))),
        sequence(octets(key_identifier(1, AID_CONTACTLESS)), bits((2,)), bits((0, 2, 3)), integer(TECHNICAL_KEY)),
        tlv(0xA1, sequence(sequence(octets(b"")), integer(2048))),
    )
    entry = sequence(
        sequence(text("Certificat technique CPS"), bits(())),
        sequence(octets(key_identifier(1, AID_CONTACTLESS))),
        tlv(0xA1, sequence(_path(0xA001))),
    )
    odf = tlv(0xA0, _path(0x7002)) + tlv(0xA4, _path(0x7005))
    return (
        File(CONTACTLESS, 0x5031, odf),
        File(CONTACTLESS, 0x7002, key),
        File(CONTACTLESS, 0x7005, entry),
        File(CONTACTLESS, 0xA001, certificate),
    )


def tree(
    card_number: int,
    sign: bytes,
    login: bytes,
    technical: bytes = b"",
    written: Mapping[int, str] | None = None,
    update: bytes | None = None,
) -> tuple[File, ...]:
    """Every elementary file of the card ``card_number`` with these certificates (DER); ``technical`` is the
    contactless application's, which is empty without it; ``written`` (hexadecimal) takes the place of what was;
    ``update`` is EF_ACTUA, which a card has from its first update on."""
    serial = serial_file(card_number)
    odf = b"".join(
        tlv(tag, _path(identifier))
        for tag, identifier in ((0xA0, 0x7002), (0xA4, 0x7005), (0xA7, 0x7006), (0xA8, 0x7001))
    )
    certificates = _certificate("Certificat de Signature CPS", 1, 0xA001) + _certificate(
        "Certificat d'Authentification CPS", 2, 0xA002
    )
    pins = _pin("Code porteur de la carte CPX", PIN, (0, 4), 4) + _pin("Code de déblocage", PUK, (0, 4, 6), 8)
    return (
        File(MF, 0x2F00, directory(), 0x1E),
        File(MF, 0x2F01, _EF_ATR, 0x1D),
        File(MF, 0xD003, serial, 0x1C),
        *((File(MF, 0xD010, update),) if update is not None else ()),
        File(CONTACT, 0x5031, odf),
        File(CONTACT, 0x5032, _token(serial[2:])),
        File(CONTACT, 0x7001, pins, over_air=NEVER),
        File(CONTACT, 0x7002, private_keys()),
        File(CONTACT, 0x7005, certificates),
        File(CONTACT, 0x7006, b"".join(map(_data_entry, DATA_OBJECTS))),
        File(CONTACT, 0xA001, sign),
        File(CONTACT, 0xA002, login),
        *_data_files(written or {}),
        *(_contactless(technical) if technical else ()),
    )

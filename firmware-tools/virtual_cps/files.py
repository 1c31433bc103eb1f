"""What the card holds: its tree of files, as a CPS3 is known to have it (contact side).

Published contents are byte for byte: EF.ATR, the FCP, the sizes of EF.DIR and EF.SN.ICC.  What is not published
is ours: the identifiers of EF.PrKD and EF.DOD, TokenInfo's words, and a serial number that begins with 80, the
trade's mark of a test card, after the issuer that every client checks.
"""

from __future__ import annotations

from dataclasses import dataclass

from virtual_cps.der import bits, integer, octets, sequence, text, tlv

AID_CONTACT = bytes.fromhex("E828BD080F8025000001FF0010")
AID_CONTACTLESS = bytes.fromhex("E828BD080F8025000001FF0020")
AID_CARD = bytes.fromhex("8025000001FF0100")
MF, CONTACT, CONTACTLESS = 0x3F00, 0x0001, 0x0002

SIGN_KEY, LOGIN_KEY = 0x81, 0x82
PIN, PUK = 1, 2

_FREE, _PIN_READ = 0x00, 0x11
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
    """An elementary file: where it is, its short identifier (0: none), what it holds, who may read it."""

    folder: int
    identifier: int
    content: bytes
    short: int = 0
    read: int = _FREE

    def fcp(self) -> bytes:
        """The control parameters that SELECT gives: contact rules 8C, contactless 9C (never)."""
        rules = bytes([0x7B, 0x45, 0xFF, 0xFF, 0xFF, 0x45, self.read])
        return tlv(
            0x62,
            tlv(0x80, len(self.content).to_bytes(2, "big")),
            tlv(0x82, b"\x01"),
            tlv(0x83, self.identifier.to_bytes(2, "big")),
            tlv(0x88, bytes([self.short << 3])),
            tlv(0xA1, tlv(0x8C, rules), tlv(0x9C, bytes.fromhex("7BFFFFFFFFFF00"))),
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


def key_identifier(number: int) -> bytes:
    return AID_CONTACT + bytes([number])


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


def _activity() -> bytes:
    """One place of practice, for what only the code opens; the layout is a third party's testimony."""
    return tlv(0xEE, tlv(0x84, b"CABINET DE TEST"), tlv(0x85, b"0000000000"), tlv(0x86, b"SA07"))


def _data_object(label: str, identifier: int) -> bytes:
    return sequence(
        sequence(text(label), bits((0,)), octets(b"\x01")),
        sequence(text("CPS")),
        tlv(0xA1, _path(identifier)),
    )


def tree(card_number: int, sign_certificate: bytes, login_certificate: bytes) -> tuple[File, ...]:
    """Every elementary file of the card ``card_number`` that carries these certificates (DER)."""
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
        File(CONTACT, 0x5031, odf),
        File(CONTACT, 0x5032, _token(serial[2:])),
        File(CONTACT, 0x7001, pins),
        File(CONTACT, 0x7002, private_keys()),
        File(CONTACT, 0x7005, certificates),
        File(CONTACT, 0x7006, _data_object("CPS_ACTIVITY_01_PS", 0xD120)),
        File(CONTACT, 0xA001, sign_certificate),
        File(CONTACT, 0xA002, login_certificate),
        File(CONTACT, 0xD120, _activity(), read=_PIN_READ),
    )

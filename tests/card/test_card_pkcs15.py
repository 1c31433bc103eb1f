"""Directory files: what is read of the virtual card's, what is passed over, and that no bytes are a bug."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from virtual_cps import files
from virtual_cps.der import bits, integer, octets, sequence, text, tlv

from gateway.card import pkcs15
from gateway.errors import Refused

TREE = {file.identifier: file.content for file in files.tree(7, b"\x30\x00", b"\x30\x00")}
ODF, KEYS, CERTIFICATES, DATA, PINS = (TREE[one] for one in (0x5031, 0x7002, 0x7005, 0x7006, 0x7001))


READERS = (pkcs15.private_keys, pkcs15.certificates, pkcs15.data_objects, pkcs15.pins, pkcs15.directories)


def test_directories() -> None:
    found = pkcs15.directories(ODF)
    assert found[pkcs15.PRIVATE_KEYS] == [b"\x70\x02"]
    assert found[pkcs15.CERTIFICATES] == [b"\x70\x05"]
    assert found[pkcs15.PINS] == [b"\x70\x01"]


def test_private_keys() -> None:
    sign, login = pkcs15.private_keys(KEYS)
    assert (sign.label, sign.usage, sign.reference) == ("CPS_PRIV_SIG", {"non_repudiation"}, 0x81)
    assert (login.label, login.usage, login.reference) == ("CPS_PRIV_AUT", {"decrypt", "sign"}, 0x82)


def test_certificates_share_the_identifier_of_their_key() -> None:
    entries = pkcs15.certificates(CERTIFICATES)
    assert [entry.identifier for entry in entries] == [key.identifier for key in pkcs15.private_keys(KEYS)]
    assert [entry.path for entry in entries] == [b"\xa0\x01", b"\xa0\x02"]


def test_pins() -> None:
    pin, puk = pkcs15.pins(PINS)
    assert (pin.reference, pin.shortest, pin.longest, pin.unblocks) == (1, 4, 4, False)
    assert (puk.reference, puk.shortest, puk.longest, puk.unblocks) == (2, 8, 8, True)


@pytest.mark.parametrize("padding", [b"\x00" * 40, b"\xff" * 40])
def test_padding_ends_a_file(padding: bytes) -> None:
    assert len(pkcs15.private_keys(KEYS + padding)) == 2


def test_entries_of_other_kinds_are_passed_over() -> None:
    elliptic = tlv(0xA0, sequence(text("EC")))
    assert len(pkcs15.private_keys(elliptic + KEYS + elliptic)) == 2


def test_a_certificate_with_everything_optional() -> None:
    """As PKCS #15 §6.6 allows: authority, hash and trusted usage after the identifier."""
    hashed = tlv(0xA0, tlv(0xA0, sequence(bytes.fromhex("0608608648016503040201"[:4]), b"\x05\x00")))
    entry = sequence(
        sequence(text("X"), bits((0,)), octets(b"\x01"), sequence()),
        sequence(octets(b"id"), tlv(0x01, b"\xff"), hashed),
        tlv(0xA1, sequence(sequence(octets(b"\xa0\x05"), integer(0), tlv(0x80, b"\x10")), sequence())),
    )
    (found,) = pkcs15.certificates(entry)
    assert (found.identifier, found.path) == (b"id", b"\xa0\x05")


@pytest.mark.parametrize(
    "read", [pkcs15.private_keys, pkcs15.certificates, pkcs15.pins, pkcs15.data_objects, pkcs15.directories]
)
@pytest.mark.parametrize("file", [b"\x30\x80", b"\x30\x05\x02", b"\x02\x01\x01\x30", b"\x30\x03\x04\x02\xff"])
def test_broken_files_are_refused(read: object, file: bytes) -> None:
    with pytest.raises(Refused, match="CPS-PKCS15"):
        read(file)  # type: ignore[operator]


@given(st.sampled_from([KEYS, CERTIFICATES, DATA, PINS, ODF]), st.data())
def test_flipped_bytes_are_read_or_refused(file: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(file) - 1))
    value = data.draw(st.integers(0, 255))
    broken = file[:place] + bytes([value]) + file[place + 1 :]
    for read in READERS:
        try:
            read(broken)
        except Refused as refused:
            assert refused.code == "CPS-PKCS15"


def test_data_objects() -> None:
    assert pkcs15.data_objects(DATA + b"\xff" * 20) == tuple(
        pkcs15.DataEntry(one.label, one.private, one.identifier.to_bytes(2, "big")) for one in files.DATA_OBJECTS
    )

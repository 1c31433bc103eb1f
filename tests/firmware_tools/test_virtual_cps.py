"""The virtual card: what other people's programs say of it, and how strict it is."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from card_bench import DOCTOR, NURSE, bare_card, check_signature, identity_of
from cryptography.x509 import load_der_x509_certificate
from development_pki import Pki
from virtual_cps import faults, files
from virtual_cps.card import VirtualCps

from gateway.card.cps import luhn, serial_number
from gateway.card.proof import digest_info

# ---------------------------------------------------------------- the card alone


@pytest.fixture
def bare(pki: Pki, tmp_path: Path) -> VirtualCps:
    return bare_card(pki, tmp_path / "codes.json")


SELECT_SN = "00A40904043F00D003"
SELECT_APPLICATION = "00A404040DE828BD080F8025000001FF0010"
VERIFY = "002000010430383732"
MSE_LOGIN = "002241A406840182800102"

DIALOGS: dict[str, list[tuple[str, str]]] = {
    "EF.SN, its FCP and its twelve bytes": [
        (SELECT_SN, "6127"),
        ("00C0000027", "6225800200 0C82010183 02D003 8801E0 A1128C077B45FFFFFF4500 9C077BFFFFFFFFFF008A0105 9000"),
        ("00B000000D", "5A0A8025000001 80 000011 .. 6282"),
    ],
    "Le on case 4 is refused": [(SELECT_SN + "00", "6700")],
    "P2 zero is refused": [("00A4020002A001", "6A86"), ("00A4040005E828BD080F", "6A86"), ("00A4030402A001", "6A86")],
    "the answer waits for GET RESPONSE only": [(SELECT_SN, "6127"), ("0020000100", "63C3"), ("00C0000027", "6985")],
    "a wrong length is told": [(SELECT_SN, "6127"), ("00C0000030", "6C27")],
    "an answer in two pieces": [(SELECT_SN, "6127"), ("00C0000007", "62258002000C82 6120")],
    "short identifiers": [("00B09C0002", "5A0A 9000"), ("00B0880002", "6A82")],
    "no file, no offset": [("00B0000001", "6986"), (SELECT_SN, "6127"), ("00B000FF01", "6B00")],
    "no such file": [("00A40904043F00D010", "6A82"), ("00A4020402A001", "6A82")],
    "certificates are in the application": [(SELECT_APPLICATION, "9000"), ("00A4020402A001", "6127")],
    "only CPS_DATA may be written, after the code, within its size": [
        (SELECT_APPLICATION, "9000"),
        ("00A4020402D107", "6127"),
        ("00D6000001 FF", "6982"),
        (VERIFY, "9000"),
        ("00D6000202 CAFE", "9000"),
        ("00B0000004", "0000CAFE 9000"),
        ("00D6003F02 CAFE", "6B00"),
        ("00A4020402D101", "6127"),
        ("00D6000001 FF", "6982"),
    ],
    "activities need the code": [
        (SELECT_APPLICATION, "9000"),
        ("00A4020402D120", "6127"),
        ("00B0000001", "6982"),
        (VERIFY, "9000"),
        ("00B0000001", "EE 9000"),
    ],
    "the counter as a real card gives it": [
        ("00A4090C023F00", "9000"),
        ("00CB3FFF0A4D087006BF810102A080", "6118"),
        ("00C0000018", "7016BF810112A0109A01039B0103A1088C06F3000013FF00 9000"),
    ],
    "rules from the root only": [
        (SELECT_APPLICATION, "9000"),
        ("00CB3FFF0A4D087006BFFB01027B80", "6A88"),
        ("00A4090C023F00", "9000"),
        ("00CB3FFF0A4D087006BFFB01027B80", "6110"),
    ],
    "INTERNAL AUTHENTICATE wants MSE, then the code": [
        (SELECT_APPLICATION, "9000"),
        ("008800000130", "6985"),
        (MSE_LOGIN, "9000"),
        ("008800000130", "6982"),
        (VERIFY, "9000"),
        ("008800000130", "6100"),
    ],
    "MSE outside the application": [(MSE_LOGIN, "6985")],
    "PSO HASH never has an empty end": [
        (SELECT_APPLICATION, "9000"),
        ("002241AA03800140", "9000"),
        ("002A90A00490008000", "6A80"),
        ("002A90A005900080 0161", "9000"),
    ],
    "PSO CDS wants a digest": [
        (SELECT_APPLICATION, "9000"),
        (VERIFY, "9000"),
        ("002241B606800142840181", "9000"),
        ("002A9E9A00", "6985"),
    ],
    "challenges have eight bytes": [("0084000004", "6700")],
    "codes": [
        ("0020000100", "63C3"),
        ("002000010430383731", "63C2"),
        (VERIFY, "9000"),
        ("0020000100", "9000"),
        ("002000030430383732", "6A88"),
        ("00240001083038373230383931", "9000"),
        (VERIFY, "63C2"),
        ("002C020104 31313131", "6982"),
        ("0020000208 3038373639333135", "9000"),
        ("002C020104 30383732", "9000"),
        (VERIFY, "9000"),
    ],
    "unknown": [("00FE000000", "6D00"), ("80B0000001", "6E00")],
}


def speak(card: VirtualCps, dialog: list[tuple[str, str]]) -> None:
    """Each command and its answer; ``..`` stands for any bytes."""
    for asked, answered in dialog:
        answer = card.transmit(bytes.fromhex(asked)).hex().upper()
        begin, gap, end = answered.replace(" ", "").partition("..")
        if gap:
            assert answer.startswith(begin), asked
            assert answer.endswith(end), asked
        else:
            assert answer == begin, asked


@pytest.mark.parametrize("name", DIALOGS)
def test_dialog(bare: VirtualCps, name: str) -> None:
    speak(bare, DIALOGS[name])


def test_what_was_written_stays(bare: VirtualCps, pki: Pki, tmp_path: Path) -> None:
    for command in (SELECT_APPLICATION, VERIFY, "00A4020402D107", "00D6000002CAFE"):
        bare.transmit(bytes.fromhex(command.replace(" ", "")))
    again = bare_card(pki, tmp_path / "codes.json")
    for command in (SELECT_APPLICATION, "00A4020402D107"):
        again.transmit(bytes.fromhex(command))
    assert again.transmit(bytes.fromhex("00B0000003")) == b"\xca\xfe\x00\x90\x00"


SELECT_AIR = "00A404040DE828BD080F8025000001FF0020"
AIR: dict[str, list[tuple[str, str]]] = {
    "T=1: Le with the command, the answer with the status": [
        (
            "00A40904043F00D00300",
            "6225800200 0C82010183 02D003 8801E0 A1128C077B45FFFFFF4500 9C077BFFFFFFFFFF008A0105 9000",
        ),
        ("00B000000C", "5A0A8025000001 80 .. 9000"),
        ("00A4090404 3F00D0", "6700"),
    ],
    "the table of codes is for contacts": [
        (SELECT_APPLICATION, "9000"),
        ("00A4020C027001", "9000"),
        ("00B0000001", "6982"),
    ],
    "no code by radio": [("002000010430383732", "6A88"), ("00240001083038373230383931", "6A88")],
    "nothing of what a code guards": [
        (SELECT_APPLICATION, "9000"),
        ("00A4020C02D120", "9000"),
        ("00B0000001", "6982"),
        ("002241A406840182800102", "9000"),
        ("008800000130", "6982"),
        ("00A4020C02D107", "9000"),
        ("00D6000001FF", "6982"),
    ],
    "the technical key of its own application": [
        (SELECT_AIR, "9000"),
        ("008800000130", "6985"),
        ("002241A406840183800102", "9000"),
        ("00A4020C025032", "6A82"),
        ("00A4020C025031", "9000"),
        ("00B0000002", "A006 9000"),
    ],
}


def technical_of(pki: Pki) -> dict[str, object]:
    other = identity_of(pki, NURSE)
    return {"technical_key": other.login_key, "technical_certificate": other.login_certificate}


@pytest.fixture
def air(pki: Pki, tmp_path: Path) -> VirtualCps:
    """A card laid on the reader, its technical key the authentication key of another practitioner."""
    card = bare_card(pki, tmp_path / "codes.json")
    identity = replace(identity_of(pki, DOCTOR), **technical_of(pki))  # type: ignore[arg-type]
    return VirtualCps(11, identity, card.codes, contactless=True)


@pytest.mark.parametrize("name", AIR)
def test_dialog_without_contacts(air: VirtualCps, name: str) -> None:
    speak(air, AIR[name])


def test_the_technical_key_signs_without_a_code(air: VirtualCps, pki: Pki) -> None:
    for command in (SELECT_AIR, "002241A406840183800102"):
        assert air.transmit(bytes.fromhex(command)) == b"\x90\x00"
    answer = air.transmit(bytes.fromhex("0088000033") + digest_info(b"challenge") + b"\x00")
    check_signature(pki.certificate(f"practitioners/{NURSE}/auth"), answer[:-2], b"challenge")


def test_power_forgets(bare: VirtualCps) -> None:
    assert bare.transmit(bytes.fromhex(VERIFY)) == b"\x90\x00"
    bare.reset()
    assert bare.transmit(bytes.fromhex("0020000100")) == b"\x63\xc3"


def test_counters_outlive_the_card(bare: VirtualCps, pki: Pki, tmp_path: Path) -> None:
    bare.transmit(bytes.fromhex("002000010430383731"))
    again = bare_card(pki, tmp_path / "codes.json")
    assert again.transmit(bytes.fromhex("0020000100")) == b"\x63\xc2"


def test_decipher(bare: VirtualCps, pki: Pki) -> None:
    """PSO DECIPHER in a chain of two, as OpenSC sends it."""
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.x509 import load_der_x509_certificate

    key = load_der_x509_certificate(pki.certificate(f"practitioners/{DOCTOR}/auth")).public_key()
    sealed = b"\x81" + key.encrypt(b"secret", PKCS1v15())  # type: ignore[union-attr, call-arg]
    for command in (SELECT_APPLICATION, VERIFY, "002241B80680011A840182"):
        assert bare.transmit(bytes.fromhex(command)) == b"\x90\x00"
    assert bare.transmit(bytes.fromhex("102A8086FF") + sealed[:255]) == b"\x90\x00"
    assert bare.transmit(bytes.fromhex("002A808602") + sealed[255:]) == b"\x61\x06"
    assert bare.transmit(bytes.fromhex("00C0000006")) == b"secret\x90\x00"


def test_signature_of_a_short_message(bare: VirtualCps, pki: Pki) -> None:
    """PSO HASH with the whole message; longer ones are in the client's tests."""
    for command in (
        SELECT_APPLICATION,
        VERIFY,
        "002241AA03800140",
        "002A90A007900080 03616263",
        "002241B606800142840181",
    ):
        assert bare.transmit(bytes.fromhex(command)) == b"\x90\x00"
    answer = bare.transmit(bytes.fromhex("002A9E9A00"))
    check_signature(pki.certificate(f"practitioners/{DOCTOR}/sig"), answer[:-2], b"abc")


def test_published_sizes(pki: Pki) -> None:
    tree = {file.identifier: file for file in files.tree(123456, b"", b"")}
    assert len(tree[0x2F00].content) == 101
    assert len(tree[0x2F01].content) == 57
    serial = tree[0xD003].content
    assert len(serial) == 12
    assert luhn(serial[2:].hex()[:-1])
    assert len(tree[0x7001].content) > 97


@pytest.mark.parametrize("number", [0, 7, 999_999])
def test_nobody_takes_it_for_a_real_card(pki: Pki, number: int) -> None:
    """Its number begins with the category of test cards, and nobody but this PKI names its holder."""
    assert serial_number(files.serial_file(number)).startswith("80")
    for use in ("sig", "auth"):
        certificate = load_der_x509_certificate(pki.certificate(f"practitioners/{DOCTOR}/{use}"))
        issuer = certificate.issuer.rfc4514_string()
        assert "OCT-GATEWAY TEST" in issuer
        assert not re.search("IGC|ASIP|SANTE", issuer)


def test_any_command_is_answered(bare: VirtualCps) -> None:
    """No command breaks the card: it answers two bytes at least, whatever comes."""
    seed = hashlib.sha256(b"commands").digest()
    for number in range(4000):
        seed = hashlib.sha256(seed).digest()
        command = bytes([0, (0xA4, 0xB0, 0xCB, 0x22, 0x2A, 0x88, 0x20, 0x2C, 0x24)[number % 9]]) + seed[: number % 30]
        assert len(bare.transmit(command)) >= 2


# ---------------------------------------------------------------- faults


def load(tmp_path: Path, *ordered: dict[str, object]) -> list[faults.Fault]:
    path = tmp_path / "faults.json"
    path.write_text(json.dumps(ordered))
    return faults.load(path)


def test_faults_strike_once(tmp_path: Path) -> None:
    first, any_command = load(tmp_path, {"apdu": "0020", "nth": 2, "do": "sw", "sw": "6F00"}, {"do": "delay", "ms": 5})
    commands = [b"\x00\xb0", b"\x00\x20\x01", b"\x00\x20\x02", b"\x00\x20\x03"]
    assert [first.strikes(command) for command in commands] == [False, False, True, False]
    assert [any_command.strikes(command) for command in commands] == [True, False, False, False]


def test_a_growing_fault_strikes_one_later_at_each_insertion(tmp_path: Path) -> None:
    (fault,) = load(tmp_path, {"do": "pull", "growing": True, "seconds": 0.1})
    struck = []
    for commands in (3, 3, 1, 3, 9):
        fault.inserted()
        struck.append([fault.strikes(b"\x00\xb0") for _ in range(commands)].index(True) + 1 if commands > 1 else 0)
    assert struck == [1, 2, 0, 3, 4], "an insertion that ended before it struck is not counted"


@pytest.mark.parametrize(("wrong", "said"), [({"do": "explode"}, "explode"), ({"do": "pull", "sceonds": 1}, "sceonds")])
def test_unknown_faults_are_refused(tmp_path: Path, wrong: dict[str, object], said: str) -> None:
    with pytest.raises((ValueError, TypeError), match=said):
        load(tmp_path, wrong)

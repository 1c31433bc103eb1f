"""The virtual card: what other people's programs say of it, and how strict it is."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pytest
from card_bench import DOCTOR, InsertedCard, Pcscd, bare_card, check_signature
from development_pki import Pki
from virtual_cps import faults, files
from virtual_cps.card import VirtualCps

from gateway.card.cps import luhn
from gateway.card.proof import digest_info

SIGN_ID, LOGIN_ID = files.key_identifier(1).hex(), files.key_identifier(2).hex()


def run(apart: Pcscd, *words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, words)], env=apart.environment, capture_output=True, text=True, timeout=60)


# ---------------------------------------------------------------- OpenSC


@pytest.mark.usefixtures("inserted")
class TestOpenSC:
    def test_name(self, apart: Pcscd) -> None:
        assert run(apart, "opensc-tool", "--name").stdout == "IAS-ECC\n"

    def test_applications(self, apart: Pcscd) -> None:
        """As a real card prints them (OpenSC, pull request 2217)."""
        said = run(apart, "iasecc-tool", "--list-applications").stdout
        for label, aid in (("CPX IAS", files.AID_CONTACT), ("CPX IAS CL", files.AID_CONTACTLESS)):
            assert f"Application '{label}':\n\tAID: {aid.hex().upper()}\n" in said
        assert said.count(f"DDO: 4F0D{files.AID_CONTACT.hex().upper()}") == 2

    def test_codes(self, apart: Pcscd) -> None:
        said = run(apart, "iasecc-tool", "--list-sdos", "1").stdout
        assert "contact ACLs:\tF3:00:00:13:FF:00" in said
        assert "contact ACLs:\tF3:FF:00:FF:FF:00" in said
        assert "tries maximum:\t0A" in said

    def test_dump(self, apart: Pcscd) -> None:
        said = run(apart, "pkcs15-tool", "--dump").stdout
        for words in ("CPS_PRIV_SIG", "CPS_PRIV_AUT", "Code porteur de la carte CPX", "Algo_refs      : 3, 4"):
            assert words in said
        assert "OCT-GATEWAY TEST" in said

    @pytest.mark.parametrize(("identifier", "use"), [(SIGN_ID, "sig"), (LOGIN_ID, "auth")])
    def test_certificates(self, apart: Pcscd, pki: Pki, tmp_path: Path, identifier: str, use: str) -> None:
        pem = run(apart, "pkcs15-tool", "--read-certificate", identifier).stdout
        (tmp_path / "read.pem").write_text(pem)
        der = subprocess.run(
            ["openssl", "x509", "-in", tmp_path / "read.pem", "-outform", "DER"], capture_output=True, check=True
        ).stdout
        assert der == pki.certificate(f"practitioners/{DOCTOR}/{use}")

    def test_login_and_sign(self, apart: Pcscd, pki: Pki, tmp_path: Path) -> None:
        """The authentication key, through PKCS#11, verified by openssl."""
        content, info, signature = (tmp_path / name for name in ("content", "info", "signature"))
        content.write_bytes(b"challenge")
        info.write_bytes(digest_info(b"challenge"))
        words = ["pkcs11-tool", "--login", "--pin", "1234", "--sign", "-m", "RSA-PKCS", "--id", LOGIN_ID]
        done = run(apart, *words, "-i", info, "-o", signature)
        assert done.returncode == 0, done.stderr
        certificate = pki.directory / "practitioners" / DOCTOR / "auth.pem"
        public = tmp_path / "public.pem"
        public.write_text(run(apart, "openssl", "x509", "-in", certificate, "-pubkey", "-noout").stdout)
        verified = run(apart, "openssl", "dgst", "-sha256", "-verify", public, "-signature", signature, content)
        assert verified.stdout == "Verified OK\n"

    def test_codes_change_block_and_unblock(self, apart: Pcscd, inserted: InsertedCard) -> None:
        def kept() -> dict[str, int]:
            return dict(json.loads(inserted.state.read_text())["tries"])

        login = ["pkcs11-tool", "--login", "--pin"]
        assert "CKR_PIN_INCORRECT" in run(apart, *login, "9999", "-O").stderr
        assert kept()["1"] == 2
        assert run(apart, *login, "1234", "--change-pin", "--new-pin", "4321").returncode == 0
        assert kept()["1"] == 3
        assert run(apart, *login, "4321", "--change-pin", "--new-pin", "1234").returncode == 0
        for _ in range(3):
            run(apart, "pkcs15-tool", "--verify-pin", "--auth-id", "01", "--pin", "0000")
        assert kept() == {"1": 0, "2": 10}
        unblock = ["pkcs15-tool", "--unblock-pin", "--auth-id", "01", "--puk", "12345678", "--new-pin", "1234"]
        assert run(apart, *unblock).returncode == 0
        assert kept() == {"1": 3, "2": 10}


# ---------------------------------------------------------------- the card alone


@pytest.fixture
def bare(pki: Pki, tmp_path: Path) -> VirtualCps:
    return bare_card(pki, tmp_path / "codes.json")


SELECT_SN = "00A40904043F00D003"
SELECT_APPLICATION = "00A404040DE828BD080F8025000001FF0010"
VERIFY = "002000010431323334"
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
        ("002000010430303030", "63C2"),
        (VERIFY, "9000"),
        ("0020000100", "9000"),
        ("002000030431323334", "6A88"),
        ("00240001083132333439393939", "9000"),
        (VERIFY, "63C2"),
        ("002C020104 31313131", "6982"),
        ("0020000208 3132333435363738", "9000"),
        ("002C020104 31323334", "9000"),
        (VERIFY, "9000"),
    ],
    "unknown": [("00FE000000", "6D00"), ("80B0000001", "6E00")],
}


@pytest.mark.parametrize("name", DIALOGS)
def test_dialog(bare: VirtualCps, name: str) -> None:
    for asked, answered in DIALOGS[name]:
        answer = bare.transmit(bytes.fromhex(asked)).hex().upper()
        expected = answered.replace(" ", "")
        if ".." in expected:
            begin, _, end = expected.partition("..")
            assert answer.startswith(begin)
            assert answer.endswith(end)
        else:
            assert answer == expected, asked


def test_power_forgets(bare: VirtualCps) -> None:
    assert bare.transmit(bytes.fromhex(VERIFY)) == b"\x90\x00"
    bare.reset()
    assert bare.transmit(bytes.fromhex("0020000100")) == b"\x63\xc3"


def test_counters_outlive_the_card(bare: VirtualCps, pki: Pki, tmp_path: Path) -> None:
    bare.transmit(bytes.fromhex("002000010430303030"))
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


def test_any_command_is_answered(bare: VirtualCps) -> None:
    """No command breaks the card: it answers two bytes at least, whatever comes."""
    seed = hashlib.sha256(b"commands").digest()
    for number in range(4000):
        seed = hashlib.sha256(seed).digest()
        command = bytes([0, (0xA4, 0xB0, 0xCB, 0x22, 0x2A, 0x88, 0x20, 0x2C, 0x24)[number % 9]]) + seed[: number % 30]
        assert len(bare.transmit(command)) >= 2


# ---------------------------------------------------------------- faults


def test_faults_strike_once(tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    path.write_text(json.dumps([{"apdu": "0020", "nth": 2, "do": "sw", "sw": "6F00"}, {"do": "delay", "ms": 5}]))
    first, any_command = faults.load(path)
    commands = [b"\x00\xb0", b"\x00\x20\x01", b"\x00\x20\x02", b"\x00\x20\x03"]
    assert [first.strikes(command) for command in commands] == [False, False, True, False]
    assert [any_command.strikes(command) for command in commands] == [True, False, False, False]


def test_unknown_faults_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    path.write_text(json.dumps([{"do": "explode"}]))
    with pytest.raises(ValueError, match="explode"):
        faults.load(path)

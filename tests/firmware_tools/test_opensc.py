"""What OpenSC, other people's program, says and does with the virtual card: all that is known to work with a CPS3."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from card_bench import DOCTOR, InsertedCard, Pcscd
from development_pki import Pki
from pin_scan import CODE, NEW, PUK, WRONG
from virtual_cps import files

from gateway.card.proof import digest_info

VERSION = subprocess.run(["opensc-tool", "--info"], capture_output=True, text=True, check=True).stdout
FORGETS = pytest.mark.skipif(
    "OpenSC 0.26" in VERSION,
    reason="OpenSC 0.26 frees each security object that it has parsed (iasecc_sdo_parse): it logs into no IAS-ECC card",
)
ENGINES = [*Path("/usr/lib").glob("*/engines-3/pkcs11.so")]
LOGIN = ["pkcs11-tool", "--login", "--pin", CODE]
SIGN_ID, LOGIN_ID = files.key_identifier(1).hex(), files.key_identifier(2).hex()


def run(apart: Pcscd, *words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, words)], env=apart.environment, capture_output=True, text=True, timeout=60)


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

    @FORGETS
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

    @FORGETS
    def test_login_and_sign(self, apart: Pcscd, pki: Pki, tmp_path: Path) -> None:
        """The authentication key, through PKCS#11, verified by openssl."""
        content, info, signature = (tmp_path / name for name in ("content", "info", "signature"))
        content.write_bytes(b"challenge")
        info.write_bytes(digest_info(b"challenge"))
        words = ["pkcs11-tool", "--login", "--pin", CODE, "--sign", "-m", "RSA-PKCS", "--id", LOGIN_ID]
        done = run(apart, *words, "-i", info, "-o", signature)
        assert done.returncode == 0, done.stderr
        certificate = pki.directory / "practitioners" / DOCTOR / "auth.pem"
        public = tmp_path / "public.pem"
        public.write_text(run(apart, "openssl", "x509", "-in", certificate, "-pubkey", "-noout").stdout)
        verified = run(apart, "openssl", "dgst", "-sha256", "-verify", public, "-signature", signature, content)
        assert verified.stdout == "Verified OK\n"

    @FORGETS
    def test_tokens_and_objects(self, apart: Pcscd) -> None:
        slots = run(apart, "pkcs11-tool", "-L").stdout
        assert "Code porteur de la carte CPX" in slots
        assert "pin min/max        : 4/4" in slots
        free, all_of_them = run(apart, "pkcs11-tool", "-O").stdout, run(apart, *LOGIN, "-O").stdout
        assert "SN=ESSAI+GN=CLAIRE+CN=8" in free, "three attributes in one RDN"
        assert "CPS_PRIV" not in free
        for label in ("CPS_PRIV_SIG", "CPS_PRIV_AUT", *(one.label for one in files.DATA_OBJECTS)):
            assert label in all_of_them

    @FORGETS
    def test_data_objects(self, apart: Pcscd) -> None:
        read = ["pkcs15-tool", "--read-data-object"]
        activity = next(one for one in files.DATA_OBJECTS if one.label == "CPS_ACTIVITY_01_PS")
        assert activity.content[:4].hex(" ").upper() not in run(apart, *read, activity.label).stdout
        opened = run(apart, *read, activity.label, "--verify-pin", "--pin", CODE).stdout
        assert activity.content.hex(" ").upper() in opened

    @FORGETS
    def test_its_own_test(self, apart: Pcscd) -> None:
        """Signature and decryption by the authentication key; an error there may be is OpenSC's own (next test)."""
        said = run(apart, *LOGIN, "--test").stdout
        signed, _, decrypted = said.partition("Decryption")
        assert "testing key 1 (CPS_PRIV_AUT) with 1 mechanism\n    RSA-PKCS: OK" in signed
        assert "RSA-PKCS: OK" in decrypted

    @FORGETS
    def test_what_opensc_cannot_do(self, apart: Pcscd, tmp_path: Path) -> None:
        """The signature key: OpenSC >= 0.22 with OpenSSL 3 refuses before it asks the card; our client proves it."""
        (tmp_path / "content").write_bytes(b"x")
        done = run(apart, *LOGIN, "--sign", "-m", "SHA256-RSA-PKCS", "--id", SIGN_ID, "-i", tmp_path / "content")
        assert done.returncode == 0 or "CKR_FUNCTION_NOT_SUPPORTED" in done.stderr + done.stdout

    @FORGETS
    @pytest.mark.skipif(not ENGINES, reason="needs libengine-pkcs11-openssl")
    def test_openssl_signs_with_the_card(self, apart: Pcscd, pki: Pki, tmp_path: Path) -> None:
        content, signature, public = (tmp_path / name for name in ("content", "signature", "public.pem"))
        content.write_bytes(b"challenge")
        name = "".join(f"%{byte:02X}" for byte in files.key_identifier(2))
        key = f"pkcs11:id={name};type=private;pin-value={CODE}"
        engine = ["openssl", "dgst", "-engine", "pkcs11", "-keyform", "engine", "-sha256", "-sign", key]
        done = run(apart, *engine, "-out", signature, content)
        assert done.returncode == 0, done.stderr
        certificate = pki.directory / "practitioners" / DOCTOR / "auth.pem"
        public.write_text(run(apart, "openssl", "x509", "-in", certificate, "-pubkey", "-noout").stdout)
        verified = run(apart, "openssl", "dgst", "-sha256", "-verify", public, "-signature", signature, content)
        assert verified.stdout == "Verified OK\n"

    @FORGETS
    def test_codes_change_block_and_unblock(self, apart: Pcscd, inserted: InsertedCard) -> None:
        def kept() -> dict[str, int]:
            return dict(json.loads(inserted.state.read_text())["tries"])

        login = ["pkcs11-tool", "--login", "--pin"]
        assert "CKR_PIN_INCORRECT" in run(apart, *login, WRONG, "-O").stderr
        assert kept()["1"] == 2
        assert run(apart, *login, CODE, "--change-pin", "--new-pin", NEW).returncode == 0
        assert kept()["1"] == 3
        assert run(apart, *login, NEW, "--change-pin", "--new-pin", CODE).returncode == 0
        for _ in range(3):
            run(apart, "pkcs15-tool", "--verify-pin", "--auth-id", "01", "--pin", WRONG)
        assert kept() == {"1": 0, "2": 10}
        unblock = ["pkcs15-tool", "--unblock-pin", "--auth-id", "01", "--puk", PUK, "--new-pin", CODE]
        assert run(apart, *unblock).returncode == 0
        assert kept() == {"1": 3, "2": 10}

"""The zoo of certificates: what is declared is made, each case of its own, and OpenSSL agrees that the sound one is."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

CERTS_DEV = Path(__file__).parents[2] / "certs-dev"
CASES = tomllib.loads((CERTS_DEV / "pki.toml").read_text(encoding="utf-8"))["zoo"]["cases"]
VERIFY = "openssl verify -x509_strict -crl_check_all -CAfile root.pem -untrusted chain.pem -CRLfile lists.pem leaf.pem"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("made")
    subprocess.run([sys.executable, CERTS_DEV / "make-zoo", directory], check=True)
    return directory


def test_every_case_is_made_and_nothing_else(made: Path) -> None:
    assert {path.name for path in made.iterdir()} == CASES.keys()
    assert all(re.fullmatch(r"[a-z0-9-]+", name) for name in CASES)
    files = {"root.pem", "chain.pem", "leaf.pem", "lists.pem"}
    assert all({path.name for path in (made / name).iterdir()} == files for name in CASES)


def test_every_case_tells_what_it_is_and_changes_something() -> None:
    assert all(case["tells"] for case in CASES.values())
    changes = [str({key: value for key, value in case.items() if key != "tells"}) for case in CASES.values()]
    assert len(set(changes)) == len(changes)


def test_no_key_leaves_the_maker(made: Path) -> None:
    assert all(b"PRIVATE" not in path.read_bytes() for path in made.rglob("*.pem"))


@pytest.mark.parametrize(("name", "words"), [("sound", ""), ("revoked", "certificate revoked")])
def test_the_command_of_the_docstring_is_enough(made: Path, name: str, words: str) -> None:
    verdict = subprocess.run(VERIFY.split(), cwd=made / name, capture_output=True, text=True, check=False)
    assert (verdict.returncode == 0) == (not words)
    assert words in verdict.stderr


def test_what_is_forged_is_what_it_says(made: Path) -> None:
    """OpenSSL reads the odd fields out of the bytes."""
    words = {
        "serial-negative": "Serial Number: -5",
        "serial-zero": "Serial Number: 0",
        "version-1": "Version: 1",
        "digest-md5": "md5WithRSAEncryption",
        "digest-sha1": "ecdsa-with-SHA1",
        "key-rsa-2047": "2047 bit",
    }
    for name, wanted in words.items():
        text = subprocess.run(
            ["openssl", "x509", "-in", made / name / "leaf.pem", "-noout", "-text"], capture_output=True, check=True
        ).stdout.decode()
        assert wanted in text
    body = subprocess.run(
        ["openssl", "asn1parse", "-in", made / "twice-the-same-extension" / "leaf.pem"], capture_output=True, check=True
    ).stdout
    assert body.count(b"Basic Constraints") == 2

"""The development PKI: OpenSSL agrees with it, and it says loudly that it is for tests."""

from __future__ import annotations

import stat
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from development_pki import Pki, make_pki

SECTORS = {"oct": "oct", "box": "boites", "recovery": "boites", "practitioners": "sante"}


def end_entities(pki: Pki) -> list[Path]:
    return [
        path
        for path in sorted(pki.directory.rglob("*.pem"))
        if path.with_suffix(".key").exists() and "zoo" not in path.parts
    ]


def openssl_verify(pki: Pki, path: Path, sector: str, *options: str) -> subprocess.CompletedProcess[str]:
    directory = pki.directory
    lists = ["-crl_check_all", "-CRLfile", directory / "crl" / "all.pem"]
    trust = ["-CAfile", directory / "root.pem", "-untrusted", directory / "chains" / f"{sector}.pem"]
    command = ["openssl", "verify", "-x509_strict", *lists, *trust, *options, path]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_openssl_verifies_every_end_entity_with_its_lists(pki: Pki) -> None:
    paths = end_entities(pki)
    assert len(paths) == 16
    for path in paths:
        first = path.relative_to(pki.directory).parts[0].split("-")[0].removesuffix(".pem")
        verdict = openssl_verify(pki, path, SECTORS[first])
        assert verdict.returncode == 0, verdict.stderr


ZOO = {"revoked/sig": "certificate revoked", "expired/sig": "has expired", "not-yet-valid/sig": "not yet valid"}


@pytest.mark.parametrize(("name", "words"), ZOO.items(), ids=ZOO)
def test_openssl_refuses_the_zoo(pki: Pki, name: str, words: str) -> None:
    verdict = openssl_verify(pki, pki.directory / "zoo" / f"{name}.pem", "sante")
    assert verdict.returncode != 0 and words in verdict.stderr


def test_openssl_takes_the_tls_certificates_for_their_ends(pki: Pki) -> None:
    for name, sector, purpose in (("oct-transport", "oct", "sslserver"), ("box-transport", "boites", "sslclient")):
        assert openssl_verify(pki, pki.directory / f"{name}.pem", sector, "-purpose", purpose).returncode == 0
    wrong = openssl_verify(pki, pki.directory / "oct-transport.pem", "oct", "-purpose", "sslclient")
    assert wrong.returncode != 0


def test_keys_are_for_their_owner_only(pki: Pki) -> None:
    keys = list(pki.directory.rglob("*.key"))
    assert keys and all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in keys)


def test_every_certificate_says_that_it_is_for_tests_and_lasts_24_months(pki: Pki) -> None:
    for path in pki.directory.rglob("*.pem"):
        if path.name == "all.pem":
            continue
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        for name in (certificate.subject, certificate.issuer):
            assert "OCT-GATEWAY TEST" in name.rfc4514_string()
        if path.with_suffix(".key").exists():
            life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
            assert life == timedelta(days=730)


def test_one_key_serves_one_certificate(pki: Pki) -> None:
    keys = [path.read_bytes() for path in pki.directory.rglob("*.key")]
    assert len(keys) == len(set(keys))


def test_a_directory_that_has_a_pki_is_left_alone_unless_forced(tmp_path: Path) -> None:
    first = make_pki(tmp_path, "--now", "2026-01-15T12:00:00").root
    assert x509.load_der_x509_certificate(first).not_valid_before_utc == datetime(
        2026, 1, 15, 12, tzinfo=UTC
    ) - timedelta(days=1000)
    assert make_pki(tmp_path).root == first
    assert make_pki(tmp_path, "--force").root != first

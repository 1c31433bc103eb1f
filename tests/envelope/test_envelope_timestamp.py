"""Time stamps: what OpenSSL's authority makes is read; what is touched or comes from a stranger is refused."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest
from asn1crypto import tsp
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from local_tsa import LocalTsa

from gateway.envelope.timestamp import _check_trust, nonce_of, read_token, request, token_of
from gateway.errors import Refused

IMPRINT = hashlib.sha256(b"checkpoint").digest()


def token(tsa: LocalTsa, nonce: int = 7) -> bytes:
    return token_of(tsa.answer(request(IMPRINT, nonce)))


def test_a_request_is_what_openssl_reads(tmp_path: Path) -> None:
    asked = tmp_path / "q.tsq"
    asked.write_bytes(request(IMPRINT, 0x123456789))
    shown = subprocess.run(
        ["openssl", "ts", "-query", "-in", asked, "-text"], check=True, capture_output=True, text=True
    ).stdout
    assert "sha256" in shown and "Certificate required: yes" in shown and "0x0123456789" in shown
    assert nonce_of(asked.read_bytes()) == 0x123456789


@pytest.mark.parametrize(("kind", "ess"), [("rsa", "sha256"), ("ec", "sha256"), ("rsa", "sha1"), ("ec", "sha512")])
def test_a_stamp_is_read_and_openssl_agrees(tmp_path: Path, kind: str, ess: str) -> None:
    tsa = LocalTsa(tmp_path / "tsa", kind=kind, ess=ess)
    made = token(tsa)
    for trusted in (tsa.certificate, tsa.authority):
        stamp = read_token(made, [trusted])
        assert (stamp.imprint, stamp.nonce, stamp.certificate) == (IMPRINT, 7, tsa.certificate)
    assert tsa.verifies(made, IMPRINT)
    assert not tsa.verifies(made, bytes(32))


def test_an_authority_that_refuses(tmp_path: Path) -> None:
    tsa = LocalTsa(tmp_path / "tsa")
    asked = tsp.TimeStampReq.load(request(IMPRINT, 1))
    asked["message_imprint"]["hash_algorithm"]["algorithm"] = "sha512"
    asked["message_imprint"]["hashed_message"] = bytes(64)
    with pytest.raises(Refused, match="TSA-001"):
        token_of(tsa.answer(asked.dump(force=True)))


def test_a_stranger_is_refused(tmp_path: Path) -> None:
    ours, theirs = LocalTsa(tmp_path / "ours"), LocalTsa(tmp_path / "theirs")
    for trusted in ([], [ours.certificate], [ours.authority]):
        with pytest.raises(Refused, match="TSA-005"):
            read_token(token(theirs), trusted)


def test_every_flipped_byte_is_refused_or_says_the_same(tmp_path: Path) -> None:
    """What the signature does not cover (a second certificate, the name of the signer) is not believed either."""
    tsa = LocalTsa(tmp_path / "tsa", kind="ec")
    made = token(tsa)
    good = read_token(made, [tsa.authority])
    refused = 0
    for at in range(len(made)):
        touched = made[:at] + bytes([made[at] ^ 0x55]) + made[at + 1 :]
        try:
            assert read_token(touched, [tsa.authority]) == good
        except Refused:
            refused += 1
    assert refused > len(made) / 2


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    tsa = LocalTsa(tmp_path / "tsa", kind="ec")
    answer = tsa.answer(request(IMPRINT, 7))
    made = token_of(answer)
    for size in range(len(answer)):
        with pytest.raises(Refused):
            token_of(answer[:size])
    for size in range(len(made)):
        with pytest.raises(Refused):
            read_token(made[:size], [tsa.authority])


def test_a_certificate_for_more_than_time_stamping_is_refused(tmp_path: Path) -> None:
    tsa = LocalTsa(tmp_path / "tsa")
    made = token(tsa)
    both = (ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.CLIENT_AUTH)
    for purposes, critical in ((both, True), ((), True), (both[:1], False)):
        other = LocalTsa(tmp_path / f"{len(purposes)}{critical}", purposes=purposes, critical=critical)
        certificate = x509.load_der_x509_certificate(other.certificate)
        with pytest.raises(Refused, match="TSA-005"):
            _check_trust(certificate, [certificate], read_token(made, [tsa.authority]).at)

"""SignedData: OpenSSL agrees both ways, and nothing that was touched gets through."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import subprocess
import sys
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from development_pki import Pki

from gateway.envelope import der, oids
from gateway.envelope.attributes import SigningContext, signed_attributes
from gateway.envelope.signed import Signature, SignedContent, read_signed, sign_with_key, signed_size, write_signed
from gateway.errors import Refused

AT = datetime(2026, 11, 23, 6, 45, 12, tzinfo=UTC)
CONTEXT = SigningContext(1, "f-000123", 41, 231840, "this-batch", "local", bytes(range(32)))
LIMIT = 1 << 30
CARD = "practitioners/99900000011/sig"
SIZES = [0, 1, 1 << 20, (1 << 18) + 5]
SIGNERS = {
    "RSA-PSS": (CARD, "sante", {}, "rsa-pss-sha256"),
    "RSA PKCS 1": (CARD, "sante", {"pkcs1": True}, "rsa-pkcs1-sha256"),
    "ECDSA": ("oct-transport", "oct", {}, "ecdsa-sha256"),
}


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def write(data: bytes, signature: Signature, chain: list[bytes]) -> bytes:
    out = io.BytesIO()
    write_signed(io.BytesIO(data), len(data), out, signature, chain)
    return out.getvalue()


def read(envelope: bytes) -> tuple[SignedContent, bytes]:
    out = io.BytesIO()
    return read_signed(io.BytesIO(envelope), out, LIMIT), out.getvalue()


def openssl_verify(pki: Pki, envelope: bytes, tmp_path: Path) -> bytes:
    path = tmp_path / "signed.der"
    path.write_bytes(envelope)
    command = ["openssl", "cms", "-verify", "-inform", "DER", "-in", path, "-binary", "-purpose", "any"]
    trusted = tmp_path / "trusted.pem"  # the lists too: cms has no -CRLfile
    trusted.write_bytes(b"".join((pki.directory / name).read_bytes() for name in ("root.pem", "crl/all.pem")))
    return subprocess.run([*command, "-CAfile", trusted, "-crl_check_all"], check=True, capture_output=True).stdout


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("name", "sector", "options", "algorithm"), SIGNERS.values(), ids=SIGNERS)
def test_what_we_sign_we_read_and_openssl_verifies(
    pki: Pki, tmp_path: Path, name: str, sector: str, options: dict[str, bool], algorithm: str, size: int
) -> None:
    data, certificate, chain = os.urandom(size), pki.certificate(name), [pki.certificate(f"chains/{sector}")]
    signature = sign_with_key(sha256(data), AT, certificate, pki.key(name), CONTEXT, **options)
    envelope = write(data, signature, chain)
    assert len(envelope) == signed_size(size, signature, chain)
    found, content = read(envelope)
    assert content == data
    assert found.signature == signature and signature.algorithm == algorithm
    assert (found.attributes.context, found.attributes.at) == (CONTEXT, AT)
    assert (found.digest, found.size, found.chain) == (sha256(data), size, tuple(chain))
    assert openssl_verify(pki, envelope, tmp_path) == data


def test_a_card_signs_attributes_that_it_was_handed(pki: Pki, tmp_path: Path) -> None:
    """The card knows RSA PKCS #1 v1.5 over what is hashed, and nothing of CMS."""
    data, certificate, key = b"fichier de facturation", pki.certificate(CARD), pki.key(CARD)
    assert isinstance(key, rsa.RSAPrivateKey)
    attributes = signed_attributes(sha256(data), AT, certificate, CONTEXT)
    value = key.sign(attributes, padding.PKCS1v15(), hashes.SHA256())
    envelope = write(data, Signature(attributes, value, certificate, "rsa-pkcs1-sha256"), pki.chain)
    assert openssl_verify(pki, envelope, tmp_path) == data
    assert read(envelope)[0].signature.signature == value


def test_certificates_that_come_along_are_counted(pki: Pki) -> None:
    """A thousand of the very name that is looked for would each be tried as an issuer."""
    signature = sign_with_key(sha256(b""), AT, pki.certificate("oct-sign"), pki.key("oct-sign"))
    names = sorted(str(path.relative_to(pki.directory).with_suffix("")) for path in pki.directory.rglob("*.pem"))
    others = sorted({pki.certificate(name) for name in names if "crl/" not in name} - {signature.certificate})
    assert len(read(write(b"", signature, others[:15]))[0].chain) == 15
    with pytest.raises(Refused, match=r"CMS-005.*17 certificats"):
        read(write(b"", signature, others[:16]))


def openssl_sign(pki: Pki, tmp_path: Path, data: bytes, *options: str | Path, name: str = CARD) -> bytes:
    source = tmp_path / "content"
    source.write_bytes(data)
    identity = ["-signer", pki.directory / f"{name}.pem", "-inkey", pki.directory / f"{name}.key"]
    command = ["openssl", "cms", "-sign", "-binary", "-nodetach", "-outform", "DER", "-in", source, *identity]
    return subprocess.run([*command, *options], check=True, capture_output=True).stdout


PSS = ["-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:digest"]
OURS = {
    "RSA": ([], CARD, "rsa-pkcs1-sha256"),
    "RSA-PSS": (PSS, CARD, "rsa-pss-sha256"),
    "ECDSA": ([], "oct-transport", "ecdsa-sha256"),
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("options", "name", "algorithm"), OURS.values(), ids=OURS)
def test_what_openssl_signs_we_read(
    pki: Pki, tmp_path: Path, options: list[str], name: str, algorithm: str, size: int
) -> None:
    data = os.urandom(size)
    found, content = read(openssl_sign(pki, tmp_path, data, "-cades", *options, name=name))
    assert content == data and found.signature.algorithm == algorithm
    assert found.attributes.context is None


FOREIGN = {
    "indefinite length": (["-cades", "-stream"], "CMS-002"),
    "no signingCertificateV2": ([], "CMS-012"),
    "SHA-512": (["-cades", "-md", "sha512"], "CMS-011"),
    "another salt": (["-cades", "-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:20"], "CMS-011"),
    "no certificate": (["-cades", "-nocerts"], "CMS-017"),
    "no signed attributes": (["-noattr"], "CMS-012"),
}


@pytest.mark.parametrize(("options", "code"), FOREIGN.values(), ids=FOREIGN)
def test_other_profiles_are_refused_by_name(pki: Pki, tmp_path: Path, options: list[str], code: str) -> None:
    with pytest.raises(Refused) as refused:
        read(openssl_sign(pki, tmp_path, b"contenu", *options))
    assert refused.value.code == code


def test_two_signers_are_refused(pki: Pki, tmp_path: Path) -> None:
    other = pki.directory / "oct-sign.pem"
    envelope = openssl_sign(pki, tmp_path, b"contenu", "-cades", "-signer", other, "-inkey", other.with_suffix(".key"))
    with pytest.raises(Refused, match="CMS-016"):
        read(envelope)


def test_a_detached_signature_is_refused(pki: Pki, tmp_path: Path) -> None:
    identity = ["-signer", pki.directory / f"{CARD}.pem", "-inkey", pki.directory / f"{CARD}.key"]
    source = tmp_path / "content"
    source.write_bytes(b"contenu")
    command = ["openssl", "cms", "-sign", "-binary", "-outform", "DER", "-cades", "-in", source, *identity]
    envelope = subprocess.run(command, check=True, capture_output=True).stdout
    with pytest.raises(Refused, match=r"CMS-010.*détachée"):
        read(envelope)


@pytest.fixture
def small(pki: Pki) -> bytes:
    data = b"0123456789"
    certificate = pki.certificate("oct-sign")
    return write(data, sign_with_key(sha256(data), AT, certificate, pki.key("oct-sign"), CONTEXT), [])


def test_every_flipped_byte_is_refused(small: bytes) -> None:
    assert read(small)[1] == b"0123456789"
    for position in range(len(small)):
        for mask in (0x01, 0x80, 0xFF):
            touched = bytearray(small)
            touched[position] ^= mask
            with pytest.raises(Refused):
                read(bytes(touched))


def test_every_truncation_and_every_byte_more_is_refused(small: bytes) -> None:
    for size in range(len(small)):
        with pytest.raises(Refused):
            read(small[:size])
    with pytest.raises(Refused, match="CMS-006"):
        read(small + b"\0")


def test_a_signature_for_another_certificate_is_refused(pki: Pki) -> None:
    """Same key, same name, another certificate: only signingCertificateV2 tells them apart."""
    certificate, key = pki.certificate("oct-sign"), pki.key("oct-sign")
    signature = sign_with_key(sha256(b""), AT, pki.certificate("box-sign"), key)
    envelope = write(b"", dataclasses.replace(signature, certificate=certificate), [])
    with pytest.raises(Refused, match="CMS-015"):
        read(envelope)


def test_a_signature_by_another_key_is_refused(pki: Pki) -> None:
    signature = sign_with_key(sha256(b""), AT, pki.certificate("oct-sign"), pki.key("box-sign"))
    with pytest.raises(Refused, match="CMS-014"):
        read(write(b"", signature, []))


def test_an_algorithm_that_does_not_fit_the_key_is_refused(pki: Pki) -> None:
    signature = sign_with_key(sha256(b""), AT, pki.certificate("oct-sign"), pki.key("oct-sign"))
    with pytest.raises(Refused, match="CMS-011"):
        read(write(b"", dataclasses.replace(signature, algorithm="ecdsa-sha256"), []))


def test_another_content_of_the_same_length_is_refused(small: bytes) -> None:
    with pytest.raises(Refused, match="CMS-013"):
        read(small.replace(b"0123456789", b"0123456780"))


def test_unsigned_attributes_are_refused(pki: Pki) -> None:
    data = b"0123456789"
    signature = sign_with_key(sha256(data), AT, pki.certificate("oct-sign"), pki.key("oct-sign"))
    envelope = write(data, signature, [])
    unsigned = der.tlv(der.context(1), der.sequence(der.oid(oids.SIGNING_TIME), der.set_of([der.time(AT)])))
    with pytest.raises(Refused, match="CMS-006"):
        read(_appended(envelope, unsigned))


def _appended(envelope: bytes, more: bytes) -> bytes:
    """The envelope with ``more`` at its end, inside every element that ends there."""
    path = _path_to_the_end(envelope)
    end, result = len(envelope), more
    for tag, start in reversed(path):
        result = der.tlv(tag, envelope[start:end] + result)
        end = start - len(der.header(tag, len(envelope) - start))
    return result


def _path_to_the_end(envelope: bytes) -> list[tuple[int, int]]:
    """(tag, offset of the content) of each constructed element that ends with the envelope."""
    path, position = [], 0
    while position < len(envelope):
        reader = der.parse(envelope[position:])
        tag = reader.peek()
        assert tag is not None
        size = reader.enter(tag)
        start = position + reader.position
        if start + size < len(envelope):
            position = start + size
        elif tag & 0x20:
            path.append((tag, start))
            position = start
        else:
            break
    return path


def test_a_content_over_the_limit_is_refused_before_it_is_copied(small: bytes) -> None:
    out = io.BytesIO()
    with pytest.raises(Refused, match="CMS-018"):
        read_signed(io.BytesIO(small), out, 9)
    assert out.getvalue() == b""


@pytest.mark.parametrize("content", [b"012345678", b"01234567890", b"012345678x"])
def test_another_content_than_was_signed_is_a_bug(pki: Pki, content: bytes) -> None:
    signature = sign_with_key(sha256(b"0123456789"), AT, pki.certificate("oct-sign"), pki.key("oct-sign"))
    with pytest.raises(ValueError, match="not the one"):
        write_signed(io.BytesIO(content), 10, io.BytesIO(), signature, [])


def test_a_key_of_another_kind_is_a_bug(pki: Pki) -> None:
    from gateway.envelope import algorithms

    with pytest.raises(ValueError, match="another kind"):
        algorithms.sign("ecdsa-sha256", pki.key(CARD), b"")


def test_the_card_service_loads_no_certificate_library() -> None:
    code = "import sys, gateway.envelope.signed; sys.exit('cryptography' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_memory_is_flat(pki: Pki, tmp_path: Path) -> None:
    size, path = 64 << 20, tmp_path / "large"
    digest = hashlib.sha256()
    for _ in range(64):
        digest.update(bytes(1 << 20))
    signature = sign_with_key(digest.digest(), AT, pki.certificate("oct-sign"), pki.key("oct-sign"))
    tracemalloc.start()
    try:
        with Path("/dev/zero").open("rb") as zeros, path.open("w+b") as file:
            write_signed(Bounded(zeros, size), size, file, signature, [])
            file.seek(0)
            assert read_signed(file, None, size).size == size
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


class Bounded:
    """The first ``size`` bytes of a file without end."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._left = file, size

    def read(self, size: int, /) -> bytes:
        part = self._file.read(min(size, self._left))
        self._left -= len(part)
        return part

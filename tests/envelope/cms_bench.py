"""Owners of keys of each kind, made by openssl; and its own ``cms`` beside ours, both ways."""

from __future__ import annotations

import hashlib
import io
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gateway.envelope.algorithms import PrivateKey
from gateway.envelope.certificates import load_certificates, load_key
from gateway.envelope.seal import Opened, seal
from gateway.envelope.signed import SignedContent, read_signed, sign_with_key, write_signed

KEYS = {
    "RSA 2048": ["rsa:2048"],
    "RSA 3072": ["rsa:3072"],
    "RSA 4096": ["rsa:4096"],
    "P-256": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "P-384": ["ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
}
GCM = "-aes-256-gcm"
OAEP = ["-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256"]
ECDH = ["-keyopt", "ecdh_kdf_md:sha256"]
PSS = ["-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:digest"]
Words = Sequence[str | Path]


@dataclass(frozen=True)
class Owner:
    """A key of one kind and its certificate, both made by openssl."""

    pem: Path
    certificate: bytes
    key: PrivateKey

    @property
    def recipient(self) -> list[str | Path]:
        """How openssl is told to seal to it as we demand it."""
        return ["-recip", self.pem, *(OAEP if "RSA" in self.pem.name else ECDH)]

    @property
    def identity(self) -> list[str | Path]:
        return ["-recip", self.pem, "-inkey", self.pem.with_suffix(".key")]

    @property
    def signer(self) -> list[str | Path]:
        return ["-signer", self.pem, "-inkey", self.pem.with_suffix(".key")]


def openssl(*words: str | Path, given: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *words], input=given, check=True, capture_output=True).stdout


def openssl_seal(data: bytes, *words: str | Path) -> bytes:
    return openssl("cms", "-encrypt", "-binary", "-outform", "DER", *words, given=data)


def openssl_open(envelope: bytes, owner: Owner) -> bytes:
    return openssl("cms", "-decrypt", "-binary", "-inform", "DER", *owner.identity, given=envelope)


def openssl_sign(data: bytes, *words: str | Path) -> bytes:
    return openssl("cms", "-sign", "-binary", "-nodetach", "-outform", "DER", *words, given=data)


def openssl_verify(envelope: bytes, owner: Owner) -> bytes:
    trusted = ["-CAfile", owner.pem, "-purpose", "any", "-cades"]
    return openssl("cms", "-verify", "-binary", "-inform", "DER", *trusted, given=envelope)


def sealed(data: bytes, *owners: Owner) -> bytes:
    out = io.BytesIO()
    seal(io.BytesIO(data), len(data), out, [owner.certificate for owner in owners])
    return out.getvalue()


def opened(envelope: bytes, certificate: bytes, key: PrivateKey) -> bytes:
    out, content = io.BytesIO(), Opened(io.BytesIO(envelope), certificate, key)
    while block := content.read():
        out.write(block)
    assert out.tell() == content.size
    return out.getvalue()


def signed(data: bytes, owner: Owner, *, pkcs1: bool) -> bytes:
    at, digest = datetime(2026, 11, 23, 6, 45, tzinfo=UTC), hashlib.sha256(data).digest()
    signature, out = sign_with_key(digest, at, owner.certificate, owner.key, pkcs1=pkcs1), io.BytesIO()
    write_signed(io.BytesIO(data), len(data), out, signature, [])
    return out.getvalue()


def read(envelope: bytes) -> tuple[SignedContent, bytes]:
    out = io.BytesIO()
    return read_signed(io.BytesIO(envelope), out, 1 << 30), out.getvalue()


def make_owners(directory: Path) -> dict[str, Owner]:
    """An owner of each kind of ``KEYS``."""
    made = {}
    for kind, words in KEYS.items():
        pem = directory / f"{kind}.pem"
        openssl("req", "-x509", "-nodes", "-newkey", *words, "-subj", f"/CN={kind}",
                "-keyout", pem.with_suffix(".key"), "-out", pem)  # fmt: skip
        certificate, key = pem.read_bytes(), pem.with_suffix(".key").read_bytes()
        made[kind] = Owner(pem, load_certificates(certificate)[0], load_key(key))
    return made

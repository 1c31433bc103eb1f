"""RecipientInfos that others may write within what is allowed: OpenSSL and we open the same ones."""

from __future__ import annotations

import io
import os
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from development_pki import Pki

from gateway.envelope import der, oids
from gateway.envelope.algorithms import public_key
from gateway.envelope.identifiers import issuer_and_serial
from gateway.envelope.seal import open_sealed
from gateway.errors import Refused

TOGETHER = ["box-seal", "box-delivery"]
WRAP = der.sequence(der.oid(oids.AES256_WRAP))


def agreement(pki: Pki, key: bytes, ukm: bytes, ours_last: bool = False) -> bytes:
    """One KeyAgreeRecipientInfo, one key used once, and a wrapped key for each of ``TOGETHER`` (RFC 5753 §3.1)."""
    once, wrapped = ec.generate_private_key(ec.SECP256R1()), []
    material = der.tlv(der.context(0), der.octets(ukm)) if ukm else b""
    shared = der.sequence(WRAP, material, der.tlv(der.context(2), der.octets((256).to_bytes(4, "big"))))
    for name in TOGETHER[::-1] if ours_last else TOGETHER:
        public = public_key(pki.certificate(name))
        assert isinstance(public, ec.EllipticCurvePublicKey)
        wrapping = X963KDF(hashes.SHA256(), 32, shared).derive(once.exchange(ec.ECDH(), public))
        named = issuer_and_serial(pki.certificate(name))
        wrapped.append(der.sequence(named, der.octets(aes_key_wrap(wrapping, key))))
    point = once.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    algorithm = der.sequence(der.oid(oids.EC_PUBLIC_KEY), der.oid(oids.P256))
    originator = der.tlv(der.context(1), algorithm, der.tlv(der.BIT_STRING, b"\0", point))
    return der.tlv(
        der.context(1),
        der.integer(3),
        der.tlv(der.context(0), originator),
        der.tlv(der.context(1), der.octets(ukm)) if ukm else b"",
        der.sequence(der.oid(oids.STD_DH_SHA256_KDF), WRAP),
        der.sequence(*wrapped),
    )


def envelope(key: bytes, *infos: bytes) -> bytes:
    """An AuthEnvelopedData around « contenu » for these RecipientInfos."""
    nonce, sealed = bytes(12), AESGCM(key).encrypt(bytes(12), b"contenu", None)
    cipher = der.sequence(der.oid(oids.AES256_GCM), der.sequence(der.octets(nonce), der.integer(16)))
    content = der.sequence(der.oid(oids.DATA), cipher, der.tlv(der.context(0, constructed=False), sealed[:-16]))
    data = der.sequence(der.integer(0), der.set_of(infos), content, der.octets(sealed[-16:]))
    return der.sequence(der.oid(oids.AUTH_ENVELOPED_DATA), der.tlv(der.context(0), data))


def opened(sealed: bytes, pki: Pki, name: str) -> bytes:
    out = io.BytesIO()
    open_sealed(io.BytesIO(sealed), out, pki.certificate(name), pki.key(name))
    return out.getvalue()


def openssl_opened(sealed: bytes, pki: Pki, name: str) -> bytes:
    pem = pki.directory / f"{name}.pem"
    command: list[str | Path] = ["openssl", "cms", "-decrypt", "-binary", "-inform", "DER", "-recip", pem]
    command += ["-inkey", pem.with_suffix(".key")]
    return subprocess.run(command, input=sealed, check=True, capture_output=True).stdout


@pytest.mark.parametrize("ukm", [b"", b"once more", bytes(2000)], ids=["no ukm", "ukm", "long ukm"])
@pytest.mark.parametrize("ours_last", [False, True])
def test_several_owners_under_one_agreement(pki: Pki, ukm: bytes, ours_last: bool) -> None:
    key = os.urandom(32)
    sealed = envelope(key, agreement(pki, key, ukm, ours_last))
    for name in TOGETHER:
        assert opened(sealed, pki, name) == openssl_opened(sealed, pki, name) == b"contenu"


def test_a_seal_to_nobody_is_refused(pki: Pki) -> None:
    with pytest.raises(Refused, match="CMS-020"):
        opened(envelope(bytes(32)), pki, "box-seal")


def test_kinds_of_recipient_that_we_have_not_are_passed_over(pki: Pki) -> None:
    """A password, a key of its own and another kind: ours is beside them (RFC 5652 §6.2.3 … §6.2.5)."""
    key = os.urandom(32)
    others = [der.tlv(der.context(number), der.integer(0), der.octets(bytes(40))) for number in (2, 3, 4)]
    sealed = envelope(key, agreement(pki, key, b""), *others)
    assert opened(sealed, pki, "box-seal") == b"contenu"
    with pytest.raises(Refused, match="CMS-020"):
        opened(envelope(key, *others), pki, "box-seal")

"""OpenSSL's own ``cms`` and ours, both ways: every kind of recipient and signer, and which of its options we take."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from cms_bench import (
    ECDH,
    GCM,
    KEYS,
    OAEP,
    PSS,
    Owner,
    Words,
    opened,
    openssl,
    openssl_open,
    openssl_seal,
    openssl_sign,
    openssl_verify,
    read,
    sealed,
    signed,
)

from gateway.envelope.algorithms import key_identifier, sign
from gateway.envelope.certificates import load_certificates, load_key
from gateway.envelope.signed import (
    Signature,
    directly_signed,
)
from gateway.errors import Refused

SIZES = {"0 B": 0, "1 B": 1, "1 MiB": 1 << 20}
# ---------------------------------------------------------------- one recipient, and the whole journey


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("kind", KEYS)
def test_one_recipient_both_ways(owners: dict[str, Owner], kind: str, size: int) -> None:
    data, owner = os.urandom(size), owners[kind]
    assert openssl_open(sealed(data, owner), owner) == data
    assert opened(openssl_seal(data, GCM, *owner.recipient), owner.certificate, owner.key) == data


SIGNERS = {
    "RSA PKCS 1 v1.5, as a CPS": ("RSA 2048", True, [], "rsa-pkcs1-sha256"),
    "RSA-PSS": ("RSA 3072", False, PSS, "rsa-pss-sha256"),
    "ECDSA P-256": ("P-256", False, [], "ecdsa-sha256"),
    "ECDSA P-384": ("P-384", False, [], "ecdsa-sha256"),
}


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize(("kind", "pkcs1", "options", "algorithm"), SIGNERS.values(), ids=SIGNERS)
def test_signed_and_sealed_to_all_at_once_both_ways(
    owners: dict[str, Owner], kind: str, pkcs1: bool, options: Words, algorithm: str, size: int
) -> None:
    data, signer = os.urandom(size), owners[kind]
    inner = signed(data, signer, pkcs1=pkcs1)
    ours = sealed(inner, *owners.values())
    assert {openssl_open(ours, owner) for owner in owners.values()} == {inner}
    assert openssl_verify(inner, signer) == data

    recipients = [word for owner in owners.values() for word in owner.recipient]
    theirs = openssl_seal(openssl_sign(data, "-cades", *signer.signer, *options), GCM, *recipients)
    for owner in owners.values():
        found, content = read(opened(theirs, owner.certificate, owner.key))
        assert (content, found.signature.algorithm) == (data, algorithm)


@pytest.mark.parametrize(
    ("kind", "algorithm"), [("RSA 2048", "rsa-pkcs1-sha256"), ("P-256", "ecdsa-sha256"), ("P-384", "ecdsa-sha256")]
)
def test_what_was_signed_without_attributes(owners: dict[str, Owner], kind: str, algorithm: str) -> None:
    """openssl reads it; we, who want attributes, do not."""
    data, signer = os.urandom(90), owners[kind]
    made = Signature(b"", sign(algorithm, signer.key, data), signer.certificate, algorithm)
    assert openssl_verify(directly_signed(data, made, []), signer) == data
    with pytest.raises(subprocess.CalledProcessError):
        openssl_verify(directly_signed(data + b".", made, []), signer)
    with pytest.raises(Refused) as refusal:
        read(directly_signed(data, made, []))
    assert refusal.value.code == "CMS-012"


# ---------------------------------------------------------------- what its options make


SEALING: dict[str, tuple[str, Words]] = {
    "nothing more": ("RSA 3072", []),
    "-noindef": ("RSA 3072", ["-noindef"]),
    "-keyid, RSA": ("RSA 3072", ["-keyid"]),
    "-keyid, ECDH": ("P-384", ["-keyid"]),
    "-aes256-wrap": ("P-256", ["-aes256-wrap"]),
    "-secretkey for another, RSA": ("RSA 2048", ["-secretkey", "5a" * 32, "-secretkeyid", "0102"]),
    "-secretkey for another, ECDH": ("P-256", ["-secretkey", "5a" * 32, "-secretkeyid", "0102"]),
    "-crlfeol": ("RSA 3072", ["-crlfeol"]),
}


@pytest.mark.parametrize(("kind", "options"), SEALING.values(), ids=SEALING)
def test_definite_length_seals_of_openssl_are_opened(owners: dict[str, Owner], kind: str, options: Words) -> None:
    owner = owners[kind]
    envelope = openssl_seal(b"contenu\n", GCM, *options, *owner.recipient)
    assert opened(envelope, owner.certificate, owner.key) == b"contenu\n"


def test_the_digest_of_the_mask_may_be_named(owners: dict[str, Owner]) -> None:
    owner = owners["RSA 3072"]
    envelope = openssl_seal(b"contenu", GCM, *owner.recipient, "-keyopt", "rsa_mgf1_md:sha256")
    assert opened(envelope, owner.certificate, owner.key) == b"contenu"


OTHER_SEALS: dict[str, tuple[str, Words, Words, str]] = {
    "indefinite length": ("RSA 3072", [GCM, "-stream"], OAEP, "CMS-002"),
    "PEM": ("RSA 3072", [GCM, "-outform", "PEM"], OAEP, "CMS-004"),
    "S/MIME": ("RSA 3072", [GCM, "-outform", "SMIME"], OAEP, "CMS-004"),
    "AES-256-CBC": ("RSA 3072", ["-aes-256-cbc"], OAEP, "CMS-010"),
    "AES-128-GCM": ("RSA 3072", ["-aes-128-gcm"], OAEP, "CMS-024"),
    "AES-192-GCM": ("RSA 3072", ["-aes-192-gcm"], OAEP, "CMS-024"),
    "RSA PKCS 1 v1.5": ("RSA 3072", [GCM], [], "CMS-011"),
    "OAEP with SHA-1": ("RSA 3072", [GCM], OAEP[:2], "CMS-011"),
    "OAEP with SHA-1 in the mask": ("RSA 3072", [GCM], [*OAEP, "-keyopt", "rsa_mgf1_md:sha1"], "CMS-011"),
    "OAEP with a label": ("RSA 3072", [GCM], [*OAEP, "-keyopt", "rsa_oaep_label:00ff"], "CMS-011"),
    "ECDH with SHA-1": ("P-256", [GCM], [], "CMS-011"),
    "ECDH with SHA-384": ("P-384", [GCM], ["-keyopt", "ecdh_kdf_md:sha384"], "CMS-011"),
    "cofactor ECDH": ("P-256", [GCM], [*ECDH, "-keyopt", "ecdh_cofactor_mode:1"], "CMS-011"),
    "AES-128 wrap": ("P-256", [GCM, "-aes128-wrap"], ECDH, "CMS-011"),
}


@pytest.mark.parametrize(("kind", "options", "keys", "code"), OTHER_SEALS.values(), ids=OTHER_SEALS)
def test_other_seals_of_openssl_are_refused_by_name(
    owners: dict[str, Owner], kind: str, options: Words, keys: Words, code: str
) -> None:
    owner = owners[kind]
    with pytest.raises(Refused, match=code):
        opened(openssl_seal(b"contenu", *options, "-recip", owner.pem, *keys), owner.certificate, owner.key)


SIGNING: dict[str, tuple[str, Words]] = {
    "nothing more": ("RSA 2048", []),
    "-noindef": ("RSA 2048", ["-noindef"]),
    "-keyid, RSA": ("RSA 2048", ["-keyid"]),
    "-keyid, ECDSA": ("P-384", ["-keyid"]),
    "-nosmimecap": ("P-256", ["-nosmimecap"]),
    "-md sha256": ("RSA 4096", ["-md", "sha256"]),
    "PSS, salt of 32": ("RSA 2048", [*PSS[:2], "-keyopt", "rsa_pss_saltlen:32", "-keyopt", "rsa_mgf1_md:sha256"]),
    "-receipt_request": ("RSA 2048", ["-receipt_request_all", "-receipt_request_to", "a@example.org"]),
    "-crlfeol": ("RSA 2048", ["-crlfeol"]),
}


@pytest.mark.parametrize(("kind", "options"), SIGNING.values(), ids=SIGNING)
def test_definite_length_signatures_of_openssl_are_read(owners: dict[str, Owner], kind: str, options: Words) -> None:
    found, content = read(openssl_sign(b"contenu\n", "-cades", *owners[kind].signer, *options))
    assert content == b"contenu\n"
    assert found.signature.certificate == owners[kind].certificate


def test_other_certificates_come_along(owners: dict[str, Owner]) -> None:
    other = owners["P-384"]
    found, _ = read(openssl_sign(b"", "-cades", *owners["RSA 2048"].signer, "-certfile", other.pem))
    assert found.chain == (other.certificate,)


OTHER_SIGNATURES: dict[str, tuple[Words, str]] = {
    "indefinite length": (["-cades", "-stream"], "CMS-002"),
    "PEM": (["-cades", "-outform", "PEM"], "CMS-004"),
    "SHA-384": (["-cades", "-md", "sha384"], "CMS-011"),
    "the longest salt": (["-cades", *PSS[:2], "-keyopt", "rsa_pss_saltlen:max"], "CMS-011"),
    "SHA-1 in the mask": (["-cades", *PSS, "-keyopt", "rsa_mgf1_md:sha1"], "CMS-011"),
    "no signingCertificateV2": ([], "CMS-012"),
    "another content type": (["-cades", "-econtent_type", "pkcs7-envelopedData"], "CMS-010"),
    "no certificate, by key identifier": (["-cades", "-keyid", "-nocerts"], "CMS-017"),
}


@pytest.mark.parametrize(("options", "code"), OTHER_SIGNATURES.values(), ids=OTHER_SIGNATURES)
def test_other_signatures_of_openssl_are_refused_by_name(owners: dict[str, Owner], options: Words, code: str) -> None:
    with pytest.raises(Refused, match=code):
        read(openssl_sign(b"contenu", *owners["RSA 2048"].signer, *options))


def test_a_certificate_without_key_identifier_is_named_by_its_issuer(tmp_path: Path) -> None:
    pem, config = tmp_path / "plain.pem", tmp_path / "config"
    config.write_text("[req]\ndistinguished_name = name\n[name]\n")
    openssl("req", "-x509", "-nodes", "-newkey", *KEYS["P-256"], "-subj", "/CN=plain", "-config", config,
            "-addext", "subjectKeyIdentifier=none", "-addext", "keyUsage=keyAgreement",
            "-keyout", pem.with_suffix(".key"), "-out", pem)  # fmt: skip
    plain = Owner(pem, load_certificates(pem.read_bytes())[0], load_key(pem.with_suffix(".key").read_bytes()))
    assert key_identifier(plain.certificate) is None
    assert opened(sealed(b"contenu", plain), plain.certificate, plain.key) == b"contenu"

"""The check by arithmetic agrees with the library, and refuses what is not the key's."""

from __future__ import annotations

import pytest
from card_bench import DOCTOR, NURSE
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from development_pki import Pki

from gateway.card.rsa import check
from gateway.errors import Refused

USES = [f"practitioners/{name}/{use}" for name in (DOCTOR, NURSE) for use in ("auth", "sig")]


def key(pki: Pki, name: str) -> RSAPrivateKey:
    found = pki.key(name)
    assert isinstance(found, RSAPrivateKey)
    return found


@pytest.mark.parametrize("name", USES)
def test_right(pki: Pki, name: str) -> None:
    check(pki.certificate(name), key(pki, name).sign(b"message", PKCS1v15(), SHA256()), b"message")


def test_wrong(pki: Pki) -> None:
    right = key(pki, USES[0]).sign(b"message", PKCS1v15(), SHA256())
    wrong = [
        key(pki, USES[1]).sign(b"message", PKCS1v15(), SHA256()),
        key(pki, USES[0]).sign(b"message", PKCS1v15(), SHA1()),
        right[:-1] + bytes([right[-1] ^ 1]),
        right[:-1],
        b"",
        b"\xff" * 256,
        b"\x00" * 10_000,
    ]
    for signature in wrong:
        with pytest.raises(Refused, match="CPS-COPY"):
            check(pki.certificate(USES[0]), signature, b"message")
    with pytest.raises(Refused, match="CPS-COPY"):
        check(pki.certificate(USES[0]), right, b"other")

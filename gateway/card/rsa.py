"""Whether what a card signed opens with the key in its certificate: RSA PKCS#1 v1.5 with SHA-256, by arithmetic alone.

Whoever copies a card can copy its certificates, not its keys: a card whose answer does not open is a copy, or broken.
The keeper checks again, with chain and revocation; here it keeps a copy from using up the practitioner's time.
"""

from __future__ import annotations

from gateway.card.certificate import rsa_key
from gateway.card.failures import COPY
from gateway.card.proof import digest_info
from gateway.errors import Refused, Scope


def check(certificate: bytes, signature: bytes, message: bytes) -> None:
    """Refused(CPS-COPY) unless ``signature`` is that of ``message`` by the key of ``certificate`` (DER)."""
    modulus, exponent = rsa_key(certificate)
    size, info = (modulus.bit_length() + 7) // 8, digest_info(message)
    block = b"\x00\x01" + b"\xff" * (size - 3 - len(info)) + b"\x00" + info
    if pow(int.from_bytes(signature, "big"), exponent, modulus).to_bytes(size, "big") != block:
        text = "La carte n'a pas la clé de son certificat : carte contrefaite ou défectueuse."
        raise Refused(COPY, text, Scope.CARD)

"""The words of ``pki.toml`` and what they are: kinds of keys, purposes, key usages."""

from __future__ import annotations

from collections.abc import Callable

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.envelope import oids

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
KEYS: dict[str, Callable[[], Key]] = {
    "rsa-2048": lambda: rsa.generate_private_key(65537, 2048),
    "rsa-3072": lambda: rsa.generate_private_key(65537, 3072),
    "rsa-4096": lambda: rsa.generate_private_key(65537, 4096),
    "ec-p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ec-p384": lambda: ec.generate_private_key(ec.SECP384R1()),
}
WEAK_KEYS: dict[str, Callable[[], Key]] = {
    "rsa-1024": lambda: rsa.generate_private_key(65537, 1024),
    "rsa-2047": lambda: rsa.generate_private_key(65537, 2047),
    "ec-p192": lambda: ec.generate_private_key(ec.SECP192R1()),
    "ec-p521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "ec-secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()),
}
"""Too small, or of a curve that nobody here admits: for the zoo."""

PURPOSES = {
    "server": ExtendedKeyUsageOID.SERVER_AUTH,
    "client": ExtendedKeyUsageOID.CLIENT_AUTH,
    "email": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "any": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    "seal": x509.ObjectIdentifier(oids.PURPOSE_SEAL),
    "sign-return": x509.ObjectIdentifier(oids.PURPOSE_SIGN_RETURN),
    "sign-journal": x509.ObjectIdentifier(oids.PURPOSE_SIGN_JOURNAL),
}
USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)

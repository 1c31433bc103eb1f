"""The keys of a box, one row each: one key, one use, one owner.

Everything that makes, certifies, installs or renews a key reads this table.  It knows no file and no path: where
keys lie is ``gateway.process.keyring``'s affair.  Secrets that have no certificate are in it too, so that nothing
that a service keeps to itself stands anywhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.envelope import oids
from gateway.envelope.algorithms import PrivateKey
from gateway.envelope.certificates import Use

PRACTICE = ""
"""The owner of what is not kept on the box."""


@dataclass(frozen=True)
class Kind:
    """A kind of key: in words, how one is made, and whether a public key is one."""

    words: str
    make: Callable[[], PrivateKey]
    fits: Callable[[object], bool]


def _on(curve: type[ec.EllipticCurve], words: str) -> Kind:
    return Kind(
        words,
        lambda: ec.generate_private_key(curve()),
        lambda key: isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, curve),
    )


P256, P384 = _on(ec.SECP256R1, "EC P-256"), _on(ec.SECP384R1, "EC P-384")
RSA = Kind(
    "RSA 3072",
    lambda: rsa.generate_private_key(65537, 3072),
    lambda key: isinstance(key, rsa.RSAPublicKey) and key.key_size == 3072,
)
"""For what ends in evidence: ADR 24."""


@dataclass(frozen=True)
class BoxKey:
    """One key: its name, the service that alone holds it, what its certificate may be used for, and in words.

    ``usage`` are the bits of the key usage extension, ``purpose`` the one extended key usage; ``opens`` says that
    what was sealed to it must stay openable after it is renewed.
    """

    name: str
    owner: str
    kind: Kind
    usage: tuple[str, ...]
    purpose: x509.ObjectIdentifier
    use: Use
    words: str
    opens: bool = False
    hosts: bool = False
    """Its certificate names hosts: those under which the practice reaches the box."""


@dataclass(frozen=True)
class Secret:
    """A secret without a certificate: ``size`` random bytes, in hexadecimal, made once and never renewed."""

    name: str
    owner: str
    size: int
    words: str


_SIGN, _AGREE = ("digital_signature",), ("key_agreement",)
_SEAL, _JOURNAL = (x509.ObjectIdentifier(oid) for oid in (oids.PURPOSE_SEAL, oids.PURPOSE_SIGN_JOURNAL))
_CLIENT, _SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH

KEYS = (
    BoxKey("box-seal", "keeper", P256, _AGREE, _SEAL, Use.SEAL, "ouvre fichiers et retours", opens=True),
    BoxKey("box-sign", "keeper", RSA, _SIGN, _JOURNAL, Use.SIGN_JOURNAL, "signe le journal et les demandes"),
    BoxKey("box-transport", "forward", P256, _SIGN, _CLIENT, Use.TRANSPORT, "ligne vers le concentrateur"),
    BoxKey("box-delivery", "intake", P256, _AGREE, _SEAL, Use.SEAL, "ouvre les retours du cabinet", opens=True),
    BoxKey("box-lan-intake", "intake", P256, _SIGN, _SERVER, Use.TRANSPORT, "dépôt sur le réseau du cabinet",
           hosts=True),
    BoxKey("box-lan-status", "status", P256, _SIGN, _SERVER, Use.TRANSPORT, "page sur le réseau du cabinet",
           hosts=True),
    BoxKey("recovery", PRACTICE, P384, _AGREE, _SEAL, Use.SEAL, "recours du cabinet, hors de la passerelle"),
)  # fmt: skip
"""Every key that has a certificate."""

SECRETS = (
    Secret("fichier-ids.key", "intake", 32, "identifiants des fichiers"),
    Secret("pseudonym.key", "keeper", 32, "pseudonymes des patients"),
)
"""What is random and shared with nobody."""

LINE = "box-transport"
PASSWORD = "oct-password"  # noqa: S105 - the name of a file
"""The PeSIT password of forward (PI 5), which goes with the transport certificate."""

BY_NAME = {row.name: row for row in KEYS}


def owned_by(service: str) -> tuple[BoxKey, ...]:
    """The keys of a service."""
    return tuple(row for row in KEYS if row.owner == service)

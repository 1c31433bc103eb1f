"""The keys of the keeper, and the public certificates it trusts.

One key, one use: box-seal opens fichiers and returns, box-sign is the journal's, the pseudonym key hides
NIRs in tables.  Nothing else of the box can read them.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from gateway.config import Paths
from gateway.envelope.certificates import Use, check_path, load_lists
from gateway.envelope.ring import Ring
from gateway.envelope.seal import Opened
from gateway.errors import Refused, Scope
from gateway.process.keyring import read_certificate, read_certificates, read_ring, read_secret

PSEUDONYM_LENGTH = 16


@dataclass(frozen=True)
class Trust:
    """Public things: roots, intermediates, revocation lists (all DER), and who is who."""

    roots: tuple[bytes, ...]
    chain: tuple[bytes, ...]
    oct_seal: bytes
    oct_sign: bytes
    delivery: bytes
    directory: Path

    def crls(self) -> tuple[bytes, ...]:
        """The revocation lists as they lie there now; they are renewed while the keeper runs."""
        files = sorted((self.directory / "crl").glob("*.crl"))
        return tuple(found for file in files for found in load_lists(file.read_bytes()))

    def check_practitioner(self, certificate: bytes, use: Use, at: datetime) -> None:
        """A practitioner's certificate: Refused or Deferred (scope card) where it cannot sign now."""
        check_path(certificate, self.chain, self.roots, self.crls(), at, use)

    def check_oct(self, certificate: bytes, chain: tuple[bytes, ...], at: datetime) -> None:
        """The signature of a return must be that of our OCT, valid now."""
        if certificate != self.oct_sign:
            raise Refused("RET-003", "Le retour n'est pas signé par notre concentrateur.", Scope.ROUTE)
        check_path(certificate, (*chain, *self.chain), self.roots, self.crls(), at, Use.SIGN_RETURN)


@dataclass(frozen=True)
class Keys:
    """What only the keeper holds."""

    ring: Ring
    pseudonym: bytes

    def open(self, src: BinaryIO) -> Opened:
        """What was sealed to box-seal, as it is or as it was."""
        return self.ring.open(src)

    def pseudonym_of(self, nir: str) -> str:
        """A keyed pseudonym, so that tables name no patient; '' for no NIR."""
        if not nir.strip():
            return ""
        return hmac.new(self.pseudonym, nir.encode(), hashlib.sha256).hexdigest()[:PSEUDONYM_LENGTH]


def read_trust(paths: Paths) -> Trust:
    """Read the public certificates of the trust directory."""
    trust = paths.trust
    return Trust(
        roots=read_certificates(trust / "root.pem"),
        chain=read_certificates(trust / "chain.pem"),
        oct_seal=read_certificate(trust / "oct-seal.pem"),
        oct_sign=read_certificate(trust / "oct-sign.pem"),
        delivery=read_certificate(trust / "box-delivery.pem"),
        directory=trust,
    )


def read_keys(paths: Paths) -> Keys:
    """Read the keeper's private keys."""
    return Keys(
        ring=read_ring(paths, "keeper", "box-seal"),
        pseudonym=read_secret(paths.key("keeper", "pseudonym.key")),
    )

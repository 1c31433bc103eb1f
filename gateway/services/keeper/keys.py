"""The keys of the keeper, and the public certificates it trusts.

One key, one use: box-seal opens fichiers and returns, box-sign is the journal's, the pseudonym key hides
NIRs in tables.  Nothing else of the box can read them.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from cryptography import x509

from gateway.book.moves import Book
from gateway.config import Paths
from gateway.envelope import algorithms, certificates
from gateway.envelope.algorithms import PrivateKey
from gateway.envelope.certificates import Use, check_path
from gateway.envelope.ring import Ring
from gateway.envelope.seal import Opened
from gateway.errors import Refused, Scope
from gateway.process.credentials import secret_file
from gateway.process.keyring import (
    ListFiles,
    key_file,
    read_certificate,
    read_certificates,
    read_key,
    read_ring,
    read_secret,
)

PSEUDONYM_LENGTH = 16


@dataclass(frozen=True)
class Trust:
    """Public things: roots, intermediates, revocation lists (all DER), and who is who; ``seen`` gives the last numbers
    of lists that the book knows."""

    roots: tuple[bytes, ...]
    chain: tuple[bytes, ...]
    oct_seal: bytes
    oct_sign: bytes
    delivery: bytes
    recovery: bytes
    lists: ListFiles
    seen: Callable[[], Mapping[str, int]] = dict

    def crls(self) -> tuple[bytes, ...]:
        """The revocation lists as they lie there now, put by hand or come by the line; of two the freshest serves."""
        return self.lists.read()

    def check_practitioner(self, certificate: bytes, use: Use, at: datetime) -> certificates.Path:
        """A practitioner's certificate: Refused or Deferred (scope card) where it cannot sign now."""
        return self.check(certificate, (), at, use)

    def check_oct(self, certificate: bytes, chain: tuple[bytes, ...], at: datetime) -> certificates.Path:
        """The signature of a return must be that of our OCT, valid now: by the certificate that we know, or by another
        that an authority made for the same name."""
        if certificate != self.oct_sign and _subject(certificate) != _subject(self.oct_sign):
            raise Refused("RET-003", "Le retour n'est pas signé par notre concentrateur.", Scope.ROUTE)
        return self.check(certificate, chain, at, Use.SIGN_RETURN)

    def check(self, certificate: bytes, chain: tuple[bytes, ...], at: datetime, use: Use) -> certificates.Path:
        """The path of a certificate, ``chain`` being what came with it; Refused or Deferred as ``check_path``."""
        return check_path(certificate, (*chain, *self.chain), self.roots, self.crls(), at, use, seen=self.seen())


def _subject(certificate: bytes) -> x509.Name:
    return algorithms.read_certificate(certificate, Scope.ROUTE).subject


@dataclass(frozen=True)
class Keys:
    """What only the keeper holds."""

    ring: Ring
    sign_certificate: bytes
    sign: PrivateKey
    pseudonym: bytes

    def open(self, src: BinaryIO) -> Opened:
        """What was sealed to box-seal, as it is or as it was."""
        return self.ring.open(src)

    def pseudonym_of(self, nir: str) -> str:
        """A keyed pseudonym, so that tables name no patient; '' for no NIR."""
        if not nir.strip():
            return ""
        return hmac.new(self.pseudonym, nir.encode(), hashlib.sha256).hexdigest()[:PSEUDONYM_LENGTH]


def read_trust(paths: Paths, book: Book | None = None) -> Trust:
    """Read the public certificates of the trust directory; lists are held to the numbers in the book, if given."""
    trust = paths.trust

    def seen() -> Mapping[str, int]:
        rows = book.connection.execute("SELECT authority, number FROM lists") if book else ()
        return {row["authority"]: int(row["number"]) for row in rows}

    return Trust(
        roots=read_certificates(trust / "root.pem"),
        chain=read_certificates(trust / "chain.pem"),
        oct_seal=read_certificate(trust / "oct-seal.pem"),
        oct_sign=read_certificate(trust / "oct-sign.pem"),
        delivery=read_certificate(trust / "box-delivery.pem"),
        recovery=read_certificate(trust / "recovery.pem"),
        lists=ListFiles(trust / "crl", paths.lists),
        seen=seen,
    )


def read_keys(paths: Paths) -> Keys:
    """Read the keeper's private keys."""
    return Keys(
        ring=read_ring(paths, "keeper", "box-seal"),
        sign_certificate=read_certificate(paths.trust / "box-sign.pem"),
        sign=read_key(key_file(paths, "keeper", "box-sign")),
        pseudonym=read_secret(secret_file(paths, "keeper", "pseudonym.key")),
    )

"""The making of returns: packed, signed by the OCT, sealed to the box that will fetch them and to the OCT itself.

A return is durable before the store names it.  Nothing of it is at rest in clear.  The OCT's own key opens it for one
purpose: to make it again for a box that is long in coming, sealed to its next certificate when it lost its keys, signed
by ours of now when the one that signed it went out of force.  What it says stays byte for byte.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from datetime import datetime
from io import BytesIO
from pathlib import Path

from gateway.book.doors import Copied
from gateway.book.parts import Parts, Writable
from gateway.concentrator.keys import Keys, Trust
from gateway.concentrator.store import Return
from gateway.envelope.algorithms import read_certificate
from gateway.envelope.certificates import Use
from gateway.envelope.seal import Sealer, seal
from gateway.envelope.signed import read_signed, sign_with_key, signed_size, write_signed
from gateway.errors import Refused, Scope
from gateway.formats.returns import ReturnHeader, pack


def digest_of(certificate: bytes) -> str:
    """By which a certificate (DER) is known in the mailboxes: its SHA-256, hexadecimal."""
    return hashlib.sha256(certificate).hexdigest()


class Mailbox:
    """The directory of returns; the worker is its only writer."""

    def __init__(self, path: Path, keys: Keys, box_of: Callable[[str], bytes]) -> None:
        """``box_of`` gives the certificate (DER) to which a partner's returns are sealed now."""
        self.parts = Parts(path)
        self._keys = keys
        self._box_of = box_of
        self.signer = digest_of(keys.sign_certificate)
        """The certificate by which returns are signed now."""
        self._until = read_certificate(keys.sign_certificate, Scope.BOX).not_valid_after_utc.timestamp()

    def make(self, sender: str, header: ReturnHeader, body: bytes, not_before: float, trust: Trust) -> Return:
        """Sign, seal and store one return, to be offered from ``not_before`` (Unix seconds) on.

        Refused or Deferred when our certificate may not sign now, or the box's may not be sealed to.
        """
        at = datetime.fromisoformat(header.at)
        box = self._box_of(sender)
        trust.check(box, (), at, Use.SEAL)
        content = pack(header.kind, header.name, header.about, header.at, body)
        part = self._add(content, box, at, trust)
        return Return(sender, header, part, digest_of(box), self.signer, self._until, not_before)

    def _add(self, content: bytes, box: bytes, at: datetime, trust: Trust) -> Copied:
        """``content`` signed and sealed, durable."""
        chain = trust.check(self._keys.sign_certificate, (), at, Use.SIGN_RETURN).certificates[1:-1]
        signature = sign_with_key(hashlib.sha256(content).digest(), at, self._keys.sign_certificate, self._keys.sign)

        def write(out: Writable) -> None:
            sealer = Sealer(out, self._recipients(box), signed_size(len(content), signature, chain))
            write_signed(BytesIO(content), len(content), sealer, signature, chain)
            sealer.close()

        return self.parts.add(write)

    def make_again(self, row: sqlite3.Row, at: datetime, trust: Trust) -> tuple[Copied, str, str, float]:
        """The return of a row of the store under a new seal, to the certificate of now, and signed again where another
        certificate of ours had signed it; the part, its recipient, its signer and when that ends.

        Deferred ENR-010 for who is out of force; Refused OCT-018 for a file that was cleared away, OCT-026 for one that
        another signed than the row says; Refused or Deferred as by ``make``, or as by ``Opened``.
        """
        box = self._box_of(row["sender"])
        trust.check(box, (), at, Use.SEAL)
        try:
            source = self.parts.open(row["file"])
        except FileNotFoundError:
            raise Refused("OCT-018", "Le fichier de ce retour n'est plus là.") from None
        with source:
            opened = self._keys.ring.open(source)
            if row["signer"] in ("", self.signer):
                part = self.parts.add(lambda out: seal(opened, opened.size, out, self._recipients(box)))
                return part, digest_of(box), row["signer"], row["until"]
            out = BytesIO()
            signed = read_signed(opened, out, row["size"])
        if digest_of(signed.signature.certificate) != row["signer"]:
            raise Refused("OCT-026", "Ce retour n'est pas signé par le certificat qui l'avait signé.")
        return self._add(out.getvalue(), box, at, trust), digest_of(box), self.signer, self._until

    def _recipients(self, box: bytes) -> list[bytes]:
        return [box, self._keys.seal_certificate]

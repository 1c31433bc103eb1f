"""The making of returns: packed, signed by the OCT, sealed to the box that will fetch them and to the OCT itself.

A return is durable before the store names it.  Nothing of it is at rest in clear.  The OCT's own key opens it for one
purpose: to seal it to the box's next certificate when the box lost its keys; what was signed stays byte for byte.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from io import BytesIO
from pathlib import Path

from gateway.book.doors import Copied
from gateway.book.parts import Parts, Writable
from gateway.concentrator.keys import Keys, Trust
from gateway.concentrator.store import Return
from gateway.envelope.certificates import Use
from gateway.envelope.seal import Sealer, seal
from gateway.envelope.signed import sign_with_key, signed_size, write_signed
from gateway.errors import Refused
from gateway.formats.returns import ReturnHeader, pack


def recipient_of(certificate: bytes) -> str:
    """By which a certificate (DER) is known in the mailboxes: its SHA-256, hexadecimal."""
    return hashlib.sha256(certificate).hexdigest()


class Mailbox:
    """The directory of returns; the worker is its only writer."""

    def __init__(self, path: Path, keys: Keys, box_of: Callable[[str], bytes]) -> None:
        """``box_of`` gives the certificate (DER) to which a partner's returns are sealed now."""
        self.parts = Parts(path)
        self._keys = keys
        self._box_of = box_of

    def make(self, sender: str, header: ReturnHeader, body: bytes, not_before: float, trust: Trust) -> Return:
        """Sign, seal and store one return, to be offered from ``not_before`` (Unix seconds) on.

        Refused or Deferred when our certificate may not sign now, or the box's may not be sealed to.
        """
        at = datetime.fromisoformat(header.at)
        box = self._box_of(sender)
        trust.check(box, (), at, Use.SEAL)
        chain = trust.check(self._keys.sign_certificate, (), at, Use.SIGN_RETURN).certificates[1:-1]
        content = pack(header.kind, header.name, header.about, header.at, body)
        signature = sign_with_key(hashlib.sha256(content).digest(), at, self._keys.sign_certificate, self._keys.sign)

        def write(out: Writable) -> None:
            sealer = Sealer(out, self._recipients(box), signed_size(len(content), signature, chain))
            write_signed(BytesIO(content), len(content), sealer, signature, chain)
            sealer.close()

        return Return(sender, header, self.parts.add(write), recipient_of(box), not_before)

    def seal_again(self, sender: str, file: str, at: datetime, trust: Trust) -> tuple[Copied, str]:
        """The return in a file under a new seal, to the certificate of now; the part and its recipient.

        Deferred ENR-010 for who is out of force; Refused OCT-018 for a file that was cleared away; Refused or Deferred
        as by ``make``, or as by ``Opened``.
        """
        box = self._box_of(sender)
        trust.check(box, (), at, Use.SEAL)
        try:
            source = self.parts.open(file)
        except FileNotFoundError:
            raise Refused("OCT-018", "Le fichier de ce retour n'est plus là.") from None
        with source:
            opened = self._keys.ring.open(source)
            part = self.parts.add(lambda out: seal(opened, opened.size, out, self._recipients(box)))
        return part, recipient_of(box)

    def _recipients(self, box: bytes) -> list[bytes]:
        return [box, self._keys.seal_certificate]

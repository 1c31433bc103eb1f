"""The making of returns: packed, signed by the OCT, sealed to the box that will fetch them.

A return is durable before the store names it.  Nothing of it is at rest in clear.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from io import BytesIO
from pathlib import Path

from gateway.book.parts import Parts, Writable
from gateway.concentrator.keys import Keys, Trust
from gateway.concentrator.store import Return
from gateway.envelope.certificates import Use
from gateway.envelope.seal import Sealer
from gateway.envelope.signed import sign_with_key, signed_size, write_signed
from gateway.formats.returns import ReturnHeader, pack


class Mailbox:
    """The directory of returns; integration is its only writer."""

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
            sealer = Sealer(out, [box], signed_size(len(content), signature, chain))
            write_signed(BytesIO(content), len(content), sealer, signature, chain)
            sealer.close()

        return Return(sender, header, self.parts.add(write), not_before)

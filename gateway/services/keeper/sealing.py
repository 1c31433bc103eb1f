"""SIGNED → SEALED: the signed content in its envelope for the OCT, offered in ``outgoing/``.

Nothing readable touches the disk: the received part is opened, wrapped with the card's signature and sealed
in one stream.  Each seal has a number of its own; a new seal is a new transfer, never a restart.  Nothing is sealed to
a certificate of the OCT that has ended or is revoked: whoever stole its key would read it.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from gateway.book.parts import Writable
from gateway.envelope.certificates import Use
from gateway.envelope.seal import Sealer
from gateway.envelope.signed import Signature, signed_size, write_signed
from gateway.fichier import Verb
from gateway.services.keeper.audit import prepare_carried
from gateway.services.keeper.checking import open_content
from gateway.services.keeper.desk import Desk
from gateway.services.keeper.generations import name_recipient

ALGORITHM = "rsa-pkcs1-sha256"
"""What a CPS signs with (cps.md §4: PSO CDS, no PSS on CPS3)."""


def seal(desk: Desk, fichier: str) -> None:
    """Seal one fichier, whose signature stands, and offer it; Refused or Deferred (scope route) where the OCT may not
    be sealed to now."""
    desk.trust.check(desk.trust.oct_seal, (), desk.book.clock(), Use.SEAL)
    signature = read_signature(desk, fichier)
    signature, checkpoint = prepare_carried(desk, signature)
    received = desk.book.part(fichier, "received").digest
    row = desk.book.fichier(fichier)
    assert row is not None

    def write(out: Writable) -> None:
        header, content = open_content(desk.parts, desk.keys, received)
        size = header.size
        sealer = Sealer(out, [desk.trust.oct_seal], signed_size(size, signature, desk.trust.chain))
        write_signed(content, size, sealer, signature, desk.trust.chain)
        sealer.close()

    part = desk.parts.add(write)
    number = row["seals"] + 1
    with desk.commit():
        desk.book.name_part(fichier, "sealed", part)
        fact = {"seal": str(number), "part": part.digest, "size": part.size, "transmission": row["transmission"]}
        if checkpoint is not None:
            fact["signed"] = checkpoint.keep(desk, carried=True)
        desk.book.move(fichier, Verb.SEAL, fact, seal=str(number), seals=number, begun=0)
        name_recipient(desk, fichier)
    desk.offer(fichier)


def pack_signature(answer: dict[str, Any]) -> bytes:
    """What the card gave for one fichier, as the part ``signature`` keeps it (base64 fields, JSON)."""
    return json.dumps(answer, sort_keys=True, separators=(",", ":")).encode()


def read_signature(desk: Desk, fichier: str) -> Signature:
    """The card's signature of a fichier."""
    with desk.parts.open(desk.book.part(fichier, "signature").digest) as source:
        answer = json.loads(source.read())
    return signature_of(answer)


def signature_of(answer: dict[str, Any]) -> Signature:
    """The CMS signature in what the card gave."""
    return Signature(
        attributes=base64.b64decode(answer["attributes"]),
        signature=base64.b64decode(answer["signature"]),
        certificate=base64.b64decode(answer["certificate"]),
        algorithm=ALGORITHM,
    )

"""What is signed together, and the message by which a card proves that it was there.

A batch is the set of items that a person was shown and unlocked.  Its root binds them: SHA-256 over the domain
``oct-gateway/batch/1`` and the sorted SHA-256 digests of the items' canonical JSON.  The proof is the card's
signature, by its authentication key, over ``proof_message``; whoever verifies it uses the same function.

It deliberately imports nothing of the card: the keeper and the concentrator use it too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from gateway.formats import canonical

_BATCH_DOMAIN = b"oct-gateway/batch/1"
_PROOF_DOMAIN = b"oct-gateway/card-auth/1"
_CHANGE_DOMAIN = b"oct-gateway/mandates/1"
_SHA256_INFO = bytes.fromhex("3031300D060960864801650304020105000420")


@dataclass(frozen=True)
class Item:
    """One fichier to sign: SHA-256 of its content, factures, euro cents, lots, emitter, challenge of the OCT if any.

    ``holders`` are the identifiers of those whose card may sign it, in order; none named: anybody's.
    """

    fichier: str
    digest: bytes
    count: int
    total: int
    lots: int
    emitter: str
    challenge: bytes | None
    holders: tuple[str, ...] = ()

    def plain(self) -> dict[str, Any]:
        """The item as JSON carries it: bytes in lower-case hexadecimal."""
        challenge = None if self.challenge is None else self.challenge.hex()
        return asdict(self) | {"digest": self.digest.hex(), "challenge": challenge}


def item_of(plain: Mapping[str, Any]) -> Item:
    """The item that ``Item.plain`` wrote."""
    challenge = None if plain["challenge"] is None else bytes.fromhex(plain["challenge"])
    digest, holders = bytes.fromhex(plain["digest"]), tuple(plain["holders"])
    return Item(**{**plain, "digest": digest, "challenge": challenge, "holders": holders})


def batch_root(items: Iterable[Item]) -> bytes:
    """The 32 bytes that stand for exactly these items, in whatever order."""
    leaves = sorted(hashlib.sha256(canonical.encode(item.plain())).digest() for item in items)
    return hashlib.sha256(_BATCH_DOMAIN + b"".join(leaves)).digest()


def proof_message(box_id: str, challenge: bytes, root: bytes) -> bytes:
    """What the authentication key signs (PKCS#1 v1.5, SHA-256), once per challenge of a batch."""
    return _PROOF_DOMAIN + box_id.encode() + challenge + root


def change_message(box_id: str, challenge: bytes, before: bytes, after: bytes) -> bytes:
    """What the authentication key signs for a change of who may sign: a challenge of 32 bytes, and the digests
    (``formats.mandate_changes``) of what is declared and of what shall be."""
    return _CHANGE_DOMAIN + box_id.encode() + challenge + before + after


def digest_info(message: bytes) -> bytes:
    """DER of DigestInfo(SHA-256) of ``message``, 51 bytes (RFC 8017 §9.2): the input of INTERNAL AUTHENTICATE."""
    return _SHA256_INFO + hashlib.sha256(message).digest()

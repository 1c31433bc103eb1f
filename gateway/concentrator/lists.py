"""The revocation lists on offer: those that the settings name, as they are now, in one bundle for every partner.

Whoever may come in may have them: they are public, and each proves itself by its issuer's signature.  Nothing is kept
of who had which; a read that breaks begins again.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from hashlib import sha256

from gateway.envelope.lists import bundle, newest
from gateway.pesit.records import Form
from gateway.pesit.transfer import Identity, SyncPoint

LISTS = "LISTES"
"""PI 12 by which the lists are asked for; a name of ours."""


@dataclass(frozen=True)
class ListsOffered:
    """The bundle on offer (``link.server.Offering``)."""

    identity: Identity
    content: bytes = field(repr=False)

    def position(self, number: int) -> SyncPoint | None:
        """No read of lists is taken up again: by then there may be others."""
        return None

    def articles(self, start: SyncPoint) -> Iterator[bytes]:
        """The bundle."""
        yield from Form(self.identity.article_length).articles(io.BytesIO(self.content), start)

    def marked(self, point: SyncPoint) -> None:
        """Nothing is kept."""

    def acknowledged(self, point: SyncPoint) -> None:
        """Nothing is kept."""

    def delivered(self) -> None:
        """Nothing is kept."""


@lru_cache(maxsize=1)
def _bundled(lists: tuple[bytes, ...]) -> tuple[bytes, str]:
    """The bundle of the newest of these lists and its SHA-256: made once for all who come, and held once."""
    content = bundle(newest(lists))
    return content, sha256(content).hexdigest()


def offer_lists(lists: tuple[bytes, ...], asked: Identity, at: datetime) -> ListsOffered | None:
    """The bundle of the newest of these lists (DER), None without any; PI 37 names it by its SHA-256."""
    if not lists:
        return None
    content, digest = _bundled(lists)
    identity = Identity(
        LISTS,
        transfer_id=int(digest[:6], 16) or 1,
        requester=asked.requester,
        server=asked.server,
        created=at.strftime("%y%m%d%H%M%S"),
        initial_sender=asked.initial_sender,
        final_receiver=asked.final_receiver,
        label=f"listes_{digest[:16]}",
        reserved_kb=-(-len(content) // 1024),
    )
    return ListsOffered(identity, content)

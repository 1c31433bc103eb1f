"""The numbers of the revocation lists that were read here: they only grow, over restarts too.

The settings name files that others renew, by whatever way; somebody on that way could put an old list back, with a
signature that is right and without the last revocations.  So the highest number of each authority's sound lists is
remembered, and a list below it serves nobody (``envelope.revocation``): what depends on it waits, and says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from threading import Lock

from gateway.concentrator.store import Store
from gateway.envelope.lists import authorities, read_listing
from gateway.errors import Refused


class Numbers:
    """The memory, on a store of its own; it may be asked from any thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._turn = Lock()
        self._seen = store.list_numbers()
        self._last: tuple[tuple[bytes, ...], ...] = ()

    def learn(self, roots: tuple[bytes, ...], chain: tuple[bytes, ...], lists: tuple[bytes, ...]) -> Mapping[str, int]:
        """The last number seen of each authority, these lists (DER) included; a number is durable before it counts."""
        with self._turn:
            if (roots, chain, lists) != self._last:
                known = authorities(roots, chain)
                for der in lists:
                    with suppress(Refused):  # one that is not sound tells nothing
                        listing = read_listing(der, known)
                        if listing and listing.number > self._seen.get(listing.authority.key, -1):
                            self._store.note_list(listing.authority.key, listing.number)
                            self._seen = {**self._seen, listing.authority.key: listing.number}
                self._last = (roots, chain, lists)
            return self._seen

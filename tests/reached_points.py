"""A receiver at a synchronisation point, for tests that have no line."""

from __future__ import annotations

import asyncio

from gateway.link.flow import Receiving
from gateway.pesit.transfer import SyncPoint


def reach(receiving: Receiving, *points: SyncPoint) -> None:
    """As the data phase does: set ``points`` where the file stands, and have them on disk."""
    for point in points:
        receiving.mark(point)
    asyncio.run(receiving.sync())

"""card: the practitioner's CPS; two sockets whose modes are the access list, no network, no book.

``sign.sock`` is the keeper's, ``unlock.sock`` the page's.  All the work is in ``gateway.card``.
"""

from __future__ import annotations

from gateway.card import memory
from gateway.card.server import serve
from gateway.card.settings import CardSettings
from gateway.config import Paths
from gateway.process.runtime import Runtime


async def run(runtime: Runtime, paths: Paths, settings: CardSettings) -> None:
    """Serve both sockets until the runtime stops; codes pass through this process, so no dump of it is written."""
    memory.seal()
    sign = runtime.listener("sign", paths.socket("sign"))
    unlock = runtime.listener("unlock", paths.socket("unlock"))
    await serve(sign, unlock, settings, paths.box_id, runtime.stop, runtime.ready, runtime.alive)

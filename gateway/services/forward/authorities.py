"""What the line shows when it leads to nobody that we know: handed to the keeper, who may know who signed it.

A box that was away while its OCT went on to another authority, or to another root, would never hear of it by a line
that it refuses.  So what the other side shows is looked at once more, by a connection that believes and says nothing;
the certificates go through ``arrived/``, where the keeper takes those that a root of ours vouches for.  Then the line
is tried anew, and holds or does not.
"""

from __future__ import annotations

import ssl

from gateway.errors import Trouble
from gateway.link.partners import Addresses
from gateway.link.tls import shown_by
from gateway.services.forward.dock import Dock
from gateway.services.forward.settings import ForwardSettings

UNKNOWN = ("PES-TLS", "CMS-031")
"""With what a line fails whose authority is not known here: at OpenSSL, which knows the root alone, or at ``Peer``."""


class Authorities:
    """The look at who is there; nothing is remembered."""

    def __init__(self, dock: Dock, settings: ForwardSettings, addresses: Addresses) -> None:
        self._dock, self._settings, self._addresses = dock, settings, addresses

    async def look(self, why: Trouble) -> None:
        """Hand on what stands above the other side's certificate, where that may be what the line fails by."""
        if why.code not in UNKNOWN:
            return
        for _, host, port in self._addresses.in_order():
            name, tls12 = self._settings.server_name, self._settings.tls12
            shown = await shown_by(host, port, name, tls12=tls12)
            if len(shown) > 1:
                with self._dock.arriving("authorities") as arriving:
                    arriving.write("".join(map(ssl.DER_cert_to_PEM_cert, shown[1:])).encode())
                    arriving.finish()
                return

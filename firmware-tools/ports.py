"""Loopback ports for services that tests, the demonstration and the benchmarks start."""

from __future__ import annotations

import random
import socket
from contextlib import suppress

RANGE = range(20_000, 32_000)
"""Below those that the kernel gives away by itself."""

_claims: dict[int, socket.socket] = {}
"""Kept until this process ends."""


def free_port() -> int:
    """A loopback port that this process keeps from every other one that asks so, and in which a server may listen.

    It stays bound here, not listening: the kernel lets a server in that reuses addresses, as servers do, again after
    each restart, and refuses a plain bind.  Between a mere look and the server's start somebody else might come.
    """
    while True:
        claim = socket.socket()
        with suppress(OSError):
            claim.bind(("127.0.0.1", random.choice(RANGE)))
            claim.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            port: int = claim.getsockname()[1]
            _claims[port] = claim
            return port
        claim.close()

"""A telephone line: a TCP relay on loopback that has a bandwidth and a delay and can be cut."""

from __future__ import annotations

import queue
import socket
import threading
import time
from contextlib import suppress

BLOCK = 1 << 14
IN_FLIGHT = 1024
"""Blocks that a direction holds at most: 16 MiB, more than any line here has between its ends."""


class Line:
    """Relays from its own port to ``target``; ``cut`` drops all and refuses, ``mend`` lets through again."""

    def __init__(self, target: int, bytes_per_second: float = 0.0, delay: float = 0.0) -> None:
        """``delay`` is one way, seconds; a rate of 0 is without limit."""
        self._target, self._rate, self._delay = target, bytes_per_second, delay
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open = True
        self._ends: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Drop every connection at once; new ones are dropped until ``mend``."""
        self._open = False
        for end in list(self._ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Let connections through again."""
        self._open = True

    def close(self) -> None:
        """Stop for good."""
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = self._join() if self._open else None
            if far is None:
                near.close()
                continue
            self._ends |= {near, far}
            for source, sink in ((near, far), (far, near)):
                way: queue.Queue[tuple[float, bytes]] = queue.Queue(IN_FLIGHT)
                threading.Thread(target=self._take, args=(source, way), daemon=True).start()
                threading.Thread(target=self._give, args=(way, sink), daemon=True).start()

    def _join(self) -> socket.socket | None:
        try:
            far = socket.create_connection(("127.0.0.1", self._target), timeout=5)
        except OSError:
            return None
        far.settimeout(None)
        far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return far

    def _take(self, source: socket.socket, way: queue.Queue[tuple[float, bytes]]) -> None:
        """Read at the line's rate; each block may leave after the line's delay, an empty one is the end."""
        free_at = time.monotonic()
        with suppress(OSError):
            while block := source.recv(BLOCK):
                if self._rate:
                    free_at = max(free_at, time.monotonic()) + len(block) / self._rate
                    time.sleep(max(0.0, free_at - time.monotonic() - 0.002))
                way.put((time.monotonic() + self._delay, block))
        way.put((0.0, b""))

    def _give(self, way: queue.Queue[tuple[float, bytes]], sink: socket.socket) -> None:
        with suppress(OSError):
            while True:
                due, block = way.get()
                if not block:
                    break
                time.sleep(max(0.0, due - time.monotonic()))
                sink.sendall(block)
        self._ends.discard(sink)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)
        sink.close()

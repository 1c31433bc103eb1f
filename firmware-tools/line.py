"""A telephone line that can be cut: a TCP relay on loopback with a bandwidth, for demonstrations and tests."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress

BLOCK = 1 << 14


class Line:
    """Relays from its own port to ``target``; ``cut`` drops all and refuses, ``mend`` lets through again."""

    def __init__(self, target: int, bytes_per_second: float = 0.0) -> None:
        self._target, self._rate = target, bytes_per_second
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.relayed = 0
        """Bytes that went up, towards the target."""
        self._open = True
        self._pairs: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Drop every connection at once; new ones are dropped until ``mend``."""
        self._open = False
        for end in list(self._pairs):
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
            if not self._open:
                near.close()
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self._target), timeout=5)
                far.settimeout(None)
            except OSError:
                near.close()
                continue
            self._pairs |= {near, far}
            for source, sink, up in ((near, far, True), (far, near, False)):
                threading.Thread(target=self._relay, args=(source, sink, up), daemon=True).start()

    def _relay(self, source: socket.socket, sink: socket.socket, up: bool) -> None:
        due = time.monotonic()
        with suppress(OSError):
            while block := source.recv(BLOCK):
                if up:
                    self.relayed += len(block)
                if self._rate:
                    due = max(due, time.monotonic() - 0.05) + len(block) / self._rate
                    time.sleep(max(0.0, due - time.monotonic()))
                sink.sendall(block)
        for end in (source, sink):
            self._pairs.discard(end)
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

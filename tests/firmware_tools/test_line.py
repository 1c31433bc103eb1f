"""The line that tests cut: whole, in order, late, slow, and gone when it is cut."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from line import Line


@pytest.fixture
def echo() -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))

    def talk(end: socket.socket) -> None:
        with end:
            while block := end.recv(65536):
                end.sendall(block)

    def accept() -> None:
        while True:
            try:
                end, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=(end,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield listener.getsockname()[1]
    listener.close()


def exchange(port: int, content: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as end:
        threading.Thread(target=end.sendall, args=(content,), daemon=True).start()
        got = b""
        while len(got) < len(content) and (block := end.recv(65536)):
            got += block
    return got


def test_whole_and_in_order(echo: int) -> None:
    content = os.urandom(1 << 20)
    assert exchange(Line(echo).port, content) == content


def test_a_delay_is_each_way(echo: int) -> None:
    start = time.monotonic()
    assert exchange(Line(echo, delay=0.1).port, b"x") == b"x"
    assert time.monotonic() - start >= 0.2


def test_a_rate_is_kept(echo: int) -> None:
    start = time.monotonic()
    content = os.urandom(500_000)
    assert exchange(Line(echo, bytes_per_second=1e6).port, content) == content
    assert time.monotonic() - start >= 0.4


def test_cut_and_mended(echo: int) -> None:
    line = Line(echo)
    with socket.create_connection(("127.0.0.1", line.port), timeout=20) as end:
        end.sendall(b"x")
        assert end.recv(1) == b"x"
        line.cut()
        assert end.recv(1) == b""
    with socket.create_connection(("127.0.0.1", line.port), timeout=20) as end, suppress(ConnectionError):
        assert end.recv(1) == b""
    line.mend()
    assert exchange(line.port, b"z") == b"z"

"""A port that was given is nobody else's, before the server starts, while it serves and between two starts."""

from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from ports import RANGE, free_port

REPO = Path(__file__).resolve().parents[2]
OTHER = "import ports; ports.RANGE = [{port}, {free}]; print(ports.free_port())"


def elsewhere(port: int, free: int) -> int:
    """What another process is given that may choose between two."""
    command = [sys.executable, "-c", OTHER.format(port=port, free=free)]
    told = subprocess.run(command, capture_output=True, check=True, timeout=30, cwd=REPO / "firmware-tools")
    return int(told.stdout)


def unclaimed() -> int:
    """A port that nobody has, and that nobody keeps."""
    for port in reversed(RANGE):
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise LookupError("every port is taken")


def test_it_is_kept_from_others_over_restarts_of_the_server() -> None:
    port, free = free_port(), unclaimed()
    assert port in RANGE
    for _ in range(4):
        assert elsewhere(port, free) == free
    for _ in range(2):
        with socket.create_server(("127.0.0.1", port)) as server:
            with socket.create_connection(("127.0.0.1", port)) as client:
                accepted, _ = server.accept()
                accepted.close()
                assert client.recv(1) == b""
            assert elsewhere(port, free) == free
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port)).close()


def test_each_is_given_once() -> None:
    given = [free_port() for _ in range(300)]
    assert len(set(given)) == 300

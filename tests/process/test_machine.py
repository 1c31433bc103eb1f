"""What the machine says of itself, held against what the kernel and this process know."""

from __future__ import annotations

import os
import pwd
import socket
from pathlib import Path

import pytest

from gateway.process import machine


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_listening_port_is_seen_with_its_owner(family: int, address: str) -> None:
    with socket.socket(family) as server:
        try:
            server.bind((address, 0))
        except OSError:
            pytest.skip("no such address here")
        server.listen()
        port = server.getsockname()[1]
        (found,) = [one for one in machine.listening() if one.port == port]
    assert (found.address, found.user) == (address, pwd.getpwuid(os.geteuid()).pw_name)
    assert port not in [one.port for one in machine.listening()]


@pytest.mark.parametrize(("address", "reachable"), [
    ("127.0.0.1", False), ("127.0.5.1", False), ("::1", False), ("0.0.0.0", True), ("::", True), ("192.0.2.1", True),
])  # fmt: skip
def test_what_another_machine_can_ask(address: str, reachable: bool) -> None:
    assert machine.Listening(address, 1, "x").reachable is reachable


def test_a_system_names_itself(tmp_path: Path) -> None:
    file = tmp_path / "os-release"
    file.write_text('NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n')
    assert machine.system_name(file) == "Debian GNU/Linux 12 (bookworm)"
    assert machine.system_name(tmp_path / "none") == ""
    assert machine.kernel() == os.uname().release


def test_lists_have_an_age_or_none(tmp_path: Path) -> None:
    assert machine.lists_read(tmp_path) is None
    (tmp_path / "debian_InRelease").write_text("")
    os.utime(tmp_path / "debian_InRelease", (1e9, 1e9))
    found = machine.lists_read(tmp_path)
    assert found is not None
    assert found.timestamp() == 1e9


def test_accounts() -> None:
    assert "root" in machine.people()
    assert machine.users("no-such-") == []

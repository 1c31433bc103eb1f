"""``pcscd-apart``: nothing of it is shared with the machine, and nothing of it outlives its parent."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from card_bench import TOOLS, Pcscd, until
from pin_scan import remove

APART = str(TOOLS / "pcscd-apart")


@pytest.fixture
def folder() -> Iterator[Path]:
    name = Path(tempfile.mkdtemp(prefix="pcsc", dir="/tmp"))
    yield name
    remove(name)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def daemon_of(folder: Path) -> int:
    return int((folder / "pcscd.pid").read_text().strip("\0\n"))


def test_its_ports_are_its_own() -> None:
    pcscd = Pcscd()
    try:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", 35963), timeout=1)
        inside = subprocess.run(
            [sys.executable, APART, pcscd.folder, "--enter", "--", sys.executable, "-c", _CONNECT],
            capture_output=True,
            text=True,
        )
        assert inside.stdout == "connected\n", inside.stderr
    finally:
        pcscd.close()


_CONNECT = "import socket; socket.create_connection(('127.0.0.1', 35964), 1); print('connected')"


def test_the_machine_s_own_pcscd_is_not_touched() -> None:
    before = Path("/run/pcscd").exists()
    Pcscd().close()
    assert Path("/run/pcscd").exists() == before


def test_sigterm_ends_all() -> None:
    pcscd = Pcscd()
    daemon = daemon_of(pcscd.folder)
    assert alive(daemon)
    pcscd.stop()
    until(lambda: not alive(daemon), "the end of pcscd")
    assert not (pcscd.folder / "apart.pid").exists()
    remove(pcscd.folder)


def test_a_crash_of_pcscd_is_survived() -> None:
    pcscd = Pcscd()
    before = daemon_of(pcscd.folder)
    pcscd.crash()
    until(lambda: (pcscd.folder / "pcscd.pid").exists() and daemon_of(pcscd.folder) != before, "another pcscd")
    assert not alive(before)
    pcscd.close()
    until(lambda: not alive(before), "the end of all")


def test_a_killed_parent_takes_all_along(folder: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", f"import subprocess; subprocess.run([{sys.executable!r}, {APART!r}, {str(folder)!r}])"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout
    parent.stdout.readline()
    daemon, own = daemon_of(folder), int((folder / "apart.pid").read_text())
    assert alive(daemon)
    parent.send_signal(signal.SIGKILL)
    parent.wait(5)
    parent.stdout.close()
    until(lambda: not alive(own) and not alive(daemon), "the end of the orphans")


def test_a_killed_tool_takes_pcscd_along(folder: Path) -> None:
    tool = subprocess.Popen([sys.executable, APART, folder], stdout=subprocess.PIPE, text=True)
    assert tool.stdout
    tool.stdout.readline()
    daemon = daemon_of(folder)
    tool.kill()
    tool.wait(5)
    tool.stdout.close()
    until(lambda: not alive(daemon), "the end of pcscd")


@pytest.mark.parametrize("code", [0, 7])
def test_a_command_inside(folder: Path, code: int) -> None:
    words = [sys.executable, "-c", f"import os, sys; print(os.environ['PCSCLITE_CSOCK_NAME']); sys.exit({code})"]
    done = subprocess.run([sys.executable, APART, folder, "--", *words], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert f"{folder}/pcscd.comm\n" in done.stdout


def test_two_at_once() -> None:
    one, two = Pcscd(), Pcscd()
    assert alive(daemon_of(one.folder))
    assert alive(daemon_of(two.folder))
    one.close()
    two.close()


def test_a_folder_too_long_for_a_socket(folder: Path) -> None:
    done = subprocess.run([sys.executable, APART, folder / ("x" * 100)], capture_output=True, text=True)
    assert done.returncode == 64
    assert "too long" in done.stderr


def test_usage() -> None:
    assert subprocess.run([sys.executable, APART], capture_output=True).returncode == 64
    assert "--enter" in subprocess.run([sys.executable, APART, "--help"], capture_output=True, text=True).stdout

"""What this machine says of itself: its Debian, what waits to be updated, who has an account, which ports listen.

Read where Linux has it, as values; what cannot be found out is None or empty, never guessed.  Nothing is changed,
and nothing here names a person: accounts are those of services and of the machine.
"""

from __future__ import annotations

import pwd
import socket
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

OS_RELEASE = Path("/etc/os-release")
PROC = Path("/proc")
LISTS = Path("/var/lib/apt/lists")
LISTEN = "0A"
"""State of a listening socket in /proc/net/tcp."""

APT_PATIENCE = 120.0


@dataclass(frozen=True)
class Listening:
    """A listening TCP port: its address, its number, the user that it belongs to."""

    address: str
    port: int
    user: str

    @property
    def reachable(self) -> bool:
        """Whether another machine can ask it."""
        return not (self.address.startswith("127.") or self.address == "::1")


def system_name(path: Path = OS_RELEASE) -> str:
    """'Debian GNU/Linux 12 (bookworm)', or ''."""
    for line in _lines(path):
        name, _, value = line.partition("=")
        if name == "PRETTY_NAME":
            return value.strip('"')
    return ""


def kernel() -> str:
    """The kernel's release."""
    return "".join(_lines(PROC / "sys/kernel/osrelease"))


def pending_updates() -> list[str] | None:
    """Packages that apt would update, from the lists that it has; None where apt cannot tell."""
    command = ["apt-get", "--simulate", "--quiet", "upgrade"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=APT_PATIENCE, env={"LC_ALL": "C"})
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode:
        return None
    return [line.split()[1] for line in done.stdout.splitlines() if line.startswith("Inst ")]


def lists_read(path: Path = LISTS) -> datetime | None:
    """When apt last had new lists."""
    times = [file.stat().st_mtime for file in path.glob("*_InRelease")] if path.is_dir() else []
    return datetime.fromtimestamp(max(times), UTC) if times else None


def users(prefix: str) -> list[str]:
    """Accounts of the machine that begin so, with their shell."""
    return [f"{one.pw_name} ({one.pw_shell})" for one in pwd.getpwall() if one.pw_name.startswith(prefix)]


def people() -> list[str]:
    """Accounts that can log in."""
    return [one.pw_name for one in pwd.getpwall() if one.pw_shell.endswith("sh")]


def swap() -> list[str]:
    """Where memory may be written to a disk."""
    return [line.split()[0] for line in _lines(PROC / "swaps")[1:]]


def listening(directory: Path = PROC / "net") -> list[Listening]:
    """Listening TCP ports, by number."""
    found = {one for table in ("tcp", "tcp6") for line in _lines(directory / table)[1:] for one in _listening(line)}
    return sorted(found, key=lambda one: (one.port, one.address))


def _listening(line: str) -> Iterator[Listening]:
    words = line.split()
    address, _, port = words[1].partition(":")
    if words[3] == LISTEN:
        yield Listening(_address(address), int(port, 16), _user(int(words[7])))


def _address(written: str) -> str:
    """An address as /proc has it: 32-bit words in the order of this machine."""
    words = [int(written[at : at + 8], 16) for at in range(0, len(written), 8)]
    packed = struct.pack(f"={len(words)}I", *words)
    return socket.inet_ntop(socket.AF_INET if len(words) == 1 else socket.AF_INET6, packed)


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []

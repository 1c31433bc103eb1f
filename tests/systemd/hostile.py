"""Hostile code in a service's place: with its user and its unit's walls it tries all that it might want.

Run by /usr/bin/python3 alone, inside the booted machine, with the name of the service; it prints as JSON, for each
thing of /furnished.json, letters for what worked.  A thing counts as read only if bytes came out of it, as altered
only if it could be written, renamed or given another mode.  It puts everything back as it was.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

FURNISHED = json.loads(Path("/furnished.json").read_text())
"""``files`` and ``sockets`` by name; /victims has the process of each service."""

SECRET = b"planted"
"""In the environment of every victim."""

CLONE_NEWUSER, PTRACE_ATTACH, PTRACE_DETACH, MS_BIND = 0x10000000, 16, 17, 4096
libc = ctypes.CDLL(None, use_errno=True)


def works(act: Callable[[], object]) -> bool:
    """Whether ``act`` went through; a refusal of any kind is a no."""
    try:
        return act() is not False
    except (OSError, ValueError, subprocess.SubprocessError):
        return False


def called(result: int) -> bool:
    return bool(result == 0)


# ---------------------------------------------------------------- files


def read(path: Path) -> bool:
    return bool(path.read_bytes())


def write(path: Path) -> None:
    os.close(os.open(path, os.O_WRONLY))


def move(path: Path) -> None:
    path.rename(path.with_name("hostile")).rename(path)


def change_mode(path: Path) -> None:
    path.chmod(path.stat().st_mode & 0o7777)


def put(path: Path) -> None:
    beside = path.with_name(".hostile")
    os.close(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    beside.unlink()


def alter(path: Path) -> bool:
    return any(works(partial(act, path)) for act in (write, move, change_mode))


# ---------------------------------------------------------------- others


def connect(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.connect(path)


def go_out(address: tuple[str, int]) -> None:
    socket.create_connection(address, 2).close()


def listen(address: tuple[str, int]) -> None:
    with socket.socket() as one:
        one.bind((address[0], 0))
        one.listen()


def see(pid: int) -> bool:
    return bool(Path(f"/proc/{pid}/cmdline").read_bytes())


def read_environment(pid: int) -> bool:
    return SECRET in Path(f"/proc/{pid}/environ").read_bytes()


def read_mapped(pid: int) -> bool:
    """The beginning of a program in the memory of its process, as a file."""
    with Path(f"/proc/{pid}/mem").open("rb") as memory:
        memory.seek(_beginning(pid))
        return memory.read(4) == b"\x7fELF"


def read_across(pid: int) -> bool:
    """The same by the system call that is made for it."""
    found = ctypes.create_string_buffer(4)
    here, there = Piece(ctypes.addressof(found), 4), Piece(_beginning(pid), 4)
    count = libc.process_vm_readv(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
    return bool(count == 4 and found.raw == b"\x7fELF")


class Piece(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("start", ctypes.c_void_p), ("size", ctypes.c_size_t))


def _beginning(pid: int) -> int:
    return int(Path(f"/proc/{pid}/maps").read_text().partition("-")[0], 16)


def trace(pid: int) -> bool:
    """Attach as a debugger does, and let go."""
    if libc.ptrace(PTRACE_ATTACH, pid, None, None) != 0:
        return False
    os.waitpid(pid, 0)
    libc.ptrace(PTRACE_DETACH, pid, None, None)
    return True


def end(pid: int) -> None:
    os.kill(pid, signal.SIGCONT)  # whoever may send this one may send SIGKILL


def others() -> list[int]:
    """The process of each other service."""
    lines = [line.split() for line in Path("/victims").read_text().splitlines()]
    return [int(pid) for name, pid in lines if name != sys.argv[1]]


# ---------------------------------------------------------------- the machine


def writable_code() -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def make_device() -> None:
    os.mknod("/tmp/disk", 0o060600, os.makedev(254, 0))


def set_clock() -> None:
    """To the very time that it is, so that nothing comes of it where it works."""
    time.clock_settime(time.CLOCK_REALTIME, time.time())


def set_user_bit() -> None:
    Path("/tmp/bit").touch()
    Path("/tmp/bit").chmod(0o4755)


def talk_to_kernel() -> None:
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE).close()


def listen_to_the_wire() -> None:
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()


def share_memory() -> None:
    """With whoever looks into the same directory."""
    Path("/dev/shm/hostile").write_bytes(b"x")
    Path("/dev/shm/hostile").unlink()


MACHINE: dict[str, Callable[[], object]] = {
    "become root": lambda: os.setuid(0),
    "mount": lambda: called(libc.mount(b"/", b"/tmp", None, MS_BIND, None)),
    "set-user-id": set_user_bit,
    "devices": make_device,
    "clock": set_clock,
    "host name": lambda: socket.sethostname("hostile"),
    "kernel log": lambda: Path("/dev/kmsg").open().close(),
    "kernel settings": lambda: Path("/proc/sys/kernel/core_pattern").open("w").close(),
    "writable code": writable_code,
    "netlink": talk_to_kernel,
    "packets": listen_to_the_wire,
    "shared memory": share_memory,
    "dump": lambda: resource.setrlimit(resource.RLIMIT_CORE, (1, 1)),
    "home": lambda: bool(os.listdir("/root")),
    "namespaces": lambda: called(libc.unshare(CLONE_NEWUSER)),  # the last: whoever may do it has lost the rest
}
"""What would let it out of its place."""


def letters(acts: dict[str, Callable[..., object]], *things: object) -> str:
    """The letter of each act that works on one of ``things``."""
    return "".join(letter for letter, act in acts.items() if any(works(partial(act, thing)) for thing in things))


def main() -> None:
    found = {name: letters({"r": read, "w": alter, "p": put}, Path(path)) for name, path in FURNISHED["files"].items()}
    found |= {name: letters({"c": connect}, path) for name, path in FURNISHED["sockets"].items()}
    found["network"] = letters({"o": go_out, "l": listen}, ("127.0.0.1", 9))
    look = {"s": see, "e": read_environment, "m": read_mapped, "v": read_across, "t": trace, "k": end}
    found["others"] = letters(look, *others())
    found |= {name: "!" if works(leave) else "" for name, leave in MACHINE.items()}
    json.dump(found, sys.stdout)


main()

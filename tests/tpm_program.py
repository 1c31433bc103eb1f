"""A TPM in software behind a resource manager: ``python3 tpm_program.py STATE SOCKET``, until SIGTERM.

A TPM has room for three sessions.  On a real machine the kernel's resource manager (/dev/tpmrm0) clears away what a
caller leaves behind; here this program does, before swtpm: one process after the other, and when it comes and comes
again, sessions and objects of before are flushed (TPM 2.0 part 3, TPM2_GetCapability and TPM2_FlushContext): systemd
connects for each credential and closes none of its connections before it ends.  It speaks as the reference simulator
does (part 4, annex D), since so a caller of TSS keeps its connection: SOCKET has commands, SOCKET.ctrl the switches of
a machine, which do nothing here.
"""

from __future__ import annotations

import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

SEND, END, DONE = 8, 20, bytes(4)
NO_SESSIONS, GET_CAPABILITY, FLUSH_CONTEXT, HANDLES = 0x8001, 0x17A, 0x165, 1
KINDS = (0x02000000, 0x03000000, 0x80000000)
"""Loaded sessions, saved sessions, transient objects."""


def read(line: socket.socket, size: int) -> bytes:
    """So many bytes, fewer at the end of the line."""
    got = b""
    while len(got) < size and (more := line.recv(size - len(got))):
        got += more
    return got


def ask(tpm: socket.socket, command: bytes) -> bytes:
    """The answer of the TPM: tag, size of all of it, code and the rest."""
    tpm.sendall(command)
    head = read(tpm, 10)
    return head + read(tpm, struct.unpack_from(">I", head, 2)[0] - 10)


def flush(tpm: socket.socket) -> None:
    """Clear away what callers left behind."""
    for kind in KINDS:
        answer = ask(tpm, struct.pack(">HIIIII", NO_SESSIONS, 22, GET_CAPABILITY, HANDLES, kind, 64))
        (count,) = struct.unpack_from(">I", answer, 15)
        for handle in struct.unpack_from(f">{count}I", answer, 19):
            ask(tpm, struct.pack(">HIII", NO_SESSIONS, 14, FLUSH_CONTEXT, handle))


def listen(path: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    return listener


def connect(path: str) -> socket.socket:
    """As soon as somebody listens there."""
    until = time.monotonic() + 20
    while True:
        line = socket.socket(socket.AF_UNIX)
        try:
            line.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            line.close()
            if time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return line


def carry(caller: socket.socket, tpm: socket.socket) -> None:
    """What one caller asks, to its end: a number, a locality, a size and the command."""
    while (head := read(caller, 4)) and head != struct.pack(">I", END):
        _, size = struct.unpack(">BI", read(caller, 5))
        answer = ask(tpm, read(caller, size))
        caller.sendall(struct.pack(">I", len(answer)) + answer + DONE)


class Turns:
    """One process at a time, with all its connections."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._pid, self._open = 0, 0

    @contextmanager
    def of(self, pid: int) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._open or self._pid == pid)
            self._pid, self._open = pid, self._open + 1
        try:
            yield
        finally:
            with self._changed:
                self._open -= 1
                self._changed.notify_all()


def serve(caller: socket.socket, tpm: socket.socket, turns: Turns) -> None:
    """One connection; what its process did on others is over."""
    pid, _, _ = struct.unpack("3i", caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    with caller, turns.of(pid):
        flush(tpm)
        carry(caller, tpm)


def switch(listener: socket.socket) -> None:
    """Power and the like: always done."""
    while True:
        caller, _ = listener.accept()
        threading.Thread(target=agree, args=[caller], daemon=True).start()


def agree(caller: socket.socket) -> None:
    with caller:
        while (head := read(caller, 4)) and head != struct.pack(">I", END):
            caller.sendall(DONE)


def main() -> None:
    state, path = sys.argv[1:]
    ends = [f"type=unixio,path={path}.{name}" for name in ("inner", "control")]
    command = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={state}", "--server", ends[0], "--ctrl", ends[1]]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with subprocess.Popen([*command, "--flags", "not-need-init,startup-clear"]) as swtpm:
        try:
            tpm = connect(f"{path}.inner")
            threading.Thread(target=switch, args=[listen(f"{path}.ctrl")], daemon=True).start()
            listener = listen(path)
            turns = Turns()
            while True:
                caller, _ = listener.accept()
                threading.Thread(target=serve, args=[caller, tpm, turns], daemon=True).start()
        finally:
            swtpm.terminate()


if __name__ == "__main__":
    main()

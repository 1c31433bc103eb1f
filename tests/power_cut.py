"""A real SIGKILL before the n-th change that a piece of work makes to the file system; no place is chosen by hand.

Python's audit events tell of every file opened for writing, rename, link and removal before it happens.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

CHANGES = frozenset({"os.rename", "os.symlink", "os.link", "os.remove", "os.mkdir", "os.rmdir", "os.chmod"})
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT

_last: list[int] = []


def cut_at(number: int) -> None:
    """Kill this process before its ``number``-th change from now on."""
    left = [number]

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        flags = arguments[2] if event == "open" and isinstance(arguments[2], int) else 0
        if event in CHANGES or flags & WRITING:
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def run_until_cut(number: int, work: Callable[[], object]) -> int:
    """Do the work in a child that is killed before its ``number``-th change; 0 when it came to its end first."""
    child = os.fork()
    if not child:
        cut_at(number)
        work()
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -signal.SIGKILL)
    _last[:] = [status]
    return status


def last_cut() -> bool:
    """Whether the work last done came to its end, so that there is nothing left to cut."""
    return _last == [0]

"""Hostile bytes are read by a child without keys, files or network: plaintext in, one JSON writing out.

Nothing of the parent reaches it but the pipe: no environment, no descriptors, another directory.  It blocks;
a service with an event loop calls it in a thread.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Protocol

DEADLINE_S = 120
"""A generous bound; the child's own processor limit is far below."""


class Writable(Protocol):
    """Where the plaintext is written."""

    def write(self, block: bytes, /) -> int: ...


class _Pipe:
    """Goes on swallowing when the child has ended early: whoever writes may be hashing."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe

    def write(self, block: bytes, /) -> int:
        with suppress(BrokenPipeError):
            self._pipe.write(block)
        return len(block)


def read_in_child(feed: Callable[[Writable], object], *options: str) -> bytes:
    """What ``gateway.formats.sandbox`` with ``options`` answers on what ``feed`` writes.

    ``b""`` from a child that died or was too slow: what that means is the caller's to say.
    """
    command = [sys.executable, "-I", "-m", "gateway.formats.sandbox", *options]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env={}, cwd="/", **pipes) as child:  # type: ignore[call-overload]
        try:
            feed(_Pipe(child.stdin))
            answer, _ = child.communicate(timeout=DEADLINE_S)
        except subprocess.TimeoutExpired:
            answer = b""
        finally:
            child.kill()
            with suppress(BrokenPipeError):  # what a dead child has not read
                child.stdin.close()
    return answer if child.returncode == 0 else b""

"""Run ``gateway`` as a command and learn what memory it took at most, for tests and benches.

The process says it itself (``VmHWM``) as it ends: what ``wait4`` tells of a child counts the memory of whoever
started it too.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

REPO = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Run:
    """One finished command: wall seconds from its start to its end, and peak resident bytes."""

    seconds: float
    resident: int


def gateway(*words: str | Path, env: Mapping[str, str] = MappingProxyType({}), **options: Any) -> Run:
    """``gateway WORDS`` in a process of its own, ``env`` added; CalledProcessError unless it succeeds."""
    reading, writing = os.pipe()
    command = [sys.executable, __file__, str(writing), *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": str(REPO), **env}
    with os.fdopen(reading, "rb") as told:
        start = time.monotonic()
        try:
            subprocess.run(command, check=True, pass_fds=[writing], env=environment, **options)
        finally:
            os.close(writing)
        return Run(time.monotonic() - start, int(told.read()))


def resident() -> int:
    """Peak resident memory of this process since it was started, bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    from gateway.__main__ import main

    code = main(sys.argv[2:])
    os.write(int(sys.argv[1]), str(resident()).encode())
    sys.exit(code)

"""No dump of a process that holds a code: shown beside one that dumps."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

DIE = "import os, signal; {seal}; os.kill(os.getpid(), signal.SIGABRT)"
SEAL = "from gateway.card import memory; memory.seal()"


def dumps(seal: str, folder: Path) -> bool:
    """Whether a process that may dump without limit says that it left a core."""
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    process = subprocess.Popen(
        [sys.executable, "-c", DIE.format(seal=seal)],
        cwd=folder,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, unlimited),
    )
    _, status = os.waitpid(process.pid, 0)
    process.returncode = status
    assert os.WTERMSIG(status) == signal.SIGABRT
    return os.WCOREDUMP(status)


def test_no_core(tmp_path: Path) -> None:
    if not dumps("pass", tmp_path):
        pytest.skip("this machine writes no core dumps at all")
    assert not dumps(SEAL, tmp_path)


ASK = """
import ctypes, resource
print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
"""


def test_what_the_kernel_says() -> None:
    """The limit is zero for good, and PR_GET_DUMPABLE (3) says 0: nobody of the same user may look in."""
    said = subprocess.run([sys.executable, "-c", f"{SEAL}\n{ASK}"], capture_output=True, text=True, check=True).stdout
    assert said == "(0, 0) 0\n"


CHILD = "from gateway.card import memory; memory.die_with_parent(); import time; print(flush=True); time.sleep(600)"
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(600)
"""


def test_it_dies_with_its_parent() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, CHILD], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    pid = int(parent.stdout.readline())
    assert alive(pid)
    parent.kill()
    parent.wait(10)
    parent.stdout.close()
    end = time.monotonic() + 10
    while alive(pid):
        assert time.monotonic() < end
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False

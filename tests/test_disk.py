"""A directory has one master at a time, and none after a death."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gateway.disk import LOCK, lock
from gateway.errors import Refused

HOLD = """import sys; from pathlib import Path; from gateway.disk import lock
with lock(Path(sys.argv[1])): print(); input()"""


def test_one_process_holds_a_directory_until_it_ends_or_dies(tmp_path: Path) -> None:
    for end in ("stdin closed", "killed"):
        command = [sys.executable, "-c", HOLD, str(tmp_path / LOCK)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as other:
            assert other.stdout is not None
            assert other.stdout.readline()
            with pytest.raises(Refused, match=f"{tmp_path} est tenu") as caught, lock(tmp_path / LOCK):
                pass
            assert caught.value.code == "BOX-005"
            if end == "killed":
                other.kill()
        with lock(tmp_path / LOCK):
            pass

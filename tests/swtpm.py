"""A TPM in software, for tests of what is sealed to one; systemd reaches it by ``SYSTEMD_TPM2_DEVICE``."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tpm_program import connect

PROGRAM = Path(__file__).with_name("tpm_program.py")
VARIABLE = "SYSTEMD_TPM2_DEVICE"
NO_TPM = "mssim:path=/nonexistent"
"""A device that is not there."""

_LIBRARIES = ("libtss2-esys.so.0", "libtss2-rc.so.0", "libtss2-mu.so.0", "libtss2-tcti-mssim.so.0")


def need_swtpm() -> None:
    """Skip where the program is missing, or a library by which systemd speaks to it."""
    missing = [name for name in _LIBRARIES if not any(Path("/usr/lib").glob(f"*/{name}"))]
    if shutil.which("swtpm") is None or missing:
        pytest.skip(f"a TPM in software needs swtpm and {', '.join(_LIBRARIES)}")


def device(path: Path) -> str:
    """How systemd is told of the TPM at that socket."""
    return f"mssim:path={path}"


@contextmanager
def running(state: Path) -> Iterator[str]:
    """A TPM that has its memory in ``state``; the device."""
    need_swtpm()
    state.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="tpm-") as short:
        path = Path(short, "tpm")
        with subprocess.Popen([sys.executable, str(PROGRAM), str(state), str(path)]) as program:
            try:
                connect(str(path)).close()
                yield device(path)
            finally:
                program.terminate()

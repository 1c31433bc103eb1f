"""Where a measurement works that needs certificates."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MAKE_CERTS = Path(__file__).parents[1] / "certs-dev/make-certs"


@contextmanager
def development_pki() -> Iterator[tuple[Path, Path]]:
    """A directory to work in, and the development PKI, made in it; both are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="oct-bench-", ignore_cleanup_errors=True) as place:
        root = Path(place)
        pki = root / "pki"
        subprocess.run([sys.executable, MAKE_CERTS, pki], check=True, stdout=subprocess.DEVNULL)
        yield root, pki

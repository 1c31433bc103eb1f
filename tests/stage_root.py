"""A short directory for a stage; before it is removed, what its services wrote is searched for the card's code.

Sealed bytes are left out: among millions of random ones any four digits stand somewhere.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pin_scan import found

CODE = "0872"
"""Of the cards in all stages of the tests; nothing else of a stage has this form."""

WRITTEN = ("log", "run", "pcsc", "srv/gateway/receipts", "var/lib/gateway/book", "var/lib/gateway/transfers")


@contextmanager
def stage_root() -> Iterator[Path]:
    """The directory, until the end of the block."""
    root = Path(tempfile.mkdtemp(prefix="oct-"))
    try:
        yield root
        finds = [find for place in WRITTEN for find in found(root / place, [CODE])]
        assert not finds, finds
        assert not list(root.rglob("core*")), "a core dump"
    finally:
        shutil.rmtree(root, ignore_errors=True)

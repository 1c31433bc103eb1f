"""A short directory for a stage; before it is removed, all that its services wrote is searched for the cards' codes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pin_scan import remove


@contextmanager
def stage_root() -> Iterator[Path]:
    """The directory, until the end of the block."""
    root = Path(tempfile.mkdtemp(prefix="oct-"))
    try:
        yield root
        assert not list(root.rglob("core*")), "a core dump"
    finally:
        remove(root)

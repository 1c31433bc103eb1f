"""The box of these tests."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from gateway_root import Box, make_box
from pin_scan import remove


@pytest.fixture
def box() -> Iterator[Box]:
    """A fresh box; not below pytest's own directory, which other users cannot enter."""
    if os.geteuid() != 0:
        pytest.skip("only root can act as the services' users")
    root = Path(tempfile.mkdtemp(prefix="gateway-root-"))
    root.chmod(0o755)
    try:
        yield make_box(root)
    finally:
        remove(root)

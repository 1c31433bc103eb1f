"""A book with one received fichier."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.book.doors import Copied
from gateway.book.moves import Book

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
COLUMNS: dict[str, Any] = {
    "name": "B2_1.b2", "channel": "folder", "received": "2026-11-22T08:00:00Z", "size": 10, "digest": "",
}  # fmt: skip


@pytest.fixture
def book(tmp_path: Path) -> Book:
    opened = Book(tmp_path / "book.db", lambda: NOW)
    with opened.transaction():
        assert opened.receive("f1", COLUMNS, Copied("aa", 10))
    return opened

"""A book with one received fichier; a journal that was filed, its keeper and its witness."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from development_pki import Pki
from filed_journal import Filed, make_filed
from journal_bench import Oct, make_oct
from keeper_bench import KeeperBench

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


@pytest.fixture
def bench(pki: Pki, tmp_path: Path) -> KeeperBench:
    return KeeperBench(tmp_path / "s", pki)


@pytest.fixture
def witness(bench: KeeperBench, pki: Pki, tmp_path: Path) -> Iterator[Oct]:
    made = Oct(bench, make_oct(pki, tmp_path / "oct"))
    yield made
    made.store.close()


@pytest.fixture
def filed(bench: KeeperBench, witness: Oct, pki: Pki) -> Filed:
    return make_filed(bench, witness, pki)

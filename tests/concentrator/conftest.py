"""The bench and an open store for every test of the receiving end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from concentrator_bench import Bench, make_bench
from development_pki import Pki

from gateway.concentrator.store import Store


@pytest.fixture
def bench(pki: Pki, tmp_path: Path) -> Bench:
    return make_bench(pki, tmp_path / "oct")


@pytest.fixture
def opened(bench: Bench) -> Iterator[Store]:
    store = bench.open()
    yield store
    store.close()

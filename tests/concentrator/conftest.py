"""The bench and an open store for every test of the receiving end, and one with an enrolled box."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from concentrator_bench import Bench, make_bench
from development_pki import Pki
from renewal_bench import RenewalBench

from gateway.concentrator.store import Store


@pytest.fixture
def bench(pki: Pki, tmp_path: Path) -> Bench:
    return make_bench(pki, tmp_path / "oct")


@pytest.fixture
def opened(bench: Bench) -> Iterator[Store]:
    store = bench.open()
    yield store
    store.close()


@pytest.fixture
def enrolled(pki: Pki, tmp_path: Path) -> Iterator[RenewalBench]:
    made = RenewalBench(pki, tmp_path)
    yield made
    made.store.close()

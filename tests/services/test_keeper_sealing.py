"""SIGNED → SEALED: what is not sealed, and what is said then."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from development_pki import Pki
from keeper_bench import KeeperBench
from samples import EMITTER

from gateway.services.keeper.service import _work


@pytest.fixture
def bench(pki: Pki, tmp_path: Path) -> KeeperBench:
    return KeeperBench(tmp_path / "s", pki)


def test_nothing_is_sealed_to_a_certificate_that_is_revoked(bench: KeeperBench, pki: Pki) -> None:
    """The route stops, no attempt of the fichier is used up."""
    key = bench.checked("a", EMITTER)
    bench.sign(key)
    bench.turn()
    bench.desk.trust = replace(bench.desk.trust, oct_seal=pki.certificate("zoo/revoked-oct-seal"))
    asyncio.run(_work(bench.desk))
    row = bench.row(key)
    assert (row["state"], row["reason_code"], row["reason_scope"], row["attempts"]) == ("SIGNED", "CMS-036", "route", 0)
    assert (bench.condition("keeper")["code"], bench.desk.outgoing.names()) == ("CMS-036", [])

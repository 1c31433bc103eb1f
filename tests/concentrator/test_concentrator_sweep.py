"""Clearing away: what a crash left goes at once, what was settled goes when its time is over, no more."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from concentrator_bench import BOX, Bench, b2

from gateway.concentrator.service import run
from gateway.concentrator.store import Store
from gateway.concentrator.worker import sweep
from gateway.config import Paths
from gateway.errors import Refused, Scope
from gateway.process.runtime import Runtime


def files(bench: Bench) -> dict[str, int]:
    settings = bench.settings
    return {path.name: len(list(path.iterdir())) for path in (settings.spool, settings.received, settings.returns)}


def test_orphans_go_and_what_is_named_stays(bench: Bench, opened: Store) -> None:
    bench.receive(opened, bench.sign_and_seal(b2(), "f1"))
    bench.integration(opened).work()
    for directory in (bench.settings.spool, bench.settings.received, bench.settings.returns):
        (directory / "999").write_bytes(b"left over")
    sweep(bench.settings, opened, bench.now)
    assert files(bench) == {"spool": 0, "received": 1, "returns": 3}


def test_settled_and_delivered_files_go_when_their_time_is_over(bench: Bench, opened: Store) -> None:
    bench.receive(opened, bench.sign_and_seal(b2(), "f1"))
    bench.integration(opened).work()
    row = opened.offer(BOX, bench.now.timestamp(), "2026-11-23T08:00:00Z", bench.recipients(opened))
    assert row is not None
    opened.deliver(row["id"], "2026-11-23T08:00:00Z")
    late = bench.now + timedelta(days=bench.settings.keep_days + 1)
    sweep(bench.settings, opened, late)
    assert files(bench) == {"spool": 0, "received": 0, "returns": 2}, "returns that nobody fetched stay"
    double = bench.receive(opened, bench.sign_and_seal(b2(), "f1"), seal="s2")
    bench.integration(opened).work()
    outcome = opened.connection.execute("SELECT outcome FROM transfers WHERE id = ?", (double,)).fetchone()
    assert outcome["outcome"] == "double", "the digest outlives the file"


def test_a_fichier_that_waits_is_kept_however_long(bench: Bench, opened: Store) -> None:
    bench.receive(opened, bench.sign_and_seal(b2(), "f1"))
    sweep(bench.settings, opened, bench.now + timedelta(days=1000))
    assert files(bench)["received"] == 1


@pytest.mark.parametrize("name", ["seal_key", "sign_certificate", "transport_key", "root"])
def test_a_key_that_is_not_there_is_said_by_name(name: str, bench: Bench, tmp_path: Path) -> None:
    lacking = replace(bench.settings, **{name: tmp_path / "absent.pem"})
    with pytest.raises(Refused) as refused:
        asyncio.run(run(Runtime("concentrator"), Paths(), lacking))
    assert (refused.value.code, refused.value.scope) == ("OCT-001", Scope.BOX)


def test_a_port_that_is_taken_is_said(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Refused) as refused:
            asyncio.run(run(Runtime("concentrator"), Paths(), replace(bench.settings, port=port)))
    assert refused.value.code == "OCT-005" and str(port) in refused.value.text

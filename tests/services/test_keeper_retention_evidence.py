"""What is kept as evidence, and how: not sealed where it is kept anyway, nor longer than the journal."""

from __future__ import annotations

from pathlib import Path

import pytest
import samples
from development_pki import Pki
from evidence_bench import EvidenceBench
from keeper_bench import KeeperBench
from personal_bench import later

from gateway.book import retention as rows
from tests.services.test_keeper_retention import count, parts, proofs, turn


@pytest.fixture
def bench(pki: Pki, tmp_path: Path) -> KeeperBench:
    return KeeperBench(tmp_path / "s", pki)


def originals(bench: KeeperBench) -> dict[str, str]:
    found = bench.desk.book.connection.execute("SELECT kind, id FROM returns WHERE signed <> ''")
    return {row["kind"]: row["id"] for row in found}


def test_a_sealed_original_goes_when_what_it_says_is_kept(bench: KeeperBench) -> None:
    """Or the key that opens it would have to stay as long as the evidence."""
    made = EvidenceBench(bench)
    key = made.taken("a")
    sealed = originals(bench)
    assert set(sealed) == {"receipt", "arl"} and set(sealed.values()) <= parts(bench)
    bench.desk.book.connection.execute("UPDATE returns SET picked = ? WHERE delivery <> ''", (bench.now.isoformat(),))
    later(bench, days=91)
    turn(bench)
    assert not set(sealed.values()) & parts(bench)
    told = {proof["kind"]: proof for proof in proofs(bench, rows.RETURNS) if "kept" in proof}
    assert {kind: proof["part"] for kind, proof in told.items()} == sealed
    assert {"recu-1.cms", "arl-1.cms"} <= set(made.evidence(key))
    turn(bench)
    assert len([proof for proof in proofs(bench, rows.RETURNS) if "kept" in proof]) == 2, "once"


def test_one_that_names_a_patient_is_kept_sealed_only(bench: KeeperBench) -> None:
    key = bench.sealed("a")
    EvidenceBench(bench).receipt(key, "refused", text=f"NIR {samples.nir(1)} inconnu")
    later(bench, days=400)
    turn(bench)
    assert set(originals(bench).values()) <= parts(bench)


def test_after_ten_years_nothing_says_who_signed(bench: KeeperBench) -> None:
    EvidenceBench(bench).taken("a")
    assert count(bench, "exhibits") > 0
    later(bench, days=3654)
    turn(bench)
    assert [count(bench, table) for table in ("exhibits", "exhibits_of", "editions")] == [0, 0, 0]

"""Two fichiers that went all their way, the evidence of the first, and what the checker says of what is made of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from development_pki import Pki
from evidence_bench import CHECKER, EvidenceBench, checked, complaint, lay_out
from keeper_bench import KeeperBench


@pytest.fixture(scope="session")
def bench(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> EvidenceBench:
    return EvidenceBench(KeeperBench(tmp_path_factory.mktemp("evidence") / "s", pki))


@pytest.fixture(scope="session")
def keys(bench: EvidenceBench) -> tuple[str, str]:
    """Two fichiers that went all their way."""
    return bench.taken("a.b2"), bench.taken("b.b2")


@pytest.fixture(scope="session")
def files(bench: EvidenceBench, keys: tuple[str, str]) -> dict[str, bytes]:
    return bench.evidence(keys[0])


@pytest.fixture
def judged(bench: EvidenceBench, files: dict[str, bytes], tmp_path: Path) -> Callable[..., str]:
    """What does not hold when these files stand in the place of the sound ones (None: removed)."""

    def judge(changes: dict[str, bytes | None], *original: Path) -> str:
        made = {name: content for name, content in (files | changes).items() if content is not None}
        return complaint(checked(lay_out(tmp_path / "p", made), bench.root, *original))

    return judge


@pytest.fixture(scope="session")
def functions() -> dict[str, Any]:
    """What the script defines before it begins."""
    found: dict[str, Any] = {}
    exec(CHECKER.read_text(encoding="utf-8").partition("\nsys.excepthook")[0], found)
    return found


@pytest.fixture(scope="session")
def signed(functions: dict[str, Any]) -> Callable[[bytes, bytes, bytes], bool]:
    """Its own judgement of a signature by a public key (DER)."""
    return lambda key, message, signature: functions["holds"](functions["der"](key)[0], message, signature)

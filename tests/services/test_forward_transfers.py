"""Transfer ids: never used before, 24 bits, never 0; and how long a write is remembered."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.pesit.transfer import Identity
from gateway.services.forward import transfers as memory
from gateway.services.forward.transfers import LAST_TRANSFER_ID, Transfers


@pytest.mark.fact("F-100", "F-101")
def test_ids_go_on_after_a_restart_and_begin_again_at_one(tmp_path: Path) -> None:
    given: list[int] = []
    for entry in ("a", "b", "c", "d"):
        transfers = Transfers(tmp_path)
        if entry == "c":
            transfers._db.execute("UPDATE numbers SET last = ?", (LAST_TRANSFER_ID - 1,))
        given.append(transfers.begin_write(entry, Identity("FSE")).identity.transfer_id)
        transfers.close()
    assert given == [1, 2, 0xFFFFFF, 1]


def test_the_last_writes_are_remembered_and_those_under_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "KEPT", 2)
    transfers = Transfers(tmp_path)
    for entry in ("under way", "a", "b", "c"):
        transfers.begin_write(entry, Identity("FSE"))
    for entry in ("a", "b", "c"):
        transfers.finish_write(entry, "{}")
    assert [entry for entry in ("under way", "a", "b", "c") if transfers.write(entry)] == ["under way", "b", "c"]

"""Transfer ids: never used before, 24 bits, never 0."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.pesit.transfer import Identity
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

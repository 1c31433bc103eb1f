"""The search for a code finds a planted one, in every place that a stage's services write to."""

from __future__ import annotations

import pytest
from pin_scan import CODE
from stage_root import stage_root

WRITTEN = ("log", "run", "pcsc", "oct", "srv/gateway/receipts", "var/lib/gateway/book", "var/lib/gateway/transfers")


@pytest.mark.parametrize("place", WRITTEN)
def test_a_planted_code_is_found(place: str) -> None:
    with pytest.raises(AssertionError, match="planted"), stage_root() as root:
        (root / place).mkdir(parents=True)
        (root / place / "planted.log").write_text(f"VERIFY {CODE}\n")
    assert not root.exists()

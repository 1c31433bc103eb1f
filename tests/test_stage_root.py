"""The search for a code finds a planted one, in every place that a stage's services write to."""

from __future__ import annotations

import pytest
from stage_root import CODE, WRITTEN, stage_root


@pytest.mark.parametrize("place", WRITTEN)
def test_a_planted_code_is_found(place: str) -> None:
    with pytest.raises(AssertionError, match="planted"), stage_root() as root:
        (root / place).mkdir(parents=True)
        (root / place / "planted.log").write_text(f"VERIFY {CODE}\n")
    assert not root.exists()

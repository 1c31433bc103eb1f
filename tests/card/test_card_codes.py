"""Every code that the card side says to a user is explained in docs/carte.md, and none that it does not say."""

from __future__ import annotations

import re
from pathlib import Path

REPO = Path(__file__).parents[2]
GUIDE = REPO / "docs/carte.md"
SOURCES = [*(REPO / "gateway/card").glob("*.py"), REPO / "gateway/commands/card.py"]


def test_the_guide_has_each_code_once() -> None:
    said = {code for source in SOURCES for code in re.findall(r'"(CPS-[A-Z0-9-]+)"', source.read_text("utf-8"))}
    explained = re.findall(r"`(CPS-[A-Z0-9-]+)`", GUIDE.read_text("utf-8"))
    assert sorted(explained) == sorted(said)

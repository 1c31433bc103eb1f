"""Draw the verbs of journal rows, with their words, into journal.md; ``--check`` only compares."""

from __future__ import annotations

import sys
from pathlib import Path

from drawn import redraw

from gateway.follow.timeline import EVENTS

PAGE = Path(__file__).with_name("journal.md")
START = "<!-- drawn from EVENTS -->"


def drawing() -> str:
    """A table, one line for each verb, as they stand in the code."""
    return "\n".join(["| `verb` | ce qui est montré |", "| --- | --- |",
                      *(f"| `{verb}` | {words} |" for verb, words in EVENTS.items())])  # fmt: skip


if __name__ == "__main__":
    sys.exit(redraw(PAGE, START, drawing()))

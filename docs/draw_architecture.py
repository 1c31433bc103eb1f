"""Draw the life of a fichier from ``gateway.fichier.ARROWS`` into ARCHITECTURE.md; ``--check`` only compares."""

from __future__ import annotations

import sys
from pathlib import Path

from drawn import redraw

from gateway.fichier import ARROWS, State

PAGE = Path(__file__).resolve().parents[1] / "ARCHITECTURE.md"
START = "<!-- drawn from ARROWS -->"


def drawing() -> str:
    """A Mermaid state diagram, one line for each arrow."""
    lines = ["```mermaid", "stateDiagram-v2"]
    lines += [f"    {arrow.source or '[*]'} --> {arrow.target} : {arrow.verb} – {arrow.why}" for arrow in ARROWS]
    ends = {arrow.target for arrow in ARROWS} - {arrow.source for arrow in ARROWS if arrow.verb != "resend"}
    lines += [f"    {state} --> [*]" for state in State if state in ends]
    return "\n".join([*lines, "```"])


if __name__ == "__main__":
    sys.exit(redraw(PAGE, START, drawing()))

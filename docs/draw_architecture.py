"""Draw the life of a fichier from ``gateway.fichier.ARROWS`` into ARCHITECTURE.md; ``--check`` only compares."""

from __future__ import annotations

import sys
from pathlib import Path

from gateway.fichier import ARROWS, State

PAGE = Path(__file__).resolve().parents[1] / "ARCHITECTURE.md"
START, END = "<!-- drawn from ARROWS -->", "<!-- end of drawing -->"


def drawing() -> str:
    """A Mermaid state diagram, one line for each arrow."""
    lines = ["```mermaid", "stateDiagram-v2"]
    lines += [f"    {arrow.source or '[*]'} --> {arrow.target} : {arrow.verb} – {arrow.why}" for arrow in ARROWS]
    ends = {arrow.target for arrow in ARROWS} - {arrow.source for arrow in ARROWS if arrow.verb != "resend"}
    lines += [f"    {state} --> [*]" for state in State if state in ends]
    return "\n".join([*lines, "```"])


def main() -> int:
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    drawn = f"{before}{START}\n{drawing()}\n{END}{after}"
    if "--check" in sys.argv:
        if drawn != page:
            print("ARCHITECTURE.md does not show ARROWS as they are: run docs/draw_architecture.py")
        return int(drawn != page)
    PAGE.write_text(drawn, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

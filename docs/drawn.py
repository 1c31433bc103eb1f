"""A part of a page that is drawn from what it shows: between two marks, made again or compared."""

from __future__ import annotations

import sys
from pathlib import Path

END = "<!-- end of drawing -->"


def redraw(page: Path, start: str, drawing: str) -> int:
    """Put the drawing between ``start`` and the end mark; with ``--check`` only say whether it stands there.

    Returns the exit code.
    """
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(start)
    _, _, after = rest.partition(END)
    drawn = f"{before}{start}\n{drawing}\n{END}{after}"
    if "--check" not in sys.argv:
        page.write_text(drawn, encoding="utf-8")
    elif drawn != text:
        print(f"{page.name} does not show things as they are: run {sys.argv[0]}")
        return 1
    return 0

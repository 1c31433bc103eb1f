"""Draw the list of disagreements on certificates into certificats.md; ``--check`` only compares."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

import yaml

REPO = Path(__file__).resolve().parents[1]
PAGE = REPO / "docs" / "certificats.md"
ROWS = REPO / "tests" / "envelope" / "disagreements.toml"
LIMBO = REPO / "tests" / "envelope" / "limbo.yml"
START, END = "<!-- drawn from disagreements.toml -->", "<!-- end of drawing -->"


def outcomes() -> dict[str, str]:
    """What the gateway says of each case that is declared: a code, or valid."""
    zoo = tomllib.loads((REPO / "certs-dev" / "pki.toml").read_text(encoding="utf-8"))["zoo"]["cases"]
    limbo = yaml.safe_load(LIMBO.read_text(encoding="utf-8"))["cases"]
    cases = {f"zoo/{name}": case for name, case in zoo.items()} | {
        f"limbo/{name}": case for name, case in limbo.items()
    }
    return {name: case.get("expect") or "valide" for name, case in cases.items()}


def drawing() -> str:
    """A table, one line for each judge and reason."""
    said = outcomes()
    rows: list[dict[str, Any]] = tomllib.loads(ROWS.read_text(encoding="utf-8"))["rows"]
    lines = ["| qui | cas, et ce qu'en dit la passerelle | pourquoi |", "| --- | --- | --- |"]
    for row in rows:
        theirs = "refuse" if {said[case] for case in row["cases"]} == {"valide"} else "accepte"
        cases = ", ".join(f"`{case}` ({said[case]})" for case in row["cases"])
        lines.append(f"| {row['judge']} {theirs} | {cases} | {row['why']} |")
    return "\n".join(lines)


def main() -> int:
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    drawn = f"{before}{START}\n{drawing()}\n{END}{after}"
    if "--check" in sys.argv:
        if drawn != page:
            print("certificats.md does not show the disagreements as they are: run docs/draw_disagreements.py")
        return int(drawn != page)
    PAGE.write_text(drawn, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Draw the list of disagreements on certificates into certificats.md; ``--check`` only compares."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

import yaml
from drawn import redraw

REPO = Path(__file__).resolve().parents[1]
PAGE = REPO / "docs" / "certificats.md"
ROWS = REPO / "tests" / "envelope" / "disagreements.toml"
LIMBO = REPO / "tests" / "envelope" / "limbo.yml"
START = "<!-- drawn from disagreements.toml -->"


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


if __name__ == "__main__":
    sys.exit(redraw(PAGE, START, drawing()))

"""Faults that the card commits on order: the file of ``--faults``, a JSON list read at start.

Each is ``{"apdu": HEX, "nth": N, "do": KIND, …}``: at the N-th command (from 1) whose bytes begin with HEX
(empty: any command), once,
  "pull"   the card is out of the reader during the command, back after "seconds" (absent: never)
  "reset"  the card loses its state as if another program had reset it, then answers
  "sw"     the command is not carried out; the answer is the status word "sw" (HEX)
  "delay"  the answer comes "ms" later
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KINDS = ("pull", "reset", "sw", "delay")


@dataclass
class Fault:
    """One fault, and how many matching commands it has still to let pass."""

    apdu: bytes
    nth: int
    do: str
    seconds: float | None = None
    sw: int = 0x6F00
    ms: int = 0

    def strikes(self, tpdu: bytes) -> bool:
        if tpdu.startswith(self.apdu):
            self.nth -= 1
            return self.nth == 0
        return False


def load(path: Path) -> list[Fault]:
    """The faults in ``path``; ValueError for a list that is not one."""
    return [_fault(entry) for entry in json.loads(path.read_text())]


def _fault(entry: dict[str, Any]) -> Fault:
    if entry.get("do") not in KINDS:
        raise ValueError(f"do must be one of {', '.join(KINDS)}: {entry}")
    return Fault(
        bytes.fromhex(entry.get("apdu", "")),
        int(entry.get("nth", 1)),
        entry["do"],
        entry.get("seconds"),
        int(entry.get("sw", "6F00"), 16),
        int(entry.get("ms", 0)),
    )

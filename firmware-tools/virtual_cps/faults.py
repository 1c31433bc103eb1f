"""Faults that the card commits on order: the file of ``--faults``, a JSON list read at start.

Each is ``{"apdu": HEX, "nth": N, "do": KIND, …}``: at the N-th command (from 1) whose bytes begin with HEX
(empty: any command), once,
  "pull"     the card is out of the reader during the command, back after "seconds" (absent: never); with "after": true
             it has carried the command out before, and only the answer is lost; with "growing": true N counts from
             the insertion and is one more after each pull, so that every command is struck in its turn
  "swap"     as "pull", but what comes back is the card "card" (a folder's name); with "clone": true that card's
             certificates with other keys
  "reset"    the card loses its state as if another program had reset it, then answers
  "block"    the code porteur is blocked from now on, then the card answers
  "sw"       the command is not carried out; the answer is the status word "sw" (HEX)
  "garbage"  the command is not carried out; the answer is bytes that mean nothing
  "delay"    the answer comes "ms" later
  "hang"     no answer ever comes, and none to any later command, until the card is pulled out by hand
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KINDS = ("pull", "swap", "reset", "block", "sw", "garbage", "delay", "hang")


@dataclass
class Fault:
    """One fault, and how many commands that match it came by."""

    apdu: bytes
    nth: int
    do: str
    seconds: float | None = None
    sw: int = 0x6F00
    ms: int = 0
    after: bool = False
    growing: bool = False
    card: str | None = None
    clone: bool = False
    _seen: int = field(default=0, repr=False)

    def strikes(self, tpdu: bytes) -> bool:
        """Whether ``tpdu`` is the command that this fault waits for."""
        if not tpdu.startswith(self.apdu):
            return False
        self._seen += 1
        return self._seen == self.nth

    def inserted(self) -> None:
        """The card is in the reader (again): a growing fault that struck counts anew, one further."""
        if self.growing:
            self.nth += self._seen >= self.nth
            self._seen = 0


def load(path: Path) -> list[Fault]:
    """The faults in ``path``; ValueError for a list that is not one."""
    return [_fault(entry) for entry in json.loads(path.read_text())]


def _fault(entry: dict[str, Any]) -> Fault:
    if entry.get("do") not in KINDS:
        raise ValueError(f"do must be one of {', '.join(KINDS)}: {entry}")
    plain = {"nth": 1, "apdu": "", "sw": "6F00", **entry}
    return Fault(**{**plain, "apdu": bytes.fromhex(plain["apdu"]), "sw": int(plain["sw"], 16)})

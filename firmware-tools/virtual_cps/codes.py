"""What outlives power and the emulator: the two codes, their counters, what was written; one small JSON file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

MOST_TRIES = {1: 3, 2: 10}
"""Consecutive errors that block the code (1) and the unblocking code (2)."""


@dataclass
class Codes:
    """Codes and tries left, by reference (1: code porteur, 2: code de déblocage), and files that were written, by
    identifier; written through at each change."""

    path: Path
    secrets: dict[int, str]
    tries: dict[int, int] = field(default_factory=lambda: dict(MOST_TRIES))
    written: dict[int, str] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path, pin: str, puk: str) -> Codes:
        """The codes kept in ``path``, or a new card's with ``pin`` and ``puk``."""
        codes = cls(path, {1: pin, 2: puk})
        if path.exists():
            kept = json.loads(path.read_text())
            codes.secrets = {int(name): value for name, value in kept["secrets"].items()}
            codes.tries = {int(name): value for name, value in kept["tries"].items()}
            codes.written = {int(name): value for name, value in kept.get("written", {}).items()}
        return codes

    def offer(self, reference: int, code: bytes) -> bool:
        """Whether ``code`` is right and not blocked; a try is spent before the comparison, as a card does it."""
        if not self.tries[reference]:
            return False
        self.tries[reference] -= 1
        self._keep()
        if code != self.secrets[reference].encode():
            return False
        self.tries[reference] = MOST_TRIES[reference]
        self._keep()
        return True

    def replace(self, reference: int, code: bytes) -> None:
        """Set the code and all its tries."""
        self.secrets[reference] = code.decode("ascii")
        self.tries[reference] = MOST_TRIES[reference]
        self._keep()

    def block(self) -> None:
        """No try is left for the code porteur."""
        self.tries[1] = 0
        self._keep()

    def write(self, identifier: int, content: bytes) -> None:
        """Keep the content of a file."""
        self.written[identifier] = content.hex()
        self._keep()

    def _keep(self) -> None:
        kept = asdict(self)
        del kept["path"]
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps(kept))
        fresh.replace(self.path)

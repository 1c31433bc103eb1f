"""How far a transfer is, on standard error: a bar that redraws itself on a terminal, now and then a line elsewhere.

It measures nothing but time and says nothing at the end but the last state; the result is its caller's.
"""

from __future__ import annotations

import time
from typing import TextIO

_BAR_EVERY_S, _LINE_EVERY_S = 0.1, 5.0
_WIDTH = 24


class Progress:
    """One transfer of ``total`` bytes, 0 when that is not known."""

    def __init__(self, out: TextIO, name: str, total: int) -> None:
        self._out = out
        self._name = name
        self._total = total
        self._terminal = out.isatty()
        self._began = self._shown = time.monotonic()
        self._start = 0
        self._drawn = False

    def begin(self, offset: int) -> None:
        """The transfer starts at ``offset`` of the file."""
        self._start, self._began = offset, time.monotonic()

    def expect(self, total: int) -> None:
        """So many bytes are to come, more or less."""
        self._total = total

    def __call__(self, offset: int) -> None:
        """So many bytes of the file are done."""
        now = time.monotonic()
        if now - self._shown < (_BAR_EVERY_S if self._terminal else _LINE_EVERY_S):
            return
        self._shown = now
        self._draw(offset, now)

    def close(self) -> None:
        """Nothing more comes: what is written next begins its own line."""
        if self._drawn and self._terminal:
            self._out.write("\n")
            self._out.flush()

    def _draw(self, offset: int, now: float) -> None:
        self._drawn = True
        rate = (offset - self._start) / max(now - self._began, 1e-6)
        text = f"{self._name} {self._share(offset)}{size(offset)}, {size(rate)}/s{self._left(offset, rate)}"
        self._out.write(f"\r\033[K{text}" if self._terminal else f"{text}\n")
        self._out.flush()

    def _share(self, offset: int) -> str:
        if not self._total:
            return ""
        done = min(offset / self._total, 1.0)
        bar = "#" * round(done * _WIDTH)
        percent = f"{done * 100:3.0f} %"
        return f"[{bar:.<{_WIDTH}}] {percent}, " if self._terminal else f"{percent.lstrip()}, "

    def _left(self, offset: int, rate: float) -> str:
        if not self._total or rate <= 0 or offset >= self._total:
            return ""
        seconds = round((self._total - offset) / rate)
        return f", reste {seconds // 60}:{seconds % 60:02d}"


def size(count: float) -> str:
    """Bytes as people read them."""
    for unit in ("o", "Ko", "Mo"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "o" else f"{count:.1f} {unit}".replace(".", ",")
        count /= 1000
    return f"{count:.2f} Go".replace(".", ",")

"""The code porteur in memory: a buffer of our own that is written over, and a time after which it is gone.

It deliberately has no text form: it cannot get into a message by mistake.  What the JSON parser and pyscard copied
of it is theirs until the interpreter reuses the memory; nothing in Python can do better.
"""

from __future__ import annotations


class Pin:
    """Digits of a code, until ``forget``."""

    __slots__ = ("digits",)

    def __init__(self, digits: bytes) -> None:
        self.digits = bytearray(digits)

    def __repr__(self) -> str:
        return "Pin(****)"

    def forget(self) -> None:
        """Write zeros over the digits."""
        self.digits[:] = bytes(len(self.digits))

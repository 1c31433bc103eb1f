"""Three lamps on the kernel's LED class: the page's headline for who does not look at a page.

A table says what each lamp does at each level.  Blinking is the kernel's own ``timer``, so that a lamp stays
right when this process does not.  A lamp that is not there, or may not be written, is dark and no error.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

CLASS = Path("/sys/class/leds")
"""Where the kernel shows its LEDs."""

GREEN, ORANGE, RED = "oct:green:ok", "oct:orange:attention", "oct:red:fault"
LAMPS = (GREEN, ORANGE, RED)


@dataclass(frozen=True)
class Light:
    """What a lamp shows: its trigger, and full or no brightness where that is not the trigger's affair."""

    trigger: str
    full: bool | None = None


DARK, STEADY, BLINKING = Light("none", False), Light("none", True), Light("timer")

LIGHTS: dict[tuple[str, bool], tuple[Light, Light, Light]] = {
    ("ok", False): (STEADY, DARK, DARK),
    ("ok", True): (STEADY, DARK, DARK),
    ("attention", False): (DARK, STEADY, DARK),
    ("attention", True): (DARK, BLINKING, DARK),
    ("fault", False): (DARK, DARK, STEADY),
    ("fault", True): (DARK, BLINKING, STEADY),
}
"""(level of the headline, a signature is awaited) → ``LAMPS`` in their order."""


class Lamps:
    """The lamps of one LED class folder."""

    def __init__(self, folder: Path = CLASS) -> None:
        self._folder = folder
        self._shown: dict[str, Light] = {}

    def show(self, level: str, signature: bool) -> None:
        """Light the lamps for a level of the headline; what burns already is not written again."""
        for name, light in zip(LAMPS, LIGHTS[level, signature], strict=True):
            if self._shown.get(name) != light:
                with suppress(OSError):
                    self._light(self._folder / name, light)
                    self._shown[name] = light

    def _light(self, lamp: Path, light: Light) -> None:
        _write(lamp / "trigger", light.trigger)
        if light.full is not None:
            _write(lamp / "brightness", (lamp / "max_brightness").read_text().strip() if light.full else "0")


def _write(file: Path, text: str) -> None:
    """Write a file that exists; never creates one, since in sysfs none can be."""
    descriptor = os.open(file, os.O_WRONLY | os.O_TRUNC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Files that look like the LED class, for a machine that has none."""
    for name in LAMPS:
        lamp = folder / name
        lamp.mkdir(parents=True, exist_ok=True)
        for file, text in (("trigger", "none"), ("brightness", "0"), ("max_brightness", "1")):
            (lamp / file).write_text(text)

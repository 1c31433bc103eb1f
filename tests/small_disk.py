"""A real disk that gets full: a small tmpfs of its own, on which tests leave as much room as they like."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

PAGE = 4096


@dataclass(frozen=True)
class SmallDisk:
    """The disk below ``path``; its ballast lies in ``path`` itself."""

    path: Path

    @property
    def free(self) -> int:
        """Bytes that may still be written."""
        told = os.statvfs(self.path)
        return told.f_bavail * told.f_frsize

    def fill(self, leave: int = 0) -> None:
        """Leave no more than ``leave`` bytes free."""
        with self._ballast.open("ab", buffering=0) as ballast, suppress(OSError):
            while self.free > leave:
                ballast.write(bytes(max(PAGE, min(self.free - leave, 1 << 20))))

    def empty(self) -> None:
        """Room again."""
        self._ballast.unlink()

    @property
    def _ballast(self) -> Path:
        return self.path / "ballast"


@contextmanager
def small_disk(path: Path, size: int, *at: Path) -> Iterator[SmallDisk]:
    """A disk of ``size`` bytes on ``path``, and of it a directory at each of ``at``, until the end of the block."""
    if os.geteuid() != 0:
        pytest.skip("only root mounts a disk of its own")
    mounted: list[Path] = []
    try:
        _mount(mounted, path, "-t", "tmpfs", "-o", f"size={size}", "tmpfs")
        for place in at:
            (path / place.name).mkdir()
            _mount(mounted, place, "--bind", str(path / place.name))
        yield SmallDisk(path)
    finally:
        for place in reversed(mounted):
            subprocess.run(["umount", "--lazy", str(place)], check=True)


def _mount(mounted: list[Path], place: Path, *words: str) -> None:
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", *words, str(place)], check=True)
    mounted.append(place)

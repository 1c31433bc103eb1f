"""The machine of these tests is never the one that they run on."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from machine import Machine, made_machine


def test_a_root_without_an_overlay_is_left_alone(tmp_path: Path) -> None:
    """As it would be where the overlay could not be mounted, or its root were this machine's."""
    machine = Machine(tmp_path / "root")
    machine.units.mkdir(parents=True)
    kept = machine.units / "gateway-keeper.service"
    kept.write_text("[Unit]\n")
    with pytest.raises(RuntimeError, match="not an overlay"):
        machine.install()
    assert kept.exists()


def test_nor_is_one_whose_overlay_is_gone() -> None:
    with made_machine() as machine:
        own = machine.units
        assert own.is_dir()
        subprocess.run(["umount", "--recursive", machine.root], check=True)
        own.mkdir(parents=True)
        with pytest.raises(RuntimeError, match="not an overlay"):
            machine.install()
        assert own.is_dir()
        shutil.rmtree(machine.root / "etc")

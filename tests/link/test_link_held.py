"""A receiver writes the file that it holds, and no other line's."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import Trouble
from gateway.link.held import Held


class Receiver(Held):
    def begin(self, path: Path) -> None:
        self._still_ours()
        self._file = path.open("w+b")

    def write(self, data: bytes) -> int:
        self._own().write(data)
        return self._force()


def test_what_is_forced_is_in_the_file_and_its_place_is_told(tmp_path: Path) -> None:
    receiver = Receiver()
    receiver.begin(tmp_path / "file")
    assert receiver.write(b"12345") == 5
    assert (tmp_path / "file").read_bytes() == b"12345"
    receiver.close()


def test_who_does_not_hold_the_file_is_told_so(tmp_path: Path) -> None:
    receiver = Receiver()
    with pytest.raises(Trouble, match="autre liaison"):
        receiver.write(b"before it began")
    receiver.begin(tmp_path / "file")
    receiver.close()
    with pytest.raises(Trouble, match="autre liaison"):
        receiver.write(b"after it let go")
    with pytest.raises(Trouble, match="autre liaison"):
        receiver.begin(tmp_path / "file")


def test_letting_go_on_a_full_disk_loses_only_what_was_not_forced() -> None:
    receiver = Receiver()
    receiver.begin(Path("/dev/full"))
    receiver._own().write(b"never acknowledged")
    receiver.close()
    with pytest.raises(Trouble, match="autre liaison"):
        receiver.write(b"x")

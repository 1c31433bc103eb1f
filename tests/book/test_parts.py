"""Parts are named by what is at rest, durable before they are named, swept when nobody names them."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import pytest
from small_disk import small_disk

from gateway.book.doors import Door
from gateway.book.parts import Parts


def make(tmp_path: Path) -> Parts:
    (tmp_path / "parts").mkdir()
    return Parts(tmp_path / "parts")


def test_a_part_has_the_name_of_its_bytes(tmp_path: Path) -> None:
    parts = make(tmp_path)
    part = parts.add_bytes(b"sealed")
    assert part.digest == hashlib.sha256(b"sealed").hexdigest()
    assert part.size == 6
    assert parts.open(part.digest).read() == b"sealed"
    assert stat.S_IMODE(parts.file(part.digest).stat().st_mode) == 0o440
    assert parts.add_bytes(b"sealed") == part


def test_taken_from_a_door(tmp_path: Path) -> None:
    parts = make(tmp_path)
    (tmp_path / "door").mkdir()
    door = Door(tmp_path / "door")
    door.put("x", b"content")
    part = parts.take(door, "x")
    assert parts.open(part.digest).read() == b"content"
    assert door.names() == ["x"]


def test_sweep_keeps_what_is_named(tmp_path: Path) -> None:
    parts = make(tmp_path)
    kept, orphan = parts.add_bytes(b"kept"), parts.add_bytes(b"orphan")
    (parts.path / ".tmp-99").write_bytes(b"half")
    assert parts.sweep({kept.digest}) == 2
    assert parts.file(kept.digest).exists()
    assert not parts.file(orphan.digest).exists()
    assert parts.destroy([kept.digest])
    assert parts.destroy([kept.digest])
    assert not parts.file(kept.digest).exists()


def test_what_still_lies_in_a_door_is_not_called_destroyed(tmp_path: Path) -> None:
    parts = make(tmp_path)
    offered, other = parts.add_bytes(b"offered"), parts.add_bytes(b"other")
    (tmp_path / "link").hardlink_to(parts.file(offered.digest))
    assert not parts.destroy([other.digest, offered.digest])
    assert parts.file(other.digest).exists()
    (tmp_path / "link").unlink()
    assert parts.destroy([other.digest, offered.digest])
    assert list(parts.path.iterdir()) == []


def test_what_found_no_room_leaves_it_to_others(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1 << 20, tmp_path / "parts") as disk:
        parts = Parts(tmp_path / "parts")
        with pytest.raises(OSError, match="No space"):
            parts.add_bytes(bytes(2 << 20))
        assert os.listdir(parts.path) == []
        assert disk.free > 900_000
        assert parts.add_bytes(b"small").size == 5

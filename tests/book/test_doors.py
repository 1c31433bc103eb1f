"""Doors: put whole or not at all, taken by copying, hostile entries passed over."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest
from small_disk import small_disk

from gateway.book.doors import Door


def test_put_is_whole_and_once(tmp_path: Path) -> None:
    door = Door(tmp_path)
    assert door.put("a", b"one")
    assert not door.put("a", b"two")
    assert door.read("a", 10) == b"one"
    assert os.listdir(tmp_path) == ["a"]


def test_an_entry_abandoned_leaves_nothing(tmp_path: Path) -> None:
    door = Door(tmp_path)
    with door.begin() as entry:
        entry.write(b"half")
    assert os.listdir(tmp_path) == []


def test_a_killed_writer_is_swept_and_never_seen(tmp_path: Path) -> None:
    door = Door(tmp_path)
    door.begin().write(b"half")
    assert door.names() == []
    door.sweep()
    assert os.listdir(tmp_path) == []


def test_copy_hashes_what_was_copied(tmp_path: Path) -> None:
    (tmp_path / "door").mkdir()
    door = Door(tmp_path / "door")
    content = os.urandom(3_000_000)
    door.put("big", content)
    with (tmp_path / "mine").open("wb") as out:
        copied = door.copy("big", out)
    assert (copied.digest, copied.size) == (hashlib.sha256(content).hexdigest(), len(content))
    door.remove("big")
    door.remove("big")
    assert door.names() == []


def test_oldest_first(tmp_path: Path) -> None:
    door = Door(tmp_path)
    for number, name in enumerate(("z", "a", "m")):
        door.put(name, b"")
        os.utime(tmp_path / name, (number, number))
    assert door.names() == ["z", "a", "m"]


def test_hostile_entries_are_passed_over(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"not yours")
    (tmp_path / "door").mkdir()
    door = Door(tmp_path / "door")
    (door.path / "dir").mkdir()
    (door.path / "link").symlink_to(secret)
    os.mkfifo(door.path / "pipe")
    door.put("good", b"x")
    assert door.names() == ["good"]
    with pytest.raises(OSError, match="link"):
        door.open("link")
    with pytest.raises(FileNotFoundError):
        door.open("pipe")


def test_a_foreign_writer_is_passed_over(tmp_path: Path) -> None:
    Door(tmp_path).put("a", b"x")
    stranger = Door(tmp_path, writer=os.getuid() + 1)
    assert stranger.names() == []
    with pytest.raises(FileNotFoundError):
        stranger.open("a")


def test_read_is_bounded(tmp_path: Path) -> None:
    Door(tmp_path).put("a", b"12345")
    with pytest.raises(ValueError, match="more than 4"):
        Door(tmp_path).read("a", 4)


def test_link_and_withdraw(tmp_path: Path) -> None:
    part = tmp_path / "part"
    part.write_bytes(b"sealed")
    (tmp_path / "door").mkdir()
    door = Door(tmp_path / "door")
    assert door.link("a.1.1", part)
    assert not door.link("a.1.1", part)
    door.withdraw("a.1.1")
    door.withdraw("a.1.1")
    assert part.exists()
    assert door.names() == []


def test_a_full_disk_leaves_nothing_half_done(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1 << 20, tmp_path / "door") as disk:
        door = Door(tmp_path / "door")
        disk.fill()
        with pytest.raises(OSError, match="No space") as caught:
            door.put("a", b"less than a buffer")
        assert caught.value.errno == errno.ENOSPC
        assert os.listdir(door.path) == []
        disk.empty()
        assert door.put("a", b"less than a buffer")

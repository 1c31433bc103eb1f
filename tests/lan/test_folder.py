"""The practice's folders: complete files only, and each return exactly once whatever a crash cuts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

import pytest

from gateway.lan.folder import PracticeFolder


@pytest.fixture
def folder(tmp_path: Path) -> PracticeFolder:
    return PracticeFolder(tmp_path)


def test_a_file_is_taken_when_it_is_quiet(folder: PracticeFolder) -> None:
    file = folder.outbox / "lot 1.b2"
    file.write_bytes(b"half")
    assert folder.take() == []
    file.write_bytes(b"half and more")
    assert folder.take() == []
    (taken,) = folder.take()
    assert folder.given_name(taken) == "lot 1.b2"
    assert not file.exists()


@pytest.mark.parametrize("name", [".hidden", "x.tmp", "x.part", "x~"])
def test_unfinished_names_are_left(folder: PracticeFolder, name: str) -> None:
    (folder.outbox / name).write_bytes(b"x")
    folder.take()
    assert folder.take() == []


def test_two_files_of_one_name_are_two(folder: PracticeFolder) -> None:
    for content in (b"one", b"two"):
        (folder.outbox / "a.b2").write_bytes(content)
        folder.take()
        taken = folder.take()
    assert [path.read_bytes() for path in taken] == [b"one", b"two"]


def test_order_survives_a_restart(folder: PracticeFolder, tmp_path: Path) -> None:
    for number in range(12):
        (folder.outbox / f"{number}").write_bytes(b"x")
        folder.take()
        folder.take()
    again = PracticeFolder(tmp_path)
    (again.outbox / "last").write_bytes(b"x")
    again.take()
    assert [again.given_name(path) for path in again.take()] == [*(str(n) for n in range(12)), "last"]


def test_strangers_in_taking_are_left_and_long_names_fit(folder: PracticeFolder) -> None:
    (folder.outbox / ".taking" / "notes").write_bytes(b"x")
    (folder.outbox / ("é" * 127)).write_bytes(b"x")
    folder.take()
    (taken,) = folder.take()
    folder.process(taken, "0" * 32)
    folder.refuse_processed("0" * 32, "raison")
    assert len(list(folder.refused.iterdir())) == 2


def test_processed_then_refused(folder: PracticeFolder) -> None:
    (folder.outbox / "a.b2").write_bytes(b"x")
    folder.take()
    (taken,) = folder.take()
    folder.process(taken, "id1")
    assert (folder.processed / "id1_a.b2").read_bytes() == b"x"
    folder.refuse_processed("id1", "B2-001\nmauvais\n")
    assert (folder.refused / "id1_a.b2").read_bytes() == b"x"
    assert "mauvais" in (folder.refused / "id1_a.b2.raison.txt").read_text(encoding="utf-8")


def test_an_older_word_never_replaces_a_newer(folder: PracticeFolder) -> None:
    folder.write_receipt("id1", {"rank": 5, "state": "SENT"})
    folder.write_receipt("id1", {"rank": 4, "state": "SEALED"})
    assert "SENT" in (folder.receipts / "id1.json").read_text(encoding="utf-8")
    folder.write_receipt("id1", {"rank": 6, "state": "INTEGRATED"})
    assert "INTEGRATED" in (folder.receipts / "id1.json").read_text(encoding="utf-8")


def body(content: bytes = b"NOEMIE"):  # type: ignore[no-untyped-def]
    def write(out: BinaryIO) -> None:
        out.write(content)

    return write


def test_a_return_is_delivered_once(folder: PracticeFolder) -> None:
    folder.deliver("r1", "a.noe", body())
    folder.deliver("r1", "a.noe", body())
    assert sorted(os.listdir(folder.inbox)) == [".delivering", "a.noe"]
    folder.delivered("r1")


def test_once_even_when_the_practice_took_it_before_a_crash(folder: PracticeFolder) -> None:
    folder.deliver("r1", "a.noe", body())
    (folder.inbox / "a.noe").unlink()
    folder.deliver("r1", "a.noe", body())
    assert os.listdir(folder.inbox) == [".delivering"]


def test_never_overwrites(folder: PracticeFolder) -> None:
    folder.deliver("r1", "a.noe", body(b"1"))
    folder.deliver("r2", "a.noe", body(b"2"))
    assert (folder.inbox / "a.noe").read_bytes() == b"1"
    assert (folder.inbox / "a.noe.1").read_bytes() == b"2"


class Death(Exception):
    """Stands for SIGKILL at one system call."""


@pytest.mark.parametrize("call", ["link", "unlink", "touch", "fsync"])
@pytest.mark.parametrize("after", [False, True])
def test_once_whatever_step_a_crash_cuts(
    folder: PracticeFolder, call: str, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = os if call in ("link", "fsync") else Path
    real = getattr(home, call)

    def dying(*arguments: object, **options: object) -> None:
        if after:
            real(*arguments, **options)
        raise Death

    with monkeypatch.context() as patch:
        patch.setattr(home, call, dying)
        with pytest.raises(Death):
            folder.deliver("r1", "a.noe", body())
    folder.deliver("r1", "a.noe", body())
    assert [name for name in os.listdir(folder.inbox) if name != ".delivering"] == ["a.noe"]
    assert (folder.inbox / "a.noe").read_bytes() == b"NOEMIE"


def test_processed_and_refused_are_emptied_of_what_is_old_and_ours(folder: PracticeFolder) -> None:
    ours, spared, odd = (folder.processed / name for name in (f"{'a' * 32}_x.b2", f"{'b' * 32}_y.b2", "liste.txt"))
    refused, theirs = folder.refused / "z.b2", folder.refused / "note.txt"
    for file in (ours, spared, odd, refused, theirs):
        file.write_bytes(b"x")
        os.utime(file, (0, 0))  # the practice's own time, kept by a rename: not what counts
    folder.refuse(refused, "z.b2", "INT-001\n")
    now = ours.stat().st_ctime
    assert folder.empty(now - 60, {"b" * 32}.__contains__) == 0
    assert folder.empty(now + 60, {"b" * 32}.__contains__) == 3
    assert sorted(file.name for file in folder.processed.iterdir()) == [f"{'b' * 32}_y.b2", "liste.txt"]
    assert [file.name for file in folder.refused.iterdir()] == ["note.txt"]

"""Segments: made from the book alone, byte for byte; what a power cut or a hand did to them is told."""

from __future__ import annotations

import hashlib
import os
import resource
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import gateway.book.segments
from gateway.book.inspection import Authority, inspect
from gateway.book.moves import Book
from gateway.book.segments import Archive, Repair
from gateway.journal.chain import ACCESS, EVIDENCE
from gateway.journal.segment import read_entry, read_head

NOW = datetime(2026, 12, 30, 12, tzinfo=UTC)


class Case:
    """A book whose clock is set, and its archive."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now = folder / "journal", NOW
        self.folder.mkdir()
        self.path = folder / "book.db"
        self.book = Book(self.path, lambda: self.now)
        self.archive = Archive(self.folder, "box-0001", self.book.connection)

    def write(self, count: int, chain: str = EVIDENCE, verb: str = "act") -> None:
        with self.book.transaction():
            for _ in range(count):
                self.book.record("", {"verb": verb}, chain)

    def export(self) -> None:
        while self.archive.append():
            pass

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())

    def content(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.folder.iterdir()}

    def again(self) -> list[Repair]:
        """A start after a crash."""
        self.archive = Archive(self.folder, "box-0001", self.book.connection)
        repairs = self.archive.open()
        self.export()
        return repairs

    def sound(self) -> bool:
        return inspect(self.folder, Authority(()), NOW, self.path).findings == []


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def test_rows_go_to_files_as_they_are_in_the_book(case: Case) -> None:
    case.write(5)
    case.write(2, ACCESS)
    case.export()
    assert case.names() == ["access-000001.journal", "evidence-000001.journal"]
    head, *lines = (case.folder / "evidence-000001.journal").read_bytes().splitlines()
    assert read_head(head).first == 1 and read_head(head).frontier == ()
    assert [read_entry(line) for line in lines] == [(row.hash, row.text) for row in case.book.journal()]
    assert case.sound()
    before = case.content()
    case.export()
    assert case.content() == before, "nothing twice"


def test_a_year_and_a_size_end_a_segment(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    case.write(300)
    case.export()
    case.now += timedelta(days=5)
    case.write(10)
    case.export()
    assert case.names() == ["evidence-000001.journal", "evidence-000002.journal"]
    monkeypatch.setattr(gateway.book.segments, "LARGEST", 4000)
    case.write(100)
    case.export()
    names = case.names()
    assert len(names) > 3 and case.sound()
    heads = [read_head((case.folder / name).read_bytes().splitlines()[0]) for name in names]
    for before, name, head in zip(heads, names, heads[1:], strict=False):
        assert head.before == hashlib.sha256((case.folder / name).read_bytes()).hexdigest()
        assert head.first > before.first and head.number == before.number + 1
    (case.folder / names[0]).unlink()
    alone = inspect(case.folder, Authority(()), NOW)
    assert alone.findings == [] and alone.rows[EVIDENCE] == 110, "a copy may begin at a later segment"
    (case.folder / names[2]).unlink()
    assert inspect(case.folder, Authority(()), NOW).findings


def test_the_same_book_gives_the_same_files(case: Case) -> None:
    for days in (0, 5, 400):
        case.now = NOW + timedelta(days=days)
        case.write(30)
        case.write(3, ACCESS)
        case.export()
    before = case.content()
    assert len(before) == 6
    for name in list(before):
        (case.folder / name).unlink()
        assert case.again() == [Repair("missing", name, read_head(before[name].splitlines()[0]).first)]
        assert case.content() == before
    for path in case.folder.iterdir():
        path.unlink()
    case.book.connection.execute("DELETE FROM segments")
    assert case.again() == [] and case.content() == before


@pytest.mark.parametrize("left", [1, 7, 80, 150, 300])
def test_a_torn_tail_is_repaired_from_the_book_and_told(case: Case, left: int) -> None:
    case.write(4)
    case.export()
    path = case.folder / "evidence-000001.journal"
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    path.write_bytes(whole[:-left])
    (repair,) = case.again()
    assert path.read_bytes() == whole
    kept = (whole[:-left].count(b"\n")) - 1
    assert (repair.kind, repair.name) == ("torn", path.name) and repair.first == kept + 1
    path.write_bytes(whole + lines[-1][:40] + bytes(100))
    (repair,) = case.again()
    assert (repair.kind, path.read_bytes()) == ("torn", whole)


def test_every_cut_of_a_segment_is_made_good(case: Case) -> None:
    case.write(3)
    case.export()
    path = case.folder / "evidence-000001.journal"
    whole = path.read_bytes()
    for size in range(0, len(whole), 3):
        path.write_bytes(whole[:size])
        (repair,) = case.again()
        assert path.read_bytes() == whole, size
        assert repair.kind == (
            "short" if size and whole[size - 1 : size] == b"\n" and whole[:size].count(b"\n") > 1 else "torn"
        )


def test_blocks_that_never_reached_the_disk_are_repaired_from_the_book_and_told(case: Case) -> None:
    """A power cut leaves the new length, and zeros where a block was not written: behind it lines may be whole."""
    case.write(4)
    case.export()
    path = case.folder / "evidence-000001.journal"
    durable = len(path.read_bytes())
    case.write(20)
    case.export()
    whole = path.read_bytes()
    for begin in range(durable - durable % 512, len(whole), 512):
        case.book.connection.execute("UPDATE segments SET last = 4")  # so it was, when the power went
        torn = bytearray(whole)
        torn[max(begin, durable) : begin + 512] = bytes(len(torn[max(begin, durable) : begin + 512]))
        path.write_bytes(torn)
        (repair,) = case.again()
        assert (repair.kind, repair.name) == ("torn", path.name) and 5 <= repair.first <= 24
        assert path.read_bytes() == whole and case.sound()


def test_lines_of_a_book_that_was_set_back_are_left_and_told(case: Case) -> None:
    """They are the trace of what the book no longer says, torn or not."""
    case.write(9)
    case.export()
    path = case.folder / "evidence-000001.journal"
    case.book.connection.execute("DELETE FROM journal WHERE seq > 4")
    case.book.connection.execute("UPDATE segments SET last = 4")
    case.write(1, verb="other")
    touched = path.read_bytes()
    for left in (touched, touched[:-400] + bytes(100) + b"\n", touched[:-5]):
        path.write_bytes(left)
        assert case.again() == [Repair("altered", path.name, 5)]
        case.write(1, verb="other")
        case.export()
        assert path.read_bytes() == left[: left.rfind(b"\n") + 1]


def test_lines_that_were_durable_and_are_gone_are_told_as_such(case: Case) -> None:
    case.write(4)
    case.export()
    path = case.folder / "evidence-000001.journal"
    whole = path.read_bytes()
    path.write_bytes(b"".join(whole.splitlines(keepends=True)[:-2]))
    assert not case.sound(), "the book knows how far the files went"
    assert case.again() == [Repair("short", path.name, 3)]
    assert path.read_bytes() == whole


@pytest.mark.parametrize("spoil", [lambda line: line.replace(b"act", b"cat"), lambda line: b"nothing\n"])
def test_a_file_that_says_something_else_is_left_and_told(case: Case, spoil: object) -> None:
    case.write(4)
    case.export()
    path = case.folder / "evidence-000001.journal"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:-1], spoil(lines[-1])]))  # type: ignore[operator]
    touched = path.read_bytes()
    (repair,) = case.again()
    assert (repair.kind, repair.first) == ("altered", 4)
    case.write(3)
    case.export()
    assert path.read_bytes() == touched, "it may be a trace"


KILLED = ("_extend", "_record", "_begin")


@pytest.mark.parametrize("moment", KILLED)
@pytest.mark.parametrize("side", ["before", "after"])
def test_killed_at_any_moment_nothing_is_lost_or_doubled(case: Case, moment: str, side: str) -> None:
    case.write(6)
    case.export()
    case.now += timedelta(days=5)
    case.write(6)
    case.book.close()
    child = os.fork()
    if child == 0:
        again = Book(case.path, lambda: case.now)
        _die(moment, side)
        archive = Archive(case.folder, "box-0001", again.connection)
        archive.open()
        archive.append()
        os._exit(0)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1]), "it was killed where it was meant to be"
    case.book = Book(case.path, lambda: case.now)
    case.again()
    found = inspect(case.folder, Authority(()), NOW, case.path)
    assert found.findings == [] and found.rows[EVIDENCE] == 12
    assert case.names() == ["evidence-000001.journal", "evidence-000002.journal"]


def _die(moment: str, side: str) -> None:
    owner = gateway.book.segments if moment == "_extend" else gateway.book.segments.Writer
    real = getattr(owner, moment)

    def wrapped(*arguments: object) -> None:
        if side == "after":
            real(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, moment, wrapped)


def test_a_disk_that_is_full_at_any_byte_leaves_what_a_start_repairs(case: Case) -> None:
    """The kernel lets the file grow no further: the process ends on it, and the next one finds room."""
    case.write(2)
    case.export()
    path = case.folder / "evidence-000001.journal"
    case.write(9)
    case.book.close()
    for room in range(0, 500, 41):
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            again = Book(case.path, lambda: case.now)
            resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + room, resource.RLIM_INFINITY))
            try:
                Archive(case.folder, "box-0001", again.connection).append()
            except OSError:
                os._exit(28)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 28
        case.book = Book(case.path, lambda: case.now)
        case.again()
        assert case.sound(), room
        case.write(9)
        case.book.close()


def test_a_book_from_before_this_version_is_whole(tmp_path: Path) -> None:
    """Rows without anything signed: verified, then signed and exported from now on."""
    from gateway.book.schema import MIGRATIONS, open_durable

    path = tmp_path / "book.db"
    old = open_durable(path, MIGRATIONS[:2])
    old.close()
    case = Case(tmp_path)
    case.write(700)
    found = inspect(case.folder, Authority(()), NOW, case.path)
    assert found.findings == [] and found.rows[EVIDENCE] == 700 and found.signed_to[EVIDENCE] == 0
    assert any("pas encore signées" in note for note in found.notes)
    case.export()
    assert case.sound()

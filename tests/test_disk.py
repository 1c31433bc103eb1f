"""A directory has one master at a time, and none after a death; what fails for want of room is told from the rest."""

from __future__ import annotations

import errno
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from gateway.disk import LOCK, NO_ROOM_SQLITE, DiskFull, lock, room
from gateway.errors import Refused, Scope

HOLD = """import sys; from pathlib import Path; from gateway.disk import lock
with lock(Path(sys.argv[1])): print(); input()"""


def test_one_process_holds_a_directory_until_it_ends_or_dies(tmp_path: Path) -> None:
    for end in ("stdin closed", "killed"):
        command = [sys.executable, "-c", HOLD, str(tmp_path / LOCK)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as other:
            assert other.stdout is not None
            assert other.stdout.readline()
            with pytest.raises(Refused, match=f"{tmp_path} est tenu") as caught, lock(tmp_path / LOCK):
                pass
            assert caught.value.code == "BOX-005"
            if end == "killed":
                other.kill()
        with lock(tmp_path / LOCK):
            pass


def write_full() -> None:
    with Path("/dev/full").open("wb") as out:
        out.write(b"x")


def fill_database() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("PRAGMA max_page_count = 2")
        connection.execute("CREATE TABLE t (x)")
        connection.execute("INSERT INTO t VALUES (zeroblob(9000))")


def test_the_numbers_are_sqlites() -> None:
    assert {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE} == NO_ROOM_SQLITE


def fail_together() -> None:
    raise ExceptionGroup("tasks", [OSError(errno.EDQUOT, "quota"), ExceptionGroup("inner", [DiskFull()])])


@pytest.mark.parametrize("act", [write_full, fill_database, fail_together])
def test_want_of_room_is_one_trouble_of_the_box(act: Callable[[], None]) -> None:
    with pytest.raises(DiskFull, match="disque de la passerelle est plein") as caught, room():
        act()
    assert (caught.value.code, caught.value.scope) == ("BOX-006", Scope.BOX)


class OtherFull(DiskFull):
    CODE = "OTHER"


def say_whose() -> None:
    with room():
        write_full()


@pytest.mark.parametrize(("act", "code"), [(write_full, "OTHER"), (say_whose, "BOX-006"), (fail_together, "BOX-006")])
def test_whose_disk_it_is_stays_as_it_was_said_first(act: Callable[[], None], code: str) -> None:
    with pytest.raises(DiskFull) as caught, room(OtherFull):
        act()
    assert caught.value.code == code


def read_missing() -> None:
    Path("/nowhere").read_bytes()


def ask_wrongly() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("SELECT * FROM nothing")


def fail_apart() -> None:
    raise ExceptionGroup("tasks", [OSError(errno.ENOSPC, "full"), KeyError("x")])


@pytest.mark.parametrize("act", [read_missing, ask_wrongly, fail_apart])
def test_all_else_stays_what_it_is(act: Callable[[], None]) -> None:
    with pytest.raises(Exception) as caught, room():
        act()
    assert not isinstance(caught.value, DiskFull)

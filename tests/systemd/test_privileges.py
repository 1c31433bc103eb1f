"""Who may do what to every file of the box: one table, held against the real modes by the real users."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from furnished import CARD, FORWARD, INTAKE, KEEPER, KEPT, OFFERED, RETURNED, STATUS, furnish, name_of
from gateway_root import PRACTICE, STRANGER, Box

from gateway.book.board import Board, BoardReader
from gateway.book.doors import Door
from gateway.book.moves import Book
from gateway.book.parts import Parts

USERS = (INTAKE, KEEPER, CARD, FORWARD, STATUS, PRACTICE, STRANGER)


def all_users(rights: str) -> dict[str, str]:
    return dict.fromkeys(USERS, rights)


STATE, RUN, SRV, ETC = "var/lib/gateway", "run/gateway", "srv/gateway", "etc/gateway"
DOORS = f"{STATE}/doors"
SHARED = {INTAKE: "lpc", PRACTICE: "lp"}

TABLE: dict[str, dict[str, str]] = {
    # Directories: l list, p put a file in, c change the mode.
    # Files: r read, w write, c change the mode, m move (that is also: remove).
    ETC: all_users("l"),
    f"{ETC}/gateway.toml": all_users("r"),
    # The keeper puts renewed certificates in force; everybody reads them.
    f"{ETC}/trust": all_users("l") | {KEEPER: "lpc"},
    f"{ETC}/trust/generations": all_users("l") | {KEEPER: "lpc"},
    f"{ETC}/trust/box-seal.pem": all_users("r") | {KEEPER: "rm"},
    f"{ETC}/trust/crl": all_users("l"),
    f"{ETC}/keys": {},
    f"{ETC}/keys/intake": {INTAKE: "lpc"},
    f"{ETC}/keys/intake/box-delivery.key": {INTAKE: "rwcm"},
    f"{ETC}/keys/keeper": {KEEPER: "lpc"},
    f"{ETC}/keys/keeper/box-seal.key": {KEEPER: "rwcm"},
    f"{ETC}/keys/forward": {FORWARD: "lpc"},
    f"{ETC}/keys/forward/box-transport.key": {FORWARD: "rwcm"},
    f"{ETC}/keys/status": {STATUS: "lpc"},
    f"{ETC}/keys/status/box-lan-status.key": {STATUS: "rwcm"},
    # Sealed keys are root's.
    f"{ETC}/credentials": {},
    **{f"{ETC}/credentials/{service}": {} for service in ("intake", "keeper", "forward", "status")},
    STATE: {},
    f"{STATE}/book": {KEEPER: "lpc"},
    f"{STATE}/book/book.db": {KEEPER: "rwcm"},
    f"{STATE}/journal": {KEEPER: "lpc"},
    # A part is the keeper's alone, offered or not; nobody else gets at it by its name.
    f"{STATE}/parts": {KEEPER: "lpc"},
    f"{STATE}/parts/{name_of(KEPT)}": {KEEPER: "rcm"},
    f"{STATE}/parts/{name_of(OFFERED)}": {KEEPER: "rcm"},
    f"{STATE}/parts/{name_of(RETURNED)}": {KEEPER: "rcm"},
    f"{STATE}/transfers": {FORWARD: "lpc"},
    f"{STATE}/transfers/transfers.db": {FORWARD: "rwcm"},
    # Lists that came by the line are public; the keeper alone changes them.
    f"{STATE}/lists": {**all_users("l"), KEEPER: "lpc"},
    f"{STATE}/lists/a1.crl": {**all_users("r"), KEEPER: "rwcm"},
    f"{STATE}/intake": {INTAKE: "lpc"},
    f"{STATE}/accounts": {STATUS: "lpc"},
    f"{STATE}/accounts/accounts.db": {STATUS: "rwcm"},
    # Doors: the taker owns the door, reads an entry and takes it away; the writer owns the entry.
    DOORS: {},
    f"{DOORS}/new": {KEEPER: "lpc", INTAKE: "lp"},
    f"{DOORS}/new/fichier.f1": {KEEPER: "rm", INTAKE: "rwcm"},
    f"{DOORS}/outgoing": {FORWARD: "lpc", KEEPER: "lp"},
    f"{DOORS}/outgoing/f1.1.1": {FORWARD: "rm", KEEPER: "rcm"},
    f"{DOORS}/arrived": {KEEPER: "lpc", FORWARD: "lp"},
    f"{DOORS}/arrived/sent.f1.1.1": {KEEPER: "rm", FORWARD: "rwcm"},
    f"{DOORS}/counter": {INTAKE: "lpc", KEEPER: "lp"},
    f"{DOORS}/counter/word.f1.1": {INTAKE: "rm", KEEPER: "rwcm"},
    f"{DOORS}/counter/return.r1.1": {INTAKE: "rm", KEEPER: "rcm"},
    f"{DOORS}/notices": {FORWARD: "lpc", KEEPER: "lp"},
    f"{DOORS}/notices/mail.1": {FORWARD: "rm", KEEPER: "rwcm"},
    # What may be shown.
    RUN: all_users("l"),
    f"{RUN}/sockets": all_users("l"),
    f"{RUN}/board": {KEEPER: "lpc", STATUS: "l", INTAKE: "l"},
    f"{RUN}/board/board.db": {KEEPER: "rwcm", STATUS: "r", INTAKE: "r"},
    f"{RUN}/board/board.db-wal": {KEEPER: "rwcm", STATUS: "r", INTAKE: "r"},
    f"{RUN}/board/board.db-shm": {KEEPER: "rwcm", STATUS: "r", INTAKE: "r"},
    f"{RUN}/forward": {FORWARD: "lpc", KEEPER: "l", STATUS: "l", INTAKE: "l"},
    f"{RUN}/forward/progress.json": {FORWARD: "rwcm", KEEPER: "r", STATUS: "r", INTAKE: "r"},
    # The practice's own folders; what intake works on there is not the practice's to move.
    SRV: all_users("l"),
    f"{SRV}/outbox": SHARED,
    f"{SRV}/outbox/B2_1.b2": {PRACTICE: "rwcm", INTAKE: "rwm"},
    f"{SRV}/outbox/.taking": {INTAKE: "lpc", PRACTICE: "l"},
    f"{SRV}/inbox": SHARED,
    f"{SRV}/inbox/.delivering": {INTAKE: "lpc", PRACTICE: "l"},
    f"{SRV}/inbox/RSP_1.noe": {INTAKE: "rwcm", PRACTICE: "rm"},
    f"{SRV}/receipts": SHARED,
    f"{SRV}/receipts/f1.json": {INTAKE: "rwcm", PRACTICE: "rm"},
    f"{SRV}/processed": SHARED,
    f"{SRV}/refused": SHARED,
}


def list_names(path: Path) -> None:
    next(path.iterdir(), None)


def put(path: Path) -> None:
    file = path / "probe"
    file.touch(exist_ok=False)
    file.unlink()


def read(path: Path) -> None:
    path.open("rb").close()


def write(path: Path) -> None:
    path.open("r+b").close()


def change_mode(path: Path) -> None:
    path.chmod(path.stat().st_mode & 0o7777)


def move(path: Path) -> None:
    path.rename(path.with_name("probe")).rename(path)


DIRECTORY_ACTS = {"l": list_names, "p": put, "c": change_mode}
FILE_ACTS = {"r": read, "w": write, "c": change_mode, "m": move}


def may(act: Callable[[Path], None], path: Path) -> bool:
    try:
        act(path)
    except PermissionError:
        return False
    return True


@pytest.fixture
def furnished(box: Box) -> Iterator[Box]:
    """A box at work."""
    board = furnish(box)
    yield box
    board.close()


@pytest.mark.parametrize("user", USERS)
def test_a_user_may_what_the_table_says_and_nothing_else(furnished: Box, user: str) -> None:
    found = {}
    for place in TABLE:
        path = furnished.root / place
        acts = DIRECTORY_ACTS if path.is_dir() else FILE_ACTS
        with furnished.acting_as(user):
            found[place] = "".join(letter for letter, act in acts.items() if may(act, path))
    assert found == {place: rights.get(user, "") for place, rights in TABLE.items()}


def test_the_table_knows_every_file(furnished: Box) -> None:
    tops = [furnished.root / top for top in (ETC, STATE, RUN, SRV)]
    found = {path for top in tops for path in (top, *top.rglob("*"))}
    assert found == {furnished.root / place for place in TABLE}


DIRECTIONS = (
    ("new", INTAKE, KEEPER),
    ("outgoing", KEEPER, FORWARD),
    ("arrived", FORWARD, KEEPER),
    ("counter", KEEPER, INTAKE),
    ("notices", KEEPER, FORWARD),
)


@pytest.mark.parametrize(("name", "writer", "taker"), DIRECTIONS)
def test_each_door_works_from_its_writer_to_its_taker(box: Box, name: str, writer: str, taker: str) -> None:
    door = Door(box.paths.door(name), writer=box.users[writer].uid)
    with box.acting_as(writer):
        assert door.put("thing", b"content")
        assert not door.put("thing", b"again")
    copy = io.FileIO(os.memfd_create("copy"), "r+")
    with box.acting_as(taker):
        assert door.names() == ["thing"]
        assert door.copy("thing", copy).digest == name_of(b"content")
        door.remove("thing")
        assert door.names() == []
    copy.close()


@pytest.mark.parametrize(("name", "writer", "taker"), DIRECTIONS)
def test_a_writer_removes_nothing_but_its_own(box: Box, name: str, writer: str, taker: str) -> None:
    file = box.paths.door(name) / "of-the-taker"
    with box.acting_as(taker):
        file.touch()
    with box.acting_as(writer), pytest.raises(PermissionError):
        file.unlink()


@pytest.mark.parametrize("user", [user for user in USERS if user not in (KEEPER, FORWARD)])
def test_a_door_opens_for_its_two_users_only(box: Box, user: str) -> None:
    with box.acting_as(KEEPER):
        Door(box.paths.door("outgoing")).put("thing", b"content")
    with box.acting_as(user), pytest.raises(PermissionError):
        Door(box.paths.door("outgoing")).read("thing", 100)


def test_a_part_offered_at_one_door_is_read_there_and_stays_whole_when_it_is_taken(furnished: Box) -> None:
    outgoing = Door(furnished.paths.door("outgoing"))
    with furnished.acting_as(FORWARD):
        assert outgoing.read("f1.1.1", 100) == OFFERED
        outgoing.remove("f1.1.1")
    with furnished.acting_as(KEEPER):
        assert Parts(furnished.paths.parts).open(name_of(OFFERED)).read() == OFFERED
        assert outgoing.link("f1.1.1", Parts(furnished.paths.parts).file(name_of(OFFERED)))
        outgoing.withdraw("f1.1.1")
        assert outgoing.names() == []


def test_a_writer_that_keeps_its_descriptor_alters_nothing_that_was_taken(box: Box) -> None:
    new, parts = Door(box.paths.door("new")), Parts(box.paths.parts)
    with box.acting_as(INTAKE):
        new.put("fichier.f1", b"as it was")
        kept = (new.path / "fichier.f1").open("r+b", buffering=0)
    with box.acting_as(KEEPER):
        taken = parts.take(new, "fichier.f1")
    kept.write(b"altered!!")
    kept.close()
    assert parts.open(taken.digest).read() == b"as it was"


def test_a_hostile_taker_does_not_stop_the_writer(furnished: Box) -> None:
    outgoing = Door(furnished.paths.door("outgoing"))
    with furnished.acting_as(FORWARD):
        outgoing.remove("f1.1.1")
        (outgoing.path / "f1.1.1").write_bytes(b"forged")
        (outgoing.path / ".tmp-mine").touch()
        (outgoing.path / ".tmp-directory").mkdir()
    with furnished.acting_as(KEEPER):
        (outgoing.path / ".tmp-left").touch()
        outgoing.sweep()
        outgoing.withdraw("f1.1.1")
    assert {file.name for file in outgoing.path.iterdir()} == {"f1.1.1", ".tmp-mine", ".tmp-directory"}


def test_the_board_is_read_while_the_keeper_writes_and_after_its_death(box: Box) -> None:
    ready, started = os.pipe()
    keeper = os.fork()
    if keeper == 0:
        with box.acting_as(KEEPER):
            book, board = Book(box.paths.book / "book.db"), Board(box.paths.board)
            board.rebuild(book)
            os.write(started, b"!")
            signal.pause()
    try:
        assert os.read(ready, 1) == b"!"
        for user in (STATUS, INTAKE):
            with box.acting_as(user):
                assert BoardReader(box.paths.board).counts() == {"held": 0}
        with box.acting_as(FORWARD), pytest.raises(PermissionError):
            BoardReader(box.paths.board).counts()
    finally:
        os.kill(keeper, signal.SIGKILL)
        os.waitpid(keeper, 0)
    with box.acting_as(STATUS):
        assert BoardReader(box.paths.board).counts() == {"held": 0}

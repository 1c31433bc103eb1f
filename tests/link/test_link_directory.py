"""A directory behind a server: names, restarts, crashes, text, and who may do what."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from reached_points import reach

from gateway.errors import Trouble
from gateway.link.directory import Directory, Incoming, Repeated, Rooms, harmless
from gateway.link.partners import PartnerEntry, Partners
from gateway.link.passwords import password_hash
from gateway.pesit import diagnostics
from gateway.pesit.records import Form
from gateway.pesit.transfer import Identity, SyncPoint

ANNA, BEN = PartnerEntry("ANNA", password_hash("secret")), PartnerEntry("BEN", password_hash("other"))
FILE = Identity("FSE", 17, created="260101120000", article_length=10)


@dataclass
class Desk:
    """A directory and what it told."""

    path: Path
    rooms: Rooms = field(init=False)
    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in ("in", "out"):
            (self.path / name).mkdir(exist_ok=True)
        self.rooms = Rooms(self.path / "in", self.path / "out", form=Form(10))

    def open(self) -> Directory:
        """As a process would after a start."""

        def tell(kind: str, values: Mapping[str, Any]) -> None:
            self.told.append((kind, dict(values)))

        return Directory("SRV", self.rooms, Partners([ANNA, BEN], lambda: 0.0), tell)

    def landed(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.rooms.directory.iterdir() if path.is_file()}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def incoming(
    directory: Directory, identity: Identity = FILE, who: PartnerEntry = ANNA, restart: bool = False
) -> Incoming:
    made = directory.create(who, identity, restart)
    assert isinstance(made, Incoming)
    made.truncate(made.position() if restart else SyncPoint())
    return made


def receive(directory: Directory, content: bytes, identity: Identity = FILE, who: PartnerEntry = ANNA) -> None:
    file = incoming(directory, identity, who)
    file.write(content, True)
    file.end(len(content), 1)


def code_of(act: Any, *words: Any) -> str:
    with pytest.raises(Trouble) as trouble:
        act(*words)
    return trouble.value.code.removeprefix("PES-")


# --- names -----------------------------------------------------------------------------------------------------------

NAMES = [
    ("FSE", "FSE"),
    ("../x", "_._x"),
    ("/etc/passwd", "_etc_passwd"),
    ("..", "_."),
    ("a\0b\nc\x1b[31m", "a_b_c_[31m"),
    ("-rf", "_rf"),
    ("", "_"),
    ("   ", "_"),
    ("C:\\x", "C:_x"),
    ("été.txt", "été.txt"),
    (".pesit", "_pesit"),
]


@pytest.mark.parametrize(("said", "name"), NAMES)
def test_a_name_is_made_harmless(said: str, name: str, desk: Desk) -> None:
    assert harmless(said) == name and harmless(name) == name
    receive(desk.open(), b"x", replace(FILE, file_name=said))
    assert desk.landed() == {name: b"x"}
    assert desk.told[-1][1]["named"] == said and desk.told[-1][1]["path"].endswith(name)


def test_long_names_are_cut_and_stay_apart() -> None:
    first, second = harmless("é" * 300), harmless("é" * 301)
    assert first != second
    assert all(len(name.encode()) <= 200 for name in (first, second))


def test_nothing_is_overwritten(desk: Desk) -> None:
    directory = desk.open()
    for number, content in enumerate((b"one", b"two", b"three")):
        receive(directory, content, replace(FILE, transfer_id=number + 1))
    assert desk.landed() == {"FSE": b"one", "FSE.1": b"two", "FSE.2": b"three"}


@pytest.mark.parametrize(("name_in", "name"), [(12, "FSE"), (37, "real.txt"), (99, "note.txt")])
def test_the_name_comes_from_where_the_product_puts_it(name_in: Any, name: str, desk: Desk) -> None:
    desk.rooms = replace(desk.rooms, name_in=name_in)
    directory = desk.open()
    receive(directory, b"x", replace(FILE, label="real.txt", free_text="note.txt"))
    receive(directory, b"y", replace(FILE, transfer_id=18))
    assert desk.landed() == ({"FSE": b"x", "FSE.1": b"y"} if name_in == 12 else {name: b"x", "FSE": b"y"})


# --- restarts and crashes --------------------------------------------------------------------------------------------


@pytest.mark.fact("F-75", "F-105", "F-111", "F-113")
def test_a_file_goes_on_from_its_last_point_in_another_process(desk: Desk) -> None:
    file = incoming(desk.open())
    file.write(b"abc", True)
    reach(file, SyncPoint(1, 3, 1))
    file.write(b"never acknowledged", True)
    assert desk.landed() == {}, "nothing shows before it is whole"
    again = incoming(desk.open(), restart=True)
    assert again.position() == SyncPoint(1, 3, 1)
    again.write(b"def", True)
    again.end(6, 2)
    assert desk.landed() == {"FSE": b"abcdef"}


@pytest.mark.fact("F-89", "F-90")
def test_text_goes_on_where_its_lines_stand(desk: Desk) -> None:
    text = replace(FILE, data_code=1)
    file = incoming(desk.open(), text)
    file.write(b"\xc1", False)
    file.write(b"\xc2", True)
    reach(file, SyncPoint(1, 2, 1))
    file.write(b"\xc3", False)
    again = incoming(desk.open(), text, restart=True)
    again.write(b"\xc3", True)
    again.end(3, 2)
    assert desk.landed() == {"FSE": b"AB\nC\n"}


def test_a_file_that_lost_its_data_begins_again(desk: Desk) -> None:
    file = incoming(desk.open())
    file.write(b"abc", True)
    reach(file, SyncPoint(1, 3, 1))
    part = next((desk.rooms.directory / ".pesit").glob("*.part"))
    os.truncate(part, 2)
    again = desk.open().create(ANNA, FILE, True)
    assert again.position() == SyncPoint()


@pytest.mark.fact("F-109")
def test_going_back_in_one_connection(desk: Desk) -> None:
    file = incoming(desk.open())
    for number, data in enumerate((b"ab", b"cd", b"ef"), start=1):
        file.write(data, True)
        reach(file, SyncPoint(number, 2 * number, number))
    file.truncate(SyncPoint(1, 2, 1))
    file.write(b"CD", True)
    reach(file, SyncPoint(2, 4, 2))
    file.end(4, 2)
    assert desk.landed() == {"FSE": b"abCD"}


def test_a_point_that_was_never_had_is_refused(desk: Desk) -> None:
    file = incoming(desk.open())
    assert code_of(file.truncate, SyncPoint(4, 10, 1)) == "2.228"


@pytest.mark.fact("F-106")
def test_a_restart_of_nothing_is_refused(desk: Desk) -> None:
    assert code_of(desk.open().create, ANNA, FILE, True) == "2.233"


@pytest.mark.parametrize("changed", [{"transfer_id": 18}, {"created": "260101120001"}, {"final_receiver": "SRV"}])
@pytest.mark.fact("F-102")
def test_another_identity_is_another_transfer(changed: dict[str, Any], desk: Desk) -> None:
    directory = desk.open()
    reach(incoming(directory), SyncPoint(1, 0, 0))
    assert code_of(directory.create, ANNA, replace(FILE, **changed), True) == "2.233"
    assert code_of(directory.create, BEN, FILE, True) == "2.233", "or another partner"


def test_a_second_line_takes_the_file_from_the_first(desk: Desk) -> None:
    directory = desk.open()
    old = incoming(directory)
    old.write(b"abc", True)
    reach(old, SyncPoint(1, 3, 1))
    new = incoming(directory, restart=True)
    for act in (
        lambda: old.write(b"x", True),
        lambda: reach(old, SyncPoint(2, 4, 2)),
        lambda: old.truncate(SyncPoint()),
    ):
        assert code_of(act) == "2.207"
    old.abandon(diagnostics.trouble("2.226"), keep=False)
    new.write(b"def", True)
    new.end(6, 2)
    assert desk.landed() == {"FSE": b"abcdef"}


def test_an_end_that_was_not_heard_is_said_again_and_the_file_is_there_once(desk: Desk) -> None:
    receive(desk.open(), b"abc")
    again = desk.open().create(ANNA, FILE, True)
    assert isinstance(again, Repeated)
    again.truncate(again.position())
    again.write(b"abc", True)
    again.end(3, 1)
    assert code_of(again.end, 4, 1) == "2.229"
    assert desk.landed() == {"FSE": b"abc"}


def test_the_same_file_sent_anew_is_another_one(desk: Desk) -> None:
    directory = desk.open()
    receive(directory, b"abc")
    receive(directory, b"abc")
    assert desk.landed() == {"FSE": b"abc", "FSE.1": b"abc"}


@pytest.mark.parametrize("at", ["link", "sync_directory", "unlink"])
def test_a_crash_between_the_end_and_the_name(at: str, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever step the process dies before, the next start has the file there once, and whole."""

    class Killed(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise Killed

    file = incoming(desk.open())
    file.write(b"abc", True)
    with monkeypatch.context() as patched:
        owner: Any = {"link": os, "unlink": Path}.get(at) or __import__("gateway.link.directory", fromlist=["x"])
        patched.setattr(owner, at, die)
        with pytest.raises(Killed):
            file.end(3, 1)
    again = desk.open()
    assert desk.landed() == {"FSE": b"abc"}
    assert not list((desk.rooms.directory / ".pesit").glob("*.part"))
    assert isinstance(again.create(ANNA, FILE, True), Repeated)


def test_what_nobody_came_back_for_is_forgotten(desk: Desk) -> None:
    reach(incoming(desk.open()), SyncPoint(1, 0, 0))
    private = desk.rooms.directory / ".pesit"
    assert len(list(private.iterdir())) == 2
    for path in private.iterdir():
        os.utime(path, (0, 0))
    desk.open()
    assert list(private.iterdir()) == []


def test_given_up_is_forgotten_and_cut_is_kept(desk: Desk) -> None:
    directory = desk.open()
    incoming(directory).abandon(diagnostics.trouble("3.310"), keep=True)
    assert isinstance(directory.create(ANNA, FILE, True), Incoming)
    incoming(directory).abandon(diagnostics.trouble("2.216"), keep=False)
    assert code_of(directory.create, ANNA, FILE, True) == "2.233"


# --- who may do what -------------------------------------------------------------------------------------------------


def test_who_is_let_in(desk: Desk) -> None:
    directory = desk.open()
    assert directory.connect("ANNA", "SRV", "secret", None) == ANNA
    assert code_of(directory.connect, "ANNA", "OTHER", "secret", None) == "3.301"
    assert code_of(directory.connect, "ANNA", "SRV", "wrong", None) == "3.304"
    assert desk.told[-1][0] == "refused" and "secret" not in str(desk.told)


@pytest.mark.parametrize(
    ("entry", "identity", "code"),
    [
        (replace(ANNA, may_send=False), FILE, "2.226"),
        (ANNA, replace(FILE, final_receiver="ELSEWHERE"), "2.226"),
        (replace(ANNA, limit=1023), replace(FILE, reserved_kb=1), "2.206"),
        (ANNA, replace(FILE, reserved_kb=(1 << 32) - 1), "2.201"),
    ],
)
@pytest.mark.fact("F-131")
def test_what_is_not_taken(entry: PartnerEntry, identity: Identity, code: str, desk: Desk) -> None:
    assert code_of(desk.open().create, entry, identity, False) == code


def test_a_file_larger_than_its_limit_is_refused_on_the_way(desk: Desk) -> None:
    file = incoming(desk.open(), who=replace(ANNA, limit=5))
    file.write(b"abcde", True)
    assert code_of(file.write, b"f", True) == "2.224"


@pytest.mark.parametrize(("number", "code"), [(errno.ENOSPC, "2.219"), (errno.EIO, "2.213")])
def test_a_disk_that_refuses_is_said_to_the_partner(
    number: int, code: str, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = incoming(desk.open())

    def refuse(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    assert code_of(reach, file, SyncPoint(1, 0, 0)) == code


# --- files out -------------------------------------------------------------------------------------------------------


def ask(directory: Directory, name: str, who: PartnerEntry = ANNA, number: int = 0, restart: bool = False) -> Any:
    return directory.select(who, Identity(name, number), restart)


def test_a_file_is_fetched_by_its_name_only(desk: Desk) -> None:
    (desk.path / "out" / "list").write_bytes(b"x" * 25)
    (desk.path / "secret").write_bytes(b"no")
    (desk.path / "out" / "link").symlink_to(desk.path / "secret")
    (desk.path / "out" / "folder").mkdir()
    directory = desk.open()
    for name in ("../secret", "link", "folder", "absent", "", ".", "../out/list", "/etc/passwd"):
        assert ask(directory, name) is None, name
    assert code_of(directory.select, replace(ANNA, may_fetch=False), Identity("list"), False) == "2.226"
    offered = ask(directory, "list")
    assert list(offered.articles(SyncPoint())) == [b"x" * 10, b"x" * 10, b"x" * 5]
    assert offered.identity.transfer_id != 0 and offered.identity.reserved_kb == 1


def test_a_read_goes_on_at_any_point_that_was_set(desk: Desk) -> None:
    path = desk.path / "out" / "list"
    path.write_bytes(bytes(range(40)))
    offered = ask(desk.open(), "list")
    for number in (1, 2):
        offered.marked(SyncPoint(number, number * 10, number))
    number = offered.identity.transfer_id
    again = ask(desk.open(), "list", number=number, restart=True)
    assert again.identity == offered.identity
    point = again.position(2)
    assert b"".join(again.articles(point)) == bytes(range(20, 40))
    assert again.position(3) is None
    assert ask(desk.open(), "list", number=number + 1, restart=True) is None
    assert ask(desk.open(), "list", who=BEN, number=number, restart=True) is None
    path.write_bytes(b"changed")
    assert code_of(desk.open().select, ANNA, offered.identity, True) == "2.229"


def test_a_message_is_kept_and_told(desk: Desk) -> None:
    directory = desk.open()
    assert directory.message(ANNA, FILE, "vu, merci") == "Message reçu."
    assert desk.told[-1] == ("message", {"partner": "ANNA", "name": "FSE", "transfer_id": 17, "text": "vu, merci"})
    kept = (desk.rooms.directory / ".pesit" / "messages.jsonl").read_text(encoding="utf-8")
    assert kept.count("\n") == 1 and "vu, merci" in kept

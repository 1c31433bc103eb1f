"""What a sender leaves by SFTP: taken once, whatever it is and whenever we are killed; its returns laid out and had."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from concentrator_bench import BOX, Bench, b2

from gateway.concentrator.landing import Landing
from gateway.concentrator.store import Store
from gateway.errors import Refused, Scope
from gateway.formats.landing import DEMAND, DEPOT, RETURNS, had_name, landing_name, partial_name


@pytest.fixture
def served(bench: Bench, tmp_path: Path) -> Bench:
    """The bench with a landing directory for its one sender."""
    home = tmp_path / "landing"
    for room in (DEPOT, RETURNS):
        (home / room).mkdir(parents=True)
    partner = replace(bench.settings.partners[0], landing=str(home))
    return bench.having(partners=(partner,))


@pytest.fixture
def landing(served: Bench, opened: Store) -> Landing:
    return served.landing(opened)


def room(bench: Bench, name: str) -> Path:
    return Path(bench.settings.partners[0].landing) / name


def put(bench: Bench, sealed: bytes, entry: str = "f1.1.s1", name: str = "") -> Path:
    path = room(bench, DEPOT) / (name or landing_name(entry, hashlib.sha256(sealed).hexdigest()))
    path.write_bytes(sealed)
    return path


def transfers(store: Store) -> list[tuple[str, str, str]]:
    rows = store.connection.execute("SELECT * FROM transfers ORDER BY id")
    return [(row["free_text"], row["channel"], row["outcome"]) for row in rows]


def test_a_whole_file_is_taken_recorded_and_removed(served: Bench, opened: Store, landing: Landing) -> None:
    sealed = served.sign_and_seal(b2(), "f1")
    put(served, sealed)
    assert landing.look() and not landing.look()
    assert list(room(served, DEPOT).iterdir()) == []
    assert (served.settings.received / hashlib.sha256(sealed).hexdigest()).read_bytes() == sealed
    assert served.integration(opened).work()
    assert transfers(opened) == [("f1.1.s1", "sftp", "integrated")]
    (receipt,) = served.receipts(opened)
    assert (receipt.fichier, receipt.seal, receipt.verdict) == ("f1", "s1", "integrated")


def test_by_both_channels_it_is_integrated_once_and_answered_with_the_first_word(
    served: Bench, opened: Store, landing: Landing
) -> None:
    sealed = served.sign_and_seal(b2(), "f1")
    served.receive(opened, sealed)
    put(served, sealed)
    assert landing.look()
    integration = served.integration(opened)
    assert integration.work() and integration.work() and not integration.work()
    assert [(channel, outcome) for _, channel, outcome in transfers(opened)] == [
        ("pesit", "integrated"), ("sftp", "double"),
    ]  # fmt: skip
    first, again = served.receipts(opened)
    assert (first.original, again.original) == (True, False)
    assert again.integrated_at == first.integrated_at


class Killed(BaseException):
    """The process is gone at this point."""


@pytest.mark.parametrize("where", ["land", "remove"])
def test_killed_before_and_after_the_commit_it_is_recorded_once(
    served: Bench, opened: Store, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise Killed

    path = put(served, served.sign_and_seal(b2(), "f1"))
    target = "gateway.concentrator.store.Store.land" if where == "land" else "gateway.book.doors.Door.remove"
    with monkeypatch.context() as patched:
        patched.setattr(target, die)
        with pytest.raises(Killed):
            served.landing(opened).look()
    assert path.exists()
    served.landing(opened).look()
    assert not path.exists()
    assert transfers(opened) == [("f1.1.s1", "sftp", "")]


def test_a_copy_that_is_not_what_its_name_says_gets_the_seals_word(
    served: Bench, opened: Store, landing: Landing
) -> None:
    sealed = bytearray(served.sign_and_seal(b2(), "f1"))
    name = landing_name("f1.1.s1", hashlib.sha256(sealed).hexdigest())
    sealed[-1] ^= 1
    put(served, bytes(sealed), name=name)
    assert landing.look() and served.integration(opened).work()
    assert transfers(opened) == [("f1.1.s1", "sftp", "unopened")]
    (alarm,) = opened.connection.execute("SELECT * FROM alarms").fetchall()
    assert (alarm["code"], alarm["about"]) == ("OCT-009", f"{BOX} {name}")


WHOLE = landing_name("f1.1.s1", "0" * 64)


def hostile_link(depot: Path) -> None:
    (depot / WHOLE).symlink_to("/etc/passwd")


def hostile_hard_link(depot: Path) -> None:
    (depot / "other").write_bytes(b"x")
    (depot / WHOLE).hardlink_to(depot / "other")


def hostile_pipe(depot: Path) -> None:
    os.mkfifo(depot / WHOLE)


def hostile_directory(depot: Path) -> None:
    (depot / WHOLE).mkdir()


def partial(depot: Path) -> None:
    (depot / partial_name(WHOLE)).write_bytes(b"x")


def misnamed(depot: Path) -> None:
    for name in ("f1.1.s1", f"f1.0.s1.{'0' * 64}", f"f1.1.s1.{'0' * 63}", f"f1.1.s1.{'g' * 64}", "notes.txt"):
        (depot / name).write_bytes(b"x")


OTHERS = [hostile_link, hostile_hard_link, hostile_pipe, hostile_directory, partial, misnamed]


@pytest.mark.parametrize("make", OTHERS)
def test_anything_else_stays_and_is_swept_by_its_age(served: Bench, opened: Store, make: object) -> None:
    depot = room(served, DEPOT)
    make(depot)  # type: ignore[operator]
    assert not served.landing(opened).look()
    assert transfers(opened) == []
    left = sorted(path.name for path in depot.iterdir())
    served.landing(opened).sweep()
    assert sorted(path.name for path in depot.iterdir()) == left, "young things stay"
    late = served.now + timedelta(days=served.settings.landing_days + 1)
    replace(served, now=late).landing(opened).sweep()
    kept = {path.name for path in depot.iterdir()}
    assert kept <= {WHOLE}, "only what is named as whole outlives its time"


def test_a_whole_file_that_waits_is_never_swept(served: Bench, opened: Store) -> None:
    path = put(served, b"x")
    late = served.now + timedelta(days=1000)
    replace(served, now=late).landing(opened).sweep()
    assert path.exists()


def test_too_large_is_said_and_goes_when_its_time_is_over(served: Bench, opened: Store) -> None:
    small = served.having(limit=10)
    path = put(small, b"x" * 11)
    landing = small.landing(opened)
    assert not landing.look() and not landing.look()
    assert [row["code"] for row in opened.connection.execute("SELECT code FROM alarms")] == ["OCT-010"]
    replace(small, now=small.now + timedelta(days=8)).landing(opened).sweep()
    assert not path.exists()


def test_a_file_that_changes_while_it_is_copied_is_taken_later(
    served: Bench, opened: Store, landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(served, b"first")
    real = landing._takeable

    def grow(sender: str, name: str, info: os.stat_result) -> bool:
        with path.open("ab") as more:
            more.write(b" and more")
        return real(sender, name, info)

    with monkeypatch.context() as patched:
        patched.setattr(landing, "_takeable", grow)
        assert not landing.look()
    assert transfers(opened) == [] and path.exists()
    assert landing.look()


def test_returns_are_laid_out_on_demand_and_delivered_by_the_mark_alone(
    served: Bench, opened: Store, landing: Landing
) -> None:
    put(served, served.sign_and_seal(b2(), "f1"))
    landing.look()
    served.integration(opened).work()
    returns = room(served, RETURNS)
    assert list(returns.iterdir()) == [], "nobody asked"
    (returns / DEMAND).touch()
    landing.look()
    names = sorted(path.name for path in returns.iterdir())
    assert len(names) == 3 and DEMAND not in names
    found = {served.unseal((returns / name).read_bytes()).header.kind for name in names}
    assert found == {"receipt", "arl", "rsp"}
    (returns / names[0]).unlink()
    landing.look()
    assert len(opened.undelivered(BOX, served.now.timestamp(), 10, served.recipients(opened))) == 3, "gone is not had"
    (returns / had_name(names[1])).touch()
    landing.look()
    assert sorted(path.name for path in returns.iterdir()) == [names[2]]
    assert names[1] not in [
        row["name"] for row in opened.undelivered(BOX, served.now.timestamp(), 10, served.recipients(opened))
    ]
    row = opened.named(BOX, names[2])
    assert row is not None
    opened.deliver(row["id"], "2026-11-23T08:00:00Z")  # by PeSIT
    landing.look()
    assert list(returns.iterdir()) == []


def test_marks_and_files_of_nobody_are_cleared_away(served: Bench, opened: Store, landing: Landing) -> None:
    returns = room(served, RETURNS)
    (returns / had_name("receipt_99999999")).touch()
    (returns / "receipt_99999999").write_bytes(b"not ours")
    landing.look()
    assert list(returns.iterdir()) == []


def test_a_link_in_the_place_of_a_return_leads_nowhere(
    served: Bench, opened: Store, landing: Landing, tmp_path: Path
) -> None:
    put(served, served.sign_and_seal(b2(), "f1"))
    landing.look()
    served.integration(opened).work()
    victim, returns = tmp_path / "victim", room(served, RETURNS)
    for row in opened.undelivered(BOX, served.now.timestamp(), 10, served.recipients(opened)):
        (returns / row["name"]).symlink_to(victim)
    (returns / DEMAND).touch()
    landing.look()
    assert not victim.exists()


def test_a_landing_directory_without_its_rooms_is_said(served: Bench, opened: Store) -> None:
    room(served, RETURNS).rmdir()
    with pytest.raises(Refused) as refused:
        served.landing(opened)
    assert (refused.value.code, refused.value.scope) == ("OCT-008", Scope.BOX)

"""A clock that is not plausible decides nothing, loses nothing, and is trusted again once it is right."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from development_pki import Pki
from keeper_bench import KeeperBench
from line_certificates import make_list
from samples import EMITTER

from gateway.book.doors import Copied
from gateway.errors import Deferred, Refused
from gateway.process.release import RELEASED
from gateway.services.keeper import returns
from gateway.services.keeper.clock import Known, doubt
from gateway.services.keeper.commands import clock
from gateway.services.keeper.lists import Lists, keep, known_authorities
from gateway.services.keeper.service import _turns
from tests.services.test_keeper_returns import bring, receipt, sealed

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
T = datetime(2027, 3, 1, 12, tzinfo=UTC)
BACK, AHEAD = 3 * HOUR, 60 * DAY

CASES = [
    (timedelta(0), None, ""),
    (-timedelta(minutes=14), None, ""),
    (-timedelta(minutes=16), None, "CLK-001"),
    (-20000 * DAY, None, "CLK-001"),
    (59 * DAY, None, ""),
    (61 * DAY, None, "CLK-003"),
    (64 * 365 * DAY, None, "CLK-003"),
    (HOUR, 3 * HOUR, ""),
    (HOUR, 5 * HOUR, "CLK-002"),
    (61 * DAY, 61 * DAY, "CLK-003"),
]


@pytest.mark.parametrize(("clock_at", "own", "code"), CASES)
def test_the_rule(clock_at: timedelta, own: timedelta | None, code: str) -> None:
    """Moments from the latest that others signed on."""
    known = Known(T, "une liste", None if own is None else T + own)
    wrong = doubt(T + clock_at, known, BACK, AHEAD)
    assert (wrong.code if wrong else "") == code
    assert wrong is None or "horloge" in wrong.text


def test_the_release_is_past() -> None:
    assert datetime.now(UTC) > RELEASED


@pytest.fixture
def bench(pki: Pki, tmp_path: Path) -> KeeperBench:
    made = KeeperBench(tmp_path / "s", pki)
    made.open(clock_back_h=3.0, clock_ahead_days=60.0)
    Lists(made.desk).look()
    return made


@contextmanager
def shifted(bench: KeeperBench, by: timedelta) -> Iterator[None]:
    """The box's clock is wrong for a while."""
    bench.now += by
    yield
    bench.now -= by


SHIFTS = {"CLK-001": -400 * DAY, "CLK-003": 9000 * DAY}


@pytest.mark.parametrize("code", SHIFTS)
def test_nothing_is_signed_and_nothing_is_lost(bench: KeeperBench, code: str) -> None:
    bench.insert("99900000011")
    key = bench.checked("a", EMITTER)
    bench.turn()
    assert [item.fichier for item in bench.offered] == [key]
    bench.sign(key)
    with shifted(bench, SHIFTS[code]):
        bench.turn()
        assert bench.offered == [], "no signature is asked for"
        assert (bench.row(key)["state"], bench.confirmed) == ("CHECKED", []), "nor accepted"
        assert bench.condition("clock")["code"] == code
        assert bench.condition("certificate")["code"] == ""
        bench.turn()
    bench.turn()
    assert (bench.row(key)["state"], bench.confirmed) == ("SIGNED", [key]), "it recovers by itself"
    assert bench.condition("clock")["code"] == ""


@pytest.mark.parametrize("code", SHIFTS)
def test_a_return_waits_unjudged(bench: KeeperBench, code: str) -> None:
    key = sealed(bench)
    name = bring(bench, "receipt", receipt(bench, key, "integrated"))
    with shifted(bench, SHIFTS[code]):
        asyncio.run(returns.take_arrived(bench.desk))
        assert bench.desk.arrived.names() == [name]
        assert bench.condition("returns")["code"] == code
    bench.desk.put_off.clear()
    asyncio.run(returns.take_arrived(bench.desk))
    assert bench.row(key)["state"] == "INTEGRATED"


def test_what_was_put_off_by_a_wrong_clock_waits_no_longer(bench: KeeperBench) -> None:
    key = bench.checked("a", EMITTER)
    bench.desk.clock_holds()
    with bench.desk.commit():
        later = (bench.now + 300 * DAY).timestamp()
        bench.desk.book.connection.execute("UPDATE fichiers SET not_before = ? WHERE id = ?", (later, key))
    with shifted(bench, 9000 * DAY):
        assert not bench.desk.clock_holds()
    assert bench.desk.clock_holds()
    assert bench.row(key)["not_before"] == 0.0


def test_the_floor_outlives_the_keeper(bench: KeeperBench) -> None:
    listed = make_list(bench.pki, "sante", bench.now + 20 * DAY)
    keep(bench.desk, listed, known_authorities(bench.desk))
    for _ in range(2):
        assert not bench.desk.clock_holds()
        condition = bench.condition("clock")
        assert condition["code"] == "CLK-001" and "AC Professionnels" in condition["text"]
        bench.open()
    bench.now += 20 * DAY
    assert bench.desk.clock_holds()


def test_a_receipt_of_later_than_now_says_so(bench: KeeperBench, monkeypatch: pytest.MonkeyPatch) -> None:
    key = sealed(bench)
    monkeypatch.setattr("tests.services.test_keeper_returns.AT", (bench.now + HOUR).strftime("%Y-%m-%dT%H:%M:%SZ"))
    bring(bench, "receipt", receipt(bench, key, "integrated"))
    asyncio.run(returns.take_arrived(bench.desk))
    assert bench.row(key)["state"] == "INTEGRATED"
    assert not bench.desk.clock_holds()
    assert "un retour du concentrateur" in bench.condition("clock")["text"]
    bench.now += HOUR
    assert bench.desk.clock_holds()


def test_a_wrong_moment_far_ahead_drags_nothing_along(bench: KeeperBench) -> None:
    """The clock shows 2090 for an hour of work: nothing of it counts as past."""
    with shifted(bench, 23000 * DAY):
        for number in range(3):
            assert not bench.desk.clock_holds()
            bench.checked(f"in 2090 {number}", EMITTER)
    assert bench.desk.clock_holds()


def test_a_wrong_moment_near_ahead_is_undone_by_a_person_with_a_reason(bench: KeeperBench) -> None:
    with shifted(bench, 30 * DAY):
        assert bench.desk.clock_holds(), "nothing tells yet"
        bench.checked("next month", EMITTER)
    assert not bench.desk.clock_holds()
    assert bench.condition("clock")["code"] == "CLK-002"
    with pytest.raises(Refused):
        clock(bench.desk, {"why": "  "})
    told = clock(bench.desk, {"why": "l'horloge avançait d'un mois"})
    assert told["holds"] and bench.condition("clock")["code"] == ""
    (row,) = bench.told("", "clock")
    assert (row["why"], row["by"]) == ("l'horloge avançait d'un mois", "admin")
    assert bench.desk.clock_holds()


def test_what_an_authority_dated_wrongly_is_undone_too(bench: KeeperBench) -> None:
    known = known_authorities(bench.desk)
    keep(bench.desk, make_list(bench.pki, "sante", bench.now + 3000 * DAY, number=1 << 40), known)
    assert not bench.desk.clock_holds()
    assert clock(bench.desk, {"why": "liste datée de travers"})["holds"]
    keep(bench.desk, make_list(bench.pki, "sante", bench.now, number=1 << 41), known)
    assert bench.desk.clock_holds()


def test_no_person_makes_it_earlier_than_the_program(bench: KeeperBench) -> None:
    with shifted(bench, RELEASED - bench.now - DAY), pytest.raises(Refused, match="CLK-004"):
        clock(bench.desk, {"why": "si, si"})
    assert bench.told("", "clock") == []


def test_a_list_shows_that_a_clock_was_right_after_a_long_silence(bench: KeeperBench) -> None:
    bench.now += 100 * DAY
    assert not bench.desk.clock_holds()
    lists = Lists(bench.desk)
    lists.look()
    assert (bench.desk.paths.lists / "wanted").exists(), "forward is to look at once"
    for name in ("root", "sante", "oct", "boites"):
        keep(bench.desk, make_list(bench.pki, name, bench.now - HOUR), known_authorities(bench.desk))
    assert bench.desk.clock_holds()


def test_the_command_shows_what_is_known(bench: KeeperBench) -> None:
    told = json.loads(json.dumps(clock(bench.desk, {})))
    assert told["holds"] and told["text"] == ""
    assert "liste de révocation" in told["what"]


def test_the_rule_is_raised_where_something_is_judged(bench: KeeperBench) -> None:
    with shifted(bench, 9000 * DAY), pytest.raises(Deferred, match="CLK-003"):
        bench.desk.watch.check()


def test_a_turn_of_the_keeper_checks_nothing_while_the_clock_is_wrong(bench: KeeperBench) -> None:
    """The fichier has no part: work on it would end in an error."""
    columns = {"name": "a", "channel": "folder", "received": "2026-11-01T08:00:00Z", "size": 9, "digest": ""}
    with bench.desk.commit():
        bench.desk.book.receive("f" * 32, columns, Copied("aa", 9))

    async def one_turn() -> None:
        task = asyncio.create_task(_turns(bench.desk))
        await asyncio.sleep(0.1)
        bench.desk.runtime.stop.set()
        await task

    with shifted(bench, 9000 * DAY):
        asyncio.run(one_turn())
        assert bench.row("f" * 32)["state"] == "RECEIVED"
    bench.desk.runtime.stop.clear()
    with pytest.raises(FileNotFoundError):
        asyncio.run(one_turn())

"""Identity, points and counts."""

from __future__ import annotations

import pytest

from gateway.pesit.codec import Fpdu, decode, encode
from gateway.pesit.diagnostics import Violation
from gateway.pesit.messages import parts
from gateway.pesit.transfer import (
    Identity,
    Sync,
    SyncPoint,
    Transfer,
    create,
    found,
    identity_of,
    select,
)

WHOLE = Identity(
    file_name="FSE",
    transfer_id=101,
    file_type=7,
    requester="APPA",
    server="APPC",
    created="260101120000",
    initial_sender="ORIGIN",
    final_receiver="FINALDEST",
    label="lot 17",
    free_text="seal 3",
    article_length=4096,
    entity=8192,
    reserved_kb=12,
)


def test_identity_survives_create() -> None:
    fpdu = decode(encode(create(WHOLE, restart=True)))
    assert identity_of(fpdu) == WHOLE
    assert fpdu.number(15) == 1
    assert 15 not in create(WHOLE, restart=False).values


def test_identity_survives_selection_as_far_as_its_fpdus_carry_it() -> None:
    asked = identity_of(decode(encode(select(WHOLE, restart=False))))
    assert (asked.file_name, asked.transfer_id, asked.entity) == ("FSE", 101, 8192)
    told = identity_of(decode(encode(found(WHOLE, 4096))))
    assert (told.label, told.article_length, told.entity) == ("lot 17", 4096, 4096)


def test_acknowledging_message_turns_the_addresses_round() -> None:
    told = identity_of(decode(encode(parts(WHOLE.answering(), "VU", 4096, answer=False)[0])))
    assert (told.requester, told.server) == ("APPC", "APPA")
    assert (told.initial_sender, told.final_receiver) == ("FINALDEST", "ORIGIN")
    assert (told.file_name, told.transfer_id, told.file_type) == ("FSE", 101, 7)
    assert told.created == WHOLE.created


@pytest.mark.parametrize(
    ("proposed", "own", "agreed"),
    [
        (Sync(32, 2), Sync(1024, 16), Sync(32, 2)),
        (Sync(0xFFFF, 2), Sync(64, 1), Sync(64, 1)),
        (Sync(32, 0), Sync(64, 4), Sync(32, 0)),
        (Sync(), Sync(64, 4), Sync()),
        (Sync(32, 1), Sync(0, 0), Sync()),
        (Sync(32, 1), Sync(100, 2), Sync(32, 1)),
    ],
)
def test_sync_option_is_never_raised(proposed: Sync, own: Sync, agreed: Sync) -> None:
    assert proposed.agreed(own) == agreed


def test_sync_option_coding() -> None:
    assert Sync.of(Fpdu("CONNECT", {7: Sync(32, 2).coded()})) == Sync(32, 2)
    assert Sync.of(Fpdu("CONNECT")) == Sync()


@pytest.mark.parametrize(
    ("known", "number", "expected"),
    [
        (SyncPoint(3, 30, 3, 10), 3, SyncPoint(3, 30, 3, 10)),
        (SyncPoint(3, 30, 3, 10), 0, SyncPoint(0, 0, 0, 10)),
        (SyncPoint(3, 30, 3, 10), 5, SyncPoint(5, 50, 7, 10)),
        (SyncPoint(3, 30, 3, 10), 2, None),
        (SyncPoint(3, 30, 3, 0), 4, None),
        (SyncPoint(), 0, SyncPoint()),
    ],
)
def test_points_that_were_never_acknowledged_are_computed(
    known: SyncPoint, number: int, expected: SyncPoint | None
) -> None:
    assert known.later(number, 5) == expected


def test_points_fall_on_multiples_of_the_interval() -> None:
    accounts = Transfer(SyncPoint(), Sync(32, 2))
    for _ in range(100):
        if accounts.due(1024):
            accounts.mark(accounts.point.number + 1)
        accounts.add(1024)
    assert (accounts.point.number, accounts.point.offset, accounts.point.articles) == (3, 96 * 1024, 96)


@pytest.mark.fact("F-71", "F-72", "F-76")
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("interval_kb", [1, 4, 32])
@pytest.mark.parametrize("article_length", [80, 1024, 2000])
def test_points_lie_where_their_spacing_says(article_length: int, interval_kb: int, compressed: bool) -> None:
    sync = Sync(interval_kb, 2)
    start = SyncPoint(spacing=sync.spacing(article_length, compressed=compressed))
    accounts = Transfer(start, sync, compressed=compressed)
    for _ in range(1500):
        if accounts.due(article_length):
            accounts.mark(accounts.point.number + 1)
        accounts.add(article_length, spared=article_length // 2 if compressed else 0)
    last = accounts.point
    assert last.number >= 3
    computed = start.later(last.number, article_length)
    assert computed is not None
    assert (computed.offset, computed.articles) == (last.offset, last.articles)
    assert last.spared == (last.offset // 2 if compressed else None)


RESTARTS = [
    # start, compressed again, spared since, PI 27
    (SyncPoint(1, 1000, 10, 100, 400), True, 50, 650),
    (SyncPoint(1, 1000, 10, 100, 400), False, 0, 700),
    (SyncPoint(1, 1000, 10, 100), False, 0, 1100),
    (SyncPoint(1, 1000, 10, 100), True, 50, None),
    (SyncPoint(), True, -2, 102),
]


@pytest.mark.fact("F-76", "F-108", "F-112")
@pytest.mark.parametrize(("start", "compressed", "spared", "told"), RESTARTS)
def test_counts_of_a_restart(start: SyncPoint, compressed: bool, spared: int, told: int | None) -> None:
    accounts = Transfer(start, Sync(1, 1), compressed=compressed)
    accounts.add(100, spared=spared)
    assert accounts.counts.get(27) == told
    assert accounts.matches(Fpdu("TRANS.END", accounts.counts))
    assert accounts.matches(Fpdu("TRANS.END", {27: 100 - spared, 28: 1}))
    # Where the count of the whole is lost, bytes are not compared; articles always are.
    assert accounts.matches(Fpdu("TRANS.END", {27: 1})) is (told is None)
    assert not accounts.matches(Fpdu("TRANS.END", {28: 99}))


@pytest.mark.fact("F-109")
def test_counts_go_back_with_the_data() -> None:
    accounts = Transfer(SyncPoint(), Sync(1, 1), compressed=True)
    accounts.add(500, spared=300)
    accounts.mark(1)
    accounts.add(500, spared=100)
    accounts.rewind(1)
    assert accounts.counts == {27: 200, 28: 1}
    accounts.rewind(0)
    assert accounts.counts == {27: 0, 28: 0}


def test_window() -> None:
    accounts = Transfer(SyncPoint(4, 400, 4), Sync(1, 2))
    for number in (5, 6):
        assert not accounts.blocked
        accounts.add(1)
        accounts.mark(number)
    points = [(accounts.blocked, accounts.acknowledge(6)), (accounts.blocked, accounts.acknowledge(5))]
    assert points == [(True, SyncPoint(6, 402, 6)), (False, None)]


@pytest.mark.parametrize(
    ("sync", "acts"),
    [
        (Sync(1, 1), ["mark 2"]),
        (Sync(1, 1), ["mark 0"]),
        (Sync(), ["mark 1"]),
        (Sync(1, 1), ["begin", "mark 1"]),
        (Sync(1, 1), ["mark 1", "acknowledge 2"]),
        (Sync(), ["begin", "begin"]),
        (Sync(), ["end"]),
        (Sync(), ["begin", "finish"]),
    ],
)
def test_disorder_is_a_violation(sync: Sync, acts: list[str]) -> None:
    accounts = Transfer(SyncPoint(), sync)
    with pytest.raises(Violation):
        for act in acts:
            match act.split():
                case ["mark", number]:
                    accounts.mark(int(number))
                case ["acknowledge", number]:
                    accounts.acknowledge(int(number))
                case ["begin"]:
                    accounts.add(1, begins=True, ends=False)
                case ["end"]:
                    accounts.add(1, begins=False, ends=True)
                case ["finish"]:
                    accounts.finish()


@pytest.mark.parametrize(
    ("told", "articles", "right"),
    [
        ({}, True, True),
        ({27: 10, 28: 3}, True, True),
        ({27: 6, 28: 1}, True, True),
        ({27: 10, 28: 1}, True, False),
        ({27: 10, 28: 9}, False, True),
        ({27: 11, 28: 3}, False, False),
    ],
)
def test_counts(told: dict[int, int], articles: bool, right: bool) -> None:
    accounts = Transfer(SyncPoint(1, 4, 2), Sync())
    accounts.add(6)
    assert accounts.matches(Fpdu("TRANS.END", told), articles=articles) is right

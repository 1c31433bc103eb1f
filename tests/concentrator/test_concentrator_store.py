"""The store: one commit for one fact, one verdict for one key, mailboxes that lose and double nothing."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from gateway.book.doors import Copied
from gateway.concentrator.store import Return, Store, Verdict, number_of
from gateway.errors import Deferred, Scope
from gateway.formats.returns import ReturnHeader

AT = "2026-11-23T08:00:00Z"
COLUMNS = {
    "sender": "BOX1", "server": "OCT", "file_type": 0, "file_name": "FICHIER", "transfer_id": 7,
    "created": "261123080000", "initial_sender": "BOX1", "final_receiver": "OCT", "label": "",
    "free_text": "f1.1.s1", "fichier": "f1", "transmission": 1, "seal": "s1", "began": AT,
}  # fmt: skip
PART = Copied("a" * 64, 10)
KEY, NEXT = "c" * 64, "e" * 64
"""Two certificates of a box."""
SIGNER, LATER = "1" * 64, "2" * 64
"""Two certificates of ours."""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "concentrator.db")


def a_return(
    name: str, sender: str = "BOX1", not_before: float = 0.0, recipient: str = KEY, until: float = 0.0
) -> Return:
    return Return(
        sender, ReturnHeader("receipt", name, "f1", AT), Copied("b" * 64, 5), recipient, SIGNER, until, not_before
    )


def a_verdict(digest: str | None = "d" * 64) -> Verdict:
    return Verdict("BOX1", digest, "f1", 1, "integrated", "", "", "b2", 10, b"{}", AT)


def waiting(store: Store, now: float) -> int | None:
    row = store.waiting(now)
    return None if row is None else int(row["id"])


def received(store: Store, **other: object) -> int:
    transfer = int(store.begin({**COLUMNS, **other})["id"])
    store.complete(transfer, PART, AT)
    return transfer


def test_the_restart_key_finds_the_transfer_and_no_other(store: Store) -> None:
    transfer = int(store.begin(COLUMNS)["id"])
    found = store.transfer(COLUMNS)
    assert found is not None and found["id"] == transfer
    for column in ("sender", "file_name", "transfer_id", "created", "final_receiver"):
        assert store.transfer({**COLUMNS, column: 99}) is None
    with pytest.raises(sqlite3.IntegrityError):
        store.begin(COLUMNS)


def test_a_point_is_kept_and_a_complete_transfer_no_longer_moves(store: Store) -> None:
    transfer = int(store.begin(COLUMNS)["id"])
    store.reach(transfer, 3, 3072, 3)
    store.complete(transfer, PART, AT)
    store.reach(transfer, 1, 1024, 1)
    store.drop(transfer)
    row = store.transfer(COLUMNS)
    assert row is not None
    assert (row["point"], row["offset"], row["sealed"], row["size"]) == (3, 3072, PART.digest, 10)


def test_a_dropped_transfer_is_forgotten(store: Store) -> None:
    transfer = int(store.begin(COLUMNS)["id"])
    assert store.receiving() == {transfer}
    store.drop(transfer)
    assert store.transfer(COLUMNS) is None


def test_what_waits_is_complete_without_outcome_and_due(store: Store) -> None:
    store.begin(COLUMNS)
    transfer = received(store, transfer_id=8)
    assert waiting(store, 100.0) == transfer
    store.defer(transfer, Deferred("CRL-001", "Liste périmée.", Scope.BOX), 200.0)
    assert waiting(store, 100.0) is None
    row = store.waiting(200.0)
    assert row is not None and row["reason_code"] == "CRL-001"
    store.settle(transfer, a_verdict(), None, [a_return("r1")])
    assert waiting(store, 1000.0) is None


def test_a_second_verdict_of_one_key_is_impossible_and_leaves_nothing(store: Store) -> None:
    first, second = received(store), received(store, transfer_id=8)
    store.settle(first, a_verdict(), None, [a_return("r1")])
    with pytest.raises(sqlite3.IntegrityError):
        store.settle(second, a_verdict(), None, [a_return("r2")])
    assert store.named("BOX1", "r2") is None
    assert waiting(store, 1.0) == second


def test_two_unreadable_fichiers_are_not_doubles(store: Store) -> None:
    for number in (7, 8):
        store.settle(received(store, transfer_id=number), a_verdict(None), None, [])
    assert store.original("BOX1", None, 1) is None


def test_a_double_is_counted_and_answered(store: Store) -> None:
    first, second = received(store), received(store, transfer_id=8)
    store.settle(first, a_verdict(), None, [a_return("r1")])
    store.settle_double(second, first, a_return("r2"))
    original = store.original("BOX1", "d" * 64, 1)
    assert original is not None and original["doubles"] == 1
    assert store.original("BOX2", "d" * 64, 1) is None
    assert store.original("BOX1", "d" * 64, 2) is None


def fill(store: Store, *returns: Return) -> None:
    store.settle(received(store), a_verdict(), None, returns)


def test_the_oldest_return_is_offered_to_its_owner_until_he_has_it(store: Store) -> None:
    fill(store, a_return("r1"), a_return("r2"), a_return("x", sender="BOX2"))
    first = store.offer("BOX1", 0.0, AT, [KEY])
    assert first is not None and first["name"] == "r1"
    again = store.offer("BOX1", 0.0, AT, [KEY])
    assert again is not None and again["id"] == first["id"]
    store.deliver(first["id"], AT)
    store.deliver(first["id"], "2030-01-01T00:00:00Z")
    known = store.named("BOX1", "r1")
    assert known is not None and known["delivered"] == AT
    second = store.offer("BOX1", 0.0, AT, [KEY])
    assert second is not None and second["name"] == "r2"
    store.deliver(second["id"], AT)
    assert store.offer("BOX1", 0.0, AT, [KEY]) is None


def test_a_return_is_not_offered_before_its_time(store: Store) -> None:
    fill(store, a_return("later", not_before=50.0), a_return("now"))
    first = store.offer("BOX1", 0.0, AT, [KEY])
    assert first is not None and first["name"] == "now"
    store.deliver(first["id"], AT)
    assert store.offer("BOX1", 49.0, AT, [KEY]) is None
    assert store.offer("BOX1", 50.0, AT, [KEY]) is not None


def test_after_three_failed_offers_the_next_goes_first_and_an_alarm_is_kept(store: Store) -> None:
    fill(store, a_return("r1"), a_return("r2"))
    names = []
    for _ in range(5):
        row = store.offer("BOX1", 0.0, AT, [KEY])
        assert row is not None
        names.append(row["name"])
    assert names == ["r1", "r1", "r1", "r2", "r2"]
    alarms = store.connection.execute("SELECT about, code FROM alarms").fetchall()
    assert [tuple(row) for row in alarms] == [("BOX1 r1", "OCT-006")]


def test_a_return_is_found_by_the_number_it_went_under(store: Store) -> None:
    fill(store, a_return("r1"), a_return("r2"))
    row = store.offer("BOX1", 0.0, AT, [KEY])
    assert row is not None
    found = store.offered("BOX1", number_of(row), [KEY])
    assert found is not None and found["name"] == "r1"
    assert store.offered("BOX2", number_of(row), [KEY]) is None
    assert store.offered("BOX1", number_of(row) + 1, [KEY]) is None, "never offered, so never fetched"


def test_files_of_open_and_of_recent_business_are_kept(store: Store) -> None:
    fill(store, a_return("r1"))
    assert store.named_files("2027-01-01T00:00:00Z") == (set(), {"b" * 64})
    row = store.offer("BOX1", 0.0, AT, [KEY])
    assert row is not None
    store.deliver(row["id"], AT)
    assert store.named_files("2027-01-01T00:00:00Z") == (set(), set())
    assert store.named_files("2026-01-01T00:00:00Z") == ({PART.digest}, {"b" * 64})


def test_what_is_sealed_to_another_is_not_handed_out(store: Store) -> None:
    fill(store, a_return("r1"))
    assert store.offer("BOX1", 0.0, AT, []) is None
    assert store.offer("BOX1", 0.0, AT, ["", NEXT]) is None
    row = store.offer("BOX1", 0.0, AT, [NEXT, KEY])
    assert row is not None and store.offered("BOX1", number_of(row), [KEY]) is not None
    assert store.offered("BOX1", number_of(row), [NEXT]) is None
    assert len(store.undelivered("BOX1", 0.0, 9, [KEY])) == 1
    assert store.undelivered("BOX1", 0.0, 9, [NEXT]) == []


def test_a_return_under_another_seal_is_another_transfer_of_the_same_name(store: Store) -> None:
    fill(store, a_return("r1", not_before=5.0), a_return("r2"))
    first = store.offer("BOX1", 9.0, AT, [KEY])
    assert first is not None and first["name"] == "r2"
    store.pulled(first["id"], 3, 3072, 3, 1024)
    for row in store.sealed_to("BOX1", KEY):
        store.exchange(row["id"], Copied("f" * 64, 7), NEXT, SIGNER, 0.0)
    assert store.recipients() == [("BOX1", NEXT)]
    old, new = first, store.named("BOX1", "r2")
    assert new is not None and number_of(new) != number_of(old)
    assert (new["file"], new["size"], new["point"], new["offset"], new["offered"]) == ("f" * 64, 7, 0, 0, 0)
    assert {name: new[name] for name in ("kind", "about", "made", "not_before", "delivered")} == {
        name: old[name] for name in ("kind", "about", "made", "not_before", "delivered")
    }
    later = store.named("BOX1", "r1")
    assert later is not None and later["not_before"] == 5.0
    assert store.offered("BOX1", number_of(old), [KEY, NEXT]) is None, "nothing is taken up in the middle"
    store.pulled(old["id"], 4, 4096, 4, 1024)
    assert store.named_files("2027-01-01T00:00:00Z") == (set(), {"f" * 64})


def test_what_was_delivered_meanwhile_stays_as_it_is(store: Store) -> None:
    fill(store, a_return("r1"))
    (row,) = store.sealed_to("BOX1", KEY)
    store.deliver(row["id"], AT)
    store.exchange(row["id"], Copied("f" * 64, 7), NEXT, SIGNER, 0.0)
    kept = store.named("BOX1", "r1")
    assert kept is not None and (kept["id"], kept["file"], kept["delivered"]) == (row["id"], "b" * 64, AT)
    assert store.sealed_to("BOX1", KEY) == [] and store.recipients() == []


def test_what_another_certificate_of_ours_signed_is_found_until_it_is_signed_again(store: Store) -> None:
    fill(store, a_return("r1"), a_return("r2"), a_return("r3"))
    store.connection.execute("UPDATE mailbox SET signer = '' WHERE name = 'r3'")
    first, second = store.signed_before(LATER)
    assert store.signed_before(SIGNER) == [], "nor what was made before signers were kept"
    store.deliver(first["id"], AT)
    store.exchange(second["id"], Copied("f" * 64, 7), KEY, LATER, 0.0)
    assert store.signed_before(LATER) == []


def test_what_was_signed_by_a_certificate_that_has_ended_is_handed_to_nobody(store: Store) -> None:
    fill(store, a_return("r1", until=7.0), a_return("r2", until=9.0))
    assert [row["name"] for row in store.undelivered("BOX1", 8.0, 9, [KEY])] == ["r2"]
    first = store.offer("BOX1", 8.0, AT, [KEY])
    assert first is not None and first["name"] == "r2"
    (row,) = [one for one in store.signed_before(LATER) if one["name"] == "r1"]
    store.exchange(row["id"], Copied("f" * 64, 7), KEY, LATER, 20.0)
    assert [row["name"] for row in store.undelivered("BOX1", 10.0, 9, [KEY])] == ["r1"]

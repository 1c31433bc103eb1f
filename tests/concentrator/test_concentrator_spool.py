"""Files on their way in: durable before they are acknowledged, one line at a time, nothing left behind."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from concentrator_bench import BOX, Bench
from reached_points import reach

from gateway.concentrator.reception import Reception
from gateway.concentrator.settings import PartnerAccess
from gateway.concentrator.spool import Incoming, Repeated
from gateway.concentrator.store import Store
from gateway.errors import Deferred, Refused, Trouble
from gateway.pesit import diagnostics
from gateway.pesit.transfer import Identity, SyncPoint

IDENTITY = Identity("FICHIER", 7, created="261123080000", free_text="f1.1.s1")
CUT = diagnostics.trouble("3.310")


@pytest.fixture
def reception(bench: Bench, opened: Store) -> Reception:
    return bench.reception(opened)


@pytest.fixture
def partner(bench: Bench) -> PartnerAccess:
    return bench.settings.partners[0]


def begin(reception: Reception, partner: PartnerAccess, restart: bool = False) -> Incoming:
    incoming = reception.create(partner, IDENTITY, restart)
    assert isinstance(incoming, Incoming)
    incoming.truncate(incoming.position() if restart else SyncPoint())
    return incoming


def test_a_complete_file_lies_under_its_digest(bench: Bench, reception: Reception, partner: PartnerAccess) -> None:
    incoming = begin(reception, partner)
    incoming.write(b"abc", True)
    reach(incoming, SyncPoint(1, 3, 1))
    incoming.write(b"def", True)
    incoming.end(6, 2)
    digest = hashlib.sha256(b"abcdef").hexdigest()
    assert (bench.settings.received / digest).read_bytes() == b"abcdef"
    assert list(bench.settings.spool.iterdir()) == []


def test_on_disk_first_then_in_the_store_then_acknowledged(
    bench: Bench, opened: Store, reception: Reception, partner: PartnerAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is seen at each fsync: bytes are all there, and no row speaks of them yet."""
    seen: list[tuple[str, int, int, bool]] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        with closing(sqlite3.connect(bench.settings.database)) as elsewhere:  # what is committed, from any thread
            point, received = elsewhere.execute("SELECT point, received FROM transfers").fetchone()
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        size = 0 if path.is_dir() else path.stat().st_size
        seen.append((path.name, size, point, bool(received)))
        real(descriptor)

    incoming = begin(reception, partner)
    monkeypatch.setattr(os, "fsync", fsync)
    incoming.write(b"abc", True)
    reach(incoming, SyncPoint(1, 3, 1))
    incoming.write(b"def", True)
    incoming.end(6, 2)
    reached, ended = [("1", 3, 0, False), ("spool", 0, 0, False)], [("1", 6, 1, False), ("received", 0, 1, False)]
    assert seen == [*reached, *ended, ("spool", 0, 1, False)]
    row = opened.connection.execute("SELECT point, received, sealed, size FROM transfers").fetchone()
    assert row["point"] == 1 and row["received"] and row["size"] == 6
    assert opened.connection.execute("PRAGMA synchronous").fetchone()[0] == 2, "FULL: a commit is on disk"


def test_a_restart_forgets_what_lay_behind_the_point(
    bench: Bench, reception: Reception, partner: PartnerAccess
) -> None:
    incoming = begin(reception, partner)
    incoming.write(b"abc", True)
    reach(incoming, SyncPoint(1, 3, 1))
    incoming.write(b"never acknowledged", True)
    incoming.abandon(CUT, keep=True)
    again = begin(reception, partner, restart=True)
    assert again.position() == SyncPoint(1, 3, 1)
    again.write(b"def", True)
    again.end(6, 2)
    assert (bench.settings.received / hashlib.sha256(b"abcdef").hexdigest()).exists()


def test_begun_anew_the_point_is_forgotten_before_the_bytes(
    opened: Store, reception: Reception, partner: PartnerAccess
) -> None:
    incoming = begin(reception, partner)
    incoming.write(b"abc", True)
    reach(incoming, SyncPoint(1, 3, 1))
    incoming.abandon(CUT, keep=True)
    begin(reception, partner)
    assert opened.connection.execute("SELECT point, offset FROM transfers").fetchone()["point"] == 0


def test_a_point_whose_bytes_were_lost_is_not_offered(
    bench: Bench, reception: Reception, partner: PartnerAccess
) -> None:
    incoming = begin(reception, partner)
    incoming.write(b"abc", True)
    reach(incoming, SyncPoint(1, 3, 1))
    incoming.abandon(CUT, keep=True)
    (spooled,) = bench.settings.spool.iterdir()
    spooled.write_bytes(b"a")
    again = reception.create(partner, IDENTITY, True)
    assert again.position() == SyncPoint()


def test_a_transfer_taken_up_elsewhere_leaves_its_old_line_nothing(
    bench: Bench, reception: Reception, partner: PartnerAccess
) -> None:
    old = begin(reception, partner)
    old.write(b"abc", True)
    reach(old, SyncPoint(1, 3, 1))
    new = begin(reception, partner, restart=True)
    for act in (
        lambda: old.write(b"x", True),
        lambda: reach(old, SyncPoint(2, 4, 2)),
        lambda: old.truncate(SyncPoint()),
    ):
        with pytest.raises(Deferred) as deferred:
            act()
        assert deferred.value.code == "PES-2.207"
    old.abandon(CUT, keep=False)
    new.write(b"def", True)
    new.end(6, 2)
    assert (bench.settings.received / hashlib.sha256(b"abcdef").hexdigest()).exists()


def test_cancelled_it_is_forgotten(bench: Bench, reception: Reception, partner: PartnerAccess) -> None:
    begin(reception, partner).abandon(CUT, keep=False)
    assert list(bench.settings.spool.iterdir()) == []
    with pytest.raises(Deferred) as deferred:
        reception.create(partner, IDENTITY, True)
    assert deferred.value.code == "PES-2.233"


def test_what_comes_again_is_compared(bench: Bench, reception: Reception, partner: PartnerAccess) -> None:
    incoming = begin(reception, partner)
    incoming.write(b"abcdef", True)
    incoming.end(6, 1)
    for content, sound in ((b"abcdef", True), (b"abcdeX", False), (b"abc", False), (b"abcdefg", False)):
        again = reception.create(partner, IDENTITY, False)
        assert isinstance(again, Repeated)
        again.truncate(SyncPoint())
        try:
            again.write(content, True)
            again.end(len(content), 1)
        except Trouble as trouble:
            assert not sound and trouble.code == "PES-2.229"
        else:
            assert sound


def test_a_file_larger_than_the_limit_or_for_somebody_else_is_refused(bench: Bench, opened: Store) -> None:
    small = bench.having(limit=1 << 20)
    reception = small.reception(opened)
    partner = small.settings.partners[0]
    cases = {
        "PES-2.206": Identity("FICHIER", 7, free_text="f1.1.s1", reserved_kb=1025),
        "PES-2.226": Identity("FICHIER", 7, free_text="f1.1.s1", final_receiver="OTHER"),
    }
    for code, identity in cases.items():
        with pytest.raises(Refused) as refused:
            reception.create(partner, identity, False)
        assert refused.value.code == code
    incoming = begin(reception, partner)
    incoming.write(bytes(1 << 20), True)
    with pytest.raises(Refused) as refused:
        incoming.write(b"x", True)
    assert refused.value.code == "PES-2.224", "whatever was announced"


def test_each_sender_has_numbers_of_its_own(bench: Bench, reception: Reception, partner: PartnerAccess) -> None:
    begin(reception, partner)
    other = PartnerAccess("BOX00002", partner.password_hash, partner.box_seal)
    with pytest.raises(Deferred):
        reception.create(other, IDENTITY, True)
    assert isinstance(reception.create(other, IDENTITY, False), Incoming)
    assert len(list(Path(bench.settings.spool).iterdir())) == 1
    assert partner.identifier == BOX

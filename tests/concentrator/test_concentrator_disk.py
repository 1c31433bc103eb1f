"""A real disk without room: what each partner is told, what is left, and that all goes on from there."""

from __future__ import annotations

import asyncio
import hashlib
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from concentrator_bench import BOX, PASSWORD, Bench, b2, make_bench
from concentrator_process import Box, Process, running
from development_pki import Pki
from reached_points import reach
from small_disk import SmallDisk, small_disk

from gateway.__main__ import LATER
from gateway.concentrator.disk import OctDiskFull
from gateway.concentrator.keys import Trust, load_trust
from gateway.concentrator.numbers import Numbers
from gateway.concentrator.reception import Outgoing, Reception
from gateway.concentrator.spool import Incoming
from gateway.concentrator.store import Store
from gateway.concentrator.worker import sweep
from gateway.disk import room
from gateway.errors import Trouble
from gateway.formats.landing import DEMAND, DEPOT, RETURNS, landing_name
from gateway.link.flow import refusal
from gateway.pesit import diagnostics
from gateway.pesit.transfer import Identity, SyncPoint

FICHIER = Identity("FICHIER", 70, created="261123080000", free_text="f7.1.s1")
ASKED = Identity("RETOURS", requester="BOX")
BYTES = bytes(20_000)


@dataclass
class Full:
    """A concentrator on a disk of its own, which integrated one fichier."""

    bench: Bench
    disk: SmallDisk
    store: Store
    reception: Reception

    def incoming(self, restart: bool = False) -> Incoming:
        incoming = self.reception.create(self.bench.settings.partners[0], FICHIER, restart)
        assert isinstance(incoming, Incoming)
        incoming.truncate(incoming.position() if restart else SyncPoint())
        return incoming

    def offered(self) -> Outgoing:
        offered = self.reception.select(self.bench.settings.partners[0], ASKED, False)
        assert isinstance(offered, Outgoing)
        return offered

    def alarms(self) -> list[str]:
        return [row["code"] for row in self.store.connection.execute("SELECT code FROM alarms")]


@pytest.fixture
def full(pki: Pki, tmp_path: Path) -> Iterator[Full]:
    with small_disk(tmp_path / "disk", 4 << 20, tmp_path / "oct") as disk:
        bench = make_bench(pki, tmp_path / "oct")
        store = bench.open()
        bench.receive(store, bench.sign_and_seal(b2(), "f1"))
        assert bench.integration(store).work()
        yield Full(bench, disk, store, bench.reception(store))
        store.close()


Act = Callable[[], object]


def connect(full: Full) -> Act:
    """The numbers of revocation lists are noted before they count."""
    numbers, certificate = Numbers(full.store), full.bench.pki.certificate("box-transport")

    def trust() -> Trust:
        return load_trust(full.bench.settings, numbers)

    reception = full.reception = full.bench.reception(full.store, trust)
    return lambda: reception.connect(BOX, "OCT", PASSWORD, certificate)


def create(full: Full) -> Act:
    return lambda: full.reception.create(full.bench.settings.partners[0], FICHIER, False)


def begin_anew(full: Full) -> Act:
    incoming = full.incoming()
    incoming.write(BYTES, True)
    reach(incoming, SyncPoint(1, len(BYTES), 1))
    return full.incoming


def write(full: Full) -> Act:
    incoming = full.incoming()
    return lambda: incoming.write(bytes(2 << 20), True)


def sync(full: Full) -> Act:
    incoming = full.incoming()
    incoming.write(BYTES, True)
    return lambda: reach(incoming, SyncPoint(1, len(BYTES), 1))


def end(full: Full) -> Act:
    incoming = full.incoming()
    incoming.write(BYTES, True)
    return lambda: incoming.end(len(BYTES), 1)


def select(full: Full) -> Act:
    return full.offered


def acknowledge(full: Full) -> Act:
    offered = full.offered()
    return lambda: offered.acknowledged(SyncPoint(1, 1, 1))


def message(full: Full) -> Act:
    partner, found = full.bench.settings.partners[0], full.offered().identity
    return lambda: full.reception.message(partner, found.answering(), found.label)


@pytest.mark.parametrize(
    ("prepare", "code"),
    [
        (connect, "3.322"),
        (create, "2.201"),
        (begin_anew, "2.219"),
        (write, "2.219"),
        (sync, "2.219"),
        (end, "2.219"),
        (select, "2.201"),
        (acknowledge, "2.219"),
        (message, "2.219"),
    ],
)
def test_a_partner_is_told_to_come_again(prepare: Callable[[Full], Act], code: str, full: Full) -> None:
    act = prepare(full)
    full.disk.fill()
    for _ in range(2):
        with pytest.raises(Trouble) as caught:
            act()
        assert caught.value.code == f"PES-{code}"
    disk = full.reception._disk
    assert [one.code for one in full.bench.said] == ["OCT-020"] * 2
    assert (disk.owes, full.alarms()) == (True, []), "no room for it either"
    with pytest.raises(OctDiskFull):
        disk.settle()
    full.disk.empty()
    act()
    disk.settle()
    assert (disk.owes, full.alarms()) == (False, ["OCT-020"])


def test_what_does_not_fit_is_refused_before_it_comes_and_said(full: Full) -> None:
    partner = full.bench.settings.partners[0]
    incoming = full.incoming()
    incoming.write(bytes(1 << 20), True)
    reach(incoming, SyncPoint(1, 1 << 20, 1))
    full.disk.fill(500_000)
    with pytest.raises(Trouble, match=r"2\.201.*Le disque du concentrateur est plein"):
        full.reception.create(partner, replace(FICHIER, transfer_id=8, reserved_kb=1000), False)
    assert full.alarms() == ["OCT-020"], "there was room for that"
    announced = replace(FICHIER, reserved_kb=1400)
    again = full.reception.create(partner, announced, True)
    assert isinstance(again, Incoming) and again.position().number == 1, "most of it is here already"


def test_the_words_come_through(full: Full) -> None:
    told = diagnostics.trouble("2.201", OctDiskFull().text)
    complement = str(refusal(told, "2.226")[29])
    heard = diagnostics.trouble("2.201", complement)
    assert "le disque du concentrateur est plein" in heard.text.lower() and heard.text.endswith("place.).")
    assert heard.text.count("PeSIT") == 1


@pytest.mark.parametrize("content", [b"", BYTES])
def test_a_file_given_up_leaves_its_room_and_nothing_else_fails(content: bytes, full: Full) -> None:
    """Without any content it leaves none in which its row could be forgotten."""
    incoming = full.incoming()
    incoming.write(content, True)
    reach(incoming, SyncPoint(1, len(content), 1))
    full.disk.fill()
    incoming.abandon(diagnostics.trouble("2.216"), keep=False)
    assert list(full.bench.settings.spool.iterdir()) == []
    assert bool(full.store.receiving()) == bool(full.bench.said) == (not content)
    full.disk.empty()
    again = full.incoming(restart=bool(full.store.receiving()))
    assert again.position().offset == 0
    again.write(BYTES, True)
    again.end(len(BYTES), 1)


def test_a_whole_file_that_no_row_could_name_comes_again(full: Full) -> None:
    incoming = full.incoming()
    incoming.write(BYTES, True)
    reach(incoming, SyncPoint(1, len(BYTES), 1))
    full.disk.fill()
    with pytest.raises(Trouble, match=r"2\.219"):
        incoming.end(len(BYTES), 1)
    incoming.abandon(diagnostics.trouble("2.219"), keep=True)
    full.disk.empty()
    digest = hashlib.sha256(BYTES).hexdigest()
    assert (full.bench.settings.received / digest).exists(), "so far it came"
    again = full.incoming(restart=True)
    assert again.position() == SyncPoint()
    again.write(BYTES, True)
    again.end(len(BYTES), 1)
    found = full.store.connection.execute("SELECT count(*) FROM transfers WHERE sealed = ?", (digest,)).fetchone()
    assert found[0] == 1 and full.store.receiving() == set()


def test_a_sweep_makes_room_before_it_needs_any(full: Full) -> None:
    full.incoming()
    (full.bench.settings.received / "orphan").write_bytes(bytes(100_000))
    late = full.bench.now + timedelta(days=full.bench.settings.keep_days + 1)
    full.disk.fill()
    sweep(full.bench.settings, full.store, late)
    assert list(full.bench.settings.received.iterdir()) == []
    assert full.store.receiving() == set(), "and what never was complete is forgotten"


def test_nothing_is_integrated_by_half(full: Full) -> None:
    bench, store = full.bench, full.store
    bench.receive(store, bench.sign_and_seal(b2(100), "f2"), "f2")
    met = 0
    for leave in range(0, 65536, 4096):
        full.disk.fill(leave)
        try:
            with room(OctDiskFull):
                if not bench.integration(store).work():
                    break
        except OctDiskFull:
            met += 1
            assert store.connection.execute("SELECT count(*) FROM verdicts").fetchone()[0] == 1
        finally:
            full.disk.empty()
        sweep(bench.settings, store, bench.now)
        named = {row["file"] for row in store.connection.execute("SELECT file FROM mailbox")}
        assert {path.name for path in bench.settings.returns.iterdir()} == named, "no return that no row names"
    assert met > 1
    assert [one.verdict for one in bench.receipts(store)] == ["integrated"] * 2


def test_a_transfer_that_a_full_disk_broke_goes_on_from_its_point(full: Full) -> None:
    """Over TLS, with the service as a process of its own."""
    bench, points = full.bench, [SyncPoint()]
    full.store.close()
    sealed = bench.sign_and_seal(b"%PDF-1.4\n" + bytes(1_500_000) + b"\n%%EOF\n", "f9")

    def fill(point: SyncPoint) -> None:
        points.append(point)
        if point.number == 5:
            full.disk.fill()

    with running(bench) as process:
        box = Box(bench, process.port)
        with pytest.raises(Trouble) as caught:
            asyncio.run(box.send(sealed, "f9.1.s1", 9, acknowledged=fill))
        assert caught.value.code == "PES-2.219" and process.running
        full.disk.empty()
        moved = asyncio.run(box.send(sealed, "f9.1.s1", 9, points[-1]))
        assert moved == len(sealed) - points[-1].offset
        assert process.running


def test_one_that_cannot_begin_says_so_in_one_line_and_leaves_the_rest_to_systemd(full: Full) -> None:
    full.store.close()
    process = Process(full.bench)
    full.disk.fill()
    command = [sys.executable, "-m", "gateway", "run", "concentrator", "--config", str(process.config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == LATER
    assert [line.split()[2] for line in done.stderr.splitlines()] == ["OCT-020"]
    full.disk.empty()
    process.start()
    assert process.end(signal.SIGTERM) == 0


# -- by SFTP


@pytest.fixture
def served(full: Full, tmp_path: Path) -> Iterator[tuple[Bench, SmallDisk]]:
    """Two senders; the room of the first one's returns is a disk of its own."""
    homes = [tmp_path / name for name in ("first", "second")]
    for home in homes:
        for name in (DEPOT, RETURNS):
            (home / name).mkdir(parents=True)
    first = replace(full.bench.settings.partners[0], landing=str(homes[0]))
    second = replace(first, identifier="BOX00002", landing=str(homes[1]), client_name="other")
    with small_disk(tmp_path / "own", 1 << 20, homes[0] / RETURNS) as own:
        yield full.bench.having(partners=(first, second)), own


def test_a_sender_that_has_no_room_holds_up_no_other(full: Full, served: tuple[Bench, SmallDisk]) -> None:
    bench, own = served
    first, second = (Path(one.landing) for one in bench.settings.partners)
    bench.receive(full.store, bench.sign_and_seal(b2(), "f2"), "f2", sender="BOX00002")
    bench.integration(full.store).work()
    for home in (first, second):
        (home / RETURNS / DEMAND).touch()
    own.fill()
    landing = bench.landing(full.store)
    landing.look()
    landing.look()
    assert [path.name for path in (first / RETURNS).iterdir()] == [DEMAND]
    assert len(list((second / RETURNS).iterdir())) == 3
    assert full.alarms() == ["OCT-021"]
    own.empty()
    landing.look()
    assert len(list((first / RETURNS).iterdir())) == 3


def test_a_file_that_does_not_fit_waits_where_it_was_left(full: Full, served: tuple[Bench, SmallDisk]) -> None:
    bench, _ = served
    sealed = bench.sign_and_seal(b"%PDF-1.4\n" + bytes(200_000) + b"\n%%EOF\n", "f3")
    name = landing_name("f3.1.s1", hashlib.sha256(sealed).hexdigest())
    depot = Path(bench.settings.partners[0].landing) / DEPOT / name
    depot.write_bytes(sealed)
    full.disk.fill(150_000)
    landing = bench.landing(full.store)
    assert not landing.look() and depot.exists()
    assert full.alarms() == ["OCT-020"]
    full.disk.empty()
    assert landing.look() and not depot.exists()

"""What waits for a box that lost its keys: handed to nobody, sealed to its next keys, the same returns once."""

from __future__ import annotations

import io
import os
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from concentrator_bench import BOX, Bench, b2, make_bench
from development_pki import Pki
from enrolment_bench import PARTNER
from later_pki import LaterPki
from renewal_bench import RenewalBench

import gateway.book.parts
from gateway.concentrator.boxes import Boxes
from gateway.concentrator.landing import Landing
from gateway.concentrator.publishing import publish
from gateway.concentrator.reception import Reception
from gateway.concentrator.resealing import Resealing
from gateway.concentrator.settings import FormerSeal, PartnerAccess
from gateway.concentrator.store import Store, number_of
from gateway.concentrator.worker import sweep
from gateway.envelope.algorithms import PrivateKey
from gateway.envelope.seal import Opened
from gateway.errors import Refused
from gateway.formats.days import iso
from gateway.formats.landing import DEMAND, DEPOT, RETURNS, had_name
from gateway.pesit.transfer import Identity, SyncPoint

NAMES = ["receipt_00000001", "arl_00000001_1", "rsp_00000001_2"]
ASKED = Identity("RETOURS", requester="BOX")


def rows(store: Store, sender: str = BOX) -> list[sqlite3.Row]:
    return store.connection.execute("SELECT * FROM mailbox WHERE sender = ? ORDER BY id", (sender,)).fetchall()


def signed(bench: Bench, store: Store, certificate: bytes, key: PrivateKey, sender: str = BOX) -> list[bytes]:
    """What is inside the seals of a mailbox; Refused CMS-020 by a key that they are not for."""
    files = [bench.settings.returns / row["file"] for row in rows(store, sender)]
    return [Opened(io.BytesIO(file.read_bytes()), certificate, key).read(1 << 24) for file in files]


def work(resealing: Resealing) -> int:
    count = 0
    while resealing.work():
        count += 1
    return count


def other(bench: Bench, seal: str = "box-delivery") -> Bench:
    """The same concentrator, told that its one partner has another certificate."""
    partner = replace(bench.settings.partners[0], box_seal=bench.pki.directory / f"{seal}.pem")
    return bench.having(partners=(partner,))


@pytest.fixture
def waiting(bench: Bench, opened: Store) -> Bench:
    """Three returns wait for the box, which has taken none of them."""
    bench.receive(opened, bench.sign_and_seal(b2(), "f1"))
    bench.integration(opened).work()
    assert [row["name"] for row in rows(opened)] == NAMES
    return bench


# -- a partner that the settings declare


def test_what_waits_is_sealed_to_the_new_certificate_as_it_was_signed(waiting: Bench, opened: Store) -> None:
    pki = waiting.pki
    own, new = ((pki.certificate(name), pki.key(name)) for name in ("box-seal", "box-delivery"))
    assert work(waiting.resealing(opened)) == 0, "a box in force keeps its seals"
    before, old = signed(waiting, opened, *own), rows(opened)
    changed = other(waiting)
    assert work(changed.resealing(opened)) == 3
    assert signed(waiting, opened, *new) == before, "byte for byte what the OCT signed"
    with pytest.raises(Refused, match="CMS-020"):
        signed(waiting, opened, *own)
    made = rows(opened)
    assert [row["name"] for row in made] == NAMES, "in the same order"
    assert not {number_of(row) for row in made} & {number_of(row) for row in old}, "no transfer is taken up again"
    assert not any(row["offered"] or row["offset"] for row in made)
    sweep(waiting.settings, opened, waiting.now)
    assert {file.name for file in waiting.settings.returns.iterdir()} == {row["file"] for row in made}


def test_until_then_nobody_gets_it(waiting: Bench, opened: Store) -> None:
    changed = other(waiting)
    partner = changed.settings.partners[0]
    reception = changed.reception(opened, lambda: pytest.fail("no trust is asked"))
    assert reception.select(partner, ASKED, False) is None
    work(changed.resealing(opened))
    offered = reception.select(partner, ASKED, False)
    assert offered is not None and offered.identity.label == NAMES[0]
    sealed = io.BytesIO(b"".join(offered.articles(SyncPoint())))
    assert Opened(sealed, changed.pki.certificate("box-delivery"), changed.pki.key("box-delivery")).size


def test_what_was_delivered_is_left_alone(waiting: Bench, opened: Store) -> None:
    for row in rows(opened)[:2]:
        opened.deliver(row["id"], iso(waiting.now))
    assert work(other(waiting).resealing(opened)) == 1
    assert [row["recipient"] for row in rows(opened)[:2]] == [waiting.recipients(opened)[1]] * 2


def test_what_was_made_before_recipients_were_kept_goes_as_it_is(waiting: Bench, opened: Store) -> None:
    opened.connection.execute("UPDATE mailbox SET recipient = ''")
    changed = other(waiting)
    assert work(changed.resealing(opened)) == 0
    assert len(opened.undelivered(BOX, waiting.now.timestamp(), 9, changed.recipients(opened))) == 3


def test_a_certificate_that_may_not_be_sealed_to_is_said_and_tried_again(waiting: Bench, opened: Store) -> None:
    changed = other(waiting, "zoo/revoked-oct-seal")
    resealing = changed.resealing(opened)
    assert (work(resealing), work(resealing)) == (3, 0), "each once, and not again at once"
    said = opened.connection.execute("SELECT about, code, text FROM alarms ORDER BY about").fetchall()
    assert [row["about"] for row in said] == sorted(f"{BOX} {name}" for name in NAMES)
    assert {row["code"] for row in said} == {"OCT-019"} and "révoqué" in said[0]["text"]
    changed.now += timedelta(seconds=changed.settings.retry_s)
    assert work(resealing) == 3
    assert work(other(waiting).resealing(opened)) == 3, "and with a good one it is done"


def test_a_stale_list_waits_without_an_alarm(waiting: Bench, opened: Store) -> None:
    changed = other(waiting).having(crls=(waiting.pki.directory / "zoo/crl/stale-boites.crl",))
    assert work(changed.resealing(opened)) == 3
    assert opened.connection.execute("SELECT count(*) FROM alarms").fetchone()[0] == 0
    assert work(other(waiting).resealing(opened)) == 3


def test_what_our_own_key_does_not_open_is_said_and_keeps_no_other_back(waiting: Bench, opened: Store) -> None:
    folder = waiting.pki.directory
    keys = {"seal_certificate": folder / "box-delivery.pem", "seal_key": folder / "box-delivery.key"}
    renewed = other(waiting).having(**keys)
    resealing = renewed.resealing(opened)
    assert (work(resealing), work(resealing)) == (3, 0)
    (code,) = opened.connection.execute("SELECT DISTINCT code FROM alarms").fetchall()
    assert code["code"] == "OCT-019"
    renewed.count = waiting.count
    renewed.receive(opened, renewed.sign_and_seal(b2(9), "f2", to="box-delivery"), "f2")
    renewed.integration(opened).work()
    assert len(opened.undelivered(BOX, renewed.now.timestamp(), 9, renewed.recipients(opened))) == 3


def test_a_former_key_of_ours_opens_what_was_sealed_to_it(waiting: Bench, opened: Store) -> None:
    """Fichiers on their way and returns that wait, when our own certificate changes."""
    folder = waiting.pki.directory
    keys = {"seal_certificate": folder / "box-delivery.pem", "seal_key": folder / "box-delivery.key"}
    former = (FormerSeal(waiting.settings.seal_certificate, waiting.settings.seal_key),)
    renewed = other(waiting).having(**keys, former_seals=former)
    assert work(renewed.resealing(opened)) == 3
    renewed.count = waiting.count
    renewed.receive(opened, renewed.sign_and_seal(b2(9), "f2"), "f2")
    renewed.integration(opened).work()
    (row,) = opened.connection.execute("SELECT outcome FROM transfers WHERE fichier = 'f2'").fetchall()
    assert row["outcome"] == "integrated"
    assert opened.connection.execute("SELECT count(*) FROM alarms").fetchone()[0] == 0


def test_a_file_that_was_cleared_away_is_said_and_stops_nothing(waiting: Bench, opened: Store) -> None:
    (waiting.settings.returns / rows(opened)[0]["file"]).unlink()
    assert work(other(waiting).resealing(opened)) == 3
    (alarm,) = opened.connection.execute("SELECT * FROM alarms").fetchall()
    assert (alarm["about"], alarm["code"]) == (f"{BOX} {NAMES[0]}", "OCT-019")
    assert len(opened.undelivered(BOX, waiting.now.timestamp(), 9, other(waiting).recipients(opened))) == 2


# -- a box that is away while our own certificates change


def test_what_waits_is_signed_by_the_certificate_of_now(pki: Pki, tmp_path: Path) -> None:
    """The one that signed it has ended when the box is back; what it says is the same."""
    folder = shutil.copytree(pki.directory, tmp_path / "pki")
    bench, later = make_bench(Pki(folder), tmp_path / "oct"), LaterPki(folder)
    store = bench.open()
    bench.receive(store, bench.sign_and_seal(b2(), "f1"))
    bench.integration(store).work()
    said, old = bench.returns(store), [row["signer"] for row in rows(store)]
    assert work(bench.resealing(store)) == 0
    bench.now += timedelta(days=600)
    later.publish(bench.now, 30)
    later.hand_list("boites", bench.now, 30, folder / "crl/boites.crl")
    bench = bench.having(crls=(folder / "crl/all.pem", folder / "crl/boites.crl"))
    for name in ("oct-seal", "oct-sign"):
        later.again(name, "oct", bench.now)
    former = (FormerSeal(tmp_path / "seal.pem", tmp_path / "seal.key"),)
    for kind in ("pem", "key"):
        shutil.copy(pki.directory / f"oct-seal.{kind}", tmp_path / f"seal.{kind}")
    changed = bench.having(former_seals=former)
    assert work(changed.resealing(store)) == len(said) == 3
    assert work(changed.resealing(store)) == 0
    assert {row["signer"] for row in rows(store)}.isdisjoint(old)
    assert _alarms(store) == []
    with pytest.raises(Refused, match="CMS-020"):  # nothing waits for the former key either
        signed(bench, store, pki.certificate("oct-seal"), pki.key("oct-seal"))
    bench.now += timedelta(days=140)  # the first certificate has ended
    later.publish(bench.now, 30)
    later.hand_list("boites", bench.now, 30, folder / "crl/boites.crl")
    assert bench.returns(store) == said
    store.close()


def test_what_somebody_else_signed_is_not_signed_by_us(waiting: Bench, opened: Store) -> None:
    opened.connection.execute("UPDATE mailbox SET signer = ? WHERE name = ?", ("9" * 64, NAMES[0]))
    assert work(waiting.resealing(opened)) == 1
    assert [text for text in _alarms(opened) if "signé par" in text]
    assert rows(opened)[0]["name"] == NAMES[0] and not rows(opened)[0]["offered"]


def _alarms(store: Store) -> list[str]:
    return [row["text"] for row in store.connection.execute("SELECT text FROM alarms")]


STEPS = {
    "the new seal is durable": (gateway.book.parts.Parts, "add"),
    "what is laid out goes": (Landing, "withdraw"),
    "the store names it": (Store, "exchange"),
}


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_each_step_it_is_done_once_after_the_restart(step: str, waiting: Bench, opened: Store) -> None:
    """A real SIGKILL in a child, just before the second time that it comes to the step."""
    pki, changed = waiting.pki, other(waiting)
    before = signed(waiting, opened, pki.certificate("box-seal"), pki.key("box-seal"))
    opened.close()
    child = os.fork()
    if child == 0:
        _die_at_second(*STEPS[step])
        work(changed.resealing(bench_open := changed.open()))
        bench_open.close()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the child was killed where it was meant to be"
    again = changed.open()
    sweep(changed.settings, again, changed.now)
    assert work(changed.resealing(again)) == 2
    made = signed(changed, again, pki.certificate("box-delivery"), pki.key("box-delivery"))
    assert sorted(made) == sorted(before)
    sweep(changed.settings, again, changed.now)
    assert len(list(changed.settings.returns.iterdir())) == 3
    again.close()


def _die_at_second(place: type, name: str) -> None:
    real, calls = getattr(place, name), []

    def die(*given: object) -> object:
        calls.append(given)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*given)

    setattr(place, name, die)


# -- the reserve channel


@pytest.fixture
def landed(waiting: Bench, tmp_path: Path) -> Bench:
    home = tmp_path / "landing"
    for room in (DEPOT, RETURNS):
        (home / room).mkdir(parents=True)
    return waiting.having(partners=(replace(waiting.settings.partners[0], landing=str(home)),))


def laid_out(bench: Bench, store: Store) -> Path:
    room = Path(bench.settings.partners[0].landing) / RETURNS
    (room / DEMAND).touch()
    bench.landing(store).look()
    return room


def test_what_is_laid_out_under_the_old_seal_is_taken_away(landed: Bench, opened: Store) -> None:
    room = laid_out(landed, opened)
    assert sorted(path.name for path in room.iterdir()) == sorted(NAMES)
    changed = other(landed)
    assert changed.resealing(opened).work()
    assert sorted(path.name for path in room.iterdir()) == sorted(NAMES[1:]), "before the store names the new seal"
    laid_out(changed, opened)
    assert [path.name for path in room.iterdir()] == NAMES[:1], "the others wait for theirs"
    work(changed.resealing(opened))
    for path in laid_out(changed, opened).iterdir():
        assert Opened(path.open("rb"), landed.pki.certificate("box-delivery"), landed.pki.key("box-delivery")).size


def test_who_is_out_of_force_finds_nothing_and_confirms_nothing(landed: Bench, opened: Store) -> None:
    room = laid_out(landed, opened)
    Boxes(opened).revoke(BOX, landed.now)
    (room / had_name(NAMES[0])).touch()
    assert list(laid_out(landed, opened).iterdir()) == []
    assert not any(row["delivered"] for row in rows(opened))


# -- an enrolled box


@pytest.fixture
def box(pki: Pki, tmp_path: Path) -> Iterator[RenewalBench]:
    """An enrolled box for which three returns wait."""
    made = RenewalBench(pki, tmp_path)
    made.bench.receive(made.store, made.bench.sign_and_seal(b2(), "f1"), sender=PARTNER)
    made.bench.integration(made.store).work()
    assert [row["name"] for row in rows(made.store, PARTNER)] == NAMES
    yield made
    made.store.close()


def contents(box: RenewalBench, certificate: bytes, number: int) -> list[bytes]:
    return signed(box.bench, box.store, certificate, box.key("box-seal", number), PARTNER)


def test_a_renewal_strands_nothing(box: RenewalBench) -> None:
    before = [tuple(row) for row in rows(box.store, PARTNER)]
    box.arrive(box.request())
    assert work(box.bench.resealing(box.store)) == 0
    assert box.connect(box.certificate("box-transport")) == "", "from now on returns are sealed to the new key"
    assert work(box.bench.resealing(box.store)) == 0
    assert [tuple(row) for row in rows(box.store, PARTNER)[:3]] == before
    reception = box.reception()
    access = box.come_in(reception, box.certificate("box-transport"))
    assert reception.select(access, ASKED, False) is not None, "what is sealed to the old key is handed out"


def test_a_box_that_is_enrolled_again_gets_what_waited(box: RenewalBench) -> None:
    lost = box.certificate("box-seal")
    before = contents(box, lost, 1)
    number = box.enrol()
    assert work(box.bench.resealing(box.store)) == 3
    assert contents(box, box.certificate("box-seal"), number) == before
    with pytest.raises(Refused, match="CMS-020"):
        contents(box, lost, 1)


def test_a_stolen_box_takes_nothing_and_confirms_nothing_from_its_revocation_on(box: RenewalBench) -> None:
    reception, thief = box.reception(), box.certificate("box-transport")
    before, lost = contents(box, box.certificate("box-seal"), 1), box.certificate("box-seal")
    access = box.come_in(reception, thief)
    identity = reception.select(access, ASKED, False)
    assert identity is not None
    Boxes(box.store).revoke(PARTNER, box.bench.now)
    publish(box.bench.settings, box.store, box.bench.now)
    hold_off(box, reception, access, identity.identity)
    assert work(box.bench.resealing(box.store)) == 0, "there is no key to seal to"
    number = box.enrol()
    hold_off(box, reception, access, identity.identity)
    assert work(box.bench.resealing(box.store)) == 3
    hold_off(box, reception, access, identity.identity)
    with pytest.raises(Refused, match="CMS-020"):
        contents(box, lost, 1)
    assert contents(box, box.certificate("box-seal"), number) == before
    again = box.reception()
    new = box.come_in(again, box.certificate("box-transport"))
    for name in NAMES:
        offered = again.select(new, ASKED, False)
        assert offered is not None and offered.identity.label == name
        assert again.message(new, offered.identity.answering(), name) == name
    assert again.select(new, ASKED, False) is None


def hold_off(box: RenewalBench, reception: Reception, access: PartnerAccess, identity: Identity) -> None:
    """On the line that was open before, nothing is offered, taken up again or confirmed."""
    assert reception.select(access, ASKED, False) is None
    assert reception.select(access, identity, True) is None
    with pytest.raises(Refused, match=r"PES-2\.205"):
        reception.message(access, identity.answering(), identity.label)
    assert not any(row["delivered"] for row in rows(box.store, PARTNER))


def test_where_one_key_alone_is_revoked_what_is_sealed_to_it_waits_for_the_next(box: RenewalBench) -> None:
    lost = box.certificate("box-seal")
    before = contents(box, lost, 1)
    Boxes(box.store).revoke(PARTNER, box.bench.now, "box-seal")
    publish(box.bench.settings, box.store, box.bench.now)
    reception = box.reception()
    access = box.come_in(reception, box.certificate("box-transport"))
    assert reception.select(access, ASKED, False) is None
    number = box.enrol()
    assert work(box.bench.resealing(box.store)) == 3
    assert contents(box, box.certificate("box-seal"), number) == before

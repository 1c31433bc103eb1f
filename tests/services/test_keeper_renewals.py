"""The life of the box's keys at the keeper: who may ask, what is put in force, when an old key ends."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from development_pki import Pki
from keeper_bench import KeeperBench
from power_cut import last_cut, run_until_cut

from gateway.__main__ import main
from gateway.book.doors import Door
from gateway.envelope.algorithms import public_key
from gateway.envelope.box_keys import BY_NAME, KEYS, LINE, PASSWORD, owned_by
from gateway.envelope.issuing import asked_before, asked_in, authority_of, issue, revocation_list
from gateway.envelope.requests import make_request, mark, new_key, read_request
from gateway.envelope.seal import seal
from gateway.errors import Refused
from gateway.fichier import Verb
from gateway.formats.enrolment import Named, RenewalAnswer, RenewalRequest, from_base64, to_base64
from gateway.process import credentials, keyring
from gateway.process.enrolment import pem
from gateway.process.identity import Identity
from gateway.process.keyring import password_file
from gateway.process.renewal import OwnKeys
from gateway.services.keeper import renewals
from gateway.services.keeper.generations import KEEP_DAYS, name_recipient
from gateway.services.keeper.returns import take_arrived
from gateway.services.keeper.service import take_new

ASKERS = {"intake": "new", "forward": "arrived"}


class KeyBench(KeeperBench):
    """A box whose keys are its own, as an enrolment leaves them, and an authority that certifies what is asked."""

    def enrol(self, days: int = 730) -> None:
        """A generation of new keys in force, whose certificates end after so many days."""
        identity, files = Identity(self.stage.paths), {}
        for row in KEYS:
            key = new_key(row)
            if row.owner:
                identity.keep_key(row, key)
            files[f"{row.name}.pem"] = pem(self.certify(row.name, make_request(row, key), days))
        for name in ("root", "chain", "oct-seal", "oct-sign"):
            files[f"{name}.pem"] = (self.stage.paths.trust / f"{name}.pem").read_bytes()
        for placed in self.stage.paths.trust.glob("*.pem"):
            if not placed.is_symlink():
                placed.unlink()
        identity.install(f"g{days}{self.now:%f}", files, {})

    def certify(self, name: str, request: bytes, days: int = 730) -> bytes:
        authority = authority_of(self.pki.certificate("chains/boites"), self.pki.key("ca/boites"))
        row = BY_NAME[name]
        return issue(authority, row, asked_in(read_request(row, request)), "CABINET1", "box-0001", self.now, days)

    def start(self) -> renewals.Renewals:
        """The keeper's part, as at its start."""
        for name, file in (("root", "root"), ("chains/boites", "boites")):  # lists of that day
            authority = authority_of(self.pki.certificate(name), self.pki.key(f"ca/{file}"))
            fresh = revocation_list(authority, None, {}, self.now, 30)
            (self.stage.paths.trust / f"crl/{file}.crl").write_bytes(fresh)
        self.open()
        return renewals.Renewals(self.desk)

    def everybody_asks(self) -> None:
        for owner in ("keeper", "intake", "forward", "status"):
            for wanted in OwnKeys(self.stage.paths, owner).wanted(self.now):
                renewals.take_request(self.desk, owner, wanted.name, wanted.mark, wanted.request)

    def asked(self) -> RenewalRequest:
        (row,) = self.desk.book.connection.execute("SELECT content FROM renewals WHERE settled = ''").fetchall()
        return RenewalRequest.from_bytes(row["content"])

    def answer(self, request: RenewalRequest, **instead: bytes) -> RenewalAnswer:
        (row,) = self.desk.book.connection.execute("SELECT request FROM renewals WHERE settled = ''").fetchall()
        made = {one.name: self.certify(one.name, from_base64(one.der)) for one in request.bundle.keys}
        authority = authority_of(self.pki.certificate("chains/boites"), self.pki.key("ca/boites"))
        for name in request.again:
            asked = asked_before(self.in_force(name))
            made[name] = issue(authority, BY_NAME[name], asked, "CABINET1", "box-0001", self.now)
        made |= {name.replace("_", "-"): der for name, der in instead.items()}
        return RenewalAnswer(row["request"], tuple(Named(name, to_base64(der)) for name, der in made.items()))

    def in_force(self, name: str) -> bytes:
        return keyring.read_certificate(self.stage.paths.trust / f"{name}.pem")

    def mark(self, name: str) -> str:
        return mark(public_key(self.in_force(name)))

    def marks(self, owner: str, name: str) -> set[str]:
        return {path.name.split(".")[1] for path in (self.stage.paths.keys / owner).glob(f"{name}.*.key")}


@pytest.fixture
def bench(pki: Pki, tmp_path: Path) -> KeyBench:
    made = KeyBench(tmp_path / "s", pki)
    made.enrol()
    return made


def keep(bench: KeyBench, answer: RenewalAnswer) -> None:
    with bench.desk.commit():
        renewals.keep_answer(bench.desk, answer)


def renew(bench: KeyBench) -> renewals.Renewals:
    """A renewal from its first request to the certificates in force."""
    bench.now += timedelta(days=641)
    part = bench.start()
    bench.everybody_asks()
    part.look()
    keep(bench, bench.answer(bench.asked()))
    part.look()
    return part


@pytest.mark.parametrize(
    ("left", "code"),
    [(91, ""), (90, "KEY-CERT-90"), (60, "KEY-CERT-60"), (30, "KEY-CERT-30"), (14, "KEY-CERT-14"), (7, "KEY-CERT-7"),
     (0, "KEY-CERT-7"), (-1, "KEY-CERT-0")],
)  # fmt: skip
@pytest.mark.parametrize("hour", [12, 23])
def test_the_end_is_said_in_steps(pki: Pki, tmp_path: Path, left: int, code: str, hour: int) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    bench = KeyBench(tmp_path / "s", pki, tomorrow.replace(hour=hour))  # at 23 h UTC it is the next day in Paris
    bench.enrol()
    bench.now += timedelta(days=730 - left)
    bench.start().look()
    told = bench.condition("certificates")
    assert told["code"] == code
    assert ("passerelle" in told["text"]) == bool(code)


def test_nothing_is_asked_before_its_time(bench: KeyBench) -> None:
    bench.now += timedelta(days=639)
    bench.start().look()
    assert OwnKeys(bench.stage.paths, "intake").wanted(bench.now) == []
    assert bench.desk.outgoing.names() == []


def test_a_box_that_wakes_in_1970_asks_when_its_clock_is_set(bench: KeyBench) -> None:
    bench.now += timedelta(days=641)
    own = OwnKeys(bench.stage.paths, "forward")
    assert own.daily(datetime(1970, 1, 1, tzinfo=UTC)) == []
    assert [one.name for one in own.daily(bench.now)] == [LINE]
    assert own.daily(bench.now) == [], "once a day"


def test_a_key_that_was_made_asks_again_with_the_same_request(bench: KeyBench) -> None:
    bench.now += timedelta(days=641)
    first, again = (OwnKeys(bench.stage.paths, "intake").wanted(bench.now) for _ in range(2))
    assert [(one.name, one.mark) for one in first] == [(one.name, one.mark) for one in again]
    assert {one.name for one in first} == {row.name for row in owned_by("intake")}


def test_the_bundle_waits_for_everybody_and_then_goes_once(bench: KeyBench) -> None:
    bench.now += timedelta(days=641)
    part = bench.start()
    part.look()
    assert bench.desk.outgoing.names() == [], "the others have not asked"
    bench.everybody_asks()
    part.look()
    part.look()
    (entry,) = bench.desk.outgoing.names()
    assert entry.startswith("cles-")
    request = bench.asked()
    assert {one.name for one in request.bundle.keys} == {row.name for row in KEYS if row.owner}
    assert (request.again, request.bundle.partner, request.bundle.password) == (("recovery",), "CABINET1", "")


def test_who_is_silent_for_a_week_keeps_nobody_back(bench: KeyBench) -> None:
    bench.now += timedelta(days=641)
    bench.start().look()
    bench.now += timedelta(days=8)
    bench.start().look()
    assert {one.name for one in bench.asked().bundle.keys} == {"box-seal", "box-sign"}


def test_a_request_without_an_answer_is_sent_again(bench: KeyBench) -> None:
    bench.now += timedelta(days=641)
    part = bench.start()
    bench.everybody_asks()
    part.look()
    (first,) = bench.desk.outgoing.names()
    bench.desk.outgoing.remove(first)
    bench.start().look()
    assert bench.desk.outgoing.names() == [], "not before its time"
    bench.now += timedelta(days=4)
    bench.start().look()
    (second,) = bench.desk.outgoing.names()
    assert (first.rpartition(".")[0], first[-2:], second[-2:]) == (second.rpartition(".")[0], ".1", ".2")


@pytest.mark.parametrize("owner", ["intake", "forward", "status", "keeper"])
def test_a_service_asks_for_its_own_keys_only(bench: KeyBench, owner: str) -> None:
    bench.start()
    for row in (row for row in KEYS if row.owner != owner):
        key = new_key(row)
        with pytest.raises(Refused, match="ENR-009"):
            renewals.take_request(bench.desk, owner, row.name, mark(key.public_key()), make_request(row, key))
    with pytest.raises(Refused, match="ENR-009"):
        renewals.take_request(bench.desk, owner, "nothing", "0" * 16, b"")


def test_a_request_that_is_none_stays_at_the_door_and_is_said(bench: KeyBench) -> None:
    bench.start()
    bench.desk.new.put(f"renewal.box-delivery.{'0' * 16}", b"\x30\x00")
    bench.desk.new.put(f"renewal.box-delivery.{'1' * 16}", bytes(1 << 20))
    take_new(bench.desk)
    assert bench.condition("door")["code"] == "ENR-020"
    assert len(bench.desk.new.names()) == 2
    bench.desk.arrived.put(f"renewal.box-transport.{'0' * 16}", bytes(1 << 20))
    asyncio.run(take_arrived(bench.desk))
    assert bench.desk.book.connection.execute("SELECT * FROM key_requests").fetchall() == []


def test_certificates_are_put_in_force_all_at_once(bench: KeyBench) -> None:
    before = {row.name: bench.in_force(row.name) for row in KEYS}
    renew(bench)
    after = {row.name: bench.in_force(row.name) for row in KEYS}
    assert not set(before.values()) & set(after.values())
    assert public_key(before["recovery"]) == public_key(after["recovery"])
    assert bench.desk.keys.ring.pairs[0][0] == after["box-seal"], "the keeper goes on with the new ones"
    assert [pair[0] for pair in bench.desk.keys.ring.pairs[1:]].count(before["box-seal"]) == 1
    assert len(bench.told("", "renew")) == 1
    (fact,) = bench.told("", "renew")
    assert fact["keys"] == sorted(BY_NAME)
    assert x509.load_pem_x509_certificates((bench.stage.paths.trust / "box-transport.pem").read_bytes())[1:]


def test_answers_that_do_not_hold_change_nothing(bench: KeyBench) -> None:
    row = BY_NAME["box-seal"]
    other = bench.certify("box-seal", make_request(row, new_key(row)))
    wrong_use = bench.certify("box-sign", make_request(BY_NAME["box-sign"], new_key(BY_NAME["box-sign"])))
    bench.now += timedelta(days=641)
    before = keyring.generation(bench.stage.paths)
    for instead, code in (
        ({"box_seal": other}, "ENR-032"),
        ({"box_seal": wrong_use}, "ENR-032"),
        ({"x": other}, "ENR-032"),
    ):
        part = bench.start()
        bench.everybody_asks()
        part.look()
        keep(bench, bench.answer(bench.asked(), **instead))
        part.look()
        assert bench.condition("renewal")["code"] == code
        assert keyring.generation(bench.stage.paths) == before
        bench.desk.book.connection.execute("DELETE FROM renewals")
    keep(bench, RenewalAnswer("0" * 64, ()))  # to nothing that was asked: forgotten
    assert bench.desk.book.connection.execute("SELECT * FROM renewals").fetchall() == []


def test_what_was_asked_before_another_enrolment_counts_no_more(bench: KeyBench) -> None:
    bench.now += timedelta(days=641)
    part = bench.start()
    bench.everybody_asks()
    part.look()
    answer = bench.answer(bench.asked())
    bench.enrol(100)
    keep(bench, answer)
    current = keyring.generation(bench.stage.paths)
    part.look()
    assert keyring.generation(bench.stage.paths) == current, "its keys are gone"
    assert len(bench.told("", "drop renewal")) == 1 and not bench.told("", "renew")
    bench.now += timedelta(days=20)
    part = bench.start()
    bench.everybody_asks()
    part.look()
    assert bench.asked(), "and nothing stands in the way of the next"


def test_killed_while_they_are_put_in_force_the_keeper_goes_on(bench: KeyBench) -> None:
    bench.now += timedelta(days=641)
    part = bench.start()
    bench.everybody_asks()
    part.look()
    keep(bench, bench.answer(bench.asked()))
    before = bench.in_force("box-seal")
    bench.desk.board.close()
    bench.desk.book.close()

    def work() -> None:
        del bench.desk
        bench.start().look()

    for cut in range(1, 60, 3):
        run_until_cut(cut, work)
        if last_cut():
            break
    del bench.desk
    bench.start().look()
    assert bench.in_force("box-seal") != before
    assert len(bench.told("", "renew")) == 1
    assert len(bench.told("", "keys in force")) == 2


# -- the end of an old key


def destroyed(bench: KeyBench) -> list[str]:
    return [row["name"] for row in bench.told("", "destroy key")]


def returned(bench: KeyBench, certificate: bytes) -> None:
    """A return that the OCT sealed to a certificate, as the book keeps it."""
    out = io.BytesIO()
    seal(io.BytesIO(b"x"), 1, out, [certificate])
    part = bench.desk.parts.add_bytes(out.getvalue())
    with bench.desk.commit():
        bench.desk.book.connection.execute(
            "INSERT INTO returns (id, kind, name, about, at, arrived, delivery, size)"
            " VALUES (?, 'arl', '', '', '', '', '', 1)", (part.digest,),
        )  # fmt: skip


def look_again(bench: KeyBench, days: int) -> None:
    bench.now += timedelta(days=days)
    bench.start().look()


def test_an_old_key_ends_when_nothing_needs_it(bench: KeyBench) -> None:
    old, former = bench.marks("keeper", "box-seal"), bench.in_force("box-seal")
    renew(bench)
    returned(bench, bench.in_force("box-seal"))
    look_again(bench, KEEP_DAYS - 1)
    assert destroyed(bench) == []
    look_again(bench, 2)
    assert sorted(destroyed(bench)) == ["box-delivery", "box-seal"]
    assert not old & bench.marks("keeper", "box-seal"), "gone"
    assert former not in [certificate for certificate, _ in bench.desk.keys.ring.pairs]
    (word,) = [name for name in bench.desk.counter.names() if name.startswith("forget.")]
    _, name, which = word.split(".")
    OwnKeys(bench.stage.paths, "intake").destroy(name, which)
    assert which not in bench.marks("intake", "box-delivery")


def test_it_stays_until_the_oct_has_sealed_to_the_new_one(bench: KeyBench) -> None:
    old = bench.marks("keeper", "box-seal")
    renew(bench)
    look_again(bench, KEEP_DAYS + 1)
    assert destroyed(bench) == ["box-delivery"]
    assert old <= bench.marks("keeper", "box-seal")


@pytest.mark.parametrize("place", ["part", "new", "arrived"])
def test_it_stays_while_anything_is_sealed_to_it(bench: KeyBench, place: str) -> None:
    out = io.BytesIO()
    seal(io.BytesIO(b"x"), 1, out, [bench.in_force("recovery"), bench.in_force("box-seal")])
    renew(bench)
    returned(bench, bench.in_force("box-seal"))
    if place == "part":
        with bench.desk.commit():
            bench.desk.book.receive("f" * 32, {"name": "", "channel": "", "received": "", "size": 1, "digest": ""},
                                    bench.desk.parts.add_bytes(out.getvalue()))  # fmt: skip
    else:
        Door(bench.stage.paths.door(place)).put("kept", out.getvalue())
    look_again(bench, KEEP_DAYS + 1)
    assert destroyed(bench) == ["box-delivery"]


def test_a_key_in_force_is_never_destroyed(bench: KeyBench) -> None:
    own = OwnKeys(bench.stage.paths, "keeper")
    (which,) = bench.marks("keeper", "box-seal")
    own.destroy("box-seal", which)
    assert bench.marks("keeper", "box-seal") == {which}


def test_a_key_that_was_placed_by_hand_ends_too(pki: Pki, tmp_path: Path) -> None:
    bench = KeyBench(tmp_path / "s", pki)
    own = OwnKeys(bench.stage.paths, "keeper")
    which = mark(public_key(bench.in_force("box-seal")))
    own.destroy("box-seal", which)
    assert bench.stage.paths.key("keeper", "box-seal.key").exists(), "it is in force"
    bench.enrol()
    own.destroy("box-seal", which)
    assert not bench.stage.paths.key("keeper", "box-seal.key").exists()
    assert len(bench.marks("keeper", "box-seal")) == 1


class Sealed:
    """The keys of a bench sealed as root does, and given as systemd does when it starts the services anew."""

    def __init__(self, bench: KeyBench, given: Path) -> None:
        self._paths, self._config, self._given = bench.stage.paths, bench.stage.config, given
        for secret in self.clear():
            secret.chmod(0o400)
        for owner in ("keeper", "intake", "forward", "status"):
            (self._paths.credentials / owner).mkdir(parents=True)
        self.again()

    def again(self) -> None:
        assert main(["keys", "seal", "--with-key", "host", "--config", str(self._config)]) == 0
        shutil.rmtree(self._given, ignore_errors=True)
        self._given.mkdir()
        for path in self._paths.credentials.glob("*/*"):
            (self._given / f"keys_{path.name}").write_bytes(credentials.decrypt(path.name, path.read_bytes()))

    def clear(self) -> list[Path]:
        return [path for path in self._paths.keys.glob("*/*") if not path.name.startswith(".")]

    def marks(self, owner: str, name: str) -> set[str]:
        return {path.name.split(".")[1] for path in (self._paths.credentials / owner).glob(f"{name}.*.key")}


@pytest.fixture
def own_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd-creds seals to a secret of the test's, not to the machine's own."""
    if os.geteuid() != 0:
        pytest.skip("only root seals")
    monkeypatch.setenv("SYSTEMD_CREDENTIAL_SECRET", str(tmp_path / "machine.secret"))


def test_the_life_of_keys_is_the_same_when_they_are_sealed(
    bench: KeyBench, own_machine: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "given"))
    shutil.copy(password_file(bench.stage.paths), bench.stage.paths.key("forward", f"{PASSWORD}.{bench.mark(LINE)}"))
    sealed = Sealed(bench, tmp_path / "given")
    assert sealed.clear() == []
    old = {name: bench.mark(name) for name in ("box-seal", "box-sign", LINE)}
    renew(bench)
    assert {path.name.split(".")[0] for path in sealed.clear()} == {*(row.name for row in KEYS if row.owner), PASSWORD}
    sealed.again()
    assert sealed.clear() == []
    assert all(bench.mark(name) != which for name, which in old.items())
    returned(bench, bench.in_force("box-seal"))
    OwnKeys(bench.stage.paths, "forward").forget()
    look_again(bench, KEEP_DAYS + 1)
    assert "box-seal" in destroyed(bench)
    assert len(bench.desk.keys.ring.pairs) == 1, "given up, it opens nothing here, though systemd gave it"
    sealed.again()
    for owner, name in (("keeper", "box-seal"), ("keeper", "box-sign"), ("forward", LINE)):
        assert sealed.marks(owner, name) == {bench.mark(name)}
    assert not (bench.stage.paths.credentials / f"forward/{PASSWORD}.{old[LINE]}").exists()
    assert password_file(bench.stage.paths) == tmp_path / f"given/keys_{PASSWORD}.{bench.mark(LINE)}"


def test_a_new_enrolment_keeps_the_sealed_secrets_and_forgets_sealed_keys(
    bench: KeyBench, own_machine: None, tmp_path: Path
) -> None:
    identity, row = Identity(bench.stage.paths), BY_NAME["box-seal"]
    lost = new_key(row)
    identity.keep_key(row, lost)
    sealed = Sealed(bench, tmp_path / "given")
    identity.make_secrets()
    identity.settle()
    assert sealed.clear() == []
    assert sealed.marks("keeper", "box-seal") == {bench.mark("box-seal")} != {mark(lost.public_key())}


# -- another concentrator's certificate


def test_what_waits_for_the_old_oct_is_sealed_again(bench: KeyBench) -> None:
    key = bench.checked("a")
    bench.start()
    part = bench.desk.parts.add_bytes(b"sealed")
    with bench.desk.commit():
        bench.desk.book.name_part(key, "sealed", part)
        bench.desk.book.move(key, Verb.SIGN, {})
        bench.desk.book.move(key, Verb.SEAL, {}, seal="1", seals=1)
        name_recipient(bench.desk, key)
    bench.desk.offer(key)
    bench.enrol(729)  # the same OCT: nothing to do
    bench.start()
    assert bench.row(key)["state"] == "SEALED"
    (bench.stage.paths.trust / "current/oct-seal.pem").write_bytes(
        x509.load_der_x509_certificate(bench.pki.certificate("zoo/revoked-oct-seal")).public_bytes(Encoding.PEM)
    )
    bench.enrol(728)
    bench.start()
    assert bench.row(key)["state"] == "SIGNED"
    assert bench.desk.outgoing.names() == []
    assert [fact["seal"] for fact in bench.told(key, "unseal")] == ["1"]

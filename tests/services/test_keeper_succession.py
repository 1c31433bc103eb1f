"""What the OCT announces of itself and of those above it: what is put in force, what waits, what is refused."""

from __future__ import annotations

import asyncio
import hashlib
import io
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from development_pki import Pki
from later_pki import LaterPki

from gateway.envelope.seal import Sealer
from gateway.envelope.signed import sign_with_key, signed_size, write_signed
from gateway.formats.announcement import Announcement
from gateway.formats.days import iso
from gateway.formats.enrolment import to_base64
from gateway.formats.returns import pack
from gateway.process import keyring
from gateway.services.keeper import renewals
from gateway.services.keeper.lists import Lists
from gateway.services.keeper.returns import take_arrived
from tests.services.test_keeper_renewals import KeyBench

LATER = timedelta(days=600)


class Succession(KeyBench):
    """An enrolled box, and an OCT whose certificates and authorities change."""

    def begin(self, folder: Path) -> None:
        shutil.copytree(self.pki.directory, folder)
        self.later = LaterPki(folder)
        self.enrol()
        self.part = self.start()
        self.pass_(timedelta(0))

    def pass_(self, time: timedelta) -> None:
        """So much time passes; the lists of the day come."""
        self.now += time
        self.later.publish(self.now, 45)
        shutil.copy(self.later.folder / "crl/all.pem", self.stage.paths.trust / "crl/day.crl")
        self.later.hand_list("boites", self.now, 45, self.stage.paths.trust / "crl/boites.crl")

    def bring(self, announcement: Announcement, signer: str = "oct-sign", chain: tuple[bytes, ...] = ()) -> None:
        """It comes as a return, with ``chain``, and the keeper takes its turn."""
        content = pack("trust", f"trust_{announcement.at}_{signer}", "", iso(self.now), announcement.to_bytes())
        certificate, key = (
            self.der(signer),
            load_pem_private_key((self.later.folder / f"{signer}.key").read_bytes(), None),
        )
        made = sign_with_key(hashlib.sha256(content).digest(), self.now, certificate, key)  # type: ignore[arg-type]
        out = io.BytesIO()
        sealer = Sealer(out, [self.in_force("box-seal")], signed_size(len(content), made, chain))
        write_signed(io.BytesIO(content), len(content), sealer, made, chain)
        sealer.close()
        self.desk.arrived.put(f"return.{hashlib.sha256(out.getvalue()).hexdigest()}", out.getvalue())
        asyncio.run(take_arrived(self.desk))
        self.part.look()

    def announcement(self, *chain: Path, at: timedelta = timedelta(0)) -> Announcement:
        """What the OCT would say now, with later authorities."""
        roots = [one.public_bytes(Encoding.DER) for one in
                 x509.load_pem_x509_certificates((self.later.folder / "root.pem").read_bytes())]  # fmt: skip
        files = [*sorted((self.pki.directory / "chains").glob("*.pem")), *chain]
        return Announcement(
            iso(self.now + at),
            tuple(map(to_base64, roots)),
            tuple(to_base64(keyring.read_certificate(path)) for path in files),
            to_base64(self.der("oct-seal")),
            to_base64(self.der("oct-sign")),
        )

    def der(self, name: str) -> bytes:
        return keyring.read_certificate(self.later.folder / f"{name}.pem")

    def trusts(self, name: str) -> tuple[bytes, ...]:
        return keyring.read_certificates(self.stage.paths.trust / f"{name}.pem")


@pytest.fixture
def bench(pki: Pki, tmp_path: Path) -> Succession:
    made = Succession(tmp_path / "s", pki)
    made.begin(tmp_path / "later")
    return made


def test_what_says_nothing_new_changes_nothing(bench: Succession) -> None:
    before = keyring.generation(bench.stage.paths)
    bench.bring(bench.announcement())
    assert keyring.generation(bench.stage.paths) == before
    assert [fact["generation"] for fact in bench.told("", "follow announcement")] == [before]


def test_the_octs_new_certificates_are_put_in_force_at_once(bench: Succession) -> None:
    before = bench.in_force("oct-seal")
    bench.pass_(LATER)
    for name in ("oct-seal", "oct-sign"):
        bench.later.again(name, "oct", bench.now)
    bench.bring(bench.announcement())
    assert bench.condition("announcement")["code"] == ""
    assert bench.in_force("oct-seal") == bench.der("oct-seal") == bench.desk.trust.oct_seal != before
    assert bench.in_force("oct-sign") == bench.der("oct-sign") == bench.desk.trust.oct_sign
    assert bench.desk.keys.ring.pairs[0][0] == bench.in_force("box-seal"), "the box's own are what they were"


def test_a_renewal_under_way_stays_what_it_is(bench: Succession) -> None:
    bench.pass_(timedelta(days=641))
    bench.everybody_asks()
    bench.part = renewals.Renewals(bench.desk)
    bench.part.look()
    request = bench.asked()
    bench.later.again("oct-seal", "oct", bench.now)
    bench.bring(bench.announcement())
    assert bench.in_force("oct-seal") == bench.der("oct-seal")
    with bench.desk.commit():
        renewals.keep_answer(bench.desk, bench.answer(request))
    before = bench.in_force("box-seal")
    bench.part.look()
    assert bench.in_force("box-seal") != before
    assert bench.in_force("oct-seal") == bench.der("oct-seal"), "and does not bring the old one back"


def test_authorities_come_first_and_what_is_below_when_their_lists_do(bench: Succession) -> None:
    bench.pass_(LATER)
    below = bench.later.sector("oct-2", "oct", "root", bench.now)
    bench.later.again("oct-seal", "oct-2", bench.now)
    before = bench.in_force("oct-seal")
    bench.bring(bench.announcement(below))
    assert bench.der("chains/oct-2") in bench.trusts("chain")
    assert (bench.in_force("oct-seal"), bench.condition("announcement")["code"]) == (before, "CMS-037")
    bench.pass_(timedelta(hours=1))
    Lists(bench.desk).look()
    bench.part.look()
    assert (bench.in_force("oct-seal"), bench.condition("announcement")["code"]) == (bench.der("oct-seal"), "")


def test_a_root_that_the_old_one_signed_stands_beside_it(bench: Succession) -> None:
    bench.pass_(LATER)
    link = bench.later.root("root-2", "root", bench.now)
    below = bench.later.sector("oct-2", "oct", "root-2", bench.now)
    bench.bring(bench.announcement(below))
    assert len(bench.trusts("root")) == 1, "without the link it is nobody's"
    assert bench.der("chains/oct-2") not in bench.trusts("chain")
    bench.bring(bench.announcement(below, link, at=timedelta(seconds=1)))
    assert bench.trusts("root") == (
        bench.pki.root,
        bench.later.authorities["root-2"].certificate.public_bytes(Encoding.DER),
    )
    assert bench.der("chains/oct-2") in bench.trusts("chain")
    assert keyring.read_certificate(link) not in bench.trusts("chain")


def test_a_root_that_a_hand_places_brings_what_was_announced_below_it(bench: Succession) -> None:
    bench.pass_(LATER)
    bench.later.root("root-2", "root", bench.now)
    below = bench.later.sector("oct-2", "oct", "root-2", bench.now)
    bench.bring(bench.announcement(below))
    with (bench.stage.paths.trust / "root.pem").open("ab") as roots:
        roots.write(bench.later.authorities["root-2"].certificate.public_bytes(Encoding.PEM))
    bench.start().look()
    assert bench.der("chains/oct-2") in bench.trusts("chain")
    assert len(bench.trusts("root")) == 2
    told = len(bench.told("", "follow announcement"))
    bench.start().look()
    assert len(bench.told("", "follow announcement")) == told == 2, "nothing new, nothing said"


def test_somebody_elses_certificate_is_refused_and_said(bench: Succession) -> None:
    before = keyring.generation(bench.stage.paths)
    told = bench.announcement()
    other = Announcement(told.at, told.roots, told.chain, to_base64(bench.pki.certificate("box-seal")), told.oct_sign)
    bench.bring(other)
    assert bench.condition("announcement")["code"] == "ANN-002"
    assert keyring.generation(bench.stage.paths) == before
    assert [fact["code"] for fact in bench.told("", "refuse announcement")] == ["ANN-002"]
    bench.bring(bench.announcement(at=timedelta(seconds=1)))
    assert bench.condition("announcement")["code"] == ""


def test_an_older_announcement_never_follows_a_newer_one(bench: Succession) -> None:
    bench.pass_(LATER)
    older = bench.announcement(at=-timedelta(hours=1))
    bench.later.again("oct-seal", "oct", bench.now)
    bench.bring(bench.announcement())
    bench.bring(older)
    assert bench.in_force("oct-seal") == bench.der("oct-seal")


def test_a_return_of_the_octs_next_certificate_is_believed_for_its_name(bench: Succession) -> None:
    """It signs before the announcement that it comes with was read; another owner under the same authority does not."""
    bench.pass_(LATER)
    bench.later.again("oct-sign", "oct", bench.now)
    bench.bring(bench.announcement())
    assert bench.in_force("oct-sign") == bench.der("oct-sign")
    assert bench.desk.book.connection.execute("SELECT count(*) FROM returns WHERE kind = 'unread'").fetchone()[0] == 0
    bench.bring(bench.announcement(at=timedelta(seconds=1)), signer="oct-transport")
    (row,) = bench.desk.book.connection.execute("SELECT name FROM returns WHERE kind = 'unread'").fetchall()
    assert row["name"] == "RET-003"


def test_a_return_teaches_the_authority_that_it_stands_below(bench: Succession) -> None:
    """A box that was away hears of it by the very announcement that is signed below it; it waits for its list."""
    bench.pass_(LATER)
    below = bench.later.sector("oct-2", "oct", "root", bench.now)
    for name in ("oct-seal", "oct-sign"):
        bench.later.again(name, "oct-2", bench.now)
    bench.bring(bench.announcement(below), chain=(bench.der("chains/oct-2"),))
    assert bench.der("chains/oct-2") in bench.trusts("chain")
    assert (bench.condition("returns")["code"], len(bench.desk.arrived.names())) == ("CMS-037", 1)
    bench.pass_(timedelta(hours=1))
    bench.desk.put_off.clear()
    asyncio.run(take_arrived(bench.desk))
    bench.part.look()
    assert (bench.condition("returns")["code"], bench.desk.arrived.names()) == ("", [])
    assert bench.in_force("oct-sign") == bench.der("oct-sign")


def test_a_return_that_is_signed_again_is_the_same_return(bench: Succession) -> None:
    """It was taken, and the OCT never heard so; when the box is back, another certificate has signed it."""
    bench.pass_(LATER)
    told = bench.announcement()
    bench.bring(told)
    for name in ("oct-seal", "oct-sign"):
        bench.later.again(name, "oct", bench.now)
    bench.bring(told)
    assert bench.desk.book.connection.execute("SELECT count(*) FROM returns").fetchone()[0] == 1
    assert bench.desk.arrived.names() == []


@pytest.mark.parametrize(
    ("days", "oct_code", "authority_code"),
    [(600, "", ""), (650, "OCT-CERT-90", ""), (2600, "OCT-CERT-0", "AUT-CERT-60"), (2700, "OCT-CERT-0", "AUT-CERT-0")],
)
def test_what_ends_without_a_successor_is_said(
    bench: Succession, days: int, oct_code: str, authority_code: str
) -> None:
    bench.pass_(timedelta(days=days))
    bench.part.look()
    assert bench.condition("oct-certificates")["code"] == oct_code
    assert bench.condition("authorities")["code"] == authority_code


def test_what_has_a_successor_is_not_said_and_owes_no_list(bench: Succession) -> None:
    bench.pass_(timedelta(days=2500))
    files = [bench.later.sector(f"{name}-2", name, "root", bench.now) for name in ("sante", "oct", "boites")]
    bench.later.authorities["boites-2"].lists = True
    for name in ("oct-seal", "oct-sign"):
        bench.later.again(name, "oct", bench.now)
    bench.bring(bench.announcement(*files))
    bench.pass_(timedelta(days=200))
    bench.part.look()
    (bench.stage.paths.trust / "crl/boites.crl").unlink()
    Lists(bench.desk).look()
    assert (bench.condition("authorities")["code"], bench.condition("lists-over")["code"]) == ("", "")

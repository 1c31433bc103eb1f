"""Renewal and revocation at the OCT: a box in force gets new certificates, another an alarm; who is revoked is out."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from concentrator_bench import Bench
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from development_pki import Pki
from enrolment_bench import PARTNER, EnrolmentBench, make_enrolment_bench

from gateway.book.doors import Copied
from gateway.book.moves import iso
from gateway.concentrator.boxes import Boxes, Members
from gateway.concentrator.integration import Integration
from gateway.concentrator.keys import load_keys, load_trust
from gateway.concentrator.mailbox import Mailbox
from gateway.concentrator.publishing import publish
from gateway.concentrator.reception import Reception
from gateway.envelope.algorithms import PrivateKey, public_key
from gateway.envelope.box_keys import BY_NAME
from gateway.envelope.certificates import Use
from gateway.envelope.issuing import ends_of_list, named_in
from gateway.envelope.requests import make_request, new_key
from gateway.envelope.seal import Sealer
from gateway.envelope.signed import sign_with_key, signed_size, write_signed
from gateway.errors import Deferred, Refused, Trouble
from gateway.formats.enrolment import RENEWAL, Bundle, Named, RenewalAnswer, RenewalRequest, fingerprint, to_base64

NAMES = ("box-seal", "box-sign", "box-transport")


class RenewalBench:
    """A concentrator with one enrolled box whose keys tests hold."""

    def __init__(self, pki: Pki, folder: Path) -> None:
        self.enrolment: EnrolmentBench = make_enrolment_bench(pki, folder)
        self.bench: Bench = self.enrolment.bench
        self.store = self.enrolment.store
        self.box = self.enrol()

    def enrol(self) -> int:
        self.enrolment.add_code()
        signed = self.enrolment.sign(self.enrolment.request())
        self.enrolment.accept(signed, self.enrolment.desk.answer(signed))
        return self.enrolment.boxes

    def certificate(self, name: str) -> bytes:
        """The newest one in the store."""
        return bytes(Boxes(self.store).certificates(PARTNER, name)[0]["der"])

    def key(self, name: str, box: int = 0) -> PrivateKey:
        (path,) = (self.enrolment.folder / f"box{box or self.box}/keys").glob(f"*/{name}.*.key")
        return load_pem_private_key(path.read_bytes(), None)  # type: ignore[return-value]

    def request(self, box: str = "box-9", partner: str = PARTNER, again: tuple[str, ...] = ("recovery",)) -> bytes:
        keys = tuple(Named(name, to_base64(make_request(BY_NAME[name], new_key(BY_NAME[name])))) for name in NAMES)
        return RenewalRequest(Bundle(box, partner, iso(self.bench.now), keys, ""), again).to_bytes()

    def arrive(self, content: bytes, certificate: bytes = b"", key: PrivateKey | None = None) -> None:
        """What forward would have carried, received and worked on."""
        signer, own = certificate or self.certificate("box-sign"), key or self.key("box-sign")
        made = sign_with_key(hashlib.sha256(content).digest(), self.bench.now, signer, own)
        out = io.BytesIO()
        sealer = Sealer(out, [self.bench.pki.certificate("oct-seal")], signed_size(len(content), made, ()))
        write_signed(io.BytesIO(content), len(content), sealer, made, ())
        sealer.close()
        self.bench.count += 1
        name = f"{RENEWAL}{fingerprint(content)[:32]}.1.1"
        columns = {
            "sender": PARTNER, "server": "", "file_type": 0, "file_name": "F", "transfer_id": self.bench.count,
            "created": "", "initial_sender": "", "final_receiver": "", "label": "", "free_text": name,
            "fichier": name.split(".")[0], "transmission": 1, "seal": "1", "began": iso(self.bench.now),
        }  # fmt: skip
        row, digest = self.store.begin(columns), hashlib.sha256(out.getvalue()).hexdigest()
        (self.bench.settings.received / digest).write_bytes(out.getvalue())
        self.store.complete(row["id"], Copied(digest, len(out.getvalue())), iso(self.bench.now))
        settings, keys = self.bench.settings, load_keys(self.bench.settings)
        mailbox = Mailbox(settings.returns, keys, Members(settings, self.store).seal_certificate)
        Integration(settings, self.store, mailbox, keys, lambda: load_trust(settings), self.bench.clock).work()

    def outcome(self) -> str:
        rows = self.store.connection.execute("SELECT outcome FROM transfers ORDER BY id DESC LIMIT 1").fetchall()
        return str(rows[0]["outcome"])

    def alarms(self) -> list[str]:
        return [row["code"] for row in self.store.connection.execute("SELECT code FROM alarms")]

    def returns(self) -> int:
        return int(self.store.connection.execute("SELECT count(*) FROM mailbox").fetchone()[0])

    def connect(self, certificate: bytes, password: str = "") -> str:
        """The diagnostic of a connection, '' where it is let in."""
        found = max((self.enrolment.folder / f"box{self.enrolment.boxes}/keys/forward").glob("oct-password.*"))
        reception = Reception(
            self.bench.settings, self.store, lambda: load_trust(self.bench.settings), self.bench.clock, lambda: None
        )
        try:
            reception.connect(PARTNER, self.bench.settings.name, password or found.read_text(), certificate)
        except Trouble as trouble:
            return trouble.code
        return ""


@pytest.fixture
def bench(pki: Pki, tmp_path: Path) -> Iterator[RenewalBench]:
    made = RenewalBench(pki, tmp_path)
    yield made
    made.store.close()


def test_a_box_in_force_gets_new_certificates_once(bench: RenewalBench) -> None:
    before = {name: bench.certificate(name) for name in (*NAMES, "recovery")}
    request = bench.request()
    for _ in range(2):
        bench.arrive(request, before["box-sign"])
        assert bench.outcome() == "renewed"
    answer = RenewalAnswer.from_bytes(Boxes(bench.store).renewed(fingerprint(request)) or b"")
    assert {one.name for one in answer.certificates} == before.keys()
    assert public_key(bench.certificate("recovery")) == public_key(before["recovery"])
    assert all(bench.certificate(name) != before[name] for name in before)
    count = bench.store.connection.execute("SELECT count(*) FROM box_certificates").fetchone()[0]
    assert (count, bench.returns(), bench.alarms()) == (7 + 4, 2, []), "answered twice, made once"


def test_returns_are_sealed_to_the_old_key_until_the_new_line_was_seen(bench: RenewalBench) -> None:
    members = Members(bench.bench.settings, bench.store)
    old, line = bench.certificate("box-seal"), bench.certificate("box-transport")
    bench.arrive(bench.request())
    assert members.seal_certificate(PARTNER) == old
    assert bench.connect(line) == "", "both lines are let in"
    assert members.seal_certificate(PARTNER) == old
    assert bench.connect(bench.certificate("box-transport")) == ""
    assert members.seal_certificate(PARTNER) == bench.certificate("box-seal") != old


@pytest.mark.parametrize(
    ("change", "code"),
    [({"box": "box-8"}, "ENR-014"), ({"partner": "OTHER"}, "ENR-014"), ({"again": ("box-seal",)}, "ENR-009")],
)
def test_requests_for_something_else(bench: RenewalBench, change: dict[str, object], code: str) -> None:
    bench.arrive(bench.request(**change))  # type: ignore[arg-type]
    assert (bench.outcome(), bench.alarms(), bench.returns()) == ("refused", [code], 0)


def test_only_box_sign_of_the_last_enrolment_asks(bench: RenewalBench) -> None:
    pki, former = bench.bench.pki, (bench.certificate("box-sign"), bench.key("box-sign"))
    bench.arrive(bench.request(), pki.certificate("box-sign"), pki.key("box-sign"))
    bench.arrive(bench.request(), bench.certificate("box-transport"), bench.key("box-transport"))
    bench.enrol()
    bench.arrive(bench.request(), *former)
    assert bench.alarms() == ["ENR-014"] * 3
    assert bench.returns() == 0


def test_a_list_that_is_missing_waits(bench: RenewalBench) -> None:
    bench.bench.settings = replace(bench.bench.settings, crls=())
    bench.arrive(bench.request())
    assert (bench.outcome(), bench.alarms()) == ("", [])


# -- revocation


def test_who_is_revoked_is_out_at_once_and_stands_on_the_next_list(bench: RenewalBench) -> None:
    crl, line = bench.bench.settings.enrolment.crl, bench.certificate("box-transport")
    number = number_of(crl)
    assert bench.connect(line) == ""
    names = Boxes(bench.store).revoke(PARTNER, bench.bench.now)
    assert sorted(names) == sorted(BY_NAME)
    assert bench.connect(line) == "PES-3.304", "before the list is out"
    assert publish(bench.bench.settings, bench.store, bench.bench.now)
    assert number_of(crl) == number + 1
    with pytest.raises(Refused, match="CMS-036"):
        load_trust(bench.bench.settings).check(line, (), bench.bench.now, Use.TRANSPORT)
    with pytest.raises(Deferred, match="ENR-010"):
        Members(bench.bench.settings, bench.store).seal_certificate(PARTNER)
    assert not publish(bench.bench.settings, bench.store, bench.bench.now), "nothing new to say"


def test_who_is_enrolled_again_is_in_force_with_new_keys_only(bench: RenewalBench) -> None:
    line = bench.certificate("box-transport")
    password = max((bench.enrolment.folder / "box1/keys/forward").glob("oct-password.*")).read_text()
    Boxes(bench.store).revoke(PARTNER, bench.bench.now)
    publish(bench.bench.settings, bench.store, bench.bench.now)
    bench.enrol()
    assert bench.connect(bench.certificate("box-transport")) == ""
    assert bench.connect(line) == "CMS-036"
    assert bench.connect(bench.certificate("box-transport"), password) == "PES-3.304", "the old password is dead too"


def test_one_certificate_alone(bench: RenewalBench) -> None:
    line = bench.certificate("box-transport")
    assert Boxes(bench.store).revoke(PARTNER, bench.bench.now, "recovery") == ["recovery"]
    publish(bench.bench.settings, bench.store, bench.bench.now)
    assert bench.connect(line) == ""
    assert len(named_in(bench.bench.settings.enrolment.crl.read_bytes())) == 1 + len(former(bench))


def test_a_partner_that_was_only_declared_is_taken_out_too(bench: RenewalBench) -> None:
    members, declared = Members(bench.bench.settings, bench.store), bench.bench.settings.partners[0].identifier
    assert members.find(declared) is not None and members.seal_certificate(declared)
    assert Boxes(bench.store).revoke(declared, bench.bench.now) == []
    assert members.find(declared) is None and members.mandates(declared) == ()
    with pytest.raises(Deferred, match="ENR-010"):
        members.seal_certificate(declared)


def former(bench: RenewalBench) -> frozenset[int]:
    return named_in((bench.bench.pki.directory / "crl/boites.crl").read_bytes())


def number_of(crl: Path) -> int:
    found = x509.load_der_x509_crl(crl.read_bytes())
    return found.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def test_a_list_is_made_anew_at_half_its_life_and_forgets_nobody(bench: RenewalBench) -> None:
    settings, crl = bench.bench.settings, bench.bench.settings.enrolment.crl
    Boxes(bench.store).revoke(PARTNER, bench.bench.now, "recovery")
    publish(settings, bench.store, bench.bench.now)
    listed, number = named_in(crl.read_bytes()), number_of(crl)
    assert not publish(settings, bench.store, bench.bench.now + timedelta(days=14))
    assert publish(settings, bench.store, bench.bench.now + timedelta(days=16))
    assert (named_in(crl.read_bytes()), number_of(crl)) == (listed, number + 1)
    _, end = ends_of_list(crl.read_bytes())
    assert end is not None and end > bench.bench.now + timedelta(days=45)


def test_a_list_in_pem_is_published_in_pem(bench: RenewalBench) -> None:
    settings = bench.bench.settings
    crl = settings.enrolment.crl.with_suffix(".pem")
    crl.write_bytes(x509.load_der_x509_crl(settings.enrolment.crl.read_bytes()).public_bytes(Encoding.PEM))
    bench.bench.settings = replace(settings, enrolment=replace(settings.enrolment, crl=crl))
    Boxes(bench.store).revoke(PARTNER, bench.bench.now)
    assert publish(bench.bench.settings, bench.store, bench.bench.now)
    assert crl.read_bytes().startswith(b"-----BEGIN X509 CRL")

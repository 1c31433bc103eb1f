"""Renewal and revocation at the OCT: a box in force gets new certificates, another an alarm; who is revoked is out."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from development_pki import Pki
from enrolment_bench import PARTNER
from later_pki import LaterPki
from renewal_bench import NAMES, RenewalBench

from gateway.concentrator.boxes import Boxes, Members
from gateway.concentrator.keys import load_trust
from gateway.concentrator.publishing import publish
from gateway.concentrator.settings import FormerAuthority
from gateway.envelope.algorithms import public_key
from gateway.envelope.box_keys import BY_NAME
from gateway.envelope.certificates import Use
from gateway.envelope.issuing import ends_of_list, named_in
from gateway.errors import Deferred, Refused
from gateway.formats.enrolment import RenewalAnswer, fingerprint


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


def test_the_list_of_a_former_authority_goes_on(bench: RenewalBench, tmp_path: Path) -> None:
    """Boxes hold its certificates for two years more; who is revoked stands on either."""
    one, old = bench.bench, bench.bench.settings.enrolment
    later = LaterPki(Path(shutil.copytree(one.pki.directory, tmp_path / "later")))
    certificate = later.sector("boites-2", "boites", "root", one.now)
    new = replace(
        old, authority_certificate=certificate, authority_key=later.folder / "ca/boites-2.key",
        crl=tmp_path / "boites-2.crl",
        former=(FormerAuthority(old.authority_certificate, old.authority_key, old.crl),),
    )  # fmt: skip
    one.settings = replace(one.settings, enrolment=new, chain=(*one.settings.chain, certificate))
    number = number_of(old.crl)
    one.now += timedelta(days=16)
    assert publish(one.settings, bench.store, one.now)
    assert number_of(old.crl) == number + 1
    Boxes(bench.store).revoke(PARTNER, one.now, "recovery")
    assert publish(one.settings, bench.store, one.now)
    assert named_in(new.crl.read_bytes()) & named_in(old.crl.read_bytes())
    later.publish(one.now, 30)
    one.settings = replace(one.settings, crls=(later.folder / "crl/all.pem",))
    trust = load_trust(one.settings)
    assert trust.check(bench.certificate("box-sign"), (), one.now, Use.SIGN_JOURNAL)


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

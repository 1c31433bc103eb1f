"""Renewal and revocation at the OCT: a box in force gets new certificates, another an alarm; who is revoked is out."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
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


def test_a_box_in_force_gets_new_certificates_once(enrolled: RenewalBench) -> None:
    before = {name: enrolled.certificate(name) for name in (*NAMES, "recovery")}
    request = enrolled.request()
    for _ in range(2):
        enrolled.arrive(request, before["box-sign"])
        assert enrolled.outcome() == "renewed"
    answer = RenewalAnswer.from_bytes(Boxes(enrolled.store).renewed(fingerprint(request)) or b"")
    assert {one.name for one in answer.certificates} == before.keys()
    assert public_key(enrolled.certificate("recovery")) == public_key(before["recovery"])
    assert all(enrolled.certificate(name) != before[name] for name in before)
    count = enrolled.store.connection.execute("SELECT count(*) FROM box_certificates").fetchone()[0]
    assert (count, enrolled.returns(), enrolled.alarms()) == (7 + 4, 2, []), "answered twice, made once"


def test_returns_are_sealed_to_the_old_key_until_the_new_line_was_seen(enrolled: RenewalBench) -> None:
    members = Members(enrolled.bench.settings, enrolled.store)
    old, line = enrolled.certificate("box-seal"), enrolled.certificate("box-transport")
    enrolled.arrive(enrolled.request())
    assert members.seal_certificate(PARTNER) == old
    assert enrolled.connect(line) == "", "both lines are let in"
    assert members.seal_certificate(PARTNER) == old
    assert enrolled.connect(enrolled.certificate("box-transport")) == ""
    assert members.seal_certificate(PARTNER) == enrolled.certificate("box-seal") != old


@pytest.mark.parametrize(
    ("change", "code"),
    [({"box": "box-8"}, "ENR-014"), ({"partner": "OTHER"}, "ENR-014"), ({"again": ("box-seal",)}, "ENR-009")],
)
def test_requests_for_something_else(enrolled: RenewalBench, change: dict[str, object], code: str) -> None:
    enrolled.arrive(enrolled.request(**change))  # type: ignore[arg-type]
    assert (enrolled.outcome(), enrolled.alarms(), enrolled.returns()) == ("refused", [code], 0)


def test_only_box_sign_of_the_last_enrolment_asks(enrolled: RenewalBench) -> None:
    pki, former = enrolled.bench.pki, (enrolled.certificate("box-sign"), enrolled.key("box-sign"))
    enrolled.arrive(enrolled.request(), pki.certificate("box-sign"), pki.key("box-sign"))
    enrolled.arrive(enrolled.request(), enrolled.certificate("box-transport"), enrolled.key("box-transport"))
    enrolled.enrol()
    enrolled.arrive(enrolled.request(), *former)
    assert enrolled.alarms() == ["ENR-014"] * 3
    assert enrolled.returns() == 0


def test_a_list_that_is_missing_waits(enrolled: RenewalBench) -> None:
    enrolled.bench.settings = replace(enrolled.bench.settings, crls=())
    enrolled.arrive(enrolled.request())
    assert (enrolled.outcome(), enrolled.alarms()) == ("", [])


# -- revocation


def test_who_is_revoked_is_out_at_once_and_stands_on_the_next_list(enrolled: RenewalBench) -> None:
    crl, line = enrolled.bench.settings.enrolment.crl, enrolled.certificate("box-transport")
    number = number_of(crl)
    assert enrolled.connect(line) == ""
    names = Boxes(enrolled.store).revoke(PARTNER, enrolled.bench.now)
    assert sorted(names) == sorted(BY_NAME)
    assert enrolled.connect(line) == "PES-3.304", "before the list is out"
    assert publish(enrolled.bench.settings, enrolled.store, enrolled.bench.now)
    assert number_of(crl) == number + 1
    with pytest.raises(Refused, match="CMS-036"):
        load_trust(enrolled.bench.settings).check(line, (), enrolled.bench.now, Use.TRANSPORT)
    with pytest.raises(Deferred, match="ENR-010"):
        Members(enrolled.bench.settings, enrolled.store).seal_certificate(PARTNER)
    assert not publish(enrolled.bench.settings, enrolled.store, enrolled.bench.now), "nothing new to say"


def test_who_is_enrolled_again_is_in_force_with_new_keys_only(enrolled: RenewalBench) -> None:
    line = enrolled.certificate("box-transport")
    password = max((enrolled.enrolment.folder / "box1/keys/forward").glob("oct-password.*")).read_text()
    Boxes(enrolled.store).revoke(PARTNER, enrolled.bench.now)
    publish(enrolled.bench.settings, enrolled.store, enrolled.bench.now)
    enrolled.enrol()
    assert enrolled.connect(enrolled.certificate("box-transport")) == ""
    assert enrolled.connect(line) == "CMS-036"
    assert enrolled.connect(enrolled.certificate("box-transport"), password) == "PES-3.304", (
        "the old password is dead too"
    )


def test_one_certificate_alone(enrolled: RenewalBench) -> None:
    line = enrolled.certificate("box-transport")
    assert Boxes(enrolled.store).revoke(PARTNER, enrolled.bench.now, "recovery") == ["recovery"]
    publish(enrolled.bench.settings, enrolled.store, enrolled.bench.now)
    assert enrolled.connect(line) == ""
    assert len(named_in(enrolled.bench.settings.enrolment.crl.read_bytes())) == 1 + len(former(enrolled))


def test_a_partner_that_was_only_declared_is_taken_out_too(enrolled: RenewalBench) -> None:
    members, declared = Members(enrolled.bench.settings, enrolled.store), enrolled.bench.settings.partners[0].identifier
    assert members.find(declared) is not None and members.seal_certificate(declared)
    assert Boxes(enrolled.store).revoke(declared, enrolled.bench.now) == []
    assert members.find(declared) is None and members.mandates(declared) == ()
    with pytest.raises(Deferred, match="ENR-010"):
        members.seal_certificate(declared)


def former(enrolled: RenewalBench) -> frozenset[int]:
    return named_in((enrolled.bench.pki.directory / "crl/boites.crl").read_bytes())


def number_of(crl: Path) -> int:
    found = x509.load_der_x509_crl(crl.read_bytes())
    return found.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def test_the_list_of_a_former_authority_goes_on(enrolled: RenewalBench, tmp_path: Path) -> None:
    """Boxes hold its certificates for two years more; who is revoked stands on either."""
    one, old = enrolled.bench, enrolled.bench.settings.enrolment
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
    assert publish(one.settings, enrolled.store, one.now)
    assert number_of(old.crl) == number + 1
    Boxes(enrolled.store).revoke(PARTNER, one.now, "recovery")
    assert publish(one.settings, enrolled.store, one.now)
    assert named_in(new.crl.read_bytes()) & named_in(old.crl.read_bytes())
    later.publish(one.now, 30)
    one.settings = replace(one.settings, crls=(later.folder / "crl/all.pem",))
    trust = load_trust(one.settings)
    assert trust.check(enrolled.certificate("box-sign"), (), one.now, Use.SIGN_JOURNAL)


def test_a_list_is_made_anew_at_half_its_life_and_forgets_nobody(enrolled: RenewalBench) -> None:
    settings, crl = enrolled.bench.settings, enrolled.bench.settings.enrolment.crl
    Boxes(enrolled.store).revoke(PARTNER, enrolled.bench.now, "recovery")
    publish(settings, enrolled.store, enrolled.bench.now)
    listed, number = named_in(crl.read_bytes()), number_of(crl)
    assert not publish(settings, enrolled.store, enrolled.bench.now + timedelta(days=14))
    assert publish(settings, enrolled.store, enrolled.bench.now + timedelta(days=16))
    assert (named_in(crl.read_bytes()), number_of(crl)) == (listed, number + 1)
    _, end = ends_of_list(crl.read_bytes())
    assert end is not None and end > enrolled.bench.now + timedelta(days=45)


def test_a_list_in_pem_is_published_in_pem(enrolled: RenewalBench) -> None:
    settings = enrolled.bench.settings
    crl = settings.enrolment.crl.with_suffix(".pem")
    crl.write_bytes(x509.load_der_x509_crl(settings.enrolment.crl.read_bytes()).public_bytes(Encoding.PEM))
    enrolled.bench.settings = replace(settings, enrolment=replace(settings.enrolment, crl=crl))
    Boxes(enrolled.store).revoke(PARTNER, enrolled.bench.now)
    assert publish(enrolled.bench.settings, enrolled.store, enrolled.bench.now)
    assert crl.read_bytes().startswith(b"-----BEGIN X509 CRL")

"""Enrolment at the OCT: who may have certificates, for what, once; and what the box makes of the answer."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from concentrator_bench import DOCTOR, EMITTER
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from development_pki import Pki
from enrolment_bench import KEY, PARTNER, EnrolmentBench, make_enrolment_bench

from gateway.concentrator.boxes import MOST_TRIES, Boxes, Members
from gateway.concentrator.publishing import publish
from gateway.envelope.box_keys import BY_NAME, KEYS
from gateway.envelope.requests import make_request, new_key
from gateway.envelope.signed import read_signed
from gateway.errors import Deferred, Refused, Trouble
from gateway.formats.codes import proof
from gateway.formats.enrolment import Bundle, EnrolmentRequest, Named, to_base64
from gateway.formats.mandates import Mandate
from gateway.link.passwords import password_fits
from gateway.process.enrolment import PASSWORD_LENGTH, accept

NOW = "2026-01-01T00:00:00Z"
NURSE = "99900000029"


@pytest.fixture
def bench(pki: Pki, tmp_path: Path) -> Iterator[EnrolmentBench]:
    made = make_enrolment_bench(pki, tmp_path)
    yield made
    made.store.close()


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(Trouble) as trouble:
        act()
    return trouble.value.code


def test_a_box_is_put_in_force(bench: EnrolmentBench) -> None:
    bench.add_code()
    signed = bench.sign(bench.request())
    accepted = bench.accept(signed, bench.desk.answer(signed))
    assert {f"{row.name}.pem" for row in KEYS} < accepted.files.keys()
    member = Members(bench.bench.settings, bench.store).find(PARTNER)
    assert member is not None
    assert member.mandates == (Mandate(DOCTOR, EMITTER, "titulaire"),)
    password = next((bench.folder / "box1/keys/forward").glob("oct-password.*")).read_text()
    assert len(password) == PASSWORD_LENGTH and password_fits(password, member.password_hash)
    members = Members(bench.bench.settings, bench.store)
    leaf = x509.load_pem_x509_certificates(accepted.files["box-transport.pem"])[0]
    assert members.may_connect(PARTNER, leaf.public_bytes(Encoding.DER), NOW)
    assert not members.may_connect(PARTNER, bench.bench.pki.certificate("box-transport"), NOW), "only its own"


def test_certificates_say_what_the_table_says(bench: EnrolmentBench) -> None:
    bench.add_code()
    signed = bench.sign(bench.request())
    files = bench.accept(signed, bench.desk.answer(signed)).files
    for row in KEYS:
        certificate = x509.load_pem_x509_certificate(files[f"{row.name}.pem"])
        assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days <= 730
        assert certificate.subject.rfc4514_string().startswith(f"2.5.4.5=box-9,CN={PARTNER} {row.name}")
        purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert list(purposes) == [row.purpose]


def test_the_same_request_gets_the_same_answer_and_nothing_twice(bench: EnrolmentBench) -> None:
    bench.add_code()
    signed = bench.sign(bench.request())
    answers = [bench.accept(signed, bench.desk.answer(signed)) for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    assert len(Boxes(bench.store).listing()) == 1
    assert code_of(lambda: bench.desk.answer(bench.sign(bench.request()))) == "ENR-002", "the code has been used"


def test_an_answer_that_is_asked_for_late_comes_with_the_lists_of_the_day(bench: EnrolmentBench) -> None:
    """Or a box that was cut off for longer than the first lists last could never take it up."""
    bench.add_code()
    signed = bench.sign(bench.request())
    first = bench.accept(signed, bench.desk.answer(signed))
    settings = bench.bench.settings
    bench.bench.now += timedelta(days=settings.enrolment.crl_days * 0.75)
    assert publish(settings, bench.store, bench.bench.now)
    later = bench.accept(signed, bench.desk.answer(signed))
    assert later.files == first.files
    assert later.lists != first.lists


def test_an_old_request_puts_nothing_in_force_again(bench: EnrolmentBench) -> None:
    """Of a box that was revoked, or that was enrolled again since; and it spends no try of a new code."""
    bench.add_code()
    signed = bench.sign(bench.request())
    bench.desk.answer(signed)
    Boxes(bench.store).revoke(PARTNER, bench.bench.now)
    bench.add_code()
    for _ in range(MOST_TRIES + 1):
        assert code_of(lambda: bench.desk.answer(signed)) == "ENR-015"
    again = bench.sign(bench.request())
    assert bench.accept(again, bench.desk.answer(again)).partner == PARTNER
    assert code_of(lambda: bench.desk.answer(signed)) == "ENR-015"


def test_a_request_of_another_day_spends_no_try(bench: EnrolmentBench) -> None:
    bench.add_code()
    old = bench.sign(bench.request("0" * 20))
    bench.bench.now += timedelta(hours=25)
    for _ in range(MOST_TRIES + 1):
        assert code_of(lambda: bench.desk.answer(old)) == "ENR-008"
    good = bench.sign(bench.request())
    assert bench.accept(good, bench.desk.answer(good)).partner == PARTNER


def test_five_wrong_codes(bench: EnrolmentBench) -> None:
    bench.add_code()
    wrong = [bench.sign(bench.request("0" * 20)) for _ in range(MOST_TRIES)]
    assert [code_of(lambda one=one: bench.desk.answer(one)) for one in wrong] == ["ENR-005"] * 4 + ["ENR-004"]  # type: ignore[misc]
    assert code_of(lambda: bench.desk.answer(bench.sign(bench.request()))) == "ENR-004"


def test_who_has_not_the_card_spends_no_try(bench: EnrolmentBench) -> None:
    bench.add_code()
    for _ in range(MOST_TRIES + 1):
        signed = bench.sign(bench.request("0" * 20), f"practitioners/{NURSE}/sig")
        assert code_of(lambda signed=signed: bench.desk.answer(signed)) == "ENR-006"  # type: ignore[misc]
    signed = bench.sign(bench.request())
    assert bench.accept(signed, bench.desk.answer(signed)).partner == PARTNER


SIGNERS = {
    f"practitioners/{NURSE}/sig": "ENR-006",
    f"practitioners/{DOCTOR}/auth": "CMS-034",
    "zoo/revoked/sig": "CMS-036",
    "zoo/expired/sig": "CMS-032",
    "zoo/foreign/sig": "CMS-031",
    "zoo/not-yet-valid/sig": "CMS-033",
}


@pytest.mark.parametrize("signer", SIGNERS)
def test_other_cards(bench: EnrolmentBench, signer: str) -> None:
    bench.add_code()
    assert code_of(lambda: bench.desk.answer(bench.sign(bench.request(), signer))) == SIGNERS[signer]
    assert Boxes(bench.store).listing() == []


def test_a_code_has_its_time(bench: EnrolmentBench) -> None:
    bench.add_code()
    request = bench.sign(bench.request())
    bench.bench.now += timedelta(hours=72)
    assert code_of(lambda: bench.desk.answer(request)) == "ENR-003"
    bench.bench.now -= timedelta(seconds=1)
    bench.desk.answer(bench.sign(bench.request()))


def test_a_new_code_withdraws_the_old_one(bench: EnrolmentBench) -> None:
    bench.add_code()
    Boxes(bench.store).add_code(PARTNER, DOCTOR, [], b"another key", "2026-01-01T00:00:00Z", "2099-01-01T00:00:00Z")
    assert code_of(lambda: bench.desk.answer(bench.sign(bench.request()))) == "ENR-005"


def test_a_code_is_bound_to_its_partner(bench: EnrolmentBench) -> None:
    bench.add_code()
    assert code_of(lambda: bench.desk.answer(bench.sign(bench.request(partner="OTHER")))) == "ENR-002"


def test_the_clock_of_the_box(bench: EnrolmentBench) -> None:
    bench.add_code()
    assert code_of(lambda: bench.desk.answer(bench.sign(bench.request(at=timedelta(days=-2))))) == "ENR-008"
    none = altered(bench, lambda bundle: replace(bundle, at="9999-99-99T99:99:99Z"), prove=True)
    assert code_of(lambda: bench.desk.answer(none)) == "ENR-007"


def altered(bench: EnrolmentBench, change: Callable[[Bundle], Bundle], *, prove: bool) -> bytes:
    """A signed request whose bundle was changed, with the proof made anew or not."""
    request = EnrolmentRequest.from_bytes(bench.request())
    bundle = change(request.bundle)
    made = proof(KEY, bundle.to_bytes()) if prove else request.proof
    return bench.sign(replace(request, bundle=bundle, proof=made).to_bytes())


def without(name: str) -> Callable[[Bundle], Bundle]:
    return lambda bundle: replace(bundle, keys=tuple(one for one in bundle.keys if one.name != name))


def with_key(name: str, der: bytes) -> Callable[[Bundle], Bundle]:
    def change(bundle: Bundle) -> Bundle:
        keys = (Named(one.name, to_base64(der)) if one.name == name else one for one in bundle.keys)
        return replace(bundle, keys=tuple(keys))

    return change


RSA_KEY = new_key(BY_NAME["box-sign"])
ONE_KEY = ec.generate_private_key(ec.SECP256R1())
BUNDLES = {
    "a key is missing": (without("recovery"), "ENR-009"),
    "another name": (lambda bundle: replace(bundle, keys=(*bundle.keys, Named("oct-sign", "AAAA"))), "ENR-009"),
    "a key twice": (lambda bundle: replace(bundle, keys=(*bundle.keys, bundle.keys[0])), "ENR-009"),
    "another curve": (with_key("recovery", make_request(BY_NAME["recovery"], ONE_KEY)), "ENR-021"),
    "a curve for RSA": (with_key("box-sign", make_request(BY_NAME["box-sign"], ONE_KEY)), "ENR-021"),
    "RSA for a curve": (
        with_key("box-seal", make_request(BY_NAME["box-seal"], RSA_KEY)),
        "ENR-021",
    ),
    "no request": (with_key("box-seal", b"\x30\x00"), "ENR-020"),
    "no password": (lambda bundle: replace(bundle, password=""), "ENR-007"),
    "two names for one key": (
        lambda bundle: with_key("box-delivery", make_request(BY_NAME["box-delivery"], ONE_KEY))(
            with_key("box-seal", make_request(BY_NAME["box-seal"], ONE_KEY))(bundle)
        ),
        "ENR-009",
    ),
}


@pytest.mark.parametrize("case", BUNDLES)
def test_bundles_that_ask_for_something_else(bench: EnrolmentBench, case: str) -> None:
    bench.add_code()
    change, code = BUNDLES[case]
    assert code_of(lambda: bench.desk.answer(altered(bench, change, prove=True))) == code
    assert code_of(lambda: bench.desk.answer(altered(bench, change, prove=False))) == "ENR-005", "the proof is of all"
    assert Boxes(bench.store).listing() == []


@pytest.mark.parametrize("prove", [True, False])
def test_a_date_that_is_none_is_refused_before_any_proof(bench: EnrolmentBench, prove: bool) -> None:
    bench.add_code()
    request = altered(bench, lambda bundle: replace(bundle, at="9999-99-99T99:99:99Z"), prove=prove)
    assert code_of(lambda: bench.desk.answer(request)) == "ENR-007"
    assert Boxes(bench.store).code(PARTNER)["tries"] == 0  # type: ignore[index]


def test_every_byte_of_a_signed_request_counts(bench: EnrolmentBench) -> None:
    bench.add_code()
    signed = bench.sign(bench.request())
    for place in range(0, len(signed), 211):
        changed = bytearray(signed)
        changed[place] ^= 1
        code_of(lambda changed=changed: bench.desk.answer(bytes(changed)))  # type: ignore[misc]
    assert Boxes(bench.store).listing() == []
    assert Boxes(bench.store).code(PARTNER)["tries"] == 0  # type: ignore[index]


def test_an_authority_that_is_not_trusted_costs_no_code(bench: EnrolmentBench) -> None:
    bench.add_code()
    signed = bench.sign(bench.request())
    settings = bench.bench.settings
    wrong = replace(
        settings.enrolment,
        authority_certificate=bench.bench.pki.directory / "chains/oct.pem",
        authority_key=bench.bench.pki.directory / "ca/oct.key",
    )
    bench.bench.settings = replace(settings, enrolment=wrong)
    assert code_of(lambda: bench.desk.answer(signed)) == "CMS-034", "a sector makes only what is its own"
    bench.bench.settings = settings
    assert bench.accept(signed, bench.desk.answer(signed)).server == settings.name


def test_a_box_refuses_an_answer_that_is_not_its_own(bench: EnrolmentBench) -> None:
    bench.add_code()
    first = bench.sign(bench.request())
    answer = bench.desk.answer(first)
    bench.add_code()
    second = bench.sign(bench.request())
    assert code_of(lambda: bench.accept(second, answer)) == "ENR-031"
    pki, now = bench.bench.pki, bench.bench.now
    assert code_of(lambda: accept(first, answer, pki.certificate("zoo/foreign-root"), b"", now)) == "CMS-031"
    assert code_of(lambda: accept(first, answer, pki.root, pki.certificate("box-seal"), now)) == "CMS-034"


def test_no_byte_of_an_answer_can_be_changed_into_something_that_is_installed(bench: EnrolmentBench) -> None:
    """The intermediate that comes along is not signed over, and nothing of it is kept: its path is built of others."""
    bench.add_code()
    signed = bench.sign(bench.request())
    answer = bench.desk.answer(signed)
    good = bench.accept(signed, answer)
    for place in range(0, len(answer), 311):
        changed = bytearray(answer)
        changed[place] ^= 1
        try:
            assert bench.accept(signed, bytes(changed)) == good
        except Trouble:
            continue


def test_only_the_oct_answers(bench: EnrolmentBench) -> None:
    """The same words signed by a practitioner do not count."""
    bench.add_code()
    signed = bench.sign(bench.request())
    out = io.BytesIO()
    read_signed(io.BytesIO(bench.desk.answer(signed)), out, 1 << 20)
    assert code_of(lambda: bench.accept(signed, bench.sign(out.getvalue()))) == "CMS-034"


def test_a_list_that_is_missing_waits(bench: EnrolmentBench) -> None:
    bench.add_code()
    signed = bench.sign(bench.request())
    crls = bench.bench.settings.crls
    bench.bench.settings = replace(bench.bench.settings, crls=())
    with pytest.raises(Deferred):
        bench.desk.answer(signed)
    bench.bench.settings = replace(bench.bench.settings, crls=crls)
    assert bench.accept(signed, bench.desk.answer(signed)).partner == PARTNER
    with pytest.raises(Refused):
        bench.desk.answer(b"")

"""Who comes in, and what of a mailbox is shown to whom."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from concentrator_bench import BOX, HASH, PASSWORD, Bench, b2

from gateway.concentrator.reception import Outgoing, Reception
from gateway.concentrator.settings import PartnerAccess
from gateway.concentrator.store import Store
from gateway.concentrator.worker import sweep
from gateway.errors import Refused, Trouble
from gateway.pesit.transfer import Identity, SyncPoint

RETURNS = Identity("RETOURS", requester="BOX", initial_sender=BOX)


@pytest.fixture
def transport(bench: Bench) -> bytes:
    return bench.pki.certificate("box-transport")


def code_of(reception: Reception, *words: str, certificate: bytes | None) -> str:
    requester, server, password = words
    try:
        reception.connect(requester, server, password, certificate)
    except Trouble as trouble:
        return trouble.code
    return ""


def test_name_password_and_certificate_all_count(bench: Bench, opened: Store, transport: bytes) -> None:
    reception = bench.reception(opened)
    assert code_of(reception, BOX, "OCT", PASSWORD, certificate=transport) == ""
    assert code_of(reception, BOX, "OTHER", PASSWORD, certificate=transport) == "PES-3.301"
    assert code_of(reception, "NOBODY", "OCT", PASSWORD, certificate=transport) == "PES-3.304"
    assert code_of(reception, "", "OCT", "", certificate=transport) == "PES-3.304"
    assert code_of(reception, BOX, "OCT", "", certificate=transport) == "PES-3.304"
    assert code_of(reception, BOX, "OCT", PASSWORD, certificate=None) == "PES-3.304"


@pytest.mark.parametrize(("name", "code"), [("box-seal", "CMS-034"), ("zoo/revoked/auth", "CMS-036")])
def test_a_certificate_must_be_good_for_transport(name: str, code: str, bench: Bench, opened: Store) -> None:
    assert code_of(bench.reception(opened), BOX, "OCT", PASSWORD, certificate=bench.pki.certificate(name)) == code


def test_without_a_usable_list_nobody_is_sent_away_for_good(bench: Bench, opened: Store, transport: bytes) -> None:
    stale = bench.having(crls=(bench.pki.directory / "zoo/crl/stale-boites.crl",))
    assert code_of(stale.reception(opened), BOX, "OCT", PASSWORD, certificate=transport) == "PES-3.322"


def test_without_client_certificates_the_password_is_enough(bench: Bench, opened: Store) -> None:
    reception = bench.having(client_certificate=False).reception(opened)
    assert code_of(reception, BOX, "OCT", PASSWORD, certificate=None) == ""


def test_the_name_in_the_certificate_counts_where_it_is_asked_for(
    bench: Bench, opened: Store, transport: bytes
) -> None:
    seal = bench.settings.partners[0].box_seal
    for name, code in (("OCT-GATEWAY TEST box-transport", ""), ("another", "PES-3.304")):
        partner = PartnerAccess(BOX, HASH, seal, name)
        reception = bench.having(partners=(partner,)).reception(opened)
        assert code_of(reception, BOX, "OCT", PASSWORD, certificate=transport) == code


def test_wrong_passwords_slow_the_next_try_and_the_right_one_ends_it(
    bench: Bench, opened: Store, transport: bytes
) -> None:
    reception = bench.reception(opened)

    def tried(password: str) -> str:
        return code_of(reception, BOX, "OCT", password, certificate=transport)

    assert [tried("wrong") for _ in range(3)] == ["PES-3.304"] * 3
    assert tried(PASSWORD) == "PES-3.322", "too soon, even with the right one"
    waits = []
    for _ in range(4):
        seconds = 0
        while tried("wrong") == "PES-3.322":
            bench.now += timedelta(seconds=1)
            seconds += 1
        waits.append(seconds)
    assert waits == [1, 2, 4, 8]
    bench.now += timedelta(seconds=16)
    assert tried(PASSWORD) == ""
    assert tried("wrong") == "PES-3.304", "counted from one again"


def test_the_wait_has_an_end(bench: Bench, opened: Store, transport: bytes) -> None:
    reception = bench.reception(opened)
    for _ in range(20):
        bench.now += timedelta(seconds=300)
        assert code_of(reception, BOX, "OCT", "wrong", certificate=transport) == "PES-3.304"


def offered(reception: Reception, partner: PartnerAccess) -> Outgoing:
    outgoing = reception.select(partner, RETURNS, False)
    assert outgoing is not None
    return outgoing


def test_a_return_on_offer_says_what_it_is(bench: Bench, opened: Store) -> None:
    bench.receive(opened, bench.sign_and_seal(b2(), "f1"))
    bench.integration(opened).work()
    reception, partner = bench.reception(opened), bench.settings.partners[0]
    outgoing = offered(reception, partner)
    assert outgoing.identity.label == "receipt_00000001"
    assert outgoing.identity.transfer_id != 0 and len(outgoing.identity.created) == 12
    assert (outgoing.identity.requester, outgoing.identity.initial_sender) == ("BOX", BOX)
    sealed = b"".join(outgoing.articles(SyncPoint()))
    assert bench.unseal(sealed).header.name == "receipt_00000001"


def test_points_of_a_return_are_found_again_by_their_spacing(bench: Bench, opened: Store) -> None:
    bench.receive(opened, bench.sign_and_seal(b2(), "f1"))
    bench.integration(opened).work()
    reception, partner = bench.reception(opened), bench.settings.partners[0]
    outgoing = offered(reception, partner)
    assert outgoing.position(1) is None, "nothing was sent yet"
    outgoing.acknowledged(SyncPoint(0, 0, 0, 32768))
    again = reception.select(partner, outgoing.identity, True)
    assert again is not None and again.position(2) == SyncPoint(2, 65536, 4, 32768)


def test_a_return_that_was_cleared_away_is_found_no_more(bench: Bench, opened: Store) -> None:
    bench.receive(opened, bench.sign_and_seal(b2(), "f1"))
    bench.integration(opened).work()
    reception, partner = bench.reception(opened), bench.settings.partners[0]
    identity = offered(reception, partner).identity
    reception.message(partner, identity.answering(), identity.label)
    assert reception.select(partner, identity, True) is not None, "it may still be fetched to its end"
    sweep(bench.settings, opened, bench.now + timedelta(days=bench.settings.keep_days + 1))
    assert reception.select(partner, identity, True) is None


def test_one_partner_never_sees_anothers_returns(bench: Bench, opened: Store) -> None:
    bench.receive(opened, bench.sign_and_seal(b2(), "f1"))
    bench.integration(opened).work()
    reception, partner = bench.reception(opened), bench.settings.partners[0]
    identity = offered(reception, partner).identity
    other = replace(partner, identifier="BOX00002")
    assert reception.select(other, RETURNS, False) is None
    assert reception.select(other, identity, True) is None
    with pytest.raises(Refused) as refused:
        reception.message(other, identity.answering(), identity.label)
    assert refused.value.code == "PES-2.205"


@pytest.mark.parametrize("asked", [Identity("AUTRE"), Identity("RETOURS", file_type=1), Identity("../port")])
def test_nothing_but_returns_can_be_fetched(asked: Identity, bench: Bench, opened: Store) -> None:
    bench.receive(opened, bench.sign_and_seal(b2(), "f1"))
    bench.integration(opened).work()
    assert bench.reception(opened).select(bench.settings.partners[0], asked, False) is None

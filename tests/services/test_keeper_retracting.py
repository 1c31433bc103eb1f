"""A signature whose certificate holds no more is withdrawn, where it cannot have left, and given afresh by another."""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64decode
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from development_pki import Pki
from keeper_bench import KeeperBench
from samples import EMITTER
from stage import DOCTOR, MANDATES, NURSE

from gateway.errors import Deferred
from gateway.fichier import Verb
from gateway.services.keeper.commands import hold, release, resend
from gateway.services.keeper.retracting import stands
from gateway.services.keeper.returns import take_arrived

SIGNER = f"practitioners/{DOCTOR}/sig"
LOCUM = {"holder": NURSE, "emitter": EMITTER, "role": "remplaçant"}


@pytest.fixture
def bench(pki: Pki, tmp_path: Path) -> KeeperBench:
    made = KeeperBench(tmp_path / "s", pki)
    made.open(mandates=[*MANDATES, LOCUM])
    return made


def signed(bench: KeeperBench, fichier: str, signer: str = DOCTOR) -> tuple[str, dict[str, Any]]:
    """A fichier that a card signed, and the card service's answer."""
    key = bench.checked(fichier, EMITTER)
    bench.sign(key, signer)
    answer = bench.signing[-1]
    bench.turn()
    assert bench.row(key)["state"] == "SIGNED"
    return key, answer


def roles(bench: KeeperBench, key: str) -> set[str]:
    rows = bench.desk.book.connection.execute("SELECT role FROM parts WHERE fichier = ?", (key,))
    return {row["role"] for row in rows}


def expire(bench: KeeperBench) -> None:
    """The day after the signer's certificate ended."""
    certificate = x509.load_der_x509_certificate(bench.pki.certificate(SIGNER))
    bench.now = certificate.not_valid_after_utc + timedelta(days=1)
    bench.review.look()


def test_a_revoked_signers_signature_is_withdrawn_and_another_card_signs(bench: KeeperBench) -> None:
    key, answer = signed(bench, "a")
    (fact,) = bench.told(key, "sign")
    bench.revoke(SIGNER)
    row = bench.row(key)
    assert (row["state"], row["held_since"], row["reason_code"], row["signer"]) == ("CHECKED", "", "CMS-036", "")
    assert row["reason_text"].startswith("Le certificat « CLAIRE ESSAI » est révoqué. La signature faite avec lui est")
    assert roles(bench, key) == {"received"}
    (told,) = bench.told(key, "retract")
    assert (told["from"], told["to"], told["code"]) == ("SIGNED", "CHECKED", "CMS-036")
    assert (told["part"], told["certificate"]) == (fact["part"], fact["certificate"])
    assert told["signature"] == hashlib.sha256(b64decode(answer["signature"])).hexdigest()
    assert bench.condition("revocation")["code"] == "CMS-036"

    bench.turn()
    assert [(item.fichier, item.holders) for item in bench.offered] == [(key, (DOCTOR, NURSE))]
    bench.sign(key)
    bench.turn()
    assert bench.row(key)["state"] == "CHECKED", "the withdrawn card signs nothing any more"
    assert [row["code"] for row in bench.told(key, "decline")] == ["CMS-036"]
    bench.sign(key, NURSE)
    bench.turn()
    assert (bench.row(key)["state"], [row["holder"] for row in bench.told(key, "sign")]) == ("SIGNED", [DOCTOR, NURSE])
    assert stands(bench.desk, key)


def test_what_was_sealed_and_never_began_to_leave_comes_back(bench: KeeperBench) -> None:
    key = bench.sealed("a")
    assert bench.desk.outgoing.names() == [f"{key}.1.1"]
    bench.revoke(SIGNER)
    assert (bench.row(key)["state"], bench.row(key)["held_since"], roles(bench, key)) == ("CHECKED", "", {"received"})
    assert [row["from"] for row in bench.told(key, "retract")] == ["SEALED"]
    assert bench.desk.outgoing.names() == []
    bench.open()
    assert bench.desk.outgoing.names() == []


def say_begun(bench: KeeperBench, key: str) -> None:
    bench.desk.arrived.put(f"begun.{key}.1.1", b"")


def take_begun(bench: KeeperBench, key: str) -> None:
    say_begun(bench, key)
    for _ in range(2):
        asyncio.run(take_arrived(bench.desk))
        say_begun(bench, key)
    asyncio.run(take_arrived(bench.desk))
    assert bench.desk.arrived.names() == []
    assert [row["seal"] for row in bench.told(key, "begin")] == ["1"], "told once"


def sealed_by_an_older_version(bench: KeeperBench, key: str) -> None:
    bench.desk.book.connection.execute("UPDATE fichiers SET begun = 1 WHERE id = ?", (key,))


@pytest.mark.parametrize("how", [say_begun, take_begun, sealed_by_an_older_version])
def test_what_may_have_begun_to_leave_is_held_and_the_octs_word_moves_it(bench: KeeperBench, how: Any) -> None:
    key = bench.sealed("a")
    how(bench, key)
    bench.revoke(SIGNER)
    row = bench.row(key)
    assert (row["state"], row["held_by"], bench.told(key, "retract")) == ("SEALED", "signature", [])
    assert "« CLAIRE ESSAI » est révoqué. Ce fichier a été signé avec lui" in row["held_reason"]
    assert bench.desk.outgoing.names() == [], "it is not sent any more"
    bench.open()
    assert bench.desk.outgoing.names() == [], "nor after a death between the hold and the door"
    with bench.desk.commit():
        assert bench.desk.book.move(key, Verb.INTEGRATE, {}), "if the line was quicker, the OCT's word counts"


def test_the_fact_of_another_seal_begins_nothing(bench: KeeperBench) -> None:
    key = bench.sealed("a")
    bench.desk.arrived.put(f"begun.{key}.1.7", b"")
    asyncio.run(take_arrived(bench.desk))
    assert (bench.row(key)["begun"], bench.told(key, "begin")) == (0, [])


def test_a_held_one_that_the_oct_could_not_open_comes_back_by_itself(bench: KeeperBench) -> None:
    key = bench.sealed("a", begun=1)
    bench.revoke(SIGNER)
    assert bench.row(key)["held_by"] == "signature"
    with bench.desk.commit():
        bench.desk.book.move(key, Verb.UNSEAL, {})
    bench.review.look()
    assert (bench.row(key)["state"], bench.row(key)["held_since"]) == ("CHECKED", "")


def test_a_person_who_releases_a_sealed_one_has_it_sent(bench: KeeperBench) -> None:
    key = bench.sealed("a", begun=1)
    bench.revoke(SIGNER)
    assert bench.desk.outgoing.names() == []
    assert release(bench.desk, {"id": key}) == {"id": key, "done": True}
    assert bench.desk.outgoing.names() == [f"{key}.1.1"]


def test_what_a_person_holds_comes_back_and_stays_held(bench: KeeperBench) -> None:
    keys = [signed(bench, "signed")[0], bench.sealed("sealed")]
    for key in keys:
        hold(bench.desk, {"id": key})
    bench.revoke(SIGNER)
    bench.turn()
    assert [(bench.row(key)["state"], bench.row(key)["held_by"]) for key in keys] == [("CHECKED", "admin")] * 2
    assert bench.offered == []
    release(bench.desk, {"id": keys[0]})
    bench.turn()
    assert [item.fichier for item in bench.offered] == keys[:1]


def test_what_was_sent_waits_for_the_octs_word(bench: KeeperBench) -> None:
    key = bench.sealed("a")
    with bench.desk.commit():
        bench.desk.book.move(key, Verb.SEND, {})
    bench.revoke(SIGNER)
    assert (bench.row(key)["state"], bench.row(key)["held_since"]) == ("SENT", "")


def test_a_certificate_that_ends_is_like_one_that_is_revoked(bench: KeeperBench) -> None:
    key = bench.sealed("a")
    expire(bench)
    assert (bench.row(key)["state"], bench.row(key)["reason_code"]) == ("CHECKED", "CMS-032")


def test_a_signature_is_looked_at_before_it_is_sealed(bench: KeeperBench) -> None:
    key, _ = signed(bench, "a")
    assert stands(bench.desk, key)
    bench.now += timedelta(days=45)  # the lists are stale by then
    with pytest.raises(Deferred):
        stands(bench.desk, key)
    assert bench.row(key)["state"] == "SIGNED"
    bench.now -= timedelta(days=45)
    path = bench.desk.paths.trust / "crl" / "sante-2.crl"
    path.write_bytes(bench.pki.list_naming(SIGNER, bench.now))
    assert not stands(bench.desk, key)
    assert bench.row(key)["state"] == "CHECKED"


def test_a_trust_store_that_is_wrong_withdraws_nothing(bench: KeeperBench) -> None:
    key, _ = signed(bench, "a")
    bench.desk.trust = replace(bench.desk.trust, roots=(bench.pki.certificate("oct-sign"),))
    assert not stands(bench.desk, key)
    assert (bench.row(key)["state"], bench.row(key)["held_by"]) == ("SIGNED", "signature")
    assert bench.told(key, "retract") == []


@pytest.mark.parametrize("death", [False, True])
def test_a_withdrawn_signature_that_the_card_kept_is_never_committed_again(bench: KeeperBench, death: bool) -> None:
    """Not even when its certificate is good again: the clock was wrong."""
    key, old = signed(bench, "a")
    today = bench.now
    expire(bench)
    assert bench.row(key)["state"] == "CHECKED"
    bench.now = today
    if death:
        bench.open()
    bench.signing, bench.confirmed = [old], []
    bench.turn()
    assert (bench.row(key)["state"], bench.confirmed) == ("CHECKED", [key]), "the card is told to forget it"
    assert (bench.told(key, "decline"), bench.condition("signature")["code"]) == ([], ""), "and nobody is bothered"
    bench.sign(key)
    bench.turn()
    assert bench.row(key)["state"] == "SIGNED", "the same card signs afresh"
    assert len({row["part"] for row in bench.told(key, "sign")}) == 2


def test_what_the_oct_refused_is_signed_afresh_and_never_by_the_signature_it_refused(bench: KeeperBench) -> None:
    key, old = signed(bench, "a")
    with bench.desk.commit():
        bench.desk.book.move(key, Verb.SEAL, {}, seal="1", seals=1)
        bench.desk.book.move(key, Verb.REFUSE, {"code": "CMS-036", "by": "oct"})
    resend(bench.desk, {"id": key, "why": "une autre signature"})
    assert (bench.row(key)["state"], bench.row(key)["transmission"], roles(bench, key)) == ("RECEIVED", 2, {"received"})
    (told,) = bench.told(key, "resend")
    assert told["signature"] == hashlib.sha256(b64decode(old["signature"])).hexdigest()
    with bench.desk.commit():
        bench.desk.book.move(key, Verb.CHECK, {})
    bench.signing = [old]
    bench.turn()
    assert bench.row(key)["state"] == "CHECKED"
    bench.sign(key, NURSE)
    bench.turn()
    assert bench.row(key)["state"] == "SIGNED"


def test_what_was_refused_before_any_signature_is_resent_as_ever(bench: KeeperBench) -> None:
    key = bench.checked("a", EMITTER)
    bench.desk.book.connection.execute("UPDATE fichiers SET state = 'REFUSED'")
    resend(bench.desk, {"id": key, "why": "contrôle corrigé"})
    assert "signature" not in bench.told(key, "resend")[0]

"""Integration: one verdict for one fichier, the right one, whatever comes and whenever it is killed."""

from __future__ import annotations

import io
import os
import signal
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import IO

import pytest
from concentrator_bench import DOCTOR, EMITTER, Bench, b2, lots

import gateway.book.parts
import gateway.concentrator.store
from gateway.concentrator import integration
from gateway.concentrator.settings import PayerSettings
from gateway.concentrator.store import Store
from gateway.envelope.seal import Opened, seal
from gateway.envelope.signed import SignedContent
from gateway.formats.arl import Arl
from gateway.formats.days import day_of
from gateway.formats.mandates import Mandate
from gateway.formats.noemie import read

PDF = b"%PDF-1.4\n" + b"x" * 2000 + b"\n%%EOF\n"


def row_of(store: Store, transfer: int) -> dict[str, object]:
    return dict(store.connection.execute("SELECT * FROM transfers WHERE id = ?", (transfer,)).fetchone())


def verdicts(store: Store) -> list[dict[str, object]]:
    return [dict(row) for row in store.connection.execute("SELECT * FROM verdicts ORDER BY id")]


def test_a_fichier_is_integrated_and_answered_by_oct_and_payer(bench: Bench, opened: Store) -> None:
    content = b2(count=2)
    bench.receive(opened, bench.sign_and_seal(content, "f1"))
    worker = bench.integration(opened)
    assert worker.work()
    assert not worker.work(), "settled: nothing waits any more"
    receipt, first, second, rsp = bench.returns(opened)
    assert [one.header.kind for one in (receipt, first, second, rsp)] == ["receipt", "arl", "arl", "rsp"]
    assert {one.header.about for one in (receipt, first, second, rsp)} == {"f1"}
    (said,) = bench.receipts(opened)
    assert (said.verdict, said.code, said.original, said.size) == ("integrated", "", True, len(content))
    assert (said.fichier, said.transmission, said.seal) == ("f1", 1, "s1")
    assert [(lot.number, lot.factures) for lot in said.lots] == [("001", 2), ("002", 2)]
    assert [Arl.from_bytes(one.body).lot.number for one in (first, second)] == ["001", "002"]
    assert {Arl.from_bytes(one.body).verdict for one in (first, second)} == {"positive"}
    paid = read(rsp.body)
    assert paid.findings == () and paid.total_cents == 4 * 2300
    routed = opened.connection.execute("SELECT number, amo, factures FROM lots ORDER BY rank").fetchall()
    assert [tuple(row) for row in routed] == [("001", 4600, 2), ("002", 4600, 2)]


def test_nothing_of_the_content_is_at_rest(bench: Bench, opened: Store) -> None:
    bench.receive(opened, bench.sign_and_seal(b2(), "f1"))
    bench.integration(opened).work()
    opened.close()
    nir = lots()[0].factures[0].nir.encode()
    kept = [path for path in bench.settings.directory.rglob("*") if path.is_file()]
    assert len(kept) >= 5
    assert not [path for path in kept if nir in path.read_bytes() or nir[:13] in path.read_bytes()]


def test_a_double_gets_the_original_receipt_even_after_its_signer_was_revoked(bench: Bench, opened: Store) -> None:
    worker = bench.integration(opened)
    content = b2()
    bench.receive(opened, bench.sign_and_seal(content, "f1"), seal="s1")
    worker.work()
    bench.now += timedelta(minutes=5)
    bench.receive(opened, bench.sign_and_seal(content, "f1", signer="zoo/revoked/sig"), seal="s2")
    worker.work()
    first, again = bench.receipts(opened)
    assert again == replace(first, original=False, seal="s2"), "the same word, for this sending"
    (verdict,) = verdicts(opened)
    assert verdict["doubles"] == 1
    kinds = [one.header.kind for one in bench.returns(opened)]
    assert kinds == ["receipt", "arl", "rsp", "receipt"], "the payer saw it once"


def test_a_retransmission_is_a_fichier_of_its_own(bench: Bench, opened: Store) -> None:
    worker = bench.integration(opened)
    sealed = bench.sign_and_seal(b2(), "f1")
    for transmission in (1, 2):
        bench.receive(opened, sealed, transmission=transmission)
        worker.work()
    assert [(row["transmission"], row["verdict"]) for row in verdicts(opened)] == [(1, "integrated"), (2, "integrated")]


NURSE = "practitioners/99900000029/sig"
STAFF = "practitioners/secretariat/sig"
REFUSALS = {
    "revoked signer": ({"signer": "zoo/revoked/sig"}, b2(), "CMS-036"),
    "revoked authority": ({"signer": "zoo/revoked-authority/sig"}, b2(), "CMS-036"),
    "expired signer": ({"signer": "zoo/expired/sig"}, b2(), "CMS-032"),
    "unknown authority": ({"signer": "zoo/foreign/sig"}, b2(), "CMS-031"),
    "not a signature certificate": ({"signer": "practitioners/99900000011/auth"}, b2(), "CMS-034"),
    "signed for another fichier": ({"named": "f2"}, b2(), "OCT-003"),
    "signer without a mandate": ({"signer": NURSE}, b2(), "OCT-011"),
    "a member of staff without a mandate": ({"signer": STAFF}, b2(), "OCT-011"),
    "documents by a signer without any mandate": ({"signer": NURSE}, PDF, "OCT-011"),
    "another count was shown": ({"shown": (1, 4600)}, b2(), "OCT-012"),
    "another total was shown": ({"shown": (2, 4599)}, b2(), "OCT-012"),
    "totals were shown for documents": ({"shown": (1, 0)}, PDF, "OCT-012"),
    "unknown content": ({}, b"hello", "FMT-001"),
    "B2 cut short": ({}, b2()[:-128], "B2-"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_is_refused_is_answered_with_its_reason(case: str, bench: Bench, opened: Store) -> None:
    how, content, code = REFUSALS[case]
    bench.receive(opened, bench.sign_and_seal(content, "f1", **how))
    bench.integration(opened).work()
    (said,) = bench.receipts(opened)
    assert (said.verdict, said.integrated_at, said.lots) == ("refused", None, ())
    assert said.code.startswith(code) and said.text
    assert said.size == len(content) and said.digest
    assert [one.header.kind for one in bench.returns(opened)] == ["receipt"]
    assert opened.connection.execute("SELECT count(*) FROM lots").fetchone()[0] == 0


def mandate(bench: Bench, holder: str = DOCTOR, emitter: str = EMITTER, since: int = 0, until: int = 0) -> Mandate:
    days = (day_of(bench.now + timedelta(days=each)) for each in (since, until))
    first, last = days
    return Mandate(holder, emitter, "remplaçant", since=first, until=last)


@pytest.mark.parametrize(
    ("since", "until", "emitter", "code"),
    [
        (0, 0, EMITTER, ""),
        (-5, -1, EMITTER, "OCT-011"),
        (1, 5, EMITTER, "OCT-011"),
        (0, 0, "991038449", "OCT-011"),
    ],
)
def test_a_mandate_counts_on_the_day_of_the_signature_for_its_emitter(
    since: int, until: int, emitter: str, code: str, bench: Bench, opened: Store
) -> None:
    partner = replace(bench.settings.partners[0], mandates=(mandate(bench, emitter=emitter, since=since, until=until),))
    bench.receive(opened, bench.sign_and_seal(b2(), "f1"))
    later = bench.having(partners=(partner,))
    later.now += timedelta(days=3)  # what counts is the day of the signature
    later.integration(opened).work()
    (said,) = bench.receipts(opened)
    assert said.code == code
    if code:
        assert f"CLAIRE ESSAI ({DOCTOR}) n'avait pas de mandat pour l'émetteur {EMITTER}" in said.text


def test_mandates_are_each_senders_own_and_may_be_waived(bench: Bench, opened: Store) -> None:
    own = bench.settings.partners[0]
    partners = (replace(own, identifier="BOX00002", client_name="another"), replace(own, mandates=()))
    for number, rule, code in ((1, "required", "OCT-011"), (2, "open", "")):
        bench.receive(opened, bench.sign_and_seal(b2(number), f"f{number}"), f"f{number}")
        bench.having(partners=partners, mandate_rule=rule).integration(opened).work()
        assert bench.receipts(opened)[-1].code == code


def flipped(sealed: bytes, at: int) -> bytes:
    return sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]


def test_a_wrong_signature_inside_a_sound_seal_is_refused(bench: Bench, opened: Store) -> None:
    sealed = bench.sign_and_seal(b2(), "f1")
    opening = Opened(io.BytesIO(sealed), bench.pki.certificate("oct-seal"), bench.pki.key("oct-seal"))
    signed = b"".join(iter(lambda: opening.read(), b""))
    out = io.BytesIO()
    forged = flipped(signed, len(signed) - 10)
    seal(io.BytesIO(forged), len(forged), out, [bench.pki.certificate("oct-seal")])
    bench.receive(opened, out.getvalue())
    bench.integration(opened).work()
    (said,) = bench.receipts(opened)
    assert (said.verdict, said.code, said.digest) == ("refused", "CMS-014", None)


@pytest.mark.parametrize("case", ["for another", "tampered", "not an envelope"])
def test_what_cannot_be_opened_says_so_each_time(case: str, bench: Bench, opened: Store) -> None:
    sealed = bench.sign_and_seal(b2(), "f1", to="recovery" if case == "for another" else "oct-seal")
    if case == "tampered":
        sealed = flipped(sealed, len(sealed) // 2)
    if case == "not an envelope":
        sealed = b"000TE"
    worker = bench.integration(opened)
    for number in (1, 2):
        bench.receive(opened, sealed, seal=f"s{number}")
        worker.work()
    assert [(one.verdict, one.seal, one.size, one.digest) for one in bench.receipts(opened)] == [
        ("unopened", "s1", 0, None),
        ("unopened", "s2", 0, None),
    ]
    bench.receive(opened, bench.sign_and_seal(b2(), "f1"), seal="s3")
    worker.work()
    assert bench.receipts(opened)[-1].verdict == "integrated", "sealed again, it is taken"


def test_a_stale_list_moves_nothing_until_a_new_one_is_there(bench: Bench, opened: Store, tmp_path: Path) -> None:
    lists = tmp_path / "lists.pem"
    lists.write_bytes((bench.pki.directory / "zoo/crl/stale-sante.crl").read_bytes())
    waiting = bench.having(crls=(lists,))
    transfer = bench.receive(opened, bench.sign_and_seal(b2(), "f1"))
    worker = waiting.integration(opened)
    assert worker.work()
    row = row_of(opened, transfer)
    assert row["outcome"] == "" and str(row["reason_code"]) in {"CMS-037", "CMS-038", "CMS-039"}
    assert bench.returns(opened) == [] and verdicts(opened) == []
    assert not worker.work(), "not before its time"
    lists.write_bytes((bench.pki.directory / "crl/all.pem").read_bytes())
    waiting.now += timedelta(seconds=waiting.settings.retry_s)
    assert worker.work()
    assert [one.verdict for one in bench.receipts(opened)] == ["integrated"]


def test_a_file_that_changes_on_our_disk_refuses_nobodys_fichier(
    bench: Bench, opened: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    transfer = bench.receive(opened, bench.sign_and_seal(PDF + bytes(1 << 20), "f1"))
    (path,) = bench.settings.received.iterdir()
    real = integration.read_signed

    def spoilt(source: Opened, out: IO[bytes] | None, limit: int) -> SignedContent:
        """Between the check of the tag and the reading."""
        path.write_bytes(flipped(path.read_bytes(), 600_000))
        return real(source, out, limit)

    monkeypatch.setattr(integration, "read_signed", spoilt)
    bench.integration(opened).work()
    row = row_of(opened, transfer)
    assert (row["outcome"], row["reason_code"]) == ("", "CMS-025")
    assert bench.returns(opened) == [] and verdicts(opened) == []


def test_documents_get_a_receipt_and_nothing_from_a_payer(bench: Bench, opened: Store) -> None:
    bench.receive(opened, bench.sign_and_seal(PDF, "f1"))
    bench.integration(opened).work()
    assert [one.header.kind for one in bench.returns(opened)] == ["receipt"]
    assert verdicts(opened)[0]["kind"] == "documents"


def test_the_payers_answers_wait_for_their_delay(bench: Bench, opened: Store) -> None:
    patient = bench.having(payer=PayerSettings(delay_s=30))
    bench.receive(opened, bench.sign_and_seal(b2(), "f1"))
    patient.integration(opened).work()
    rows = opened.connection.execute("SELECT kind, not_before FROM mailbox ORDER BY id")
    delays = {row["kind"]: row["not_before"] - patient.now.timestamp() for row in rows}
    assert delays == {"receipt": 0, "arl": 30, "rsp": 30}


def test_a_box_that_may_not_be_sealed_to_gets_nothing_and_loses_nothing(bench: Bench, opened: Store) -> None:
    revoked = bench.pki.directory / "zoo/revoked-oct-seal.pem"
    partner = replace(bench.settings.partners[0], box_seal=revoked)
    transfer = bench.receive(opened, bench.sign_and_seal(b2(), "f1"))
    bench.having(partners=(partner,)).integration(opened).work()
    assert row_of(opened, transfer)["reason_code"] == "CMS-036"
    assert verdicts(opened) == []


KILLED_BEFORE = ("Store.settle", "Parts.add", "check_content")


@pytest.mark.parametrize("moment", KILLED_BEFORE)
def test_killed_in_mid_integration_it_is_done_once_after_the_restart(moment: str, bench: Bench, opened: Store) -> None:
    """A real SIGKILL in a child, at the moment just before the named act."""
    bench.receive(opened, bench.sign_and_seal(b2(), "f1"))
    opened.close()
    child = os.fork()
    if child == 0:
        _die_before(moment)
        bench.integration(bench.open()).work()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the child was killed where it was meant to be"
    again = bench.open()
    assert verdicts(again) == []
    worker = bench.integration(again)
    assert worker.work() and not worker.work()
    assert [one.header.kind for one in bench.returns(again)] == ["receipt", "arl", "rsp"]
    again.close()


def _die_before(moment: str) -> None:
    def die(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    places = {
        "Store.settle": (gateway.concentrator.store.Store, "settle"),
        "Parts.add": (gateway.book.parts.Parts, "add"),
        "check_content": (integration, "check_content"),
    }
    setattr(*places[moment], die)

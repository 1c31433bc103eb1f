"""The journey of fichiers on real parts, as the practice, the OCT and the auditor see it.

The tests share one running practice and go in order: what one sends, the next looks at.
"""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import samples
from pin_scan import WRONG
from stage import BOX, REPO

from gateway.concentrator.schema import open_reading
from gateway.formats.receipt import Receipt
from tests.e2e.conftest import REJECTED, Practice

B2 = samples.b2(3)
SCANS = samples.scanned(20 << 20)
MEMORY = 100 << 20


def gateway(practice: Practice, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway", *words, "--config", str(practice.config)]
    return subprocess.run(command, capture_output=True, text=True, cwd=REPO, timeout=60)


def row_of(practice: Practice, name: str) -> dict[str, Any]:
    (row,) = practice.board.rows("SELECT * FROM fichiers WHERE name = ?", name)
    return row


def events(practice: Practice, name: str) -> list[dict[str, Any]]:
    rows = practice.board.of_fichier("events", row_of(practice, name)["id"])
    return [json.loads(row["text"]) for row in rows]


def test_a_faulty_fichier_is_refused_with_its_reason(practice: Practice) -> None:
    practice.hand_over("faux.b2", samples.faulty_b2(4))
    practice.await_states({"faux.b2": "REFUSED"})
    reason = practice.wait(lambda: list((practice.paths.practice / "refused").glob("*_faux.b2.raison.txt")), "reason")
    text = reason[0].read_text(encoding="utf-8")
    assert "enregistrement 3, position 25" in text
    assert "NIR" in text
    assert (reason[0].parent / reason[0].name.removesuffix(".raison.txt")).read_bytes() == samples.faulty_b2(4)


def test_without_a_card_they_wait_and_the_page_says_why(practice: Practice) -> None:
    practice.hand_over("cabinet.b2", B2)
    practice.hand_over("ordonnances.pdf", SCANS)
    practice.await_states({"cabinet.b2": "CHECKED", "ordonnances.pdf": "CHECKED"})
    practice.wait(lambda: "lecteur" in practice.ask("/api/v1/status")["sentence"], "the page")
    told = practice.ask("/api/v1/status")
    assert told["level"] != "ok"
    lamps = {path.parent.name: path.read_text().strip() for path in practice.leds.glob("*/brightness")}
    assert any(value != "0" for value in lamps.values())


def test_a_wrong_pin_signs_nothing_and_costs_one_try(practice: Practice) -> None:
    practice.insert_card()
    practice.wait(lambda: practice.pending()["card"]["state"] == "locked" and practice.pending()["items"], "card")
    with pytest.raises(OSError, match="422"):
        practice.unlock(WRONG)
    assert practice.pending()["card"]["tries"] == 2
    assert practice.states()["cabinet.b2"] == "CHECKED"


def test_what_was_shown_is_signed_and_goes_all_the_way(practice: Practice) -> None:
    shown = practice.wait(lambda: len((told := practice.pending())["items"]) == 2 and told, "both fichiers")
    assert {(item["name"], item["lots"], item["count"]) for item in shown["items"]} == {
        ("cabinet.b2", 2, 5), ("ordonnances.pdf", 0, 0),
    }  # fmt: skip
    assert practice.unlock()["ok"]
    practice.await_states({"cabinet.b2": "INTEGRATED", "ordonnances.pdf": "INTEGRATED"})
    verbs = [event["verb"] for event in events(practice, "cabinet.b2")]
    assert [verb for verb in verbs if verb in ("receive", "check", "sign", "seal", "send", "integrate")] == [
        "receive", "check", "sign", "seal", "send", "integrate",
    ]  # fmt: skip


def test_no_process_needs_100_mb(practice: Practice) -> None:
    assert {name: practice.resident(name) for name in (*BOX, "concentrator") if practice.resident(name) > MEMORY} == {}


def test_openssl_opens_and_verifies_what_the_concentrator_got(practice: Practice, tmp_path: Path) -> None:
    pki = practice.pki
    chains, anchors = tmp_path / "chains.pem", tmp_path / "anchors.pem"
    anchors.write_bytes((pki / "root.pem").read_bytes() + (pki / "crl/all.pem").read_bytes())
    chains.write_bytes(b"".join(path.read_bytes() for path in sorted((pki / "chains").glob("*.pem"))))
    found = set()
    for sealed in (practice.oct / "received").iterdir():
        signed, content = tmp_path / "signed.der", tmp_path / "content"
        decrypt = ["openssl", "cms", "-decrypt", "-inform", "DER", "-in", str(sealed), "-out", str(signed),
                   "-recip", str(pki / "oct-seal.pem"), "-inkey", str(pki / "oct-seal.key")]  # fmt: skip
        verify = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", str(signed), "-out", str(content),
                  "-CAfile", str(anchors), "-certfile", str(chains), "-purpose", "any", "-crl_check_all"]  # fmt: skip
        for command in (decrypt, verify):
            done = subprocess.run(command, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
        found.add(hashlib.sha256(content.read_bytes()).hexdigest())
    assert found == {hashlib.sha256(one).hexdigest() for one in (B2, SCANS)}


def test_the_practice_opens_its_own_copies_with_its_recovery_key(practice: Practice, tmp_path: Path) -> None:
    """What is at rest in the box is readable with the recovery key alone, by openssl; and by nobody in clear."""
    found = set()
    for part in practice.paths.parts.glob("[!.]*"):  # not one that is being written
        clear = tmp_path / "clear"
        key = practice.pki / "recovery"
        command = ["openssl", "cms", "-decrypt", "-inform", "DER", "-in", str(part), "-out", str(clear),
                   "-recip", f"{key}.pem", "-inkey", f"{key}.key"]  # fmt: skip
        if subprocess.run(command, capture_output=True).returncode == 0:
            found.add(clear.read_bytes().partition(b"\n")[2])
        assert EMITTER not in part.read_bytes()
    assert {B2, SCANS} <= found


EMITTER = samples.EMITTER.encode()


def test_receipt_arl_and_payments_come_back(practice: Practice) -> None:
    practice.wait(lambda: all(row["settled"] for row in practice.board.factures()), "the payer's return")
    assert [lot["arl"] for lot in practice.board.lots()] == ["positive", "positive"]
    states = {row["number"]: row["amo_state"] for row in practice.board.factures()}
    assert [number for number, state in states.items() if state == "R"] == [REJECTED]
    assert set(states.values()) == {"P", "R"}
    receipt = json.loads(
        (practice.paths.practice / "receipts" / f"{row_of(practice, 'cabinet.b2')['id']}.json").read_text()
    )
    practice.wait(lambda: len(list((practice.paths.practice / "inbox").glob("[!.]*"))) == 3, "the inbox")
    assert receipt["name"] == "cabinet.b2"


def test_the_inbox_holds_the_payers_bytes(practice: Practice, tmp_path: Path) -> None:
    """What the OCT sealed for us, opened and verified by openssl, is what lies in the inbox, byte for byte."""
    pki, sent = practice.pki, set()
    for sealed in (practice.oct / "returns").iterdir():
        signed, content = tmp_path / "signed", tmp_path / "content"
        commands = (
            ["-decrypt", "-in", sealed, "-out", signed, "-recip", pki / "box-seal.pem", "-inkey", pki / "box-seal.key"],
            ["-verify", "-binary", "-in", signed, "-out", content, "-CAfile", pki / "root.pem", "-purpose", "any",
             "-certfile", pki / "chains/oct.pem"],
        )  # fmt: skip
        for words in commands:
            done = subprocess.run(
                ["openssl", "cms", "-inform", "DER", *map(str, words)], capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr
        header, _, body = content.read_bytes().partition(b"\n")
        if json.loads(header)["kind"] != "receipt":
            sent.add(body)
    assert {path.read_bytes() for path in (practice.paths.practice / "inbox").glob("[!.]*")} == sent
    assert len(sent) == 3


def test_the_return_totals_what_the_page_shows(practice: Practice) -> None:
    (rsp,) = (practice.paths.practice / "inbox").glob("rsp*")
    command = [sys.executable, "-m", "gateway", "flux", "show", str(rsp), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPO)
    assert done.returncode == 0, done.stderr
    paid = sum(row["amo_paid"] + row["amc_paid"] for row in practice.board.factures())
    assert json.loads(done.stdout)["total_cents"] == paid


def test_the_same_bytes_again_are_the_same_fichier(practice: Practice) -> None:
    practice.hand_over("encore.b2", B2)
    practice.wait(lambda: list((practice.paths.practice / "processed").glob("*_encore.b2")), "the door")
    copy = practice.root / "copie.b2"
    copy.write_bytes(B2)
    done = gateway(practice, "submit", str(copy))
    assert done.returncode == 0, done.stderr
    assert "Pris en charge" in done.stdout
    assert "encore.b2" not in practice.states()
    assert len(practice.integrated()) == 2


@pytest.mark.parametrize("words", [("status",), ("fichiers",), ("lots",), ("factures",), ("returns",)])
def test_every_listing_speaks_json_and_french(practice: Practice, words: tuple[str, ...]) -> None:
    plain, machine = gateway(practice, *words), gateway(practice, *words, "--json")
    assert (plain.returncode, machine.returncode) == (0, 0), plain.stderr + machine.stderr
    assert plain.stdout.strip()
    assert json.loads(machine.stdout)


def test_show_hold_release_resend(practice: Practice) -> None:
    fichier = row_of(practice, "cabinet.b2")["id"]
    assert "lot" in gateway(practice, "show", fichier[:8]).stdout
    refused = gateway(practice, "resend", fichier[:8])
    assert (refused.returncode, "pourquoi" in refused.stderr) == (65, True)
    assert gateway(practice, "resend", fichier[:8], "--why", "perdu par la caisse").returncode == 0
    practice.wait(lambda: row_of(practice, "cabinet.b2")["transmission"] == 2, "the second transmission")
    practice.await_states({"cabinet.b2": "INTEGRATED"})
    verdicts = [row for row in practice.integrated() if row["fichier"] == fichier]
    assert sorted(row["transmission"] for row in verdicts) == [1, 2]
    assert sum(event["verb"] == "sign" for event in events(practice, "cabinet.b2")) == 1


def test_a_cut_and_a_kill_in_mid_transfer_resume_at_the_sync_point(practice: Practice) -> None:
    practice.hand_over("radios.pdf", samples.scanned(8 << 20, 5))
    practice.wait(lambda: practice.pending()["items"], "the card to be asked")
    practice.unlock()
    practice.wait(lambda: json.loads(practice.paths.progress.read_text())["sent"] > 2 << 20, "the middle")
    practice.line.cut()
    practice.kill("forward")
    practice.start("forward")
    practice.wait(lambda: practice.ask("/api/v1/status")["level"] != "ok", "the page to tell of the line")
    practice.line.mend()
    practice.await_states({"radios.pdf": "INTEGRATED"})
    told = next(event["transfer"] for event in events(practice, "radios.pdf") if event["verb"] == "send")
    assert told["restarted_from"] > 0
    assert told["moved"] < told["size"]


def test_the_journal_holds_and_a_changed_row_is_named(practice: Practice) -> None:
    done = gateway(practice, "journal", "verify")
    assert (done.returncode, "intactes" in done.stdout) == (0, True), done.stderr
    told = json.loads(gateway(practice, "journal", "verify", "--json").stdout)
    sent = [row for row in practice.board.fichiers(100) if row["state"] == "INTEGRATED"]
    assert told["receipts"] >= len(sent) and told["checkpoints"] > len(sent)
    assert told["signed_to"]["evidence"] > 0
    shown = gateway(practice, "journal", "show", "--fichier", sent[0]["id"], "--json")
    assert {"receive", "seal", "integrate"} <= {row["verb"] for row in json.loads(shown.stdout)}


def test_the_oct_countersigned_the_journal(practice: Practice) -> None:
    with closing(open_reading(practice.oct / "concentrator.db")) as connection:
        assert [tuple(row) for row in connection.execute("SELECT code, text FROM alarms")] == []
        receipts = [Receipt.from_bytes(row[0]) for row in connection.execute("SELECT receipt FROM verdicts")]
    heads = [one.journal_head for one in receipts if one.verdict != "unopened"]
    assert {head.word for head in heads if head} <= {"first", "consistent", "known"} and all(heads)


def test_each_service_stops_in_order(practice: Practice) -> None:
    for name in BOX:
        assert practice.end(name, signal.SIGTERM) == 0
        practice.start(name)
    practice.wait(lambda: practice.ask("/api/v1/status"), "the page")

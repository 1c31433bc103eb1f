"""Enrolment as the technician and the OCT do it: the command, the virtual card, the real concentrator over TLS; then a
fichier goes all the way with the keys that were made.

The tests share one practice and go in order.
"""

from __future__ import annotations

import io
import json
import re
import signal
import sqlite3
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import samples
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pin_scan import CODE
from stage import BOX, NURSE, Stage
from stage_root import stage_root

from gateway.envelope.box_keys import KEYS, PRACTICE
from gateway.envelope.signed import read_signed
from gateway.formats.enrolment import ANSWER_LIMIT, EnrolmentAnswer, Named
from gateway.process.https import Place, post_request
from gateway.process.keyring import key_file, read_certificate

PHRASE = b"une phrase secr\xc3\xa8te de recours"
B2 = samples.b2(3)


@pytest.fixture(scope="module")
def practice() -> Iterator[Stage]:
    with stage_root() as root, Stage(root, enrolled=True, pin=CODE) as stage:
        stage.prepare()
        stage.start_reader()
        stage.start("concentrator")
        stage.wait(lambda: (stage.oct / "enrolment-port").exists(), "the listener of enrolments")
        (root / "usb").mkdir()
        yield stage


def keys_of(stage: Stage) -> set[str]:
    """Every private key and password below the directory of keys, by name."""
    return {path.name for path in stage.paths.keys.rglob("*") if path.is_file()} - {"fichier-ids.key", "pseudonym.key"}


def refused(done: subprocess.CompletedProcess[str], code: str, status: int = 65) -> None:
    assert (done.returncode, f"gateway : {code} " in done.stderr) == (status, True), done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_card_nothing_is_left_behind(practice: Stage) -> None:
    refused(practice.enrol(), "CPS-ABSENT", 69)
    assert keys_of(practice) == set()


def test_a_code_that_is_mistyped_costs_no_try(practice: Stage) -> None:
    practice.insert_card()
    practice.await_card()
    code = practice.code()
    swapped = code[:-1] + ("0" if code[-1] != "0" else "1")
    refused(practice.enrol(code=swapped), "ENR-001")


def test_another_concentrator_is_not_believed(practice: Stage) -> None:
    refused(practice.enrol("--root-fingerprint", "00" * 32), "ENR-051")
    practice.gateway("enrol", "https://localhost:1", "--root-fingerprint", practice.root_mark)
    assert (practice.paths.keys / "enrolment").exists(), "what was signed is kept until it is answered"


def test_a_code_of_another_practitioner(practice: Stage) -> None:
    """The pending request goes as it is: to the code that counts now, which names another card."""
    refused(practice.enrol(code=practice.code(NURSE)), "ENR-006")
    assert keys_of(practice) == set(), "what the concentrator refused is forgotten"


def test_five_wrong_codes_and_it_is_over(practice: Stage) -> None:
    right = practice.code()
    other = "0000-0000-0000-0000-0000"
    for left in (4, 3, 2, 1):
        done = practice.enrol(code=other)
        refused(done, "ENR-005")
        assert f"restants : {left}" in done.stderr
    refused(practice.enrol(code=other), "ENR-004")
    refused(practice.enrol(code=right), "ENR-004")


def test_an_answer_that_is_lost_is_given_again(practice: Stage) -> None:
    """The concentrator answers, the box does not hear it; the same command, without code or card, gets the same."""
    practice.gateway("enrol", "https://localhost:1", *enrol_words(practice))
    pending = (practice.paths.keys / "enrolment/request.p7m").read_bytes()
    root = ssl.PEM_cert_to_DER_cert((practice.pki / "root.pem").read_text())
    place = Place("localhost", int((practice.oct / "enrolment-port").read_text()))
    first, _ = post_request(place, [root], pending)
    assert not (practice.paths.trust / "current").exists()
    practice.pull_card()
    done = practice.enrol(code="")
    assert done.returncode == 0, done.stderr
    assert "reprise" in done.stdout
    assert certified(post_request(place, [root], pending)[0]) == certified(first)
    assert len(listed(practice)) == 1


def certified(answer: bytes) -> tuple[Named, ...]:
    """The certificates in a signed answer."""
    out = io.BytesIO()
    read_signed(io.BytesIO(answer), out, ANSWER_LIMIT)
    return EnrolmentAnswer.from_bytes(out.getvalue()).certificates


def enrol_words(stage: Stage) -> list[str]:
    """What ``enrol`` is typed with, but for where."""
    files = ["--pin-file", str(stage.root / "enrol.pin"), "--passphrase-file", str(stage.root / "phrase")]
    return ["--code", stage.code(), "--root-fingerprint", stage.root_mark, *files]


def listed(stage: Stage) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(stage.gateway("concentrator", "enrolments", "--json").stdout)
    return rows


CUT = "import sys; sys.path.insert(0, {tests!r}); import power_cut, gateway.__main__ as m; " \
      "power_cut.cut_at({number}); sys.exit(m.main(sys.argv[1:]))"  # fmt: skip


def test_killed_again_and_again_it_goes_on_and_counts_once(practice: Stage) -> None:
    """SIGKILL before the 3rd, 20th, 37th … change of a file that the command makes, with one code."""
    practice.insert_card()
    practice.await_card()
    before, code, tests = len(listed(practice)), practice.code(), str(Path(__file__).parents[1])
    usb = str(practice.root / "usb")
    killed = 0
    for number in range(3, 300, 17):
        practice.wrap = lambda name, command, number=number: (
            [sys.executable, "-c", CUT.format(tests=tests, number=number), *command[3:]]
            if name == "enrol" else command
        )  # fmt: skip
        done = practice.enrol("--again", "--recovery-to", usb, code=code)
        if done.returncode != -signal.SIGKILL:
            break
        killed += 1
    practice.wrap = lambda name, command: command
    assert done.returncode == 0, done.stderr
    assert killed > 3
    assert len(listed(practice)) == before + 1
    certificates = [read_certificate(practice.paths.trust / f"{row.name}.pem") for row in KEYS if row.owner]
    owned = {x509.load_der_x509_certificate(one).public_key().public_numbers() for one in certificates}  # type: ignore[union-attr]
    files = [key_file(practice.paths, row.owner, row.name) for row in KEYS if row.owner]
    assert {load_pem_private_key(file.read_bytes(), None).public_key().public_numbers() for file in files} == owned  # type: ignore[union-attr]
    marked = [path for path in practice.paths.keys.glob("*/box-*.key") if path not in files]
    assert len(marked) == len(files), "those of the enrolment before are kept, those of killed attempts are not"


def test_the_right_code_puts_the_box_in_force(practice: Stage) -> None:
    for leftover in (practice.root / "usb").iterdir():
        leftover.unlink()
    done = practice.enrol("--again", "--recovery-to", str(practice.root / "usb"), "--lan-name", "passerelle.local")
    assert done.returncode == 0, done.stderr
    shown = set(re.findall(r"empreinte ([0-9a-f ]{79})", done.stdout))
    told = practice.gateway("concentrator", "enrolments").stdout
    assert len(shown) == 1 and shown.pop() in told
    assert "en vigueur" in told and "CLAIRE ESSAI" in told
    assert not (practice.paths.keys / "enrolment").exists()
    for row in KEYS:
        certificate = practice.paths.trust / f"{row.name}.pem"
        verify = ["openssl", "verify", "-CAfile", practice.paths.trust / "root.pem", "-untrusted",
                  practice.paths.trust / "chain.pem", "-purpose", "any", "-crl_check_all", "-CRLfile",
                  practice.paths.trust / "crl/all.pem", certificate]  # fmt: skip
        told = subprocess.run(verify, capture_output=True, text=True)
        assert told.returncode == 0, told.stderr
        if row.owner != PRACTICE:
            file = key_file(practice.paths, row.owner, row.name)
            assert file.stat().st_mode & 0o777 == 0o400
            own = load_pem_private_key(file.read_bytes(), None).public_key()
            assert own == x509.load_der_x509_certificate(read_certificate(certificate)).public_key()


def test_the_recovery_key_left_the_box_under_its_passphrase(practice: Stage) -> None:
    key, certificate = (next((practice.root / "usb").glob(f"*.{kind}.pem")) for kind in ("key", "crt"))
    assert b"ENCRYPTED PRIVATE KEY" in key.read_bytes()
    own = load_pem_private_key(key.read_bytes(), PHRASE).public_key()
    assert own == x509.load_pem_x509_certificate(certificate.read_bytes()).public_key()
    kept = [path for path in (practice.root / "etc").rglob("*") if path.is_file() and b"PRIVATE" in path.read_bytes()]
    assert all(load_pem_private_key(path.read_bytes(), None).public_key() != own for path in kept)


def test_the_code_has_been_used(practice: Stage) -> None:
    refused(practice.enrol(), "ENR-061")
    rows = [(row["partner"], row["in_force"], row["certificates"]) for row in listed(practice)]
    assert rows == [("CABINET1", last, len(KEYS)) for last in (False, False, True)]


def test_a_fichier_goes_all_the_way_with_the_enrolled_keys(practice: Stage) -> None:
    practice.start(*BOX)
    practice.wait(lambda: practice.ask("/api/v1/status"), "the page")
    practice.hand_over("cabinet.b2", B2)
    practice.wait(lambda: practice.pending()["items"] and practice.pending()["root"], "the fichier")
    assert practice.unlock()["ok"]
    practice.await_states({"cabinet.b2": "INTEGRATED"})
    practice.wait(lambda: len(practice.board.lots()) == 2 and all(lot["arl"] for lot in practice.board.lots()), "ARL")


def test_the_recovery_key_opens_what_the_box_keeps(practice: Stage, tmp_path: Path) -> None:
    key, certificate = (next((practice.root / "usb").glob(f"*.{kind}.pem")) for kind in ("key", "crt"))
    found = set()
    (tmp_path / "phrase").write_bytes(PHRASE)
    for part in practice.paths.parts.glob("[!.]*"):
        command = ["openssl", "cms", "-decrypt", "-inform", "DER", "-in", part, "-out", tmp_path / "clear",
                   "-recip", certificate, "-inkey", key, "-passin", f"file:{tmp_path / 'phrase'}"]  # fmt: skip
        if subprocess.run(command, capture_output=True).returncode == 0:
            found.add((tmp_path / "clear").read_bytes().partition(b"\n")[2])
    assert B2 in found


def issued(stage: Stage) -> dict[str, bytes]:
    return {row.name: read_certificate(stage.paths.trust / f"{row.name}.pem") for row in KEYS}


def journal_verbs(stage: Stage) -> list[str]:
    with closing(sqlite3.connect(stage.paths.book / "book.db")) as book:
        return [json.loads(text)["verb"] for (text,) in book.execute("SELECT text FROM journal ORDER BY seq")]


def test_keys_are_renewed_while_fichiers_go_on(practice: Stage) -> None:
    """Everything is due at once; what was taken in before is opened with the old key and goes with the new ones."""
    before, files = issued(practice), keys_of(practice)
    practice.hand_over("avant.b2", samples.b2(11))
    practice.await_states({"avant.b2": "CHECKED"})
    for name in BOX:
        practice.end(name)
    text = practice.config.read_text(encoding="utf-8")
    practice.config.write_text(text.replace("[box]", "[box]\nrenew_days = 800", 1), encoding="utf-8")
    practice.start(*BOX)
    practice.wait(lambda: "renew" in journal_verbs(practice), "the renewal")
    after = issued(practice)
    assert {name for name in before if before[name] == after[name]} == set()
    same = {
        row.name for row in KEYS
        if x509.load_der_x509_certificate(before[row.name]).public_key()
        == x509.load_der_x509_certificate(after[row.name]).public_key()
    }  # fmt: skip
    assert same == {"recovery"}, "of the key that is not here only the certificate is new"
    assert keys_of(practice) > files, "old keys are kept"
    practice.hand_over("apres.b2", samples.b2(12))
    practice.wait(lambda: len(practice.pending()["items"]) == 2, "both fichiers")
    assert practice.unlock()["ok"]
    practice.await_states({"avant.b2": "INTEGRATED", "apres.b2": "INTEGRATED"})
    assert journal_verbs(practice).count("keys in force") == 2
    assert practice.gateway("journal", "verify").returncode == 0
    with closing(sqlite3.connect(practice.oct / "concentrator.db")) as store:
        rows = store.execute("SELECT count(*) FROM box_certificates WHERE confirmed = ''").fetchone()
    assert rows == (0,), "the concentrator saw the new line's certificate"


def test_a_stolen_box_is_out_at_once_and_a_new_enrolment_takes_the_queue_along(practice: Stage) -> None:
    """Revoked while fichiers wait; enrolled again while the services run; nothing is lost and nothing is doubled."""
    revoked = practice.gateway("concentrator", "revoke", "CABINET1")
    assert revoked.returncode == 0, revoked.stderr
    assert "hors de vigueur" in revoked.stdout
    assert not any(row["in_force"] for row in listed(practice))
    practice.hand_over("pendant.b2", samples.b2(13))
    practice.wait(lambda: practice.pending()["items"], "the fichier")
    assert practice.unlock()["ok"]
    practice.await_states({"pendant.b2": "SEALED"})
    practice.wait(lambda: "certificat" in rung(practice, "oct")["text"], "the route says why")
    before, had = issued(practice), len(inbox(practice))
    with closing(sqlite3.connect(practice.oct / "concentrator.db", timeout=30)) as store, store:
        # the box has it, sealed to its former key; that it has was never heard
        assert store.execute("UPDATE mailbox SET delivered = '' WHERE name LIKE 'rsp%' RETURNING 1").fetchone()
    refused(practice.enrol(code="0" * 20), "ENR-061")
    done = practice.enrol("--again")
    assert done.returncode == 0, done.stderr
    assert not set(before.values()) & set(issued(practice).values())
    practice.await_states({"pendant.b2": "INTEGRATED"})
    assert [row["in_force"] for row in listed(practice)] == [False, False, False, True]
    with closing(sqlite3.connect(practice.oct / "concentrator.db")) as store:
        taken = store.execute("SELECT count(*), count(DISTINCT digest) FROM verdicts").fetchone()
    assert taken[0] == taken[1] == 4
    practice.wait(lambda: len(inbox(practice)) >= had + 3 and undelivered(practice) == 0, "all returns")
    assert len(inbox(practice)) == len(set(inbox(practice))) == had + 3, "the same return is the same in another seal"
    assert rung(practice, "oct")["level"] == "ok"


def inbox(stage: Stage) -> list[bytes]:
    return [path.read_bytes() for path in (stage.paths.practice / "inbox").glob("[!.]*")]


def undelivered(stage: Stage) -> int:
    with closing(sqlite3.connect(stage.oct / "concentrator.db")) as store:
        return int(store.execute("SELECT count(*) FROM mailbox WHERE delivered = ''").fetchone()[0])


def rung(stage: Stage, name: str) -> dict[str, Any]:
    """One rung of the ladder, as the command line shows it."""
    told = json.loads(stage.gateway("status", "--json").stdout)
    found: dict[str, Any] = next(one for one in told["rungs"] if one["name"] == name)
    return found

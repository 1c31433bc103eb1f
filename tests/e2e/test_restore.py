"""A box is lost with fichiers and returns on their way; a new one takes its backup up: nothing is lost or doubled."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import samples
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from line import Line
from pin_scan import CODE
from ports import free_port
from stage import BOX, REPO, SENDER, Stage
from stage_root import stage_root

from gateway.envelope.box_keys import BY_NAME
from gateway.envelope.requests import new_key


def gateway(stage: Stage, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway", *words, "--config", str(stage.config)]
    return subprocess.run(command, capture_output=True, text=True, cwd=REPO, timeout=60)


def renew(stage: Stage, name: str) -> None:
    """Another key and certificate of the same kind in the PKI, as a new box is given."""
    old = x509.load_pem_x509_certificate((stage.pki / f"{name}.pem").read_bytes())
    authority = load_pem_private_key((stage.pki / "ca/boites.key").read_bytes(), None)
    assert isinstance(authority, rsa.RSAPrivateKey)
    key, now = new_key(BY_NAME[name]), datetime.now(UTC)
    builder = (
        x509.CertificateBuilder().subject_name(old.subject).issuer_name(old.issuer).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5)).not_valid_after(now + timedelta(days=700))
    )  # fmt: skip
    for extension in old.extensions:
        value = extension.value
        if isinstance(value, x509.SubjectKeyIdentifier):
            value = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        builder = builder.add_extension(value, extension.critical)
    made = builder.sign(authority, hashes.SHA256())
    (stage.pki / f"{name}.pem").write_bytes(made.public_bytes(Encoding.PEM))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (stage.pki / f"{name}.key").write_bytes(private)


def lose(stage: Stage) -> None:
    """The box is gone with its keys; the practice's own folders and the OCT are not."""
    for name in BOX:
        stage.kill(name)
    for folder in (stage.paths.state, stage.paths.runtime, stage.paths.keys, stage.paths.trust):
        shutil.rmtree(folder)


def make_new(stage: Stage) -> None:
    """A new box with keys of its own, which the OCT knows."""
    for name in ("box-seal", "box-delivery"):
        renew(stage, name)
    password = (stage.root / "password").read_text()
    stage._directories()
    stage._trust()
    stage._keys()
    stage.paths.key("forward", "oct-password").write_text(password)
    stage.end("concentrator")
    stage.start("concentrator")


def in_mailboxes(stage: Stage, change: str) -> int:
    """What an hour does to the OCT's mailboxes; how many returns it is done to."""
    with closing(sqlite3.connect(stage.oct / "concentrator.db", timeout=30)) as store, store:
        return store.execute(f"UPDATE mailbox SET {change}").rowcount


def inbox(stage: Stage) -> list[bytes]:
    return [path.read_bytes() for path in (stage.paths.practice / "inbox").glob("[!.]*")]


def returns(stage: Stage, where: str = "1") -> list[str]:
    with closing(sqlite3.connect(stage.paths.book / "book.db")) as book:
        return [name for (name,) in book.execute(f"SELECT name FROM returns WHERE {where}")]


def sign(stage: Stage, name: str, then: str) -> None:
    stage.await_states({name: "CHECKED"})
    stage.wait(lambda: stage.pending()["items"] and stage.pending()["card"]["state"] == "locked", "the card")
    stage.unlock()
    stage.await_states({name: then})


def integrated(stage: Stage) -> list[str]:
    return sorted(row["fichier"] for row in stage.integrated() if row["verdict"] == "integrated")


def test_a_new_box_takes_up_where_the_lost_one_was(tmp_path: Path) -> None:
    target = free_port()
    with stage_root() as root, closing(Line(target)) as line:
        settings = {"forward": {"port": line.port}, "concentrator": {"port": target}}
        # the payers answer in an hour: until then ARL and returns wait at the OCT
        with Stage(root, payer={"delay_s": 3600}, settings=settings, pin=CODE) as stage:
            stage.prepare()
            shutil.copy(stage.paths.key("forward", "oct-password"), stage.root / "password")
            stage.start_reader()
            stage.start()
            stage.insert_card()
            stage.hand_over("paid.b2", samples.b2(1))
            sign(stage, "paid.b2", "INTEGRATED")
            assert in_mailboxes(stage, "not_before = 0 WHERE name LIKE 'arl%1'") == 1
            stage.wait(lambda: returns(stage, "picked <> ''"), "the first ARL")
            line.cut()
            stage.hand_over("queued.b2", samples.b2(2))
            sign(stage, "queued.b2", "SEALED")
            stage.hand_over("unsigned.b2", samples.b2(4))
            stage.await_states({"unsigned.b2": "CHECKED"})

            saved = gateway(stage, "backup", str(tmp_path))
            assert saved.returncode == 0, saved.stderr
            (backup,) = tmp_path.iterdir()
            assert gateway(stage, "restore", str(backup), "--key", str(stage.pki / "recovery.key")).returncode == 65

            # The lost box did more after its backup: the OCT has one fichier that the backup calls unsent.
            line.mend()
            stage.wait(lambda: len(integrated(stage)) == 2, "the OCT")
            lose(stage)
            # What it had since its backup is delivered again, and what it had before with it.
            words = ("redeliver", SENDER, "--since", "2000-01-01", "--directory", str(stage.oct))
            again = subprocess.run([sys.executable, "-m", "gateway", "concentrator", *words], capture_output=True)
            assert again.returncode == 0 and b" retours seront remis de nouveau" in again.stdout
            make_new(stage)
            done = gateway(stage, "restore", str(backup), "--key", str(stage.pki / "recovery.key"))
            assert (done.returncode, done.stderr) == (0, "")
            assert "3 fichiers, dont 1 à sceller et envoyer de nouveau" in done.stdout

            stage.start(*BOX)
            stage.await_states({"paid.b2": "INTEGRATED", "queued.b2": "INTEGRATED"})
            sign(stage, "unsigned.b2", "INTEGRATED")
            found = integrated(stage)
            assert len(found) == len(set(found)) == 3
            # What waited at the OCT, sealed to keys that are lost, comes to the new box: an ARL for each lot and a
            # return for each fichier, once.
            in_mailboxes(stage, "not_before = 0")
            stage.wait(lambda: len(inbox(stage)) >= 3 * len(found), "the returns")
            stage.wait(lambda: not in_mailboxes(stage, "offered = offered WHERE delivered = ''"), "the last word")
            assert len(inbox(stage)) == len(set(inbox(stage))) == 9
            assert sorted(lot["arl"] for lot in stage.board.lots()) == ["positive"] * 6
            assert {facture["amo_state"] for facture in stage.board.factures()} == {"P"}
            names = returns(stage)
            assert len(names) == len(set(names)) and not returns(stage, "kind = 'unread'")
            # The practice hands the same fichier over again: it is known.
            stage.hand_over("again.b2", samples.b2(2))
            stage.wait(lambda: list((stage.paths.practice / "processed").glob("*_again.b2")), "again.b2")
            assert sorted(stage.states()) == ["paid.b2", "queued.b2", "unsigned.b2"]
            assert gateway(stage, "journal", "verify").returncode == 0

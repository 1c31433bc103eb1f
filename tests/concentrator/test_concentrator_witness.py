"""A box's journal as integration sees it: the receipt countersigns, an alarm refuses nothing, a person may accept."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import subprocess
import sys
from pathlib import Path

import pytest
from concentrator_bench import BOX, DOCTOR, SIGNER, Bench, b2
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from development_pki import Pki

from gateway.concentrator.keys import load_trust
from gateway.concentrator.store import Store
from gateway.envelope.algorithms import PrivateKey
from gateway.envelope.attributes import SigningContext
from gateway.envelope.certificates import Use
from gateway.envelope.seal import Sealer
from gateway.envelope.signed import sign_with_key, signed_size, write_signed
from gateway.formats.b2 import check
from gateway.formats.days import iso
from gateway.journal.chain import EVIDENCE
from gateway.journal.checkpoint import Carried, Checkpoint, Step, pack_carried, sign_checkpoint
from gateway.journal.merkle import complete_root, consistency, leaf_hash, root

ROWS = [hashlib.sha256(bytes([n])).digest() for n in range(64)]
FORKED = [*ROWS[:9], *(hashlib.sha256(row).digest() for row in ROWS[9:])]


@pytest.fixture
def watched(bench: Bench, pki: Pki) -> Bench:
    partner = dataclasses.replace(bench.settings.partners[0], box_sign=pki.directory / "box-sign.pem")
    return bench.having(partners=(partner,))


def node(rows: list[bytes]):  # type: ignore[no-untyped-def]
    return lambda level, n: complete_root([leaf_hash(row) for row in rows[n << level : (n + 1) << level]])


def head(
    bench: Bench, size: int, *steps: int, rows: list[bytes] = ROWS, chain: str = EVIDENCE, signer: str = "box-sign"
) -> bytes:
    """The attribute of a box whose journal has ``size`` rows, proven from the sizes of ``steps`` on."""
    at = node(rows)
    told = Checkpoint("box-0001", chain, 1, size, root(size, at).hex(), rows[size - 1].hex(), iso(bench.now), None)
    signed = sign_checkpoint(told, bench.now, bench.pki.certificate(signer), bench.pki.key(signer), [])
    made = [
        Step(one, root(one, at), tuple(consistency(one, after, at)))
        for one, after in zip(steps, [*steps[1:], size], strict=bool(steps))
    ]
    return pack_carried(Carried(signed, tuple(made)))


def send(bench: Bench, store: Store, number: int, value: bytes, seal: str = "s1", content: bytes = b"") -> None:
    """A good fichier with that attribute, integrated."""
    content = content or b2(first=10 * number + 1)
    report = check(content)
    certificate, key = bench.pki.certificate(SIGNER), bench.pki.key(SIGNER)
    context = SigningContext(1, f"f{number}", report.facture_count, report.spent_cents, "each", "local", b"")
    made = sign_with_key(hashlib.sha256(content).digest(), bench.now, certificate, key, context, pkcs1=True)
    made, out = dataclasses.replace(made, checkpoint=value), io.BytesIO()
    sealer = Sealer(out, [bench.pki.certificate("oct-seal")], signed_size(len(content), made, ()))
    write_signed(io.BytesIO(content), len(content), sealer, made, ())
    sealer.close()
    bench.receive(store, out.getvalue(), f"f{number}", seal=seal)
    assert bench.integration(store).work()


def said(bench: Bench, store: Store) -> list[tuple[str, int, str] | None]:
    """(verdict, size, word) of each receipt; no head is (verdict, 0, '')."""
    return [
        (one.verdict, one.journal_head.size, one.journal_head.word) if one.journal_head else (one.verdict, 0, "")
        for one in bench.receipts(store)
    ]


def alarms(store: Store) -> list[str]:
    return [row["code"] for row in store.connection.execute("SELECT code FROM alarms ORDER BY about")]


def test_receipts_countersign_what_follows(watched: Bench, opened: Store) -> None:
    send(watched, opened, 1, head(watched, 10))
    send(watched, opened, 2, head(watched, 20, 10))
    send(watched, opened, 3, head(watched, 40, 10, 20, 30))
    send(watched, opened, 4, head(watched, 30, 20))
    good = "integrated"
    assert said(watched, opened) == [
        (good, 10, "first"), (good, 20, "consistent"), (good, 40, "consistent"), (good, 40, "known"),
    ]  # fmt: skip
    assert watched.receipts(opened)[2].journal_head.root == root(40, node(ROWS)).hex()  # type: ignore[union-attr]
    assert alarms(opened) == []
    kept = opened.connection.execute("SELECT size, at <> '' AS came FROM heads ORDER BY size").fetchall()
    assert [tuple(row) for row in kept] == [(10, 1), (20, 1), (30, 0), (40, 1)]


def test_a_journal_that_does_not_follow_is_said_and_refuses_nothing(watched: Bench, opened: Store) -> None:
    send(watched, opened, 1, head(watched, 20))
    send(watched, opened, 2, head(watched, 15))
    send(watched, opened, 3, head(watched, 30, 20, rows=FORKED))
    send(watched, opened, 4, head(watched, 30))
    send(watched, opened, 5, head(watched, 30, 25))
    send(watched, opened, 6, head(watched, 20, rows=FORKED))
    send(watched, opened, 7, head(watched, 30, 20))
    good = "integrated"
    assert said(watched, opened) == [
        (good, 20, "first"), (good, 20, "backwards"), *[(good, 20, "inconsistent")] * 4, (good, 30, "consistent"),
    ]  # fmt: skip
    assert sorted(set(alarms(opened))) == ["OCT-013", "OCT-014"]


def another_box(pki: Pki) -> tuple[bytes, PrivateKey]:
    """A box-sign certificate of the same authority, and its key: of somebody else's box."""
    ours = x509.load_der_x509_certificate(pki.certificate("box-sign"))
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(ours.subject)
        .issuer_name(ours.issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(ours.not_valid_before_utc)
        .not_valid_after(ours.not_valid_after_utc)
    )
    for extension in ours.extensions:
        if not isinstance(extension.value, x509.SubjectKeyIdentifier):
            builder = builder.add_extension(extension.value, extension.critical)
    made = builder.sign(pki.key("ca/boites"), hashes.SHA256())
    return made.public_bytes(Encoding.DER), key


def test_another_box_of_the_same_authority_is_not_this_one(watched: Bench, opened: Store, pki: Pki) -> None:
    certificate, key = another_box(pki)
    told = Checkpoint("box-0001", EVIDENCE, 1, 5, "ab" * 32, "cd" * 32, iso(watched.now), None)
    signed = sign_checkpoint(told, watched.now, certificate, key, [])
    trust = load_trust(watched.settings)
    trust.check(certificate, (), watched.now, Use.SIGN_JOURNAL)
    send(watched, opened, 1, pack_carried(Carried(signed, ())))
    assert said(watched, opened) == [("integrated", 0, "")] and alarms(opened) == ["OCT-015"]


def test_what_cannot_be_checked_is_an_alarm_and_no_head(watched: Bench, opened: Store, pki: Pki) -> None:
    send(watched, opened, 1, head(watched, 10, signer="oct-sign"))
    send(watched, opened, 2, head(watched, 10, chain="access"))
    send(watched, opened, 3, pack_carried(Carried(b"\x30\x00", ())))
    send(watched, opened, 4, b"\x04\x00")
    assert said(watched, opened) == [("integrated", 0, "")] * 4
    assert alarms(opened) == ["OCT-015"] * 4
    send(watched, opened, 5, b"")
    assert said(watched, opened)[-1] == ("integrated", 0, "") and len(alarms(opened)) == 4


@pytest.mark.parametrize("size", [-1, 0, 1 << 63, 1 << 70])
def test_a_size_that_no_journal_has_is_an_alarm_and_no_head(watched: Bench, opened: Store, size: int) -> None:
    send(watched, opened, 1, head(watched, 10))
    told = Checkpoint("box-0001", EVIDENCE, 1, size, "00" * 32, "00" * 32, iso(watched.now), None)
    pki = watched.pki
    signed = sign_checkpoint(told, watched.now, pki.certificate("box-sign"), pki.key("box-sign"), [])
    send(watched, opened, 2, pack_carried(Carried(signed, ())))
    assert said(watched, opened) == [("integrated", 10, "first"), ("integrated", 0, "")]
    assert alarms(opened) == ["OCT-015"]


def test_a_box_that_tells_no_more_is_an_alarm_once(watched: Bench, opened: Store) -> None:
    send(watched, opened, 1, b"")
    assert alarms(opened) == [], "it may be one that never told"
    send(watched, opened, 2, head(watched, 10))
    watched.receive(opened, b"nothing that opens", "f9", seal="s1")
    assert watched.integration(opened).work() and alarms(opened) == [], "of what cannot be opened nothing is known"
    for number in (3, 4):
        send(watched, opened, number, b"")
    assert said(watched, opened)[-2:] == [("integrated", 0, "")] * 2 and alarms(opened) == ["OCT-017"]


def test_a_double_gets_the_head_of_its_own_sending(watched: Bench, opened: Store) -> None:
    content = b2()
    send(watched, opened, 1, head(watched, 10), content=content)
    send(watched, opened, 1, head(watched, 20, 10), seal="s2", content=content)
    assert said(watched, opened) == [("integrated", 10, "first"), ("integrated", 20, "consistent")]


def test_a_refused_fichier_brings_its_head_too(watched: Bench, opened: Store) -> None:
    strict = watched.having(partners=(dataclasses.replace(watched.settings.partners[0], mandates=()),))
    send(strict, opened, 1, head(strict, 10))
    assert said(strict, opened) == [("refused", 10, "first")] and DOCTOR in strict.receipts(opened)[0].text


def test_a_person_accepts_that_a_journal_begins_anew(watched: Bench, opened: Store) -> None:
    send(watched, opened, 1, head(watched, 20))
    send(watched, opened, 2, head(watched, 5))
    command = [sys.executable, "-m", "gateway", "concentrator", "accept-journal", BOX, "--directory"]
    directory = str(watched.settings.directory)
    done = subprocess.run([*command, directory, "--why", "restauré"], capture_output=True, text=True)
    assert done.returncode == 0 and "1 tête" in done.stdout, done.stderr
    send(watched, opened, 3, head(watched, 6))
    assert [one and one[2] for one in said(watched, opened)] == ["first", "backwards", "first"]
    assert "OCT-016" in alarms(opened)
    nowhere = subprocess.run([*command, str(Path(directory) / "x"), "--why", "y"], capture_output=True, text=True)
    assert nowhere.returncode == 75

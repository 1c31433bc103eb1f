"""What the keeper puts into an evidence file, in the lives that a fichier may have; the checker is the judge."""

from __future__ import annotations

import dataclasses
import hashlib
import subprocess
import zlib
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from development_pki import Pki
from evidence_bench import EvidenceBench, checked, complaint, lay_out, rows_of, x509_of
from keeper_bench import KeeperBench
from large_list import LargeList
from line_certificates import make_list
from local_tsa import LocalTsa
from samples import EMITTER, nir
from stage import DOCTOR

from gateway.book.proofs import Proofs
from gateway.envelope.certificates import load_lists
from gateway.errors import Refused
from gateway.journal.checkpoint import read_checkpoint
from gateway.services.keeper.audit import Daily, prepare
from gateway.services.keeper.evidence import evidence


@pytest.fixture
def bench(pki: Pki, tmp_path: Path) -> EvidenceBench:
    return EvidenceBench(KeeperBench(tmp_path / "s", pki))


def told(bench: EvidenceBench, files: dict[str, bytes], tmp_path: Path) -> str:
    """What the checker says of an evidence, all of which holds."""
    done = checked(lay_out(tmp_path / "preuve", files), bench.root)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    return done.stdout


def test_what_nobody_signed_has_no_evidence(bench: EvidenceBench) -> None:
    key = bench.keeper.checked("a.b2", EMITTER)
    with pytest.raises(Refused) as refusal:
        evidence(bench.keeper.desk, {"op": "evidence", "id": key, "peer": 0})
    assert refusal.value.code == "EVD-001"


def test_a_signed_fichier_has_one_before_anything_left(bench: EvidenceBench, tmp_path: Path) -> None:
    key = bench.keeper.checked("a.b2", EMITTER)
    bench.keeper.sign(key)
    bench.keeper.turn()
    said = told(bench, bench.evidence(key), tmp_path)
    assert "carte du même titulaire" in said and "contresigné" not in said and "recu" not in said


def test_a_seal_that_the_oct_could_not_open_spoils_nothing(bench: EvidenceBench, tmp_path: Path) -> None:
    """Its receipt knows no digest."""
    key = bench.keeper.sealed("a.b2")
    bench.receipt(key, "unopened")
    bench.receipt(key, "integrated", bench.size())
    said = told(bench, bench.evidence(key), tmp_path)
    assert "recu-1 : dit « unopened »" in said and "recu-2 : dit « integrated »" in said


@pytest.mark.parametrize("digest", ["00" * 32, None])
def test_a_receipt_for_another_content_integrates_nothing(bench: EvidenceBench, digest: str | None) -> None:
    """It is kept as what could not be read, and said; the right one, when it comes, counts."""
    key = bench.keeper.sealed("a.b2")
    bench.receipt(key, "integrated", digest=digest)
    assert bench.keeper.row(key)["state"] == "SEALED" and "recu-1.cms" not in bench.evidence(key)
    condition = bench.keeper.condition("returns")
    assert condition["code"] == "RCT-002" and key[:8] in condition["text"]
    bench.receipt(key, "integrated")
    assert bench.keeper.row(key)["state"] == "INTEGRATED" and bench.keeper.condition("returns")["code"] == ""


@pytest.mark.parametrize("largest", [2, 5, 12])
def test_rows_are_under_the_largest_head_that_was_countersigned(
    bench: EvidenceBench, tmp_path: Path, largest: int
) -> None:
    """Twelve receipts, of which neither the last nor the last by its name needs to have it: one may come late."""
    key = bench.keeper.sealed("a.b2")
    first = bench.size()
    for number in range(1, 13):
        bench.receipt(key, "integrated", bench.size() if number == largest else first - 2)
    files = bench.evidence(key)
    said = told(bench, files, tmp_path)
    covered = sum(bool(row["head"]) for row in rows_of(files))
    assert said.count("contresigné par l'OCT") == covered >= 4
    assert "recu-12 : dit « integrated »" in said


def test_a_return_that_names_somebody_is_not_kept_and_not_missed(bench: EvidenceBench, tmp_path: Path) -> None:
    """Its row names no piece of it: what stays is sealed."""
    key = bench.keeper.sealed("a.b2")
    bench.receipt(key, "refused", bench.size(), code="B2-001", text=f"L'assuré {nir(42)} est inconnu.")
    bench.receipt(key, "integrated", bench.size())
    files = bench.evidence(key)
    assert sum('"kind":"receipt"' in str(row["text"]) for row in rows_of(files)) == 2 and "recu-2.cms" not in files
    told(bench, files, tmp_path)


# ---------------------------------------------------------------- who signed


def test_a_signature_that_was_withdrawn_is_in_force_no_more(bench: EvidenceBench, tmp_path: Path) -> None:
    """Nobody signed again: there is a card's signature, and the journal says what became of it."""
    key = bench.keeper.checked("a.b2", EMITTER)
    bench.keeper.sign(key)
    bench.keeper.turn()
    before = bench.evidence(key)
    bench.keeper.revoke(f"practitioners/{DOCTOR}/sig")
    assert bench.keeper.row(key)["state"] == "CHECKED"
    done = checked(lay_out(tmp_path / "preuve", bench.evidence(key)), bench.root)
    assert complaint(done) == "journal.json : dernière signature"
    told(bench, before, tmp_path)


def second_authority(bench: EvidenceBench) -> dict[str, Any]:
    """Another authority of the same sector, and the certificates that it gave the same practitioner."""
    pki, now = bench.pki, bench.keeper.now
    root, root_key = x509.load_der_x509_certificate(pki.root), pki.key("ca/root")
    model = x509.load_der_x509_certificate(pki.certificate("chains/sante"))
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "OCT-GATEWAY TEST AC Professionnels 2")])
    authority_key: Any = rsa.generate_private_key(65537, 2048)

    def issue(model: x509.Certificate, subject: x509.Name, key: Any, issuer: x509.Name, by: Any) -> x509.Certificate:
        builder = x509.CertificateBuilder(
            issuer, subject, key.public_key(), x509.random_serial_number(),
            now - timedelta(days=1), now + timedelta(days=300),
        )  # fmt: skip
        for one in model.extensions:
            if not isinstance(one.value, x509.AuthorityKeyIdentifier | x509.SubjectKeyIdentifier):
                builder = builder.add_extension(one.value, one.critical)
        identifiers = (
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()),
            x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()),
        )
        for identifier in identifiers:
            builder = builder.add_extension(identifier, critical=False)
        return builder.sign(by, hashes.SHA256())

    made: dict[str, Any] = {"authority": issue(model, name, authority_key, root.subject, root_key)}
    for role in ("sig", "auth"):
        old = x509.load_der_x509_certificate(pki.certificate(f"practitioners/{DOCTOR}/{role}"))
        made[role] = issue(old, old.subject, pki.key(f"practitioners/{DOCTOR}/{role}"), name, authority_key)
    made["list"] = (
        x509.CertificateRevocationListBuilder(name, now - timedelta(minutes=5), now + timedelta(days=30))
        .add_extension(x509.CRLNumber(1), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    return made


def test_each_signer_stands_under_his_own_authority(
    bench: EvidenceBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signed under one authority, withdrawn, signed again under another: what is shown is the second signature."""
    keeper, made = bench.keeper, second_authority(bench)
    trust = keeper.desk.paths.trust
    with (trust / "chain.pem").open("ab") as chain:
        chain.write(made["authority"].public_bytes(Encoding.PEM))
    (trust / "crl" / "sante2.crl").write_bytes(made["list"].public_bytes(Encoding.DER))
    keeper.open()
    key = keeper.checked("a.b2", EMITTER)
    keeper.sign(key)
    keeper.turn()
    keeper.revoke(f"practitioners/{DOCTOR}/sig")
    assert keeper.row(key)["state"] == "CHECKED"
    certificates = {f"practitioners/{DOCTOR}/{role}": made[role].public_bytes(Encoding.DER) for role in ("sig", "auth")}
    find = Pki.certificate
    monkeypatch.setattr(Pki, "certificate", lambda pki, name: certificates.get(name) or find(pki, name))
    keeper.sign(key)
    keeper.turn()
    assert keeper.row(key)["state"] == "SIGNED"
    files = bench.evidence(key)
    expected = made["authority"].public_bytes(Encoding.DER)
    for name in ("signature", "presence"):
        assert x509_of(files[f"{name}.pem"])[1] == expected
    assert "AC Professionnels 2 » émis par « OCT-GATEWAY TEST Racine »" in told(bench, files, tmp_path)


def test_each_fichier_has_the_list_of_its_day(bench: EvidenceBench, tmp_path: Path) -> None:
    """A list of a whole profession, of which the book has but the changes from day to day."""
    keeper, pki = bench.keeper, bench.pki
    authority = LargeList(pki.certificate("chains/sante"), pki.key("ca/sante"), keeper.now, 5000)
    authority.number, days = int(keeper.now.timestamp()), dict[str, bytes]()
    for day in range(5):
        made = authority.signed(keeper.now)
        (keeper.desk.paths.trust / "crl/sante.crl").write_bytes(made)
        days[keeper.sealed(f"f{day}.b2")] = made
        authority.change(20, 10)
        keeper.now += timedelta(days=1)
    for key, made in days.items():
        files = bench.evidence(key)
        large = max(load_lists(files["listes.pem"]), key=len)
        assert large == made
        told(bench, files, tmp_path)
    kept = keeper.desk.book.connection.execute("SELECT length(content) FROM exhibits WHERE kind = 'list'").fetchall()
    assert sum(row[0] for row in kept) < 1.2 * len(zlib.compress(made))


# ---------------------------------------------------------------- the checkpoint and its stamp


def test_years_later_the_lists_are_those_of_the_checkpoints_day(bench: EvidenceBench, tmp_path: Path) -> None:
    """Those of today say nothing of that day: openssl calls them not yet valid."""
    keeper, key = bench.keeper, bench.taken("a.b2")
    made = Daily(keeper.desk).look()
    assert made is not None
    with keeper.desk.commit():
        digest = hashlib.sha256(made.signed).hexdigest()
        Proofs(keeper.desk.book.connection).add("stamp", "evidence", made.checkpoint.size, b"", digest, "", b"stamp")
    keeper.now += timedelta(days=400)
    for file in (keeper.desk.paths.trust / "crl").iterdir():
        file.unlink()
    for name in ("root", "boites"):
        later = make_list(bench.pki, name, keeper.now)
        (keeper.desk.paths.trust / "crl" / f"{name}.crl").write_bytes(later)
    files = bench.evidence(key)
    assert files["journal.cms"] == made.signed
    lists = [x509.load_der_x509_crl(one) for one in load_lists(files["listes.pem"])]
    assert all(one.last_update_utc <= moment(made.checkpoint.at) <= one.next_update_utc for one in lists)
    assert any(bench.is_of(one, "chains/boites") for one in lists)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_a_stamped_checkpoint_outlives_the_key_that_signed_it(bench: EvidenceBench, tmp_path: Path) -> None:
    """The stamped one is shown, with the certificate of its time, which the box has no more."""
    keeper, key = bench.keeper, bench.taken("a.b2")
    desk, tsa = keeper.desk, LocalTsa(tmp_path / "tsa")
    made = prepare(desk, "evidence")
    assert made is not None
    query = tmp_path / "query.tsq"
    (tmp_path / "point").write_bytes(made.signed)
    words = ["openssl", "ts", "-query", "-data", tmp_path / "point", "-sha256", "-cert", "-out", query]
    subprocess.run(words, check=True, capture_output=True)
    (tmp_path / "answer").write_bytes(tsa.answer(query.read_bytes()))
    words = ["openssl", "ts", "-reply", "-in", tmp_path / "answer", "-token_out", "-out", tmp_path / "token"]
    subprocess.run(words, check=True, capture_output=True)
    with desk.commit():
        digest = made.keep(desk)
        told_ = read_checkpoint(made.signed)[0]
        stamp = (tmp_path / "token").read_bytes()
        Proofs(desk.book.connection).add("stamp", "evidence", told_.size, b"", digest, told_.at, stamp)
    other = bench.pki.certificate("oct-sign"), bench.pki.key("oct-sign")
    desk.keys = dataclasses.replace(desk.keys, sign_certificate=other[0], sign=other[1])
    with desk.commit():
        desk.book.record("", {"verb": "act"})
    files = bench.evidence(key)
    assert files["journal.cms"] == made.signed
    told(bench, files, tmp_path)
    (tmp_path / "journal.cms").write_bytes(files["journal.cms"])
    (tmp_path / "horodatage.tst").write_bytes(files["horodatage.tst"])
    words = ["openssl", "ts", "-verify", "-data", "journal.cms", "-in", "horodatage.tst", "-token_in", "-CAfile",
             str(tsa.folder / "ca.pem")]  # fmt: skip
    assert subprocess.run(words, cwd=tmp_path, capture_output=True).returncode == 0
    touched = bytearray(files["horodatage.tst"])
    touched[-9] ^= 1
    (tmp_path / "horodatage.tst").write_bytes(touched)
    assert subprocess.run(words, cwd=tmp_path, capture_output=True).returncode != 0

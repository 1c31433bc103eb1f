"""The evidence file of a fichier, checked by who has nothing of ours: openssl, and Python that was read before."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import samples
from pin_scan import CODE
from stage import DOCTOR, REPO, Stage
from stage_root import stage_root

CHECKER = REPO / "docs/verifier_preuve.py"
CONTENT = samples.b2(6)


def gateway(stage: Stage, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway", *words, "--config", str(stage.config)]
    return subprocess.run(command, capture_output=True, text=True, cwd=REPO, timeout=60)


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with stage_root() as root, Stage(root, pin=CODE) as made:
        made.prepare()
        made.start_reader()
        made.start()
        made.insert_card()
        for name, content in (("prouve.b2", CONTENT), ("autre.b2", samples.b2(7))):
            made.hand_over(name, content)
            made.await_states({name: "CHECKED"})
            made.wait(lambda: made.pending()["items"] and made.pending()["card"]["state"] == "locked", "card")
            made.unlock()
            made.await_states({name: "INTEGRATED"})
        made.wait(lambda: all(row["arl"] for row in made.board.lots()), "ARL")
        yield made


@pytest.fixture(scope="module")
def root(stage: Stage) -> str:
    pem = (stage.pki / "root.pem").read_text()
    told = subprocess.run(["openssl", "x509", "-outform", "DER"], input=pem.encode(), capture_output=True, check=True)
    return hashlib.sha256(told.stdout).hexdigest()


@pytest.fixture(scope="module")
def proof(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Path:
    (row,) = [row for row in stage.board.fichiers() if row["name"] == "prouve.b2"]
    out = tmp_path_factory.mktemp("evidence") / "preuve.zip"
    done = gateway(stage, "evidence", row["id"][:8], str(out))
    assert (done.returncode, done.stderr) == (0, "")
    return out


def checked(proof: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The checker alone: isolated, without our packages."""
    command = ["/usr/bin/python3", "-I", str(CHECKER), str(proof), *words]
    return subprocess.run(command, capture_output=True, text=True, cwd="/", env={})


def test_the_checker_needs_python_alone_and_finds_all_of_it_good(proof: Path, root: str, tmp_path: Path) -> None:
    (tmp_path / "original").write_bytes(CONTENT)
    done = checked(proof, root, str(tmp_path / "original"))
    assert (done.returncode, done.stderr) == (0, "")
    for word in ("original", "la carte était là", "sign", "seal", "send", "integrate", "recu-1.cms : integrated",
                 "arl-1.cms : positive", "contresigné par l'OCT"):  # fmt: skip
        assert word in done.stdout, word
    assert "NE TIENT PAS" not in done.stdout


def test_openssl_checks_the_signatures(proof: Path, stage: Stage, tmp_path: Path) -> None:
    with zipfile.ZipFile(proof) as archive:
        archive.extractall(tmp_path)
    (tmp_path / "original").write_bytes(CONTENT)
    trust = ["-CAfile", str(stage.pki / "root.pem"), "-purpose", "any"]
    for name, more in (("signature", ["-content", "original"]), ("recu-1", []), ("arl-1", []), ("journal", [])):
        command = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", f"{name}.cms", *more, *trust]
        done = subprocess.run(command, capture_output=True, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        if name.startswith("recu"):
            assert json.loads(done.stdout.split(b"\n", 1)[1])["verdict"] == "integrated"
    (tmp_path / "original").write_bytes(CONTENT + b"x")
    command = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", "signature.cms", "-content", "original"]
    assert subprocess.run([*command, *trust], capture_output=True, cwd=tmp_path).returncode != 0


def test_nothing_of_a_patient_is_in_it(proof: Path) -> None:
    with zipfile.ZipFile(proof) as archive:
        everything = b"".join(archive.read(name) for name in archive.namelist())
    for number in range(1, 700):
        assert samples.nir(number).encode() not in everything


def rewritten(proof: Path, target: Path, name: str, content: bytes) -> None:
    with zipfile.ZipFile(proof) as old, zipfile.ZipFile(target, "w") as new:
        for one in old.namelist():
            new.writestr(one, content if one == name else old.read(one))


TOUCHED = [
    ("signature.cms", -2), ("presence.sig", 5), ("presence.cer", -5), ("recu-1.cms", b'"integrated"'),
    ("recu-1.cms", b"journal_head"), ("recu-1.cms", -2), ("arl-1.cms", b'"positive"'), ("arl-1.cms", -2),
    ("journal.cms", b'"root":"'), ("journal.cms", -2), ("listes/1.crl", -2), ("listes/2.crl", -2),
]  # fmt: skip


@pytest.mark.parametrize(("name", "place"), TOUCHED)
def test_every_piece_that_is_touched_is_found(
    proof: Path, root: str, tmp_path: Path, name: str, place: int | bytes
) -> None:
    with zipfile.ZipFile(proof) as archive:
        touched = bytearray(archive.read(name))
    at = place if isinstance(place, int) else touched.index(place) + len(place)
    touched[at] ^= 1
    rewritten(proof, tmp_path / "touched.zip", name, bytes(touched))
    done = checked(tmp_path / "touched.zip", root)
    assert done.returncode != 0
    assert "NE TIENT PAS" in done.stdout


ROWS = {
    "changed": lambda rows: rows[3].update(text=rows[3]["text"].replace("T", "U", 1)),
    "moved": lambda rows: rows[3].update(seq=rows[3]["seq"] + 1),
    "put before another": lambda rows: rows[3].update(previous="00" * 32),
}


@pytest.mark.parametrize("change", ROWS.values(), ids=ROWS)
def test_a_row_that_is_changed_has_no_way_up(
    proof: Path, root: str, tmp_path: Path, change: Callable[[list[dict[str, Any]]], None]
) -> None:
    with zipfile.ZipFile(proof) as archive:
        told = json.loads(archive.read("preuve.json"))
    change(told["journal"])
    rewritten(proof, tmp_path / "touched.zip", "preuve.json", json.dumps(told).encode())
    done = checked(tmp_path / "touched.zip", root)
    assert done.returncode == 65
    assert "NE TIENT PAS" in done.stdout


def test_a_receipt_that_somebody_else_signed_is_none(stage: Stage, proof: Path, root: str, tmp_path: Path) -> None:
    """The practitioner's own certificate is in the proof, and leads to the root."""
    with zipfile.ZipFile(proof) as archive:
        receipt = archive.read("recu-1.cms")
    card = stage.pki / "practitioners" / DOCTOR
    (tmp_path / "text").write_bytes(receipt[receipt.index(b'{"about"') : receipt.rindex(b'"version":1}') + 12])
    command = ["openssl", "cms", "-sign", "-binary", "-nodetach", "-outform", "DER", "-md", "sha256", "-in", "text"]
    identity = ["-signer", str(card / "sig.pem"), "-inkey", str(card / "sig.key"), "-out", "forged"]
    subprocess.run([*command, *identity], check=True, cwd=tmp_path)
    rewritten(proof, tmp_path / "touched.zip", "recu-1.cms", (tmp_path / "forged").read_bytes())
    done = checked(tmp_path / "touched.zip", root)
    assert done.returncode == 65
    assert "NE TIENT PAS  recu-1.cms : certificat fait pour « OCT »" in done.stdout


def test_another_root_and_another_original_do_not_hold(proof: Path, root: str, tmp_path: Path) -> None:
    assert checked(proof, "00" * 32).returncode != 0
    (tmp_path / "original").write_bytes(CONTENT[:-1])
    done = checked(proof, root, str(tmp_path / "original"))
    assert done.returncode == 65
    assert done.stdout.rstrip().endswith("NE TIENT PAS  l'original est ce qui a été signé")


def test_what_has_no_signature_and_what_exists_are_said(stage: Stage, proof: Path) -> None:
    assert gateway(stage, "evidence", "ffff", str(proof)).returncode == 65
    stage.hand_over("attend.b2", samples.b2(8))
    stage.await_states({"attend.b2": "CHECKED"})
    (row,) = [row for row in stage.board.fichiers() if row["name"] == "attend.b2"]
    done = gateway(stage, "evidence", row["id"], str(proof.with_name("rien.zip")))
    assert done.returncode == 65
    assert "EVD-001" in done.stderr
    assert not proof.with_name("rien.zip").exists()

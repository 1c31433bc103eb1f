"""The evidence file of a fichier, checked by who has nothing of ours: openssl, and Python that was read before."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import samples
from evidence_bench import checked, complaint, read_zip, write_zip
from pin_scan import CODE
from stage import REPO, Stage
from stage_root import stage_root

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


def test_what_is_to_be_read_says_what_was_signed(proof: Path, root: str) -> None:
    told = read_zip(proof)["LISEZ-MOI.txt"].decode()
    for word in (root, hashlib.sha256(CONTENT).hexdigest(), "facture", "€", "INTEGRATED"):
        assert word in told, word


def test_the_checker_needs_python_alone_and_finds_all_of_it_good(proof: Path, root: str, tmp_path: Path) -> None:
    (tmp_path / "original").write_bytes(CONTENT)
    subprocess.run(["/usr/bin/python3", "-m", "zipfile", "-e", proof, tmp_path / "preuve"], check=True)
    done = checked(tmp_path / "preuve", root, tmp_path / "original")
    assert (done.returncode, done.stderr) == (0, "")
    for word in ("contenus signés : 1", "carte du même titulaire", "sign", "seal", "send", "integrate", "contresigné",
                 "recu-1 : dit « integrated »", "arl-1 : dit « positive »", "dernière signature"):  # fmt: skip
        assert word in done.stdout, word
    assert "NE TIENT PAS" not in done.stdout
    (tmp_path / "original").write_bytes(CONTENT[:-1])
    assert complaint(checked(tmp_path / "preuve", root, tmp_path / "original")) == "signature : contenus signés : 1"


def commands() -> str:
    """What docs/preuve.md says to type where there is openssl."""
    text = (REPO / "docs/preuve.md").read_text(encoding="utf-8")
    return text.partition("## Vérifier avec openssl")[2].partition("```sh\n")[2].partition("```")[0]


def typed(stage: Stage, proof: Path, directory: Path, original: bytes) -> subprocess.CompletedProcess[str]:
    (directory / "preuve.zip").write_bytes(proof.read_bytes())
    (directory / "racine.pem").write_bytes((stage.pki / "root.pem").read_bytes())
    (directory / "ORIGINAL").write_bytes(original)
    return subprocess.run(["bash", "-ec", commands()], cwd=directory, capture_output=True, text=True, timeout=60)


def test_what_is_written_for_openssl_works_as_it_is_written(
    proof: Path, stage: Stage, root: str, tmp_path: Path
) -> None:
    done = typed(stage, proof, tmp_path, CONTENT)
    assert done.returncode == 0, done.stderr
    assert (
        done.stderr.count("CMS Verification successful") == sum(name.endswith(".cms") for name in read_zip(proof)) >= 5
    )
    assert root in done.stdout.replace(":", "").lower()
    receipt, arl, *_ = (json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))
    assert (receipt["verdict"], receipt["digest"]) == ("integrated", hashlib.sha256(CONTENT).hexdigest())
    assert arl["verdict"] == "positive"
    assert (tmp_path / "preuve/presence.contenu").read_bytes().startswith(b"oct-gateway/card-auth/1")


def test_openssl_sees_what_was_touched(proof: Path, stage: Stage, tmp_path: Path) -> None:
    assert typed(stage, proof, tmp_path, CONTENT + b"x").returncode != 0
    files = read_zip(proof)
    (place := tmp_path / "lists").mkdir()
    made = write_zip(place / "touched.zip", files | {"listes.pem": b""})
    assert "unable to get certificate CRL" in typed(stage, made, place, CONTENT).stderr
    for number, name in enumerate(("signature.cms", "presence.cms", "journal.cms", "recu-1.cms", "arl-1.cms")):
        (place := tmp_path / str(number)).mkdir()
        touched = files[name][:-2] + bytes((files[name][-2] ^ 1,)) + files[name][-1:]
        made = write_zip(place / "touched.zip", files | {name: touched})
        assert typed(stage, made, place, CONTENT).returncode != 0, name


def test_nothing_of_a_patient_is_in_it(proof: Path) -> None:
    everything = b"".join(read_zip(proof).values())
    for number in range(1, 700):
        assert samples.nir(number).encode() not in everything


def test_what_has_no_signature_and_what_exists_are_said(stage: Stage, proof: Path) -> None:
    assert gateway(stage, "evidence", "ffff", str(proof)).returncode == 65
    stage.hand_over("attend.b2", samples.b2(8))
    stage.await_states({"attend.b2": "CHECKED"})
    (row,) = [row for row in stage.board.fichiers() if row["name"] == "attend.b2"]
    done = gateway(stage, "evidence", row["id"], str(proof.with_name("rien.zip")))
    assert done.returncode == 65
    assert "EVD-001" in done.stderr
    assert not proof.with_name("rien.zip").exists()

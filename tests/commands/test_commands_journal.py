"""``gateway journal`` as an auditor types it: on a copied directory, with public certificates; and openssl alone."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from development_pki import Pki
from keeper_bench import KeeperBench
from stage import REPO

from gateway.errors import Deferred
from gateway.follow.moments import stamp
from gateway.journal.chain import ACCESS
from gateway.services.keeper import commands
from gateway.services.keeper.archive import Archiving


@pytest.fixture(scope="module")
def practice(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> KeeperBench:
    """A practice's journal of a day, in files."""
    bench = KeeperBench(tmp_path_factory.mktemp("journal") / "s", pki)
    archiving = Archiving(bench.desk)
    archiving.start()
    bench.checked("a", "991038431")
    bench.checked("b", "991038431")
    with bench.desk.commit():
        bench.desk.book.record("", {"verb": "reveal", "by": "p-12ab"}, ACCESS)
    archiving.look()
    while archiving._archive.append():
        pass
    return bench


def gateway(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway", "journal", *(str(word) for word in words)]
    return subprocess.run(command, capture_output=True, text=True)


def copied(practice: KeeperBench, folder: Path) -> Path:
    folder.mkdir()
    for path in practice.desk.paths.journal.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_a_copy_is_verified_with_the_root_alone(practice: KeeperBench, tmp_path: Path, pki: Pki) -> None:
    folder = copied(practice, tmp_path / "copy")
    root = pki.directory / "root.pem"
    done = gateway("verify", "--directory", folder, "--trust", root)
    assert (done.returncode, "Chaînes intactes." in done.stdout) == (0, True), done.stderr
    told = json.loads(gateway("verify", "--json", "--directory", folder, "--trust", root).stdout)
    assert (told["findings"], told["checkpoints"]) == ([], 2)
    assert told["rows"] == told["signed_to"]
    assert "Journal de la passerelle box-0001" in done.stdout
    signer = hashlib.sha256(pki.certificate("box-sign")).hexdigest()
    assert [one.endswith(f", SHA-256 {signer}") for one in told["signers"]] == [True]
    another = gateway("verify", "--directory", folder, "--trust", root, "--box", "box-0002")
    assert another.returncode == 65 and "pas de ce journal" in another.stdout
    listed = gateway("verify", "--directory", folder, "--trust", root, "--crl", pki.directory / "crl/all.pem")
    assert listed.returncode == 0


def test_a_touched_copy_is_named_and_65(practice: KeeperBench, tmp_path: Path, pki: Pki) -> None:
    folder = copied(practice, tmp_path / "copy")
    path = folder / "evidence-000001.journal"
    path.write_bytes(path.read_bytes().replace(b'"verb":"check"', b'"verb":"chuck"', 1))
    done = gateway("verify", "--directory", folder, "--trust", pki.directory / "root.pem")
    assert done.returncode == 65
    assert "JRN-001" in done.stderr and "ligne 8 modifiée" in done.stderr
    assert "evidence, segments, 20" in done.stdout, "chain, place and time"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--directory", "."], "JRN-002"),
        (["--directory", "/nowhere", "--trust", "ROOT"], "JRN-003"),
        (["--directory", ".", "--trust", "/nowhere.pem"], "JRN-003"),
        (["--directory", ".", "--trust", "ROOT", "--receipts", "/nowhere.der"], "JRN-003"),
    ],
)
def test_what_is_missing_is_named(pki: Pki, words: list[str], code: str) -> None:
    root = str(pki.directory / "root.pem")
    done = gateway("verify", *(root if word == "ROOT" else word for word in words))
    assert done.returncode == 65 and code in done.stderr


def test_rows_are_shown_by_fichier_time_and_act(practice: KeeperBench, tmp_path: Path) -> None:
    folder = copied(practice, tmp_path / "copy")
    key = hashlib.sha256(b"a").hexdigest()[:32]
    rows: list[dict[str, Any]] = json.loads(
        gateway("show", "--json", "--directory", folder, "--fichier", key[:8]).stdout
    )
    assert [row["verb"] for row in rows] == ["receive", "check"] and {row["fichier"] for row in rows} == {key}
    shown = gateway("show", "--directory", folder, "--verb", "check").stdout.splitlines()
    assert len(shown) == 2 and "from=RECEIVED" in shown[0]
    assert f"  {stamp(rows[1]['at'])}  {key[:8]}  Contrôlé : " in shown[0]
    assert gateway("show", "--directory", folder, "--since", "2099").stdout == ""
    access = gateway("show", "--directory", folder, "--chain", "access").stdout
    assert "  Facture montrée en clair : by=p-12ab\n" in access
    raw: list[dict[str, Any]] = json.loads(gateway("show", "--json", "--directory", folder).stdout)
    written = [line[65:] for path in folder.glob("evidence-*") for line in path.read_text().splitlines()[1:]]
    assert [json.loads(line) for line in written] == raw, "for a program all is as it was written"


TOUCHED = {
    "no JSON": b"{}}",
    "nested": b'{"a":' + 20_000 * b"[" + 20_000 * b"]" + b"}",
    "another kind of value": b'{"at":1,"fichier":[],"seq":"x","verb":null}',
    "what commands a terminal": rb'{"at":"2026\u001b[2J","fichier":"","seq":1,"verb":"x"}',
    "no moment": b'{"at":"9999-12-31T23:59:59Z","fichier":"","seq":1,"verb":"x"}',
    "what UTF-8 cannot write": rb'{"at":"2026","fichier":"","seq":1,"verb":"x","why":"\ud800"}',
    "what commands a terminal, in another field": rb'{"at":"2026","fichier":"","seq":1,"verb":"x","why":"\u001b[2J"}',
}


@pytest.mark.parametrize("text", TOUCHED.values(), ids=TOUCHED)
def test_a_touched_row_is_shown_harmlessly_or_not_at_all(practice: KeeperBench, tmp_path: Path, text: bytes) -> None:
    folder = copied(practice, tmp_path / "copy")
    path = folder / "evidence-000001.journal"
    head, first, *others = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([head, first[:65] + text + b"\n", *others]))
    for words in ([], ["--json"]):
        done = gateway("show", *words, "--directory", folder)
        assert (done.returncode, done.stderr) == (0, "") and "\x1b" not in done.stdout
        assert len(json.loads(done.stdout) if words else done.stdout.splitlines()) >= len(others)


def typed(number: int, folder: Path, **given: str) -> str:
    """What the block of that number of docs/journal.md prints that is for openssl and a shell, as it is written."""
    text = (REPO / "docs/journal.md").read_text(encoding="utf-8").partition("### Avec `openssl`")[2]
    block = text.split("```sh\n")[number].partition("```")[0]
    for word, value in given.items():
        assert word in block
        block = block.replace(word, value)
    return subprocess.run(["bash", "-ec", block], cwd=folder, check=True, capture_output=True, text=True).stdout


def test_what_is_written_for_openssl_and_a_shell_works_as_it_is_written(
    practice: KeeperBench, tmp_path: Path, pki: Pki
) -> None:
    folder = copied(practice, tmp_path / "copy")
    shutil.copy(pki.directory / "root.pem", folder)
    told = json.loads(typed(1, folder))
    assert told["chain"] == "evidence"
    assert typed(2, folder, SIZE=str(told["size"])).strip() == told["head"]
    path = folder / "evidence-000001.journal"
    path.write_bytes(path.read_bytes().replace(b'"verb":"check"', b'"verb":"chcek"', 1))
    with pytest.raises(subprocess.CalledProcessError):
        typed(2, folder, SIZE=str(told["size"]))


@pytest.mark.parametrize("words", [("verify", "--trust", "root.pem"), ("show",)])
def test_a_wrong_directory_is_no_sound_journal(words: tuple[str, ...], tmp_path: Path, pki: Pki) -> None:
    done = gateway(*(pki.directory / one if one.endswith(".pem") else one for one in words), "--directory", tmp_path)
    assert (done.returncode, done.stdout) == (65, "") and "JRN-003" in done.stderr


def test_the_keeper_answers_for_its_journal(practice: KeeperBench) -> None:
    """What the command asks by ``admin.sock``: begun, asked again, and rows a page at a time."""
    desk = practice.desk
    with pytest.raises(Deferred, match="JRN-004"):
        commands.verify(desk, {})
    told = commands.verify(desk, {"start": True})
    while told["running"]:
        told = commands.verify(desk, {})
    assert told["findings"] == [] and told["checkpoints"] == 2
    page = commands.journal(desk, {"verb": "check", "peer": "claire"})
    assert [row["verb"] for row in page["rows"]] == ["check", "check"] and page["next"] == 0
    read = [row for row in commands.journal(desk, {"chain": ACCESS})["rows"] if row["verb"] == "read journal"]
    assert (read[0]["of"], read[0]["asked"]) == ("evidence", {"verb": "check"})
    assert desk.persons.words(read[0]) == {"account": "claire", "why": ""}, "who read it is in the journal"

"""``gateway reveal``, ``accesses`` and ``export`` as typed, to a keeper that runs."""

from __future__ import annotations

import getpass
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import samples
from development_pki import Pki
from keeper_bench import KeeperBench
from personal_bench import integrated
from stage import DOCTOR, REPO

from gateway.formats.b2 import check

CONTENT = samples.b2(7)
FACTURES = [facture for lot in check(CONTENT).lots for facture in lot.factures]
NIR = FACTURES[3].nir


@pytest.fixture(scope="module")
def bench(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeeperBench]:
    bench = KeeperBench(tmp_path_factory.mktemp("personal") / "s", pki)
    integrated(bench, CONTENT)
    bench.desk.board.close()
    bench.desk.book.close()
    bench.stage.start("keeper")
    bench.stage.wait(lambda: bench.stage.paths.socket("admin").exists(), "the keeper")
    yield bench
    bench.stage.close()


def gateway(bench: KeeperBench, *words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway", *words, "--config", str(bench.stage.config)]
    return subprocess.run(command, input=typed, capture_output=True, text=True, cwd=REPO, timeout=60)


def the_fichier(bench: KeeperBench) -> str:
    return str(bench.stage.board.fichiers()[0]["id"])


def test_a_facture_is_shown_to_who_says_why(bench: KeeperBench) -> None:
    words = ("reveal", the_fichier(bench)[:8], "--lot", "2", "--facture", "1")
    assert gateway(bench, *words).returncode == 65
    done = gateway(bench, *words, "--why", "contrôle de la caisse")
    assert done.returncode == 0, done.stderr
    assert FACTURES[3].nir[:13] in done.stdout
    assert FACTURES[0].nir[:13] not in done.stdout
    told = json.loads(gateway(bench, *words, "--why", "contrôle", "--json").stdout)
    assert {zone["name"] for zone in told} >= {"nir", "invoice_no", "amo_hosp"}
    listed = json.loads(gateway(bench, "accesses", "--why", "revue du mois", "--json").stdout)
    assert [(row["verb"], row["who"], row["reason"]) for row in listed] == [
        ("reveal", getpass.getuser(), "contrôle de la caisse"),
        ("reveal", getpass.getuser(), "contrôle"),
        ("list accesses", getpass.getuser(), "revue du mois"),
    ]
    shown = gateway(bench, "accesses", "--why", "x", "--account", getpass.getuser()).stdout.splitlines()
    assert re.search(r" \+0\d:00  Facture montrée en clair +.*contrôle de la caisse$", shown[1]), shown
    assert json.loads(gateway(bench, "accesses", "--why", "x", "--account", "autre", "--json").stdout) == []


@pytest.mark.parametrize("typed", [f"{NIR}\n", f"{NIR[:13]}", f" {NIR[:1]} {NIR[1:13]} {NIR[13:]}\n"])
def test_all_that_is_known_of_a_patient(bench: KeeperBench, tmp_path: Path, typed: str) -> None:
    done = gateway(bench, "export", "--nir-file", "-", str(tmp_path / "acces"), typed=typed)
    assert done.returncode == 0, done.stderr
    document, text = ((tmp_path / f"acces.{kind}").read_text(encoding="utf-8") for kind in ("json", "txt"))
    told = json.loads(document)
    mine = [facture for facture in FACTURES if facture.nir == NIR]
    assert [row["number"] for row in told["rows"]["factures"]] == [facture.number for facture in mine]
    assert len(told["rows"]["sealed_copies"]) == len(mine)
    assert told["rows"]["accesses"][-1]["verb"] == "export"
    for facture in FACTURES:
        assert (facture.number in text) is (facture.nir == NIR)
        assert facture.nir[:13] not in document + text
    assert (tmp_path / "acces.json").stat().st_mode & 0o077 == 0
    for out in (tmp_path / "acces", tmp_path / "nowhere" / "acces"):
        refused = gateway(bench, "export", "--nir-file", "-", str(out), typed=typed)
        assert (refused.returncode, "CMD-01" in refused.stderr) == (65, True), refused.stderr


def test_a_nir_from_a_file(bench: KeeperBench, tmp_path: Path) -> None:
    (tmp_path / "nir").write_text(NIR)
    assert gateway(bench, "export", "--nir-file", str(tmp_path / "nir"), str(tmp_path / "a")).returncode == 0


@pytest.mark.parametrize("typed", ["", "123", NIR[:13] + "99", "Marie Dupont"])
def test_what_is_no_nir_is_refused_without_repeating_it(bench: KeeperBench, tmp_path: Path, typed: str) -> None:
    done = gateway(bench, "export", "--nir-file", "-", str(tmp_path / "a"), typed=typed)
    assert (done.returncode, "PRS-001" in done.stderr) == (65, True)
    assert not typed or typed not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_somebody_the_box_does_not_know_has_no_rows(bench: KeeperBench, tmp_path: Path) -> None:
    done = gateway(bench, "export", "--nir-file", "-", str(tmp_path / "a"), typed=samples.nir(77))
    assert done.returncode == 0
    assert json.loads((tmp_path / "a.json").read_text())["rows"]["factures"] == []


def test_all_that_is_known_of_a_practitioner(bench: KeeperBench, tmp_path: Path) -> None:
    assert gateway(bench, "export", "--holder", DOCTOR, str(tmp_path / "a")).returncode == 0
    told = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["rows"]
    assert [row["rpps"] for row in told["practitioners"]] == [DOCTOR]
    assert [row["rpps"] for row in told["mandates"]] == [DOCTOR]
    assert {row["verb"] for row in told["journal"]} == {"declare"}
    text = (tmp_path / "a.txt").read_text(encoding="utf-8")
    assert "Mandats : 1" in text and "  Déclaration de qui signe" in text
    assert not re.search(r"\d\dT\d\d:", text), "moments are those of Paris, all of them"


def test_the_alarm_is_ended_by_a_person_here(bench: KeeperBench) -> None:
    assert gateway(bench, "reveal", "--alarm-seen").returncode == 65
    assert gateway(bench, "reveal", "--alarm-seen", "--why", "vu avec Claire").returncode == 0

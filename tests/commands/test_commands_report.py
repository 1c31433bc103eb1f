"""``gateway report security`` as typed: complete, true, and without anybody's data."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import samples
from cryptography import x509
from development_pki import Pki
from keeper_bench import HOLDERS, KeeperBench
from personal_bench import ask, integrated
from stage import DOCTOR, REPO
from theft_scan import finds, key_secrets, nir_secret

from gateway.formats.b2 import check
from gateway.formats.days import day_words
from gateway.services.forward.settings import ForwardSettings
from gateway.services.keeper.personal import PERSONAL_ADMIN

CONTENT = samples.b2(7)
TITLES = ("Système et mises à jour", "Algorithmes en vigueur", "Certificats", "Listes de révocation", "Comptes",
          "Clés privées et secrets", "Ports TCP à l'écoute", "Disque et sauvegardes", "Journal", "Ce qui est gardé",
          "Consultations en clair", "États signalés")  # fmt: skip


@pytest.fixture(scope="module")
def bench(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeeperBench]:
    bench = KeeperBench(tmp_path_factory.mktemp("report") / "s", pki)
    fichier = integrated(bench, CONTENT, "DUPONT Marie.b2")
    bench.open(reveal={"alarm": 1, "limit": 9})
    assert ask(bench, PERSONAL_ADMIN, {"op": "reveal", "id": fichier, "lot": 1, "facture": 1, "why": "essai"})["ok"]
    bench.insert(DOCTOR)
    bench.turn()
    bench.desk.board.close()
    bench.desk.book.close()
    bench.stage.paths.key("keeper", "pseudonym.key").chmod(0o644)
    (sealed := bench.stage.paths.credential("keeper", "box-sign.key")).parent.mkdir(parents=True)
    sealed.write_bytes(b"sealed")
    sealed.chmod(0o400)
    yield bench
    bench.stage.close()


def report(bench: KeeperBench, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway", "report", "security", *words, "--config", str(bench.stage.config)]
    return subprocess.run(command, capture_output=True, text=True, cwd=REPO, timeout=120)


@pytest.fixture(scope="module")
def text(bench: KeeperBench) -> str:
    bench.stage.start("keeper")
    bench.stage.wait(lambda: bench.stage.paths.socket("admin").exists(), "the keeper")
    done = report(bench)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_has_every_section(text: str) -> None:
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == sorted(TITLES, key=text.index)
    assert all(f"## {title}" in text for title in TITLES)


def test_it_tells_what_is_so(text: str, bench: KeeperBench) -> None:
    certificate = x509.load_der_x509_certificate(bench.pki.certificate("box-seal"))
    curve = certificate.public_key().curve.name  # type: ignore[union-attr]
    assert f"| box-seal.pem | {curve} | {day_words(certificate.not_valid_after_utc)} |" in text
    assert "| keeper/pseudonym.key | 0644 | à corriger |" in text
    assert "| keeper/box-seal.key | 0600 | son seul service |" in text
    assert "| keeper/box-sign.key | 0400 | scellé |" in text
    assert "| ruptures | aucune |" in text
    assert "| copies scellées de fichiers | 1 |" in text
    assert "| factures suivies | 5 |" in text
    assert "TLSv1.3 au moins" in text
    assert "TLS_AES_256_GCM_SHA384" in text
    assert "RVL-ALARM" in text


def test_it_names_nobody(text: str, bench: KeeperBench) -> None:
    secrets = [nir_secret(one.nir) for lot in check(CONTENT).lots for one in lot.factures]
    assert finds("report", text.encode(), [*secrets, *key_secrets(bench.stage.paths.keys)]) == []
    others = (*HOLDERS.values(), "DUPONT", DOCTOR, samples.EMITTER, "cabinet.b2", f"127.0.0.1:{ForwardSettings().port}")
    assert [word for word in others if word in text] == []


def test_without_a_keeper_it_says_so(bench: KeeperBench, tmp_path: Path) -> None:
    if bench.stage.alive("keeper"):
        bench.stage.end("keeper")
    out = tmp_path / "rapport.md"
    assert report(bench, str(out)).returncode == 0
    assert "| gardien du livre | CMD-009 |" in out.read_text(encoding="utf-8")
    assert report(bench, str(out)).returncode == 65


def test_a_certificate_near_its_end_is_pointed_out(bench: KeeperBench) -> None:
    from gateway.commands import report as module

    end = x509.load_der_x509_certificate(bench.pki.certificate("box-seal")).not_valid_after_utc
    words = {}
    for days in (-1, 10, 200):
        rows = module._certificates(bench.stage.paths, end - timedelta(days=days)).rows
        words[days] = next(row[-1] for row in rows if row[0] == "box-seal.pem")
    assert words == {-1: "expiré", 10: "à renouveler", 200: "valable"}


def test_of_each_authority_the_newest_list_is_told_wherever_it_came_from(bench: KeeperBench) -> None:
    from gateway.commands import report as module

    paths, now = bench.stage.paths, bench.now
    before = module._lists(paths, now).rows
    fresh = paths.lists / "sante-from-the-line.crl"
    fresh.write_bytes(bench.pki.list_naming("box-seal", now + timedelta(days=300)))
    rows = module._lists(paths, now + timedelta(days=310)).rows
    fresh.unlink()
    assert len(rows) == len(before)
    assert [row[3] for row in rows if row[0] == fresh.name] == ["en cours"]
    assert {row[3] for row in rows if row[0] != fresh.name} == {"périmée"}

"""``gateway concentrator code|enrolments|revoke`` as typed."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from development_pki import Pki

from gateway.__main__ import main
from gateway.config import write_toml
from gateway.formats.codes import proof_key, read_code


@pytest.fixture
def config(pki: Pki, tmp_path: Path) -> Path:
    folder = pki.directory
    settings = {
        "directory": str(tmp_path / "oct"), "root": str(folder / "root.pem"), "crls": [str(folder / "crl/all.pem")],
        "enrolment": {
            "enabled": True, "authority_certificate": str(folder / "chains/boites.pem"),
            "authority_key": str(folder / "ca/boites.key"), "crl": str(tmp_path / "boites.crl"),
        },
    }  # fmt: skip
    file = tmp_path / "gateway.toml"
    file.write_text(write_toml({"concentrator": settings}))
    (tmp_path / "boites.crl").write_bytes((folder / "crl/boites.crl").read_bytes())
    return file


def typed(config: Path, *words: str) -> int:
    return main(["concentrator", *words, "--config", str(config)])


def test_a_code_is_printed_once_and_kept_nowhere(config: Path, pki: Pki, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        typed(config, "code", "CABINET1", "--rpps", "99900000011", "--mandate", "99900000011:991038431:titulaire") == 0
    )
    told = capsys.readouterr().out
    code = read_code(next(line.split()[1] for line in told.splitlines() if line.startswith("Code ")))
    assert hashlib.sha256(pki.root).hexdigest() in told
    directory = config.parent / "oct"
    written = b"".join(path.read_bytes() for path in directory.iterdir())
    assert code.encode() not in written
    with closing(sqlite3.connect(directory / "concentrator.db")) as store:
        row = store.execute("SELECT partner, rpps, key, tries, closed, mandates FROM enrolment_codes").fetchone()
    assert row == ("CABINET1", "99900000011", proof_key(code, "CABINET1"), 0, "",
                   '[["99900000011", "991038431", "titulaire"]]')  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [["code", "CABINET 1", "--rpps", "99900000011"], ["code", "CABINET1", "--rpps", "123"],
     ["code", "CABINET1", "--rpps", "99900000011", "--mandate", "a:b"], ["revoke", "NOBODY"]],
)  # fmt: skip
def test_what_cannot_be_done_is_said(config: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert typed(config, *words) == 65
    assert "ENR-01" in capsys.readouterr().err


def test_where_no_boxes_are_enrolled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text("[concentrator]\n")
    assert typed(file, "enrolments") == 65
    assert "ENR-011" in capsys.readouterr().err


def test_nobody_enrolled_yet(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed(config, "enrolments") == 0
    assert capsys.readouterr().out == "Aucun boîtier enrôlé.\n"
    with pytest.raises(SystemExit, match="64"):
        typed(config, "revoke", "CABINET1", "--certificate", "nothing")

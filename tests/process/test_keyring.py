"""Which file is the private key of a certificate of ours."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from development_pki import Pki

from gateway.config import Paths
from gateway.process.keyring import key_file, marked_key


@pytest.fixture
def paths(tmp_path: Path, pki: Pki) -> Paths:
    made = Paths(keys=tmp_path / "keys", trust=tmp_path / "trust")
    made.key("keeper", "x").parent.mkdir(parents=True)
    made.trust.mkdir()
    shutil.copy(pki.directory / "box-seal.pem", made.trust)
    return made


def test_the_key_that_the_box_made_comes_before_the_one_that_was_placed(paths: Paths, pki: Pki) -> None:
    assert key_file(paths, "keeper", "box-seal") == paths.key("keeper", "box-seal.key")
    made = marked_key(paths, "keeper", "box-seal", pki.certificate("box-seal"))
    shutil.copy(pki.directory / "box-seal.key", made)
    assert key_file(paths, "keeper", "box-seal") == made


@pytest.mark.parametrize(("given", "taken"), [("box-seal", True), ("box-sign", False)])
def test_a_key_that_systemd_gives_is_taken_where_it_is_the_certificate_s(
    paths: Paths, pki: Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, taken: bool
) -> None:
    """After a renewal systemd still gives the old one."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    shutil.copy(pki.directory / f"{given}.key", tmp_path / "box-seal.key")
    assert (key_file(paths, "keeper", "box-seal") == tmp_path / "box-seal.key") == taken

"""Which file is the private key of a certificate of ours."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from development_pki import Pki

from gateway.config import Paths
from gateway.envelope.algorithms import public_key
from gateway.envelope.box_keys import PASSWORD
from gateway.envelope.lists import bundle
from gateway.envelope.requests import mark
from gateway.errors import Refused
from gateway.process.credentials import condemned, secret_file
from gateway.process.keyring import ListFiles, key_file, made_keys, marked_key, password_file


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


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where systemd gives to this process what it opened."""
    folder = tmp_path / "given"
    folder.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    return folder


def test_a_key_that_systemd_gives_is_taken_where_none_lies_in_clear(paths: Paths, pki: Pki, given: Path) -> None:
    name = marked_key(paths, "keeper", "box-seal", pki.certificate("box-seal")).name
    for file in ("box-seal.key", name):  # placed by hand, then made by the box
        shutil.copy(pki.directory / "box-seal.key", given / f"keys_{file}")
        assert key_file(paths, "keeper", "box-seal") == given / f"keys_{file}"
    assert made_keys(paths, "keeper", "box-seal") == {name.split(".")[1]: given / f"keys_{name}"}
    shutil.copy(pki.directory / "box-seal.key", paths.key("keeper", name))
    assert key_file(paths, "keeper", "box-seal") == paths.key("keeper", name), "what lies in clear came later"


def test_passwords_and_secrets_are_given_like_keys(paths: Paths, pki: Pki, given: Path) -> None:
    shutil.copy(pki.directory / "box-transport.pem", paths.trust)
    which = mark(public_key(pki.certificate("box-transport")))
    for name in (PASSWORD, f"{PASSWORD}.{which}", "pseudonym.key"):
        (given / f"keys_{name}").write_bytes(b"00")
        file = password_file(paths) if name != "pseudonym.key" else secret_file(paths, "keeper", name)
        assert file == given / f"keys_{name}"


def test_a_key_that_was_given_up_is_none_any_more(paths: Paths, pki: Pki, given: Path) -> None:
    """Until root has destroyed it and started the service anew, systemd still gives it."""
    name = marked_key(paths, "keeper", "box-seal", pki.certificate("box-seal")).name
    shutil.copy(pki.directory / "box-seal.key", given / f"keys_{name}")
    condemned(paths, "keeper", name).touch()
    assert not key_file(paths, "keeper", "box-seal").exists()
    assert made_keys(paths, "keeper", "box-seal") == {}


def test_lists_are_read_again_when_a_file_changed(tmp_path: Path, pki: Pki) -> None:
    """Written anew, another put in its place, one more, one less; what is there twice counts once."""
    first, second, *_ = pki.lists
    (hand := tmp_path / "hand").mkdir()
    files = ListFiles(hand, tmp_path / "line")
    assert files.read() == ()
    (hand / "a.crl").write_bytes(first)
    marks = files.marks()
    assert files.read() == (first,)
    assert files.read() is files.read() and files.marks() == marks
    (hand / "b.crl").write_bytes(bundle([first, second]))
    assert files.marks() != marks
    assert sorted(files.read()) == sorted([first, second])
    (hand / "b.crl").unlink()
    assert files.read() == (first,)
    (hand / "new").write_bytes(second[: len(first)].ljust(len(first)))
    (hand / "new").rename(hand / "a.crl")
    for _ in range(2):
        with pytest.raises(Refused, match=r"a\.crl"):
            files.read()
    (hand / "a.crl").write_bytes(second)
    assert files.read() == (second,)

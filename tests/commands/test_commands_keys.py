"""``gateway keys seal`` as root types it, with the real systemd-creds and a TPM in software."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Collection
from pathlib import Path

import pytest
import swtpm
from development_pki import Pki
from keeper_bench import KeeperBench
from power_cut import last_cut, run_until_cut

from gateway.__main__ import main
from gateway.config import Paths, write_toml
from gateway.envelope.seal import open_sealed
from gateway.errors import Refused
from gateway.process import credentials
from gateway.process.credentials import CONDEMNED, stored

MARK = "00112233"
SECRETS = {
    "forward": {f"box-transport.{MARK}.key": b"line", f"oct-password.{MARK}": b"password"},
    "intake": {"fichier-ids.key": b"00" * 32},
    "keeper": {f"box-seal.{MARK}.key": b"-----BEGIN PRIVATE KEY-----\n" * 9, "pseudonym.key": b"11" * 32},
    "status": {f"box-lan-status.{MARK}.key": b"page"},
}


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """A box after its enrolment; the machine's secret of systemd is one of the test's own, and there is no TPM."""
    if os.geteuid() != 0:
        pytest.skip("only root seals")
    monkeypatch.setenv("SYSTEMD_CREDENTIAL_SECRET", str(tmp_path / "machine.secret"))
    monkeypatch.setenv(swtpm.VARIABLE, swtpm.NO_TPM)
    made = Paths(keys=tmp_path / "etc/keys", trust=tmp_path / "etc/trust")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/gateway.toml").write_text(write_toml({"box": {"keys": str(made.keys), "trust": str(made.trust)}}))
    for owner in SECRETS:
        (made.keys / owner).mkdir(parents=True)
        (made.credentials / owner).mkdir(parents=True)
    furnish(made)
    return made


def furnish(paths: Paths, owners: Collection[str] = tuple(SECRETS)) -> None:
    for owner, named in ((owner, SECRETS[owner]) for owner in owners):
        for name, content in named.items():
            put(paths.key(owner, name), content)


def put(path: Path, content: bytes) -> Path:
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    path.chmod(0o400)
    return path


def seal(paths: Paths, *words: str) -> int:
    return main(["keys", "seal", *words, "--config", str(paths.keys.parent / "gateway.toml")])


def host(paths: Paths) -> int:
    return seal(paths, "--with-key", "host")


def files(place: Path) -> set[str]:
    return {str(path.relative_to(place)) for path in place.rglob("*") if not path.is_dir()}


ALL = {f"{owner}/{name}" for owner, named in SECRETS.items() for name in named}


def check_kept(paths: Paths, owners: Collection[str] = tuple(SECRETS)) -> None:
    """Root can still read everything, in clear or sealed."""
    for owner in owners:
        assert {name: stored(paths, owner, name) for name in SECRETS[owner]} == SECRETS[owner]


def check_sealed(paths: Paths, owners: Collection[str] = tuple(SECRETS)) -> None:
    """Nothing is in clear, nothing is left half done, and all of it opens again."""
    names = {f"{owner}/{name}" for owner in owners for name in SECRETS[owner]}
    assert (files(paths.keys), files(paths.credentials)) == (set(), names)
    check_kept(paths, owners)
    every = b"".join(path.read_bytes() for path in paths.credentials.rglob("*") if path.is_file())
    assert not [name for named in SECRETS.values() for name, content in named.items() if content in every]


def test_what_is_in_clear_is_sealed_and_destroyed(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    assert host(paths) == 0
    check_sealed(paths)
    assert {path.stat().st_mode & 0o777 for path in paths.credentials.rglob("*.*")} == {0o400}
    told = capsys.readouterr().out.splitlines()
    assert len(told) == len(ALL)
    assert "keeper/pseudonym.key : scellé à la clé de la machine, détruit en clair." in told
    assert host(paths) == 0
    assert capsys.readouterr().out == ""


def test_killed_before_any_change_no_secret_is_lost_and_the_next_run_ends_it(paths: Paths) -> None:
    cut, owners = 0, ("keeper", "status")
    while cut < 200:
        cut += 1
        for path in (*paths.keys.rglob("*.*"), *paths.credentials.rglob("*.*")):
            path.unlink()
        furnish(paths, owners)
        run_until_cut(cut, lambda: host(paths))
        check_kept(paths, owners)
        over = last_cut()
        assert host(paths) == 0
        check_sealed(paths, owners)
        if over:
            break
    assert 20 < cut < 200, "every change was cut before"


def test_a_clear_secret_is_overwritten_and_not_only_removed(paths: Paths) -> None:
    path = paths.key("keeper", "pseudonym.key")
    with path.open("rb") as held:
        assert host(paths) == 0
        left = held.read()
    assert len(left) == len(SECRETS["keeper"]["pseudonym.key"])
    assert left != SECRETS["keeper"]["pseudonym.key"]


def test_what_is_placed_later_wins(paths: Paths) -> None:
    """A restore writes in clear what may be sealed already."""
    assert host(paths) == 0
    put(paths.key("keeper", "pseudonym.key"), b"22" * 32)
    assert stored(paths, "keeper", "pseudonym.key") == b"22" * 32
    assert host(paths) == 0
    assert stored(paths, "keeper", "pseudonym.key") == b"22" * 32
    assert files(paths.keys) == set()


# -- to what


def test_without_a_tpm_nothing_is_done_and_it_says_why(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    assert seal(paths) == 0
    assert (files(paths.keys), files(paths.credentials)) == (ALL, set())
    told = capsys.readouterr().out
    assert told.count("pas de TPM utilisable") == 1
    assert "ne protège pas d'un vol" in told
    assert seal(paths, "--with-key", "tpm2") == 65
    assert files(paths.keys) == ALL


def test_without_systemd_creds_it_says_so(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert host(paths) == 65
    assert "KEY-001" in capsys.readouterr().err
    assert files(paths.keys) == ALL


def test_where_there_is_a_tpm_all_is_sealed_to_it_and_opens_with_no_other(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "pseudonym.key"
    with swtpm.running(tmp_path / "one") as device:
        monkeypatch.setenv(swtpm.VARIABLE, device)
        assert seal(paths) == 0
        assert f"keeper/{name} : scellé au TPM, détruit en clair." in capsys.readouterr().out
        check_sealed(paths)
    assert not (tmp_path / "machine.secret").exists()
    with swtpm.running(tmp_path / "another") as device:
        monkeypatch.setenv(swtpm.VARIABLE, device)
        with pytest.raises(Refused, match="KEY-002"):
            stored(paths, "keeper", name)
    with swtpm.running(tmp_path / "one") as device:
        monkeypatch.setenv(swtpm.VARIABLE, device)
        assert stored(paths, "keeper", name) == SECRETS["keeper"][name]


# -- a hostile service


def _link(path: Path) -> None:
    path.symlink_to(path.parents[3] / "foreign")


def _hard_link(path: Path) -> None:
    os.link(path.parents[3] / "foreign", path)


def _unfinished(path: Path) -> None:
    put(path, b"half").chmod(0o600)


def _others(path: Path) -> None:
    os.chown(put(path, b"root's"), 1, 1)


def _large(path: Path) -> None:
    put(path, bytes(1 << 17))


@pytest.mark.parametrize("place", [_link, _hard_link, _unfinished, _others, _large, os.mkfifo, Path.mkdir])
def test_only_a_finished_file_of_the_owner_is_sealed(
    paths: Paths, tmp_path: Path, capsys: pytest.CaptureFixture[str], place: Callable[[Path], None]
) -> None:
    foreign = put(tmp_path / "foreign", b"a secret of somebody else")
    place(paths.key("keeper", "odd.key"))
    assert host(paths) == 65
    told = capsys.readouterr().err
    assert "KEY-003 keeper/odd.key : laissé en clair" in told
    assert files(paths.credentials) == ALL
    assert foreign.read_bytes() == b"a secret of somebody else"


def test_a_service_that_is_in_the_way_of_its_own_keys_is_in_nobody_else_s(paths: Paths) -> None:
    (paths.keys / f"forward/.sealed.box-transport.{MARK}.key").mkdir()
    assert host(paths) == 65
    check_kept(paths)
    assert {name for name in ALL if not name.startswith("forward/")} == files(paths.credentials) - {
        name for name in ALL if name.startswith("forward/")
    }
    assert all(name.startswith("forward/") for name in files(paths.keys))


# -- what a service gives up


def test_what_a_service_gives_up_is_destroyed_sealed_too(paths: Paths) -> None:
    assert host(paths) == 0
    (paths.keys / f"keeper/{CONDEMNED}box-seal.{MARK}.key").touch()
    (paths.keys / f"keeper/{CONDEMNED}never.key").touch()
    (paths.keys / f"keeper/{CONDEMNED}..").touch()
    with (paths.credentials / f"keeper/box-seal.{MARK}.key").open("rb") as held:
        before = held.read()
        assert seal(paths) == 0
        held.seek(0)
        assert held.read() != before
    assert files(paths.credentials) == ALL - {f"keeper/box-seal.{MARK}.key"}
    assert files(paths.keys) == {f"keeper/{CONDEMNED}.."}


def test_killed_while_it_destroys_it_ends_it_the_next_time(paths: Paths) -> None:
    cut = 0
    while cut < 30:
        cut += 1
        furnish(paths)
        assert host(paths) == 0
        (paths.keys / f"keeper/{CONDEMNED}pseudonym.key").touch()
        run_until_cut(cut, lambda: seal(paths))
        over = last_cut()
        assert seal(paths) == 0
        assert (files(paths.keys), files(paths.credentials)) == (set(), ALL - {"keeper/pseudonym.key"})
        if over:
            break
    assert 3 < cut < 30


# -- other commands


def test_a_backup_has_the_secrets_that_are_sealed(pki: Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root seals")
    monkeypatch.setenv("SYSTEMD_CREDENTIAL_SECRET", str(tmp_path / "machine.secret"))
    stage = KeeperBench(tmp_path / "s", pki).stage
    expected = {}
    for service, name in (("intake", "fichier-ids.key"), ("keeper", "pseudonym.key")):
        expected[f"secrets/{name}"] = content = stage.paths.key(service, name).read_bytes()
        (stage.paths.credentials / service).mkdir(parents=True)
        (stage.paths.credential(service, name)).write_bytes(credentials.encrypt(name, content, credentials.HOST))
        stage.paths.key(service, name).unlink()
    out = tmp_path / "x.sauvegarde"
    command = [sys.executable, "-m", "gateway", "backup", str(out), "--config", str(stage.config)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    clear = io.BytesIO()
    open_sealed(io.BytesIO(out.read_bytes()), clear, pki.certificate("recovery"), pki.key("recovery"))
    with tarfile.open(fileobj=io.BytesIO(clear.getvalue())) as tar:
        found = {name: tar.extractfile(name).read() for name in expected}  # type: ignore[union-attr]
    assert found == expected

"""CMS by hand from a shell: files and pipes, and nothing at all where a check fails."""

from __future__ import annotations

import argparse
import io
import os
import resource
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from development_pki import Pki

from gateway.commands import envelope
from gateway.commands.spool import Spool
from gateway.errors import Deferred, Refused, Scope, Trouble

CARD = "practitioners/99900000011/sig"
DATA = os.urandom(700_000)


def run(*words: str | Path) -> int:
    parser = argparse.ArgumentParser()
    envelope.register(parser.add_subparsers(required=True))
    arguments = parser.parse_args(["envelope", *map(str, words)])
    act = arguments.act
    result: int = act(arguments)
    return result


class Shell:
    """The words that a person types again and again, over one PKI and one directory."""

    def __init__(self, pki: Pki, directory: Path) -> None:
        self.pki, self.directory = pki.directory, directory
        self.content = directory / "content"
        self.content.write_bytes(DATA)

    def identity(self, name: str) -> list[str | Path]:
        return ["--certificate", self.pki / f"{name}.pem", "--key", self.pki / f"{name}.key"]

    def sign(self, source: str | Path, target: str | Path, name: str = CARD) -> int:
        return run("sign", source, target, *self.identity(name), "--chain", self.pki / "chains" / "sante.pem")

    def seal(self, source: str | Path, target: str | Path, *names: str) -> int:
        to = [word for name in names for word in ("--to", self.pki / f"{name}.pem")]
        return run("seal", source, target, *to)

    def open(self, source: str | Path, target: str | Path, name: str = "oct-seal") -> int:
        return run("open", source, target, *self.identity(name))

    def verify(self, source: str | Path, target: str | Path, *more: str | Path) -> int:
        crl = [] if "--crl" in more else ["--crl", self.pki / "crl" / "all.pem"]
        return run("verify", source, target, "--trust", self.pki / "root.pem", *crl, *more)

    def left(self) -> set[str]:
        return {path.name for path in self.directory.iterdir()}


@pytest.fixture
def shell(pki: Pki, tmp_path: Path) -> Shell:
    return Shell(pki, tmp_path)


def test_signed_and_sealed_then_opened_and_verified(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    signed, sealed, opened, checked = (shell.directory / name for name in ("s", "e", "o", "c"))
    assert shell.sign(shell.content, signed) == 0
    assert shell.seal(signed, sealed, "oct-seal", "recovery") == 0
    for name in ("oct-seal", "recovery"):
        assert shell.open(sealed, opened, name) == 0
        assert opened.read_bytes() == signed.read_bytes()
    assert shell.verify(opened, checked) == 0
    assert checked.read_bytes() == DATA
    assert "Signature valable" in capsys.readouterr().err
    assert shell.left() == {"content", "s", "e", "o", "c"}


class Pipe(io.BytesIO):
    """A standard stream that cannot be sought."""

    def seekable(self) -> bool:
        return False


def piped(monkeypatch: pytest.MonkeyPatch, data: bytes) -> io.BytesIO:
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=Pipe(data)))
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=out))
    return out


def test_the_same_through_pipes(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    flow = DATA
    for act in (shell.sign, lambda *ends: shell.seal(*ends, "oct-seal"), shell.open, shell.verify):
        out = piped(monkeypatch, flow)
        assert act("-", "-") == 0
        flow = out.getvalue()
    assert flow == DATA


def test_what_waits_for_a_pipe_is_unreadable_on_the_disk() -> None:
    spool = Spool()
    spool.write(b"DUPONT JEANNE " * 100)
    spool._file.flush()
    assert b"DUPONT" not in Path(f"/proc/self/fd/{spool._file.fileno()}").read_bytes()
    for _ in range(2):
        spool.rewind()
        assert spool.read(14) == b"DUPONT JEANNE "
    spool.close()


def test_a_touched_envelope_leaves_nothing(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    sealed, target = shell.directory / "e", shell.directory / "o"
    shell.seal(shell.content, sealed, "oct-seal")
    touched = bytearray(sealed.read_bytes())
    touched[-1] ^= 1
    sealed.write_bytes(touched)
    with pytest.raises(Refused, match="CMS-022"):
        shell.open(sealed, target)
    out = piped(monkeypatch, bytes(touched))
    with pytest.raises(Refused, match="CMS-022"):
        shell.open("-", "-")
    assert shell.left() == {"content", "e"} and out.getvalue() == b""


VERDICTS = {
    "no list": (CARD, ["--crl", "zoo/crl/stale-root.crl"], Deferred, "CMS-037"),
    "out of date": (CARD, ["--crl", "zoo/crl/stale-root.crl", "zoo/crl/stale-sante.crl"], Deferred, "CMS-038"),
    "revoked": ("zoo/revoked/sig", [], Refused, "CMS-036"),
    "not for this": ("practitioners/99900000011/auth", [], Refused, "CMS-034"),
    "not under that policy": (CARD, ["--policy", "2.25.2"], Refused, "CMS-043"),
    "for another use": (CARD, ["--use", "sign-return"], Refused, "CMS-034"),
    "strangers": ("zoo/foreign/sig", [], Refused, "CMS-031"),
}


@pytest.mark.parametrize(("name", "more", "kind", "code"), VERDICTS.values(), ids=VERDICTS)
def test_a_signer_who_may_not_leaves_nothing(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, name: str, more: list[str], kind: type[Trouble], code: str
) -> None:
    signed, target = shell.directory / "s", shell.directory / "o"
    shell.sign(shell.content, signed, name)
    words = [shell.pki / word if word.endswith(".crl") else word for word in more]
    with pytest.raises(kind, match=code) as trouble:
        shell.verify(signed, target, *words)
    assert kind is Refused or trouble.value.scope is Scope.BOX  # exit 75 and not 69
    out = piped(monkeypatch, signed.read_bytes())
    with pytest.raises(kind, match=code):
        shell.verify("-", "-", *words)
    assert shell.left() == {"content", "s"} and out.getvalue() == b""


def test_a_target_that_was_there_survives_a_refusal(shell: Shell) -> None:
    with pytest.raises(Refused, match="CMS-00"):
        shell.open(shell.content, shell.content)
    assert shell.content.read_bytes() == DATA


def test_what_cannot_be_read_or_written_is_said(shell: Shell) -> None:
    missing, target = shell.directory / "missing", shell.directory / "o"
    for source in (missing, shell.directory):
        with pytest.raises(Refused, match="CMS-050"):
            shell.sign(source, target)
    with pytest.raises(Refused, match="CMS-050"):
        run("open", shell.content, target, "--certificate", missing, "--key", missing)
    with pytest.raises(Refused, match="CMS-052"):
        shell.sign(shell.content, shell.directory / "no" / "where")


def gateway(*words: str | Path, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "gateway", "envelope", *words]
    return subprocess.run(command, stderr=subprocess.PIPE, check=False, **options)


@pytest.mark.parametrize(("closed", "code"), [("<&-", "CMS-050"), (">&-", "CMS-052")])
def test_a_standard_stream_that_is_closed_is_said(shell: Shell, closed: str, code: str) -> None:
    words = ["seal", "-", "-", "--to", shell.pki / "oct-seal.pem"]
    command = ["sh", "-c", f'"$@" {closed}', "sh", sys.executable, "-m", "gateway", "envelope", *words]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert done.returncode == 65 and done.stderr.decode().startswith(f"gateway : {code}")


def test_a_device_is_not_replaced_by_a_file(shell: Shell) -> None:
    pipe = shell.directory / "pipe"
    os.mkfifo(pipe)
    for target in (Path(os.devnull), pipe, shell.directory):
        with pytest.raises(Refused, match="CMS-052"):
            shell.seal(shell.content, target, "oct-seal")
    assert Path(os.devnull).is_char_device() and pipe.is_fifo()
    assert shell.left() == {"content", "pipe"}


def test_a_named_pipe_is_read_as_a_pipe(shell: Shell) -> None:
    pipe, sealed, opened = (shell.directory / name for name in ("pipe", "e", "o"))
    os.mkfifo(pipe)
    shell.seal(shell.content, sealed, "oct-seal")
    for source, act, target in ((shell.content, partial(shell.seal, pipe, opened, "oct-seal"), opened),
                                (sealed, partial(shell.open, pipe, opened), opened)):  # fmt: skip
        with subprocess.Popen(["cp", source, pipe]) as writer:
            assert act() == 0
        assert writer.returncode == 0 and target.stat().st_size
    assert opened.read_bytes() == DATA


def test_a_full_disk_and_a_closed_pipe_end_in_a_sentence(shell: Shell) -> None:
    sealed = shell.directory / "e"
    shell.seal(shell.content, sealed, "oct-seal")
    words = ["open", sealed, "-", *shell.identity("oct-seal")]
    with Path("/dev/full").open("wb") as full:
        done = gateway(*words, stdout=full)
    assert (done.returncode, done.stderr.count(b"\n")) == (75, 1) and b"CMS-053" in done.stderr
    reading, writing = os.pipe()
    os.close(reading)
    done = gateway(*words, stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr.count(b"\n")) == (75, 1) and b"CMS-053" in done.stderr
    limits = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (500_000, 500_000))
    done = gateway(*words[:2], shell.directory / "o", *words[3:], preexec_fn=limits)
    assert (done.returncode, done.stderr.count(b"\n")) == (75, 1) and b"CMS-053" in done.stderr
    assert shell.left() == {"content", "e"}


def test_a_key_of_another_certificate_is_said(shell: Shell) -> None:
    words = ["--certificate", shell.pki / "box-seal.pem", "--key", shell.pki / "box-sign.key"]
    with pytest.raises(Refused, match="CMS-042"):
        run("open", shell.content, shell.directory / "o", *words)


def test_the_exit_codes_of_the_command_itself(shell: Shell) -> None:
    sealed, trust = shell.directory / "e", ["--trust", shell.pki / "root.pem"]
    assert gateway("seal", shell.content, sealed, "--to", shell.pki / "oct-seal.pem").returncode == 0
    assert gateway("seal", shell.content).returncode == 64
    assert gateway("verify", sealed, "-", *trust).returncode == 65
    shell.sign(shell.content, sealed)
    assert gateway("verify", sealed, "-", *trust).returncode == 75


@pytest.mark.parametrize("words", [[], ["seal", "a", "b"], ["open", "a", "b", "--key", "k"], ["melt", "a", "b"]])
def test_usage(words: list[str]) -> None:
    with pytest.raises(SystemExit):
        run(*words)

"""``gateway card …`` as typed, under the real pcscd."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from card_bench import NURSE, InsertedCard, Pcscd, until_seen
from development_pki import Pki
from pin_scan import CODE, NEW, PUK, WRONG
from virtual_cps import files


@pytest.fixture(scope="module")
def apart() -> Iterator[Pcscd]:
    pcscd = Pcscd()
    yield pcscd
    pcscd.close()


@pytest.fixture(scope="module")
def inserted(apart: Pcscd, pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> InsertedCard:
    card = apart.start_card(pki, tmp_path_factory.mktemp("card") / "codes.json")
    until_seen(apart)
    return card


def gateway(apart: Pcscd, *words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway", "card", *map(str, words)]
    return subprocess.run(command, env=apart.environment, capture_output=True, text=True, timeout=60)


def seen(apart: Pcscd, reader: int, words: str) -> None:
    """Wait until ``card list`` says ``words`` of a reader."""
    end = time.monotonic() + 15
    while json.loads(gateway(apart, "list", "--json").stdout)[reader]["card"] != words:
        assert time.monotonic() < end


def typed(apart: Pcscd, keys: bytes, *words: str) -> tuple[int, str, bool]:
    """A command on a terminal where ``keys`` are typed at its first question: exit code, what the terminal showed, and
    whether it still shows what is typed."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "gateway", "card", *words]
    with os.fdopen(ours, "rb", buffering=0) as screen:
        process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=apart.environment, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        shown = b""
        while b" : " not in shown:
            shown += screen.read(1000)
        os.write(ours, keys)
        status = process.wait(30)
        echo = bool(termios.tcgetattr(theirs)[3] & termios.ECHO)
        os.set_blocking(ours, False)
        shown += screen.read(10000) or b""
    os.close(theirs)
    return status, shown.decode(), echo


@pytest.mark.parametrize(
    ("keys", "status", "said"),
    [(b"\x03", 130, ""), (b"\x04", 65, "CPS-CODE"), (b"12\xe934\n", 65, "CPS-CODE")],
    ids=["Ctrl-C", "Ctrl-D", "no UTF-8"],
)
def test_the_terminal_is_left_as_it_was(apart: Pcscd, keys: bytes, status: int, said: str) -> None:
    left, shown, echo = typed(apart, keys, "authenticate")
    assert (left, echo) == (status, True), shown
    assert said in shown
    assert "Traceback" not in shown


def test_no_dump_of_a_command_that_is_given_a_code() -> None:
    ask = "import ctypes, resource; return_code = lambda _: print(resource.getrlimit(resource.RLIMIT_CORE)[0],"
    ask += " ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    probe = f"{ask}; import gateway.commands.card as c; c.bounded(return_code, None)"
    assert subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True).stdout == "0 0\n"


def code(path: Path, digits: str) -> Path:
    path.write_text(f"{digits}\n")
    return path


def test_without_a_card() -> None:
    pcscd = Pcscd()
    try:
        listed = gateway(pcscd, "list")
        assert listed.stdout == "Virtual PCD 00 00 : vide\nVirtual PCD 00 01 : vide\n"
        done = gateway(pcscd, "info")
        assert (done.returncode, done.stdout) == (69, "")
        assert "CPS-ABSENT" in done.stderr
    finally:
        pcscd.close()
    done = gateway(pcscd, "list")
    assert done.returncode == 69
    assert "CPS-NO-SERVICE" in done.stderr


@pytest.mark.usefixtures("inserted")
class TestInserted:
    def test_list(self, apart: Pcscd) -> None:
        first, second = json.loads(gateway(apart, "list", "--json").stdout)
        assert (first["card"], second["card"]) == ("CPS3", "vide")

    def test_info(self, apart: Pcscd) -> None:
        row = json.loads(gateway(apart, "info", "--json").stdout)
        assert (row["holder"], row["tries"], row["kind"]) == ("CLAIRE ESSAI", 3, "CPS")
        assert (row["register"], row["number"], row["profession"]) == ("RPPS", "99900000011", "Médecin")
        assert row["identifier"] == "99900000011"
        assert "data" not in row, "nothing behind the code without the code"
        assert "CLAIRE ESSAI" in gateway(apart, "info").stdout

    def test_info_with_the_code(self, apart: Pcscd, tmp_path: Path) -> None:
        """What only the code opens, by the card's own pointers, as it is."""
        row = json.loads(gateway(apart, "info", "--json", "--pin-file", code(tmp_path / "code.pin", CODE)).stdout)
        shown = {one["label"]: bytes.fromhex(one["bytes"]) for one in row["data"]}
        assert shown == {one.label: one.content for one in files.DATA_OBJECTS}
        words = gateway(apart, "info", "--pin-file", tmp_path / "code.pin").stdout
        assert "CPS_SIT_FACT" in words
        assert "CABINET DE TEST" in words

    def test_trace(self, apart: Pcscd, tmp_path: Path) -> None:
        trace = tmp_path / "trace"
        done = gateway(apart, "authenticate", "--pin-file", code(tmp_path / "code.pin", CODE), "--trace", trace)
        assert done.returncode == 0, done.stderr
        lines = trace.read_text().splitlines()
        assert lines[0] == "> 00 A4 09 04 04 3F 00 D0 10  < 6A 82", "never updated"
        assert lines[1].startswith("> 00 A4 09 04 04 3F 00 D0 03  < 61")
        assert "> 00 20 00 01 …  < 90 00" in lines
        assert "31 32 33 34" not in trace.read_text()

    def test_authenticate(self, apart: Pcscd, tmp_path: Path) -> None:
        done = gateway(apart, "authenticate", "--pin-file", code(tmp_path / "code.pin", CODE))
        assert (done.returncode, done.stderr) == (0, "")
        assert "porte la clé" in done.stdout

    def test_sign(self, apart: Pcscd, pki: Pki, tmp_path: Path) -> None:
        """What the card signs, openssl verifies, with chain and root."""
        content, out, opened = (tmp_path / name for name in ("content", "out.p7m", "opened"))
        content.write_bytes(bytes(range(256)) * 1000)
        done = gateway(apart, "sign", content, out, "--pin-file", code(tmp_path / "code.pin", CODE))
        assert done.returncode == 0, done.stderr
        trust = tmp_path / "trust.pem"
        trust.write_bytes(b"".join((pki.directory / name).read_bytes() for name in ("root.pem", "chains/sante.pem")))
        verify = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", out, "-out", opened]
        said = subprocess.run([*verify, "-CAfile", trust, "-purpose", "any"], capture_output=True, text=True)
        assert said.returncode == 0, said.stderr
        assert opened.read_bytes() == content.read_bytes()
        assert sorted(path.name for path in tmp_path.iterdir()) == [
            "code.pin", "content", "opened", "out.p7m", "trust.pem",
        ]  # fmt: skip

    def test_a_wrong_code(self, apart: Pcscd, inserted: InsertedCard, tmp_path: Path) -> None:
        content = tmp_path / "content"
        content.write_bytes(b"x")
        done = gateway(apart, "sign", content, tmp_path / "out", "--pin-file", code(tmp_path / "code.pin", WRONG))
        assert done.returncode == 65
        assert "CPS-63C" in done.stderr
        assert WRONG not in done.stderr
        assert not (tmp_path / "out").exists()
        assert json.loads(inserted.state.read_text())["tries"]["1"] == 2

    def test_change_and_unblock(self, apart: Pcscd, inserted: InsertedCard, tmp_path: Path) -> None:
        right, other = code(tmp_path / "right.pin", CODE), code(tmp_path / "other.pin", NEW)
        puk = code(tmp_path / "puk.pin", PUK)
        assert gateway(apart, "change-pin", "--pin-file", right, "--new-pin-file", other).returncode == 0
        assert json.loads(inserted.state.read_text())["secrets"]["1"] == NEW
        assert gateway(apart, "unblock", "--puk-file", puk, "--new-pin-file", right).returncode == 0
        assert json.loads(inserted.state.read_text())["secrets"]["1"] == CODE

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["sign", "/nonexistent", "/tmp/out", "--pin-file", "/nonexistent"], "CPS-FILE"),
            (["authenticate", "--pin-file", "/nonexistent"], "CPS-CODE"),
        ],
    )
    def test_files_that_are_not_there(self, apart: Pcscd, words: list[str], said: str) -> None:
        done = gateway(apart, *words)
        assert done.returncode == 65
        assert said in done.stderr
        assert "Traceback" not in done.stderr

    def test_of_several_cards_none_is_chosen(self, apart: Pcscd, pki: Pki, tmp_path: Path) -> None:
        """A code is never offered to a colleague's card because it lies in the reader that comes first."""
        digits = code(tmp_path / "code.pin", CODE)
        other = apart.start_card(pki, tmp_path / "codes.json", name=NURSE, port=35964)
        try:
            seen(apart, 1, "CPS3")
            done = gateway(apart, "authenticate", "--pin-file", digits)
            assert (done.returncode, "CPS-WHICH" in done.stderr) == (65, True), done.stderr
            shown = gateway(apart, "info", "--json", "--reader", "Virtual PCD 00 01")
            assert json.loads(shown.stdout)["identifier"] == NURSE
            assert gateway(apart, "authenticate", "--pin-file", digits, "--reader", "Virtual PCD 00 01").returncode == 0
            done = gateway(apart, "info", "--reader", "Virtual PCD")
            assert (done.returncode, "CPS-NO-READER" in done.stderr) == (69, True)
        finally:
            other.pull()
            seen(apart, 1, "vide")

    def test_the_last_try_is_a_person_s_decision(self, apart: Pcscd, inserted: InsertedCard, tmp_path: Path) -> None:
        right, wrong = code(tmp_path / "right.pin", CODE), code(tmp_path / "wrong.pin", WRONG)

        def tries() -> int:
            return int(json.loads(inserted.state.read_text())["tries"]["1"])

        while tries() > 1:
            gateway(apart, "authenticate", "--pin-file", wrong)
        for words in (["authenticate"], ["change-pin", "--new-pin-file", right]):
            done = gateway(apart, *words, "--pin-file", right)
            assert (done.returncode, "CPS-LAST-TRY" in done.stderr, tries()) == (65, True, 1)
        assert gateway(apart, "authenticate", "--pin-file", right, "--last-try").returncode == 0
        assert tries() == 3

    def test_usage(self, apart: Pcscd) -> None:
        assert gateway(apart).returncode == 64
        assert gateway(apart, "eject").returncode == 64


def test_a_reader_that_hangs_ends_the_command(pki: Pki, tmp_path: Path) -> None:
    pcscd = Pcscd()
    try:
        faults = tmp_path / "faults.json"
        faults.write_text(json.dumps([{"do": "hang"}]))
        pcscd.start_card(pki, tmp_path / "codes.json", "--faults", str(faults))
        until_seen(pcscd)
        words = "import gateway.commands.card as c, gateway.__main__ as m, sys; c.PATIENCE_S = 1.0; sys.exit(m.main())"
        begun = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", words, "card", "info"],
            env=pcscd.environment,
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert done.returncode == 69, done.stderr
        assert "CPS-HUNG" in done.stderr
        assert time.monotonic() - begun < 10
    finally:
        pcscd.close()

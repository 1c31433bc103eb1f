"""``gateway pesit`` as it is typed: real processes on both sides."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from development_pki import Pki

GATEWAY = [sys.executable, "-m", "gateway", "pesit"]
PASSWORD = "S3CRETPW"
CONTENT = bytes(i * i % 251 for i in range(300_000))
QUICK = ["--timeout", "5"]


def gateway(*words: object, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*GATEWAY, *map(str, words)], capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr
    assert not check or done.returncode == 0, done.stderr
    return done


def told(*words: object, code: int = 0) -> dict[str, Any]:
    done = gateway(*words, "--json", check=False)
    assert done.returncode == code, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@dataclass
class Server:
    """``pesit serve`` in ``path``; it can be killed and started again on its port."""

    path: Path
    words: Sequence[object] = ()
    port: int = 0
    child: subprocess.Popen[str] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for name in ("in", "out"):
            (self.path / name).mkdir(exist_ok=True)

    def start(self) -> None:
        command = [*GATEWAY, "serve", "--listen", f"127.0.0.1:{self.port}", "--name", "SRV", "--json"]
        command += ["--directory", self.path / "in", "--outgoing", self.path / "out", *QUICK, *map(str, self.words)]
        log = (self.path / "log").open("a+")
        at = log.seek(0, 2)
        self.child = subprocess.Popen(list(map(str, command)), stdout=log, stderr=subprocess.STDOUT, text=True)
        while "\n" not in (line := (self.path / "log").read_bytes()[at:].decode()):
            assert self.child.poll() is None, line
            time.sleep(0.02)
        self.port = json.loads(line.splitlines()[0])["port"]

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.child is not None
        self.child.send_signal(number)
        return self.child.wait(20)

    def url(self, password: str = PASSWORD, scheme: str = "pesit", host: str = "127.0.0.1") -> str:
        return f"{scheme}://BOX:{password}@{host}:{self.port}/SRV"

    def events(self, kind: str) -> list[dict[str, Any]]:
        lines = map(json.loads, (self.path / "log").read_text().splitlines())
        return [line for line in lines if line["event"] == kind]

    def received(self, name: str) -> bytes:
        return (self.path / "in" / name).read_bytes()


@contextmanager
def serving(path: Path, *words: object, partner: bool = True) -> Iterator[Server]:
    server = Server(path, [*(["--partner", f"BOX:{PASSWORD}"] if partner else []), *words])
    server.start()
    try:
        yield server
    finally:
        assert server.child is not None
        if server.child.poll() is None:
            server.end()
        assert "Traceback" not in (path / "log").read_text()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path, "--trace", tmp_path / "server.trace") as running:
        yield running


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "claims.bin"
    path.write_bytes(CONTENT)
    return path


# --- there and back --------------------------------------------------------------------------------------------------


@pytest.mark.fact("F-84", "F-86", "F-95")
@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--profile", "axway"],
        ["--profile", "connect-express"],
        ["--profile", "waarp"],
        ["--framing", "raw", "--pre-connection", "--entity", "300", "--sync", "64", "--window", "0"],
        ["--compress", "both", "--article", "512", "--sync", "8", "--window", "1"],
        ["--crc", "--sync", "0"],
        ["--fixed", "--article", "1000"],
    ],
)
def test_a_file_is_sent(words: list[str], server: Server, file: Path) -> None:
    result = told("send", file, "--to", server.url(), "--as", "FSE", *words)
    assert server.received("FSE") == CONTENT
    assert (result["size"], result["moved"], result["restarted_from"]) == (len(CONTENT), len(CONTENT), 0)
    (event,) = server.events("received")
    assert (event["partner"], event["transfer_id"], event["bytes"]) == ("BOX", result["transfer_id"], len(CONTENT))
    assert not list(file.parent.glob(".*.pesit")), "the context goes with the end"


@pytest.mark.parametrize("words", [[], ["--profile", "axway"], ["--compress", "vertical", "--crc"]])
def test_a_file_is_fetched(words: list[str], server: Server, tmp_path: Path) -> None:
    (tmp_path / "out" / "list.bin").write_bytes(CONTENT)
    out = tmp_path / "got"
    result = told("get", "list.bin", out, "--from", server.url(), *words)
    assert out.read_bytes() == CONTENT and result["size"] == len(CONTENT)
    (event,) = server.events("delivered")
    assert (event["name"], event["transfer_id"]) == ("list.bin", result["transfer_id"])
    (tmp_path / "folder").mkdir()
    gateway("get", "list.bin", tmp_path / "folder", "--from", server.url())
    assert (tmp_path / "folder" / "list.bin").read_bytes() == CONTENT
    assert not list(tmp_path.glob(".*"))


@pytest.mark.fact("F-88")
def test_an_empty_file_too(server: Server, file: Path, tmp_path: Path) -> None:
    file.write_bytes(b"")
    gateway("send", file, "--to", server.url(), "--as", "EMPTY")
    assert server.received("EMPTY") == b""
    (tmp_path / "out" / "empty").touch()
    gateway("get", "empty", tmp_path / "got", "--from", server.url())
    assert (tmp_path / "got").read_bytes() == b""


TEXT = "PREMIÈRE LIGNE\n\nà la fin\n"


@pytest.mark.fact("F-87", "F-89", "F-90")
@pytest.mark.parametrize(
    ("words", "landed"),
    [
        (["--text"], TEXT.replace("\n\n", "\n \n")),
        (["--ebcdic"], TEXT.replace("\n\n", "\n \n")),
        (["--ebcdic", "--code-page", "cp037"], None),
        (["--text", "--profile", "connect-express"], TEXT.replace("\n\n", "\n \n")),
        (["--text", "--fixed", "--article", "20"], "PREMIÈRE LIGNE".ljust(19) + "\n" + " " * 20 + "\nà la fin"),
    ],
)
def test_a_text_is_sent_by_lines(words: list[str], landed: str | None, server: Server, file: Path) -> None:
    file.write_text(TEXT, encoding="utf-8")
    gateway("send", file, "--to", server.url(), "--as", "TEXT", *words)
    found = server.received("TEXT").decode()
    if landed is None:
        assert found != TEXT, "each side has its own page: that of the other must be said"
    else:
        assert found.startswith(landed) and found.endswith("\n")


def test_the_physical_name_goes_where_the_product_looks_for_it(tmp_path: Path, file: Path) -> None:
    with serving(tmp_path, "--name-in", "37") as server:
        gateway("send", file, "--to", server.url(), "--as", "FLOW", "--profile", "axway")
        gateway("send", file, "--to", server.url(), "--as", "FLOW", "--profile", "axway", "--label", "../../x")
    assert server.received("claims.bin") == CONTENT == server.received("_._.._x")


@pytest.mark.fact("F-132", "F-133")
def test_a_message(server: Server) -> None:
    about = told("message", "reçu", "--to", server.url(), "--about", "FSE:17", "--answer")
    assert about == {"name": "FSE", "transfer_id": 17, "answer": "Message reçu."}
    gateway("message", "bonjour", "--to", server.url(), "--free", "NOTE")
    assert [event["text"] for event in server.events("message")] == ["reçu", "bonjour"]


@pytest.mark.parametrize("name", ["../../etc/x", "a\tb", "-rf", "é" * 70])
def test_hostile_names_are_harmless(name: str, server: Server, file: Path) -> None:
    gateway("send", file, "--to", server.url(), f"--as={name}")
    (event,) = server.events("received")
    landed = Path(event["path"])
    assert landed.parent == server.path / "in" and landed.read_bytes() == CONTENT
    assert event["named"] == name


# --- what is refused, and the exit codes -----------------------------------------------------------------------------


def test_exit_codes(server: Server, file: Path, tmp_path: Path) -> None:
    def code(*words: object) -> int:
        return gateway(*words, check=False).returncode

    to = ["--to", server.url()]
    assert code("send", file, "--to", "http://x", "--as", "A") == 64
    assert code("send", file, *to, "--as", "A", "--sync", "70000") == 64
    assert code("send", tmp_path / "absent", *to, "--as", "A") == 65
    assert code("send", file, *to, "--as", "A", "--article", "60000", "--sync", "32") == 65
    assert code("get", "absent", tmp_path / "x", "--from", server.url()) == 65
    assert code("send", file, "--to", "pesit://BOX:x@127.0.0.1:1/SRV", "--as", "A") == 69
    assert code("message", "€", *to, "--about", "A:1") == 65
    file.write_bytes(b"x" * 90 + b"\n")
    long = gateway("send", file, *to, "--as", "A", "--text", "--article", "80", check=False)
    assert long.returncode == 65 and "ligne 1" in long.stderr


@pytest.mark.fact("F-140")
def test_a_wrong_password_is_refused_counted_and_slowed(server: Server, file: Path) -> None:
    wrong = ["send", file, "--to", server.url("WRONG"), "--as", "A"]
    codes = []
    while "PES-3.322" not in codes and len(codes) < 8:
        done = gateway(*wrong, "--json", check=False)
        codes.append(json.loads(done.stdout)["error"])
        assert done.returncode == (65 if codes[-1] == "PES-3.304" else 69)
        assert len(codes) != 3 or not list(file.parent.glob(".*.pesit")), "nothing was begun"
    assert codes[:3] == ["PES-3.304"] * 3 and codes[-1] == "PES-3.322"
    assert [event["code"] for event in server.events("refused")] == codes


def test_no_password_in_any_trace_or_log(server: Server, file: Path, tmp_path: Path) -> None:
    traces = [tmp_path / f"{name}.trace" for name in ("plain", "axway", "wrong")]
    gateway("send", file, "--to", server.url(), "--as", "A", "--trace", traces[0])
    gateway("send", file, "--to", server.url(), "--as", "A", "--trace", traces[1], "--profile", "axway")
    wrong = PASSWORD[::-1]
    gateway("send", file, "--to", server.url(wrong), "--as", "A", "--trace", traces[2], check=False)
    server.end()
    for path in (*traces, tmp_path / "server.trace", tmp_path / "log"):
        text = path.read_text()
        hidden = "".join(text.split())
        for secret in (PASSWORD, wrong):
            assert secret not in text, path
            assert secret.encode().hex() not in hidden and secret.encode("cp500").hex() not in hidden, path
    text = traces[0].read_text()
    for name in (
        "CONNECT",
        "ACONNECT",
        "CREATE",
        "ACK(CREATE)",
        "ORF",
        "WRITE",
        "DTF",
        "DTF.END",
        "TRANS.END",
        "RELCONF",
    ):
        assert re.search(rf"[<>] (envoyé|reçu) {re.escape(name)} ", text), name
    assert traces[0].stat().st_mode & 0o077 == 0


def test_a_place_for_the_context(server: Server, file: Path, tmp_path: Path) -> None:
    send = ["send", file, "--to", server.url(), "--as", "A", "--context"]
    assert told(*send, tmp_path / "absent", code=65)["error"] == "PES-FILE"
    (tmp_path / "room").mkdir()
    gateway(*send, tmp_path / "room")
    gone = ["send", file, "--to", "pesit://BOX:x@127.0.0.1:1/SRV", "--as", "A", "--context", tmp_path / "room"]
    assert gateway(*gone, check=False).returncode == 69
    assert len(list((tmp_path / "room").iterdir())) == 1 and not list(tmp_path.glob(".*.pesit"))


def test_the_password_may_come_from_a_file(server: Server, file: Path, tmp_path: Path) -> None:
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    url = f"pesit://BOX@127.0.0.1:{server.port}/SRV"
    gateway("send", file, "--to", url, "--as", "A", "--password-file", tmp_path / "password")
    assert gateway("send", file, "--to", url, "--as", "A", check=False).returncode == 65


def test_partners_from_a_file_have_their_directions_and_limits(tmp_path: Path, file: Path) -> None:
    (tmp_path / "partners.toml").write_text(
        '[[partner]]\nidentifier = "BOX"\npassword_hash = "'
        + told_hash(PASSWORD)
        + '"\nmay_fetch = false\nlimit = 1024\n'
    )
    (tmp_path / "partners.bad").write_text('[[partner]]\nidentifer = "BOX"\n')
    with serving(tmp_path, "--partners", tmp_path / "partners.toml", partner=False) as server:
        assert told("send", file, "--to", server.url(), "--as", "A", code=65)["error"] == "PES-2.206"
        assert told("get", "a", tmp_path / "x", "--from", server.url(), code=65)["error"] == "PES-2.226"
    words = ["--listen", "127.0.0.1:0", "--name", "S", "--directory", tmp_path]
    assert gateway("serve", *words, "--partners", tmp_path / "partners.bad", check=False).returncode == 65
    assert gateway("serve", *words, check=False).returncode == 65


def told_hash(password: str) -> str:
    command = [sys.executable, "-m", "gateway", "concentrator", "password"]
    return subprocess.run(command, input=password + "\n", capture_output=True, text=True, check=True).stdout.strip()


# --- TLS and several addresses ---------------------------------------------------------------------------------------


@pytest.mark.fact("F-05", "F-141")
def test_tls_with_and_without_a_client_certificate(tmp_path: Path, file: Path, pki: Pki) -> None:
    directory = pki.directory
    authority = tmp_path / "ca.pem"
    authority.write_text(
        "".join(path.read_text() for path in [directory / "root.pem", *(directory / "chains").glob("*.pem")])
    )
    own = ["--tls-certificate", directory / "oct-transport.pem", "--tls-key", directory / "oct-transport.key"]
    mine = ["--tls-certificate", directory / "box-transport.pem", "--tls-key", directory / "box-transport.key"]
    (tmp_path / "partners.toml").write_text(
        '[[partner]]\nidentifier = "BOX"\nclient_name = "OCT-GATEWAY TEST box-transport"\n'
    )
    words = [*own, "--tls-ca", authority, "--partners", tmp_path / "partners.toml"]
    with serving(tmp_path, *words, partner=False) as server:
        send = ["send", file, "--to", server.url("", "pesits"), "--as", "A", "--tls-ca", authority]
        gateway(*send, *mine)
        assert server.received("A") == CONTENT
        assert told(*send, code=69)["error"] in ("PES-TLS", "PES-CUT"), "no certificate, no connection"
        assert told("send", file, "--to", server.url("", "pesits"), "--as", "A", *mine, code=69)["error"] == "PES-TLS"
        assert told("send", file, "--to", server.url(""), "--as", "A", *QUICK, code=69)["error"].startswith("PES-")


def test_a_second_address_is_used_and_drilled(server: Server, file: Path) -> None:
    gone = "pesit://BOX:S3CRETPW@127.0.0.1:1/SRV"
    gateway("send", file, "--to", gone, "--to", server.url(), "--as", "A")
    assert server.received("A") == CONTENT
    drill = told("drill", "--to", gone, "--to", server.url(), code=69)
    assert [bool(each["trouble"]) for each in drill["addresses"]] == [False, True], "the second comes first"
    assert told("drill", "--to", server.url(), "--to", server.url())["addresses"][1]["trouble"] == ""
    other = f"pesit://BOX:x@127.0.0.1:{server.port}/OTHER"
    assert gateway("drill", "--to", other, "--to", server.url(), check=False).returncode == 65


# --- kills and restarts ----------------------------------------------------------------------------------------------

BIG = 48 << 20
WORDS = ["--sync", "64", "--window", "2", "--article", "4096", *QUICK]


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return os.urandom(1 << 20) * (BIG >> 20)


def part_way(path: Path, pattern: str, least: int, child: subprocess.Popen[str]) -> None:
    """Wait until so many lines of the context stand."""
    deadline = time.monotonic() + 20
    while sum(found.read_bytes().count(b"\n") for found in path.glob(pattern)) < least:
        assert child.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)


def start(*words: object) -> subprocess.Popen[str]:
    command = list(map(str, [*GATEWAY, *words]))
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.fact("F-103", "F-104")
@pytest.mark.parametrize("verb", ["send", "text", "get"])
@pytest.mark.parametrize("killed", ["client", "server"])
def test_a_kill_in_the_middle_costs_nothing(verb: str, killed: str, server: Server, big: bytes, tmp_path: Path) -> None:
    local, out = tmp_path / "big", tmp_path / "got"
    content = big if verb != "text" else b"".join(b"%0*d\n" % (n % 3000 + 9, n) for n in range(12000))
    (tmp_path / "out" / "big").write_bytes(content)
    local.write_bytes(content)
    if verb == "get":
        words: list[object] = ["get", "big", out, "--from", server.url(), *QUICK, "--sync", "64", "--window", "2"]
    else:
        words = ["send", local, "--to", server.url(), "--as", "BIG", *WORDS, *(["--text"] if verb == "text" else [])]
    child = start(*words)
    part_way(tmp_path, ".*.pesit", 30, child)
    if killed == "client":
        child.kill()
        child.communicate()
    else:
        server.end(signal.SIGKILL)
        assert child.wait(20) == 69
        child.communicate()
        server.start()
    result = told(*words, "--restart")
    assert result["restarted_from"] > 10 and result["moved"] < result["size"]
    assert (out.read_bytes() if verb == "get" else server.received("BIG")) == content
    if verb != "get":
        assert [path.name for path in (tmp_path / "in").iterdir() if path.is_file()] == ["BIG"], "received once"


@pytest.mark.fact("F-110")
def test_ctrl_c_suspends_and_restart_goes_on(server: Server, big: bytes, tmp_path: Path) -> None:
    local = tmp_path / "big"
    local.write_bytes(big)
    words = ["send", local, "--to", server.url(), "--as", "BIG", *WORDS, "--trace", tmp_path / "trace"]
    child = start(*words)
    part_way(tmp_path, ".*.pesit", 30, child)
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=20)
    assert child.returncode == 130 and "--restart" in errors and "Traceback" not in errors
    trace = (tmp_path / "trace").read_text()
    assert "envoyé IDT" in trace and "PI 19 end-of-transfer code      8" in trace and "reçu RELCONF" in trace
    assert told(*words, "--restart")["restarted_from"] > 10
    assert server.received("BIG") == big


def test_ctrl_c_leaves_one_who_never_answers(file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        child = start("send", file, "--to", f"pesit://B:x@127.0.0.1:{silent.getsockname()[1]}/S", "--as", "A")
        caller, _ = silent.accept()
        with caller:  # held open: a line that is cut would end it without Ctrl-C
            caller.recv(100)
            child.send_signal(signal.SIGINT)
            _, errors = child.communicate(timeout=20)  # an answer would be awaited for 30
    assert child.returncode == 130 and "Traceback" not in errors


def test_ctrl_c_ends_a_server(server: Server) -> None:
    assert server.end(signal.SIGINT) == 130


def test_a_server_that_forgot_gets_the_file_anew(server: Server, big: bytes, tmp_path: Path) -> None:
    local = tmp_path / "big"
    local.write_bytes(big)
    words = ["send", local, "--to", server.url(), "--as", "BIG", *WORDS]
    child = start(*words)
    part_way(tmp_path, ".*.pesit", 30, child)
    child.kill()
    child.communicate()
    for path in (tmp_path / "in" / ".pesit").iterdir():
        path.unlink()
    assert told(*words, "--restart")["restarted_from"] == 0
    assert server.received("BIG") == big


def test_a_file_that_changed_is_not_taken_up(server: Server, big: bytes, tmp_path: Path) -> None:
    local = tmp_path / "big"
    local.write_bytes(big)
    words = ["send", local, "--to", server.url(), "--as", "BIG", *WORDS]
    child = start(*words)
    part_way(tmp_path, ".*.pesit", 30, child)
    child.kill()
    child.communicate()
    assert told(*words, "--restart", "--text", code=65)["error"] == "PES-OPTION"
    local.write_bytes(big[::-1])
    assert told(*words, "--restart", code=65)["error"] == "PES-2.229"
    gateway(*words)
    assert server.received("BIG") == big[::-1]


def test_a_restart_of_nothing_is_a_new_transfer(server: Server, file: Path) -> None:
    assert told("send", file, "--to", server.url(), "--as", "A", "--restart")["restarted_from"] == 0


# --- store and forward ------------------------------------------------------------------------------------------------


@pytest.mark.fact("F-130", "F-131")
def test_a_relay_hands_a_file_on_even_when_the_next_node_comes_later(tmp_path: Path, file: Path) -> None:
    for name in ("far", "near"):
        (tmp_path / name).mkdir()
    with serving(tmp_path / "far") as far:
        far.end()  # its port is known, and nobody is there
        route = f"FAR={far.url().replace('/SRV', '/FAR')}"
        with serving(tmp_path / "near", "--route", route) as near:
            told("send", file, "--to", near.url(), "--as", "FSE", "--origin", "BOX", "--final", "FAR")
            near.end(signal.SIGKILL)
            near.start()
            far.words = [*far.words, "--name", "FAR"]
            far.start()
            end = time.monotonic() + 40
            while not (tmp_path / "far/in/FSE").exists():
                assert time.monotonic() < end
                time.sleep(0.1)
            assert far.received("FSE") == CONTENT
            assert list((tmp_path / "near/in").glob("FSE*")) == []
            lost = told("send", file, "--to", near.url(), "--as", "LOST", "--final", "NOBODY", code=65)
            assert "NOBODY" in str(lost)

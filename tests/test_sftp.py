"""The reserve channel's line, against OpenSSH's own server."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from line import Line

from gateway.errors import Deferred, Refused, Scope, Trouble
from gateway.formats.landing import DEMAND, RETURNS, had_name, landing_name, partial_name
from gateway.sftp import Account, Put, Session
from tests.openssh import Sshd

BODY = os.urandom(3_000_000)
NAME = landing_name("f1.1.2", hashlib.sha256(BODY).hexdigest())


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Sshd]:
    sshd = Sshd(tmp_path / "sshd")
    sshd.start()
    yield sshd
    sshd.stop()


def account(server: Sshd, port: int = 0) -> Account:
    where = str(server.home)
    return Account("127.0.0.1", port or server.port, server.user, server.mine, server.host_key, where, 5.0)


@contextmanager
def session(known: Account) -> Iterator[Session]:
    made = Session(known)
    try:
        made.open()
        yield made
    finally:
        made.close()


def put(known: Account, body: bytes = BODY, name: str = NAME) -> tuple[Put, list[int]]:
    shown: list[int] = []
    with session(known) as opened:
        return opened.put(io.BytesIO(body), len(body), name, shown.append), shown


def trouble_of(known: Account) -> Trouble:
    with pytest.raises(Trouble) as told:
        put(known)
    assert told.value.scope is Scope.ROUTE
    return told.value


@pytest.mark.parametrize("body", [b"", b"x", BODY])
def test_a_file_is_there_whole_under_its_name_and_nothing_else_is(server: Sshd, body: bytes) -> None:
    done, shown = put(account(server), body)
    assert done == Put(len(body), len(body), 0)
    assert server.depot == {NAME: body}
    assert shown[0] == 0 and shown[-1] == len(body)


def test_a_partial_of_the_same_bytes_is_gone_on_with(server: Sshd) -> None:
    (server.home / "depot" / partial_name(NAME)).write_bytes(BODY[:1_234_567])
    done, shown = put(account(server))
    assert done == Put(len(BODY), len(BODY) - 1_234_567, 1_234_567)
    assert shown[0] == 1_234_567
    assert server.depot == {NAME: BODY}


def test_a_partial_that_is_too_long_is_begun_again(server: Sshd) -> None:
    (server.home / "depot" / partial_name(NAME)).write_bytes(BODY + b"more")
    assert put(account(server))[0].moved == len(BODY)
    assert server.depot == {NAME: BODY}


def test_a_whole_file_is_success_and_is_not_written(server: Sshd) -> None:
    put(account(server))
    (server.home / "depot" / partial_name(NAME)).hardlink_to(server.home / "depot" / NAME)
    before = (server.home / "depot" / NAME).stat().st_mtime_ns
    assert put(account(server))[0] == Put(len(BODY), 0, len(BODY))
    assert list(server.depot) == [NAME], "what a rename cut in its middle left is gone"
    assert (server.home / "depot" / NAME).stat().st_mtime_ns == before


def test_another_file_of_that_name_is_never_overwritten(server: Sshd) -> None:
    (server.home / "depot" / NAME).write_bytes(b"other")
    assert trouble_of(account(server)).code == "SFT-SIZE"
    assert server.depot == {NAME: b"other"}


def test_a_line_cut_in_mid_file_goes_on_where_it_was(server: Sshd) -> None:
    line = Line(server.port, 2e6)
    cutting = threading.Event()

    def cut_at(offset: int) -> None:
        if offset > 1_000_000 and not cutting.is_set():
            cutting.set()
            threading.Timer(0.3, line.cut).start()

    with pytest.raises(Deferred) as cut, session(account(server, line.port)) as opened:
        opened.put(io.BytesIO(BODY), len(BODY), NAME, cut_at)
    assert cut.value.code == "SFT-CUT"
    (left,) = server.depot.values()
    assert 0 < len(left) < len(BODY) and BODY.startswith(left)
    line.mend()
    done, _ = put(account(server, line.port))
    line.close()
    assert done.resumed_at >= len(left)
    assert server.depot == {NAME: BODY}


def test_another_host_key_stops_before_anything_is_said(server: Sshd) -> None:
    known = account(server)
    server.stop()
    server.make_key(server.root / "host")
    server.start()
    told = trouble_of(known)
    assert (type(told), told.code) == (Refused, "SFT-HOSTKEY")
    assert server.depot == {}
    assert "Accepted publickey" not in server.log and "authenticating user" not in server.log


def test_a_host_key_of_another_kind_is_not_the_one_awaited(server: Sshd) -> None:
    known = account(server)
    server.stop()
    server.make_key(server.root / "host", "ecdsa")
    server.start()
    assert trouble_of(known).code == "SFT-HOSTKEY"


def test_an_rsa_host_key_is_known_too(server: Sshd) -> None:
    server.stop()
    server.make_key(server.root / "host", "rsa")
    server.start()
    assert put(account(server))[0].size == len(BODY)


def test_a_key_that_the_server_does_not_know_is_refused(server: Sshd) -> None:
    server.make_key(server.root / "stranger")
    told = trouble_of(replace(account(server), key=server.root / "stranger"))
    assert (type(told), told.code) == (Refused, "SFT-AUTH")


@pytest.mark.parametrize(
    ("changes", "kind", "code"),
    [
        ({"port": 1}, Deferred, "SFT-UNREACHABLE"),
        ({"host": "nobody.invalid"}, Deferred, "SFT-UNREACHABLE"),
        ({"key": Path("/nowhere")}, Refused, "SFT-KEY"),
        ({"key": Path(__file__)}, Refused, "SFT-KEY"),
        ({"host_key": "AAAA"}, Refused, "SFT-HOSTKEY"),
        ({"host_key": "ssh-new AAAA"}, Refused, "SFT-HOSTKEY"),
        ({"directory": "/nowhere"}, Deferred, "SFT-REFUSED"),
    ],
)
def test_each_trouble_has_its_code(server: Sshd, changes: dict[str, object], kind: type[Trouble], code: str) -> None:
    told = trouble_of(replace(account(server), **changes))  # type: ignore[arg-type]
    assert (type(told), told.code) == (kind, code)
    assert told.text.endswith(".")


def test_a_server_that_falls_silent_is_left(server: Sshd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        known = replace(account(server, silent.getsockname()[1]), patience=0.5)
        assert trouble_of(known).code in ("SFT-LATE", "SFT-CUT")


def test_closing_from_another_thread_ends_what_waits(server: Sshd) -> None:
    line = Line(server.port, 300e3)
    opened = Session(account(server, line.port))
    opened.open()
    threading.Timer(0.5, opened.close).start()
    with pytest.raises(Deferred):
        opened.put(io.BytesIO(BODY), len(BODY), NAME, lambda offset: None)
    line.close()


def test_returns_are_fetched_marked_and_asked_for(server: Sshd) -> None:
    room = server.home / RETURNS
    (room / "receipt_00000001").write_bytes(BODY)
    (room / "arl_00000001_1").write_bytes(b"arl")
    (room / had_name("arl_00000001_1")).touch()
    (room / ".tmp-1").write_bytes(b"half")
    (room / "link_1").symlink_to("/etc/passwd")
    got = io.BytesIO()
    with session(account(server)) as opened:
        opened.demand()
        assert opened.returns() == ["receipt_00000001"]
        opened.get("receipt_00000001", got.write)
        opened.mark("receipt_00000001")
        assert opened.returns() == []
        opened.demand()
    assert got.getvalue() == BODY
    assert (room / DEMAND).exists() and (room / had_name("receipt_00000001")).exists()


def test_a_return_without_end_is_not_swallowed(server: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.sftp.RETURN_LIMIT", 1 << 20)
    with (server.home / RETURNS / "rsp_00000001_1").open("wb") as endless:
        endless.truncate(1 << 40)
    with session(account(server)) as opened, pytest.raises(Deferred) as told:
        opened.get("rsp_00000001_1", lambda block: None)
    assert told.value.code == "SFT-RETURN"


def test_the_servers_configuration_in_the_guide_is_one(server: Sshd, tmp_path: Path) -> None:
    guide = (Path(__file__).parents[1] / "docs/reserve.md").read_text(encoding="utf-8")
    block = next(part for part in guide.split("```") if part.strip().startswith("Match Group"))
    config = tmp_path / "sshd_config"
    config.write_text(f"HostKey {server.root}/host\nSubsystem sftp internal-sftp\n{block}")
    done = subprocess.run(["/usr/sbin/sshd", "-t", "-f", str(config)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")

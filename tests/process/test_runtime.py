"""The place of a service under systemd, with real sockets and a real notify socket."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.disk import DiskFull
from gateway.errors import Deferred, Refused, Trouble
from gateway.process import runtime as place
from gateway.process.runtime import Runtime, serve, unix_listener

SERVICE = """
import asyncio
from gateway.process.runtime import Runtime, serve
async def run(runtime):
    listener = runtime.listener("sign")
    runtime.tell(str(listener.getsockname()))
    runtime.ready()
    while not runtime.stop.is_set():
        runtime.alive()
        await runtime.pause(0.05)
asyncio.run(serve((Runtime("x"), run)))
"""


def test_ready_alive_stopping_and_an_inherited_socket(tmp_path: Path) -> None:
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(str(tmp_path / "notify"))
    notify.settimeout(20)
    listener = unix_listener(tmp_path / "sign.sock", 0o600)

    def as_systemd_does() -> None:
        os.dup2(listener.fileno(), 3)
        os.set_inheritable(3, True)
        os.environ["LISTEN_PID"] = str(os.getpid())

    environment = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "sign"}
    launcher = (
        "import os,sys; os.environ['LISTEN_PID'] = str(os.getpid());"
        f"os.execv(sys.executable, [sys.executable, '-c', {SERVICE!r}])"
    )
    with subprocess.Popen(
        [sys.executable, "-c", launcher], env=environment, close_fds=False, preexec_fn=as_systemd_does
    ) as service:
        heard = [notify.recv(1000) for _ in range(3)]
        assert heard[0].startswith(b"STATUS=") and b"sign.sock" in heard[0]
        assert heard[1:] == [b"READY=1", b"WATCHDOG=1"]
        service.send_signal(signal.SIGTERM)
        while heard[-1] != b"STOPPING=1":
            heard.append(notify.recv(1000))
        assert service.wait(20) == 0


def test_a_stale_socket_is_replaced_and_its_mode_is_the_access_list(tmp_path: Path) -> None:
    for _ in range(2):
        listener = unix_listener(tmp_path / "x.sock", 0o600)
    assert stat.S_IMODE((tmp_path / "x.sock").stat().st_mode) == 0o600
    listener.close()


def test_a_socket_that_nobody_passed_is_named() -> None:
    with pytest.raises(LookupError, match="intake"):
        Runtime("intake").listener("intake")


class OtherFull(DiskFull):
    CODE = "OTHER"


def test_a_full_disk_is_said_once_and_waited_for(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """By the loop that meets it, whether it fails in it or in tasks of its own."""
    monkeypatch.setattr(place, "FULL_PAUSE_S", 0.01)
    met: list[str] = []
    told: list[DiskFull] = []

    async def service(runtime: Runtime) -> None:
        while len(met) < 3:
            async with runtime.outlast(told.append), asyncio.TaskGroup() as group:
                met.append("turn")
                group.create_task(fail())
        async with runtime.outlast(told.append):
            await fail()
        async with runtime.outlast(told.append, OtherFull):
            await fail()

    async def fail() -> None:
        with Path("/dev/full").open("wb") as out:
            out.write(b"x")

    asyncio.run(serve((Runtime("x", {}), service)))
    assert [full.code for full in told] == [*["BOX-006"] * 4, "OTHER"]
    said = capfd.readouterr().out
    assert (said.count("BOX-006"), said.count("OTHER")) == (1, 0)


def test_any_other_failure_ends_the_service() -> None:
    async def service(runtime: Runtime) -> None:
        async with runtime.outlast():
            raise FileNotFoundError

    with pytest.raises(ExceptionGroup):
        asyncio.run(serve((Runtime("x", {}), service)))


@pytest.mark.parametrize(("ends", "told"), [
    ([Refused("BOX-004", "absent")], "BOX-004"),
    ([ExceptionGroup("inner", [Deferred("CPS-BUSY", "pris")]), Refused("BOX-004", "absent")], "CPS-BUSY"),
])  # fmt: skip
def test_what_a_service_lacks_to_begin_with_is_said_and_no_bug(ends: list[Exception], told: str) -> None:
    async def service(_: Runtime) -> None:
        raise ExceptionGroup("tasks", ends)

    with pytest.raises(Trouble) as trouble:
        asyncio.run(serve((Runtime("x", {}), service)))
    assert trouble.value.code == told


def test_a_bug_beside_it_stays_a_bug() -> None:
    async def service(_: Runtime) -> None:
        raise ExceptionGroup("tasks", [Refused("BOX-004", "absent"), KeyError("x")])

    with pytest.raises(ExceptionGroup):
        asyncio.run(serve((Runtime("x", {}), service)))

"""How fast PeSIT goes here: whole processes, fsync as the product does it, beside sftp and a bare TCP copy.

Every file is made once; each transfer is sender and receiver as processes of their own on loopback.  Rates are
file bytes over the wall time of the sender's process, start-up included on both sides of each ratio.
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ports import free_port

from bench.pki import development_pki
from bench.rows import row
from gateway.pesit.profiles import STANDARD

REPO = Path(__file__).resolve().parents[1]
GATEWAY = [sys.executable, "-m", "gateway"]
LARGE = 256 << 20
SLOW_SIZE = 128 << 20
SLOW_RATE, SLOW_DELAY = 100e6 / 8, 0.025
"""100 Mbit/s, 50 ms there and back."""
FORCE_S = 0.03
"""What a memory card takes to force a file, as it is measured on a Raspberry Pi: 20 to 50 ms."""
POINT = STANDARD.sync_kb * 1024
SMALL_FILES, SMALL_SIZE = 10_000, 4096

RAW_RECEIVER = """
import os, socket, sys
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as door:
    end, _ = door.accept()
    block = memoryview(bytearray(1 << 20))
    with end, open(sys.argv[2], "wb", buffering=0) as out:
        while size := end.recv_into(block):
            out.write(block[:size])
        os.fsync(out.fileno())
        end.sendall(b"k")
"""
RAW_SENDER = """
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as end, open(sys.argv[2], "rb") as source:
    end.sendfile(source)
    end.shutdown(socket.SHUT_WR)
    assert end.recv(1) == b"k"
"""
LINE = "import sys, time; sys.path.insert(0, 'firmware-tools'); from line import Line; line = Line(int(sys.argv[1]), \
float(sys.argv[2]), float(sys.argv[3])); print(line.port, flush=True); time.sleep(3600)"
SLOW_DISK = f"""
import os, runpy, time
def slowed(force):
    return lambda descriptor: (time.sleep({FORCE_S}), force(descriptor))[1]
os.fsync, os.fdatasync = slowed(os.fsync), slowed(os.fdatasync)
runpy.run_module("gateway", run_name="__main__", alter_sys=True)
"""


@dataclass(frozen=True)
class Run:
    """One finished process: wall seconds and peak resident bytes."""

    seconds: float
    resident: int


def timed(command: list[str], **options: Any) -> Run:
    """Run a command to its end; CalledProcessError unless it succeeds."""
    start = time.monotonic()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, cwd=REPO, stdout=said, stderr=said, **options)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise subprocess.CalledProcessError(process.returncode, command, said.read().decode())
    return Run(seconds, usage.ru_maxrss * 1024)


@contextmanager
def running(command: list[str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A server until the end of the block, once its port answers."""
    with subprocess.Popen(command, cwd=REPO, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            await_port(port)
            yield process
        finally:
            process.terminate()
            process.wait(10)


def await_port(port: int) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise TimeoutError(f"nobody listens on {port}")


def resident(pid: int, what: str) -> int:
    """``VmRSS`` or ``VmHWM`` of a process, bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(what))


# -- the contenders


def serve_command(port: int, directory: Path, pki: Path | None) -> list[str]:
    tls = (
        ["--tls-certificate", str(pki / "oct-transport.pem"), "--tls-key", str(pki / "oct-transport.key")]
        if pki
        else []
    )
    return [*GATEWAY, "pesit", "serve", "--listen", f"127.0.0.1:{port}", "--name", "BENCH", "--directory",
            str(directory), "--partner", "SENDER:SECRET", *tls]  # fmt: skip


def send_command(file: Path, port: int, pki: Path | None) -> list[str]:
    scheme, tls = ("pesits", ["--tls-ca", str(pki / "root-and-chain.pem")]) if pki else ("pesit", [])
    return [*GATEWAY, "pesit", "send", str(file), "--to", f"{scheme}://SENDER:SECRET@127.0.0.1:{port}/BENCH",
            "--as", "FILE", *tls]  # fmt: skip


@contextmanager
def sshd(root: Path) -> Iterator[list[str]]:
    """OpenSSH's own server on loopback; gives the sftp command to reach it."""
    port = free_port()
    for name in ("host", "client"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(root / name)], check=True)
    shutil.copy(root / "client.pub", root / "authorized")
    config = root / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {root}/host\nAuthorizedKeysFile {root}/authorized\n"
        f"StrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin yes\nSubsystem sftp internal-sftp\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)
    options = ["-q", "-P", str(port), "-i", str(root / "client"), "-o", "StrictHostKeyChecking=no",
               "-o", "UserKnownHostsFile=/dev/null"]  # fmt: skip
    with running([shutil.which("sshd") or "/usr/sbin/sshd", "-D", "-f", str(config)], port):
        yield ["sftp", *options, "-b", "-", f"{getpass.getuser()}@127.0.0.1"]


def by_sftp(command: list[str], batch: str) -> Run:
    with tempfile.TemporaryFile() as words:
        words.write(batch.encode())
        words.seek(0)
        return timed(command, stdin=words)


def by_raw_tcp(file: Path, out: Path) -> Run:
    port = free_port()
    with subprocess.Popen([sys.executable, "-c", RAW_RECEIVER, str(port), str(out)]) as receiver:
        time.sleep(0.3)
        run = timed([sys.executable, "-c", RAW_SENDER, str(port), str(file)])
        receiver.wait(10)
    return run


# -- the measurements


def best(run: Callable[[], Run], leaves: Path) -> Run:
    """The fastest of three runs, each begun with nothing left to write: the others tell of the machine."""
    runs = []
    for _ in range(3):
        for left in [path for path in leaves.glob("*") if path.is_file()]:
            left.unlink()
        os.sync()
        runs.append(run())
    return min(runs, key=lambda one: one.seconds)


def rate(run: Run, size: int) -> float:
    """MB/s."""
    return size / run.seconds / 1e6


def over_loopback(root: Path, pki: Path) -> list[dict[str, Any]]:
    """256 MB in clear and by TLS, against sftp and a raw copy."""
    file, one = root / "large", root / "one"
    file.write_bytes(os.urandom(1 << 20) * (LARGE >> 20))
    one.write_bytes(b"x")
    landing = root / "landing"
    landing.mkdir()
    raw = best(lambda: by_raw_tcp(file, landing / "raw"), landing)
    with sshd(root) as sftp:
        ssh = best(lambda: by_sftp(sftp, f"put -f {file} {landing}/sftp\n"), landing)
    rows = []
    for words, keys in (("clear", None), ("TLS", pki)):
        port = free_port()
        (root / words).mkdir()
        with running(serve_command(port, root / words, keys), port) as server:
            small = timed(send_command(one, port, keys))
            idle = resident(server.pid, "VmRSS")
            ours = best(partial(timed, send_command(file, port, keys)), root / words)
            grown = max(ours.resident - small.resident, resident(server.pid, "VmHWM") - idle)
        rows += [
            row(f"PeSIT, 256 MB, {words}", rate(ours, LARGE), "MB/s", "OpenSSH sftp", rate(ssh, LARGE)),
            row(f"PeSIT, 256 MB, {words}", rate(ours, LARGE), "MB/s", "raw TCP and fsync", rate(raw, LARGE)),
            row(f"memory above idle, {words}, the larger side", grown, "bytes", "64 MiB", 64 << 20),
        ]
    return rows


def over_a_slow_line(root: Path) -> list[dict[str, Any]]:
    """128 MB through 100 Mbit/s and 50 ms, with the default window."""
    file = root / "slow"
    file.write_bytes(os.urandom(SLOW_SIZE))
    (root / "slow-in").mkdir()
    port = free_port()
    with running(serve_command(port, root / "slow-in", None), port):
        line = subprocess.Popen(
            [sys.executable, "-c", LINE, str(port), str(SLOW_RATE), str(SLOW_DELAY)], cwd=REPO, stdout=subprocess.PIPE
        )
        try:
            assert line.stdout is not None
            ours = timed(send_command(file, int(line.stdout.readline()), None))
        finally:
            line.terminate()
            line.wait()
    return [row("PeSIT, 128 MB, 100 Mbit/s, 50 ms", rate(ours, SLOW_SIZE), "MB/s", "the line", SLOW_RATE / 1e6)]


def on_a_slow_disk(root: Path) -> list[dict[str, Any]]:
    """128 MB to a receiver whose every force of a file is slow, against one that takes point after point."""
    file = root / "card"
    file.write_bytes(os.urandom(SLOW_SIZE))
    (root / "card-in").mkdir()
    port = free_port()
    command = [sys.executable, "-c", SLOW_DISK, *serve_command(port, root / "card-in", None)[len(GATEWAY) :]]
    with running(command, port):
        ours = timed(send_command(file, port, None))
    reference = POINT / (2 * FORCE_S) / 1e6
    return [row("PeSIT, 128 MB, 30 ms to force a file", rate(ours, SLOW_SIZE), "MB/s", "point by point", reference)]


def many_small(root: Path) -> list[dict[str, Any]]:
    """10,000 files of 4 KB on one connection."""
    source = root / "small"
    source.mkdir()
    for number in range(SMALL_FILES):
        (source / f"{number:05d}").write_bytes(os.urandom(SMALL_SIZE))
    with sshd(root / "ssh2") as sftp:
        (root / "small-sftp").mkdir()
        ssh = by_sftp(sftp, f"put -f -r {source} {root}/small-sftp\n")
    port = free_port()
    (root / "small-in").mkdir()
    with running(serve_command(port, root / "small-in", None), port):
        ours = timed([sys.executable, str(REPO / "bench/many.py"), str(port), str(source)])
    files = [SMALL_FILES / run.seconds for run in (ours, ssh)]
    return [row("PeSIT, 10,000 files of 4 KB, one connection", files[0], "files/s", "OpenSSH sftp", files[1])]


def measure() -> list[dict[str, Any]]:
    """All of it, in a directory of its own."""
    with development_pki() as (root, pki):
        (pki / "root-and-chain.pem").write_bytes(
            (pki / "root.pem").read_bytes() + (pki / "chains/oct.pem").read_bytes()
        )
        (root / "ssh2").mkdir()
        return [*over_loopback(root, pki), *over_a_slow_line(root), *on_a_slow_disk(root), *many_small(root)]

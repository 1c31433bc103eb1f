"""A machine of its own, booted by systemd-nspawn on a copy of this one: the real units under the real systemd.

The copy is an overlay in memory: nothing of this machine changes.  What units write to /var/log/out is read back
when the machine is off.  It needs root, overlayfs and a cgroup of its own; where one is missing the test is skipped.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from gateway_root import SYSTEMD

HIERARCHIES = [Path("/sys/fs/cgroup", name) for name in ("", "unified", "systemd")]
"""Where systemd may keep its cgroups: version 2 alone, or the two of a machine that has both."""

KINDS = (".service", ".socket", ".target", ".mount", ".timer")
TEST_TARGET = """[Unit]
Requires=basic.target gateway.target {last}
After=basic.target
AllowIsolate=yes
"""


class Machine:
    """A root directory that can be booted once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.units = root / "etc/systemd/system"
        self.out = root / "var/log/out"
        self.environment: dict[str, str] = {}
        """Of its systemd."""
        self.binds: dict[Path, str] = {}
        """Directories of this machine and where they stand in it, to be read only."""

    @property
    def written(self) -> Path:
        """What its disk has beyond this machine's."""
        return self.root.with_name("upper")

    def install(self) -> None:
        """The gateway's units, as systemd/README.md installs them, and nothing else; RuntimeError, and nothing is
        touched, in a root that is no overlay of its own: it may be this very machine's."""
        if not _is_overlay(self.root, self.written):
            raise RuntimeError(f"{self.root} is not an overlay that writes to {self.written}")
        shutil.rmtree(self.units)
        self.units.mkdir()
        for file in SYSTEMD.iterdir():
            if file.suffix in KINDS:
                shutil.copy(file, self.units)
        for folder in SYSTEMD.glob("*.service.d"):
            shutil.copytree(folder, self.units / folder.name)
        self.out.mkdir(parents=True)

    def add(self, name: str, text: str) -> None:
        """One more unit, or a drop-in (``unit.d/file.conf``)."""
        (self.units / name).parent.mkdir(exist_ok=True)
        (self.units / name).write_text(text)

    def enable(self, *names: str) -> None:
        subprocess.run(["systemctl", f"--root={self.root}", "enable", *names], check=True, capture_output=True)

    def run(self, last: str, deadline_s: float = 90) -> None:
        """Boot, and return when the unit ``last``, which must end with ``systemctl poweroff``, has ended it."""
        self.add("gateway-test.target", TEST_TARGET.format(last=last))
        command = [
            "systemd-nspawn", "--quiet", f"--directory={self.root}", "--boot", "--register=no", "--keep-unit",
            "--private-network", "--console=read-only",
            *(f"--setenv={name}={value}" for name, value in self.environment.items()),
            *(f"--bind-ro={here}:{there}" for here, there in self.binds.items()),
            "--", "--unit=gateway-test.target",
        ]  # fmt: skip
        with _own_cgroup() as enter:
            subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                timeout=deadline_s, preexec_fn=enter,
            )  # fmt: skip


def _is_overlay(root: Path, upper: Path) -> bool:
    """Whether what is mounted last at ``root`` is an overlay whose changes go to ``upper`` (proc(5), mountinfo)."""
    lines = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    here = [line for line in lines if line[4] == str(root.resolve())]
    kind, _, options = here[-1][here[-1].index("-") + 1 :] if here else ("", "", "")
    return kind == "overlay" and f"upperdir={upper.resolve()}" in options.split(",")


@contextmanager
def made_machine() -> Iterator[Machine]:
    """An overlay of this machine, in memory, gone at the end."""
    if os.geteuid() != 0 or shutil.which("systemd-nspawn") is None:
        pytest.skip("booting a machine needs root and systemd-nspawn")
    top = Path(tempfile.mkdtemp(prefix="gateway-machine-"))
    try:
        _mount("tmpfs", top, "tmpfs", "mode=755")
        layers = [top / name for name in ("upper", "work", "root")]
        for layer in layers:
            layer.mkdir()
        upper, work, root = layers
        try:
            _mount("overlay", root, "overlay", f"lowerdir=/,upperdir={upper},workdir={work}")
        except subprocess.CalledProcessError:
            pytest.skip("booting a machine needs overlayfs")
        machine = Machine(root)
        machine.install()
        yield machine
    finally:
        for place in (top / "root", top):
            subprocess.run(["umount", "--recursive", place], capture_output=True)
        top.rmdir()


def _mount(source: str, place: Path, kind: str, options: str) -> None:
    subprocess.run(["mount", "-t", kind, "-o", options, source, place], check=True, capture_output=True)


@contextmanager
def _own_cgroup() -> Iterator[Callable[[], None]]:
    """systemd-nspawn leaves cgroups where it was started: it is started in one that is removed afterwards."""
    name = f"gateway-machine-{os.getpid()}"
    places = [top / name / "in" for top in HIERARCHIES if (top / "cgroup.procs").exists()]
    try:
        for place in places:
            place.mkdir(parents=True)
    except OSError:
        pytest.skip("booting a machine needs a cgroup of its own")

    def enter() -> None:
        for place in places:
            (place / "cgroup.procs").write_text(str(os.getpid()))

    try:
        yield enter
    finally:
        for place in places:
            _end(place.parent)


def _end(cgroup: Path) -> None:
    """Remove a cgroup; what an aborted boot left in it is killed."""
    groups = [Path(folder) for folder, _, _ in os.walk(cgroup, topdown=False)]
    for group in groups:
        for pid in (group / "cgroup.procs").read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
    for group in groups:
        until = time.monotonic() + 10
        while (group / "cgroup.procs").read_text() and time.monotonic() < until:
            time.sleep(0.01)
        group.rmdir()

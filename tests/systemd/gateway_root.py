"""A root directory as sysusers.d and tmpfiles.d make it, and acting in it as one of its users."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.config import Paths

SYSTEMD = Path(__file__).parents[2] / "systemd"
PRACTICE = "practice"
"""Somebody at the practice's computer, as the share lets him in."""
STRANGER = "stranger"
HUMANS = f"u {PRACTICE} -\nm {PRACTICE} gw-practice\nu {STRANGER} -\n"


@dataclass(frozen=True)
class User:
    """Numbers of a user, in that root."""

    uid: int
    gid: int
    groups: tuple[int, ...]


@dataclass(frozen=True)
class Box:
    """The root, its paths and its users."""

    root: Path
    paths: Paths
    users: dict[str, User]

    @contextmanager
    def acting_as(self, name: str) -> Iterator[None]:
        """This process with the rights of a user and no capability, until the end of the block."""
        user = self.users[name]
        os.setgroups(user.groups)
        os.setegid(user.gid)
        os.seteuid(user.uid)
        before = os.umask(0o077)
        try:
            yield
        finally:
            os.umask(before)
            os.seteuid(0)
            os.setegid(0)
            os.setgroups(())


def make_box(root: Path) -> Box:
    """Apply sysusers.d and tmpfiles.d, as the installation does, to a root that may be empty."""
    (root / "etc").mkdir(exist_ok=True)
    for kind in ("sysusers.d", "tmpfiles.d"):
        target = root / "usr/lib" / kind
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(SYSTEMD / kind / "gateway.conf", target)
    (root / "usr/lib/sysusers.d/humans.conf").write_text(HUMANS)
    subprocess.run(["systemd-sysusers", f"--root={root}"], check=True, capture_output=True)
    subprocess.run(["systemd-tmpfiles", "--create", f"--root={root}", "gateway.conf"], check=True, capture_output=True)
    defaults = Paths()
    paths = Paths(
        state=below(root, defaults.state),
        runtime=below(root, defaults.runtime),
        practice=below(root, defaults.practice),
        keys=below(root, defaults.keys),
        trust=below(root, defaults.trust),
    )
    return Box(root, paths, read_users(root / "etc"))


def below(root: Path, path: Path) -> Path:
    """Where an absolute path lies in that root."""
    return root / path.relative_to("/")


def read_users(etc: Path) -> dict[str, User]:
    """The users of that root with all their groups."""
    accounts = [line.split(":") for line in (etc / "passwd").read_text().splitlines()]
    groups = [line.split(":") for line in (etc / "group").read_text().splitlines()]
    return {
        name: User(int(uid), int(gid), tuple(int(group[2]) for group in groups if name in group[3].split(",")))
        for name, _, uid, gid, *_ in accounts
    }

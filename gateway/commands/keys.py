"""``gateway keys seal``: what a service keeps in clear is sealed by systemd, and the clear one destroyed.

Run by root: after an enrolment, and by gateway-keys.timer, which finds what a service made when it renewed itself and
what it asks to have destroyed.

Rules.  1. A secret is destroyed in clear only when its sealed form is durable, was opened again and compared, and the
service, where it runs, was started anew with it.  Killed at any instant nothing is lost, and the same command goes on.
2. The directories of services are theirs, and a service may be hostile: a file is sealed only if it is a plain file
of its owner, under one name, small, and of the mode under which it was finished (0400); it is never followed as a link.
3. Without a TPM nothing is sealed unless it was asked for: a key beside what it opens protects from no thief.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import re
import secrets
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

from gateway.commands.sections import add_config, read_paths
from gateway.config import Paths
from gateway.disk import sync_directory
from gateway.envelope.box_keys import KEYS, PRACTICE, SECRETS
from gateway.errors import Refused, Scope, os_words
from gateway.process.credentials import CONDEMNED, HOST, TPM, WAYS, encrypt, why_no_tpm
from gateway.process.identity import destroy, put_private

AUTO = "auto"
OWNERS = sorted({row.owner for row in (*KEYS, *SECRETS)} - {PRACTICE})
SEALED = ".sealed."
"""Before the name of a secret in clear whose sealed form is in use: overwritten at the next step or the next run."""

PUBLIC = (".pub", ".pem", ".crt")
LARGEST = 1 << 16
BOOTED = Path("/run/systemd/system")
_NAME = re.compile(r"[a-z0-9][A-Za-z0-9.-]{0,150}")


def register(subparsers: Any) -> None:
    """Add ``keys seal``; it sets ``act``."""
    acts = subparsers.add_parser("keys", help="les clés de cette passerelle").add_subparsers(required=True)
    sealing = acts.add_parser("seal", help="sceller les clés qui sont en clair")
    sealing.add_argument(
        "--with-key", choices=(AUTO, TPM, HOST), default=AUTO,
        help="à quoi sceller : le TPM s'il y en a un (auto), le TPM, ou la clé de la machine, sur le même disque",
    )  # fmt: skip
    add_config(sealing)
    sealing.set_defaults(act=seal)


def seal(arguments: argparse.Namespace) -> int:
    """Destroy what services gave up, seal what they keep in clear; what could not be is named (KEY-001 … KEY-005)."""
    paths, way = read_paths(arguments.config), cache(partial(_way, arguments.with_key))
    troubles: dict[str, Refused] = {}
    with _alone(paths):
        for owner in OWNERS:  # what one of them does wrong keeps no other from being sealed
            try:
                _Own(paths, owner).see_to(way)
            except Refused as refusal:
                troubles[refusal.text] = refusal
            except OSError as trouble:
                place = trouble.filename or paths.keys / owner
                text = f"{place} : {os_words(trouble)}. Cette commande est à lancer par root."
                troubles[text] = Refused("KEY-005", text, Scope.BOX)
    if troubles:
        raise Refused(next(iter(troubles.values())).code, " ".join(troubles), Scope.BOX)
    return 0


@contextmanager
def _alone(paths: Paths) -> Iterator[None]:
    """One run at a time, the timer's or a person's."""
    try:
        held = os.open(paths.credentials, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as trouble:
        text = (
            f"{paths.credentials} : {os_words(trouble)}. Cette commande est à lancer par root, les unités installées."
        )
        raise Refused("KEY-005", text, Scope.BOX) from None
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


class _Own:
    """What one service keeps."""

    def __init__(self, paths: Paths, service: str) -> None:
        self._paths, self._service, self._unit = paths, service, f"gateway-{service}.service"
        self._clear, self._sealed = paths.keys / service, paths.credentials / service

    def see_to(self, way: Callable[[], str]) -> None:
        """One pass.  Refused KEY-001 … KEY-004: what could not be sealed, and why; it lies in clear as before."""
        self._finish()
        self._end_condemned()
        waiting = [name for name in self._names() if not name.endswith(PUBLIC)]
        fit = {name: content for name in waiting if (content := _take(self._clear / name, self._clear)) is not None}
        if fit and way():
            self._seal(fit, way())
        if left := [f"{self._service}/{name}" for name in waiting if name not in fit]:
            text = f"{', '.join(left)} : laissé en clair (ce doit être à gw-{self._service}, en 0400, sans autre lien)."
            raise Refused("KEY-003", text, Scope.BOX)

    def _seal(self, fit: dict[str, bytes], way: str) -> None:
        self._check_unit()
        for name, content in fit.items():
            put_private(self._sealed / name, encrypt(name, content, way))
        if not self._restarted():
            for name in fit:
                destroy(self._sealed / name)
            text = f"{self._unit} ne repart pas avec ses clés scellées, qui restent en clair (systemctl status)."
            raise Refused("KEY-004", text, Scope.BOX)
        for name, content in fit.items():
            self._destroy(self._clear / name, content)
            print(f"{self._service}/{name} : scellé {WAYS[way]}, détruit en clair.", flush=True)

    def _end_condemned(self) -> None:
        """Destroy what the service gave up, and have it forgotten what it was given of it."""
        words = self._names(CONDEMNED)
        ended = [name for name in words if (self._sealed / name).exists()]
        for name in ended:
            destroy(self._sealed / name)
        if ended and not self._restarted():
            raise Refused("KEY-004", f"{self._unit} ne repart pas (systemctl status).", Scope.BOX)
        for name in words:
            (self._clear / f"{CONDEMNED}{name}").unlink()
            print(f"{self._service}/{name} : détruit.", flush=True)

    def _names(self, prefix: str = "") -> list[str]:
        """What stands after a prefix, of the names that are ours to touch."""
        names = sorted(path.name for path in self._clear.iterdir()) if self._clear.is_dir() else []
        rest = (name.removeprefix(prefix) for name in names if name.startswith(prefix))
        return [name for name in rest if _NAME.fullmatch(name)]

    # -- the service

    def _check_unit(self) -> None:
        """Refused KEY-004 where systemd would not give the service what is sealed here."""
        if not BOOTED.is_dir():
            return
        written = _systemctl("cat", self._unit).splitlines()
        loaded = _systemctl("show", "--value", "--property=NeedDaemonReload", self._unit).strip() == "no"
        if f"LoadCredentialEncrypted=keys:{self._sealed}" not in written or not loaded:
            text = f"{self._unit} ne charge pas {self._sealed} : installez les unités, puis systemctl daemon-reload."
            raise Refused("KEY-004", text, Scope.BOX)

    def _restarted(self) -> bool:
        """Start the service anew if it runs; whether it came back, or does not run."""
        return not BOOTED.is_dir() or subprocess.run(["systemctl", "try-restart", self._unit]).returncode == 0

    # -- the clear ones

    def _destroy(self, path: Path, content: bytes) -> None:
        """Overwrite and remove a secret that was sealed; under another name first, lest half of it be sealed again."""
        if not path.exists():  # its owner was quicker: it has no use for it any more
            return
        if _take(path, self._clear) == content:  # else it was replaced meanwhile and waits for the next run
            path.rename(path.with_name(SEALED + path.name))
            sync_directory(self._clear)
            self._finish()

    def _finish(self) -> None:
        """Overwrite and remove what was sealed, now or before a crash, and what a crash left half sealed."""
        for name in self._names(SEALED):
            _overwrite(self._clear / f"{SEALED}{name}")
        for half in self._sealed.glob(".*.new"):
            destroy(half)


def _systemctl(*words: str) -> str:
    return subprocess.run(["systemctl", *words], capture_output=True, text=True).stdout


def _way(wanted: str) -> str:
    """To what is sealed; '' for not at all."""
    if wanted != AUTO:
        return wanted
    if not (why := why_no_tpm()):
        return TPM
    print(
        f"Rien n'est scellé : pas de TPM utilisable ({why}). La clé de la machine, qui est sur le même disque, ne"
        " protège pas d'un vol : on n'y scelle que si on le demande (--with-key host)."
    )
    return ""


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _take(path: Path, owner: Path) -> bytes | None:
    """The bytes of a finished secret of that directory's owner, None for anything else."""
    with suppress(OSError), _opened(path, os.O_RDONLY) as descriptor:
        found = os.fstat(descriptor)
        whole = stat.S_ISREG(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o400
        if whole and found.st_nlink == 1 and found.st_uid == owner.stat().st_uid and 0 < found.st_size <= LARGEST:
            return os.read(descriptor, LARGEST)
    return None


def _overwrite(path: Path) -> None:
    """Random bytes over a file, durably, then remove it; what is not a plain file with one name stays."""
    with suppress(FileNotFoundError), _opened(path, os.O_RDWR) as descriptor:
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
            os.write(descriptor, secrets.token_bytes(min(found.st_size, LARGEST)))
            os.fsync(descriptor)
            path.unlink()
            sync_directory(path.parent)

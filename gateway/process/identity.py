"""The box's identity on disk: certificates that take force all at once, and keys that wait until they do.

Everything public that is in force is one *generation*, a directory of ``trust/generations/``; ``trust/current`` names
it, and every ``trust/NAME.pem`` is a link through ``current``.  So one rename puts a whole generation in force, and a
machine that is killed at any instant has the old one or the new one.  Private keys are made before, each in the
directory of its owner under a name that bears its mark: until a certificate for it is in force nobody uses it.
A request that was sent and not yet answered lies in ``keys/enrolment/``; with it everything can be taken up again.

It makes and moves files.  What is in them is decided by ``gateway.process.enrolment``.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway.config import Paths
from gateway.disk import sync_directory
from gateway.envelope.algorithms import PrivateKey, public_key
from gateway.envelope.box_keys import KEYS, PASSWORD, PRACTICE, SECRETS, BoxKey
from gateway.envelope.requests import mark
from gateway.errors import Refused, Scope
from gateway.process.keyring import CURRENT, GENERATIONS, read_certificate

_PENDING = "enrolment"


class Identity:
    """The directories of keys and of trust; only root, or who tests, may write all of them."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._generations = paths.trust / GENERATIONS

    # -- keys

    def check_owners(self) -> None:
        """Refused BOX-008 (scope box) where the directory of an owner of keys is missing, or that of certificates."""
        owners = sorted({row.owner for row in (*KEYS, *SECRETS) if row.owner != PRACTICE})
        for directory in (self._paths.trust, *(self._paths.keys / owner for owner in owners)):
            if not directory.is_dir():
                text = f"Le répertoire {directory} manque : systemd-tmpfiles --create n'a pas été passé."
                raise Refused("BOX-008", text, Scope.BOX)

    def keep_key(self, row: BoxKey, key: PrivateKey) -> None:
        """A new private key into its owner's directory, for its owner alone, durably."""
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        put_private(self._paths.key(row.owner, f"{row.name}.{mark(key.public_key())}.key"), pem)

    def keep_password(self, transport: str, password: str) -> None:
        """The PeSIT password that goes with the transport key of that mark."""
        put_private(self._paths.key("forward", f"{PASSWORD}.{transport}"), password.encode())

    def make_secrets(self) -> None:
        """Those that are not there yet: the others stay, or what was taken would not be known again."""
        for secret in SECRETS:
            path = self._paths.key(secret.owner, secret.name)
            if not path.exists() and not self._paths.credential(secret.owner, secret.name).exists():
                put_private(path, secrets.token_hex(secret.size).encode())

    def _destroy_keys(self, fits: Callable[[str], bool]) -> None:
        """Destroy the keys, and the passwords that go with them, whose mark fits and that no certificate speaks of."""
        known = {mark(public_key(read_certificate(path))) for path in self._generations.glob("*/*.pem")}
        marked: dict[Path, str] = {}
        for place in (self._paths.keys, self._paths.credentials):  # in clear, sealed
            keys = [path for row in KEYS if row.owner for path in (place / row.owner).glob(f"{row.name}.*.key")]
            marked |= {path: path.name.split(".")[-2] for path in keys}
            marked |= {path: path.suffix[1:] for path in (place / "forward").glob(f"{PASSWORD}.*")}
        for path, its in marked.items():
            if its not in known and fits(its):
                destroy(path)

    # -- the request under way

    @property
    def pending(self) -> bytes | None:
        """The signed request that was not answered yet."""
        with suppress(FileNotFoundError):
            return (self._paths.keys / _PENDING / "request.p7m").read_bytes()
        return None

    def begin(self, marks: Iterable[str]) -> None:
        """Name the keys that an enrolment is about to make, durably: services may have made others meanwhile."""
        self._keep("marks", "\n".join(marks).encode())

    def await_answer(self, signed: bytes) -> None:
        """Keep a signed request until its answer is in force; durable before it is sent."""
        self._keep("request.p7m", signed)

    def _keep(self, name: str, content: bytes) -> None:
        folder = self._paths.keys / _PENDING
        folder.mkdir(mode=0o700, exist_ok=True)
        sync_directory(folder.parent)
        put_private(folder / name, content)

    def give_up(self) -> None:
        """The enrolment under way, or one that was killed, leads nowhere: its keys are destroyed, and no others.

        The request goes first, so that it is never answered for keys that are gone."""
        with suppress(FileNotFoundError):
            (self._paths.keys / _PENDING / "request.p7m").unlink()
            sync_directory(self._paths.keys / _PENDING)
        with suppress(FileNotFoundError):
            marks = (self._paths.keys / _PENDING / "marks").read_text().split()
            self._destroy_keys(marks.__contains__)
        self._end()

    def settle(self) -> None:
        """The enrolment under way is in force: keys that await a certificate of the generation before are of no use."""
        self._destroy_keys(lambda its: True)
        self._end()

    def _end(self) -> None:
        shutil.rmtree(self._paths.keys / _PENDING, ignore_errors=True)
        sync_directory(self._paths.keys)

    # -- generations

    @property
    def enrolled(self) -> bool:
        """Whether a generation is in force."""
        return (self._paths.trust / CURRENT).exists()

    def install(self, name: str, files: Mapping[str, bytes], lists: Mapping[str, bytes]) -> None:
        """Put a generation in force: its ``files`` by name, and revocation ``lists``, which only ever add."""
        trust = self._paths.trust
        self._write(name, files)
        (trust / "crl").mkdir(mode=0o755, exist_ok=True)
        for file, content in lists.items():
            put_public(trust / "crl" / file, content)
        self._adopt(files)
        link(trust / CURRENT, Path(GENERATIONS) / name)
        for file in files:
            link(trust / file, Path(CURRENT) / file)

    def _write(self, name: str, files: Mapping[str, bytes]) -> None:
        """A generation's directory, whole under its name or not there."""
        self._generations.mkdir(mode=0o755, exist_ok=True)
        if (self._generations / name).exists():
            return
        temporary = self._generations / f".{name}"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(mode=0o755)
        for file, content in files.items():
            put_public(temporary / file, content)
        sync_directory(temporary)
        temporary.rename(self._generations / name)
        sync_directory(self._generations)

    def _adopt(self, files: Iterable[str]) -> None:
        """Files that were placed by hand become a generation of their own, in force until the new one is."""
        trust = self._paths.trust
        placed = {file: trust / file for file in files if (trust / file).exists() and not (trust / file).is_symlink()}
        if not placed or self.enrolled:
            return
        self._write("placed", {file: path.read_bytes() for file, path in placed.items()})
        link(trust / CURRENT, Path(GENERATIONS) / "placed")
        for file in placed:
            link(trust / file, Path(CURRENT) / file)


def put_private(path: Path, content: bytes) -> None:
    """A file for the owner of its directory alone (0400), whole and durable or not there."""
    owner = path.parent.stat()
    _put(path, content, 0o400, (owner.st_uid, owner.st_gid))


def put_public(path: Path, content: bytes) -> None:
    """A file for all to read (0644), whole and durable or as it was."""
    _put(path, content, 0o644)


def _put(path: Path, content: bytes, mode: int, owner: tuple[int, int] | None = None) -> None:
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(content)
        if owner not in (None, (os.geteuid(), os.getegid())) and os.geteuid() == 0:
            os.fchown(out.fileno(), *owner)
        os.fchmod(out.fileno(), mode)
        out.flush()
        os.fsync(out.fileno())
    temporary.replace(path)
    sync_directory(path.parent)


def link(path: Path, target: Path) -> None:
    """A symbolic link in place of whatever has its name, in one step, durably."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(path)
    sync_directory(path.parent)


def destroy(path: Path) -> None:
    """Overwrite a secret and remove it, never through a link.  On flash memory the old cells may outlive this: only
    an encrypted disk does more (docs/cles.md)."""
    with suppress(FileNotFoundError):
        held = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.fchmod(held, 0o600)
            out = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        finally:
            os.close(held)
        with os.fdopen(out, "wb") as file:
            file.write(secrets.token_bytes(os.fstat(out).st_size))
            file.flush()
            os.fsync(out)
        path.unlink()
        sync_directory(path.parent)

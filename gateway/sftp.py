"""The reserve channel's line: one SFTP session with one pinned server, on paramiko.

Rules: the server is known by its pinned host key, before anything of ours is said to it; we are known by our
key.  A file has its name only when it is whole: it is written under its partial name, gone on with where that
was left, forced to disk where the server can, measured, then renamed; SSH_FXP_RENAME, unlike posix-rename,
never overwrites.  What the line or the server does becomes ``Refused`` or ``Deferred`` of the route by a table.
It blocks: whoever calls it does so in a thread of its own, and loads it only when it is used (+28 MB).
"""

from __future__ import annotations

import logging
import posixpath
import re
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import paramiko  # type: ignore[import-untyped]

from gateway.errors import Deferred, Refused, Scope, Trouble
from gateway.formats.landing import DEMAND, DEPOT, RETURNS, had_name, partial_name

BLOCK = 1 << 17
"""One write, answered before the next one is asked: a write that fails leaves no hole behind it, in which a later
attempt would go on.  OpenSSH takes up to 256 KiB."""
RETURN_LIMIT = 64 << 20
"""A sealed return is at most what the keeper reads, and its envelope."""

logging.getLogger("paramiko").addHandler(logging.NullHandler())
logging.getLogger("paramiko").propagate = False  # what it would say is said by a Trouble


@dataclass(frozen=True)
class Account:
    """Where and as whom: ``host_key`` is the type and the base64 of the server's one key, as in known_hosts;
    ``directory`` holds the two rooms of ``formats.landing``; ``patience`` is in seconds of silence."""

    host: str
    port: int
    user: str
    key: Path
    host_key: str
    directory: str = ""
    patience: float = 30.0


@dataclass(frozen=True)
class Put:
    """A file that is there whole: ``moved`` bytes this time, from ``resumed_at`` on."""

    size: int
    moved: int
    resumed_at: int


_TROUBLES: tuple[tuple[type[Exception], type[Trouble], str, str], ...] = (
    (paramiko.AuthenticationException, Refused, "SFT-AUTH", "n'accepte pas notre clé"),
    (paramiko.ssh_exception.IncompatiblePeer, Refused, "SFT-HOSTKEY", "ne présente pas la clé attendue"),
    (TimeoutError, Deferred, "SFT-LATE", "ne répond plus"),
    (socket.gaierror, Deferred, "SFT-UNREACHABLE", "est introuvable"),
    (ConnectionRefusedError, Deferred, "SFT-UNREACHABLE", "ne répond pas"),
    (ConnectionError, Deferred, "SFT-CUT", "a coupé la liaison"),
    (EOFError, Deferred, "SFT-CUT", "a coupé la liaison"),
    (paramiko.SSHException, Deferred, "SFT-CUT", "a coupé la liaison"),
    (OSError, Deferred, "SFT-REFUSED", "refuse l'opération"),
)
"""What paramiko raises, first row that fits; the last is a status that the SFTP server answered."""

_ALSO_WHEN_GONE = (paramiko.AuthenticationException, OSError)
"""What paramiko calls a refusal of the server also when the line has just gone."""

_RETURN = re.compile(r"[0-9A-Za-z_-]{1,80}")

_SIGNATURES = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}
"""Host key types that sign under other names than their own."""


class Session:
    """One session; ``close`` may be called from any thread and ends what another one waits for."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._transport: Any = None
        self._sftp: Any = None
        self._closed = False

    def open(self) -> None:
        """Join the server, know it by its key, then be known.  Refused or Deferred, scope route."""
        account = self._account
        name, key = _pinned(account.host_key)
        mine = _own_key(account.key)
        with self._asked("connexion"):
            line = socket.create_connection((account.host, account.port), account.patience)
            line.settimeout(account.patience)
            self._transport = paramiko.Transport(line)
            if self._closed:
                raise ConnectionAbortedError("arrêt demandé")
            self._transport.get_security_options().key_types = _SIGNATURES.get(name, (name,))
            self._transport.start_client(timeout=account.patience)
            shown = self._transport.get_remote_server_key()
        if (shown.get_name(), shown.get_base64()) != (name, key):
            text = "Voie de secours : la clé du serveur SFTP n'est pas celle attendue."
            raise Refused("SFT-HOSTKEY", text, Scope.ROUTE)
        with self._asked("identification"):
            self._transport.auth_timeout = self._transport.channel_timeout = account.patience
            self._transport.auth_publickey(account.user, mine)
            self._sftp = paramiko.SFTPClient.from_transport(self._transport)
            self._sftp.get_channel().settimeout(account.patience)

    def close(self) -> None:
        """End the session."""
        self._closed = True
        if self._transport is not None:
            self._transport.close()

    @contextmanager
    def _asked(self, what: str) -> Iterator[None]:
        """Something is asked of the server; nothing that can fail on our own disk belongs inside."""
        try:
            yield
        except (OSError, EOFError, paramiko.SSHException) as cause:
            found = EOFError() if self._gone() and isinstance(cause, _ALSO_WHEN_GONE) else cause
            _, kind, code, words = next(row for row in _TROUBLES if isinstance(found, row[0]))
            text = f"Voie de secours, {what} : le serveur SFTP {words} ({str(cause) or type(cause).__name__})."
            raise kind(code, text, Scope.ROUTE) from cause

    def _gone(self) -> bool:
        """Whether there was a line, or a channel on it, and is none any more."""
        if self._transport is None:
            return False
        return not self._transport.is_active() or (self._sftp is not None and self._sftp.get_channel().closed)

    # -- fichiers

    def put(self, source: BinaryIO, size: int, name: str, progress: Callable[[int], None]) -> Put:
        """Leave ``size`` bytes of ``source`` (seekable) in ``depot/`` under ``name``, which says their SHA-256.

        A partial of that name is gone on with; a whole file of that name is success.
        """
        whole, partial = self._path(DEPOT, name), self._path(DEPOT, partial_name(name))
        with self._asked("dépôt"):
            there = self._size(whole)
            if there is not None:
                _check_size(there, size)
                with suppress(FileNotFoundError):  # a rename cut in its middle leaves both names
                    self._sftp.remove(partial)
                return Put(size, 0, size)
        start = self._write(source, size, partial, progress)
        with self._asked("dépôt"):
            _check_size(self._size(partial), size)
            self._sftp.rename(partial, whole)
        return Put(size, size - start, start)

    def _write(self, source: BinaryIO, size: int, partial: str, progress: Callable[[int], None]) -> int:
        """The rest of ``source`` into the partial; where it began."""
        with self._asked("dépôt"):
            start = self._size(partial) or 0
            start = start if start <= size else 0  # longer: not ours, whatever its name says
            out = self._sftp.open(partial, "r+b" if start else "wb")
            out.MAX_REQUEST_SIZE = BLOCK
            out.seek(start)
        source.seek(start)
        progress(start)
        while block := source.read(BLOCK):
            with self._asked("dépôt"):
                out.write(block)
            progress(source.tell())
        with self._asked("dépôt"):
            self._force(out)
            out.close()
        return start

    def _force(self, out: Any) -> None:
        """fsync, if the server knows it; paramiko has no public name for it."""
        try:
            self._sftp._request(paramiko.sftp.CMD_EXTENDED, "fsync@openssh.com", out.handle)
        except OSError as cause:
            if "unsupported" not in str(cause):
                raise

    # -- returns

    def returns(self) -> list[str]:
        """Returns that lie ready and that we did not mark as had."""
        with self._asked("retours"):
            listed = self._sftp.listdir_attr(self._path(RETURNS))
        found = {item.filename for item in listed if stat.S_ISREG(item.st_mode or 0)}
        return sorted(
            name for name in found if _RETURN.fullmatch(name) and name != DEMAND and had_name(name) not in found
        )

    def get(self, name: str, write: Callable[[bytes], object]) -> None:
        """Fetch one return.  Deferred SFT-RETURN beyond ``RETURN_LIMIT``."""
        with self._asked("retours"):
            file = self._sftp.open(self._path(RETURNS, name), "rb")
        left = RETURN_LIMIT
        while True:
            with self._asked("retours"):
                block = file.read(BLOCK)
            if not block:
                break
            left -= len(block)
            if left < 0:
                raise Deferred("SFT-RETURN", f"Voie de secours : le retour {name} est trop grand.", Scope.ROUTE)
            write(block)
        file.close()

    def mark(self, name: str) -> None:
        """Say that a return was had."""
        self._touch(had_name(name))

    def demand(self) -> None:
        """Ask for what is undelivered; it lies ready some time later."""
        self._touch(DEMAND)

    def _touch(self, name: str) -> None:
        with self._asked("retours"):
            self._sftp.open(self._path(RETURNS, name), "w").close()

    # -- names

    def _path(self, *names: str) -> str:
        return posixpath.join(self._account.directory, *names)

    def _size(self, path: str) -> int | None:
        """The size of a remote file, None if there is none; inside ``_asked``."""
        try:
            return int(self._sftp.stat(path).st_size)
        except FileNotFoundError:
            return None


def _check_size(there: int | None, size: int) -> None:
    if there != size:
        text = f"Voie de secours : le serveur SFTP a {there} octets d'un fichier de {size}."
        raise Deferred("SFT-SIZE", text, Scope.ROUTE)


def _pinned(host_key: str) -> tuple[str, str]:
    """Type and base64 of a key as known_hosts writes it; Refused (route) for anything else."""
    words = host_key.split()
    known = paramiko.Transport._key_info
    if len(words) < 2 or not {words[0], *_SIGNATURES.get(words[0], ())} & set(known):
        text = "Voie de secours : host_key doit être « type base64 », comme dans known_hosts."
        raise Refused("SFT-HOSTKEY", text, Scope.ROUTE)
    return words[0], words[1]


def _own_key(path: Path) -> Any:
    """Our private key; Refused (route) when it cannot be read."""
    try:
        return paramiko.PKey.from_path(path)
    except (OSError, ValueError, paramiko.SSHException, paramiko.UnknownKeyType) as cause:
        text = f"Voie de secours : notre clé {path} ne peut pas être lue ({cause})."
        raise Refused("SFT-KEY", text, Scope.ROUTE) from None

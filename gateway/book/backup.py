"""A backup: what a box must not lose, in one file sealed to the practice's recovery certificate.

Inside the seal is a tar (ustar) of: ``manifest.json``, ``book.db``, what was set at run time, the salts of the years
(``keeper.persons``), the secrets by which fichiers and patients are known again, the entries of the door ``new/`` and
the parts that the book names.  What can be made again is not in it: sealed copies for the OCT, the board, restart
contexts, segments.  Private keys are not either: a new box has its own.

Written while the keeper works: entries of the door are opened first, then the book is copied as of one moment, so
that a fichier is in one or the other.  Nothing here knows where a box keeps its things, or what a state means.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from gateway.book.doors import Door, blocks
from gateway.envelope.algorithms import PrivateKey
from gateway.envelope.ring import open_by
from gateway.envelope.seal import MAX_SIZE, Sealer
from gateway.errors import Refused, Scope
from gateway.formats import canonical
from gateway.formats.canonical import Moment

MANIFEST, BOOK, SETTINGS = "manifest.json", "book.db", "settings.toml"
YEARS = "years"
"""Beside the book: the salts of the keys under which the access chain names people."""

_NAMES = re.compile(
    r"manifest\.json|book\.db|settings\.toml|years/[0-9]{4}\.salt|secrets/[a-z.-]{1,40}"
    r"|new/[a-z]{1,10}\.[0-9a-f.]{1,80}|parts/[0-9a-f]{64}"
)  # fmt: skip
_RECORD = tarfile.BLOCKSIZE
_ASIDE = ".aside-"


@dataclass(frozen=True)
class Manifest:
    """Whose backup it is, of when, and the last transfer number (PI 13) that was used."""

    box: str
    made: Moment
    transfer: int
    v: int = 1

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return canonical.encode(self)


def read_manifest(content: bytes) -> Manifest:
    """Refused BAK-001 for another writing or version."""
    return canonical.decode(Manifest, content, "BAK-001", "La sauvegarde", version=("v", 1))


@dataclass(frozen=True)
class Member:
    """One file of a backup: ``open`` is called once, when its turn comes."""

    name: str
    size: int
    open: Callable[[], BinaryIO]


def member(name: str, content: bytes) -> Member:
    """A small file."""
    return Member(name, len(content), lambda: io.BytesIO(content))


def member_file(name: str, path: Path) -> Member:
    """A file that lies somewhere."""
    return Member(name, path.stat().st_size, lambda: path.open("rb"))


def waiting_at(door: Door) -> list[Member]:
    """The entries of a door, opened now, so that they are there even if they are taken meanwhile."""
    return [_opened(name, door.open(name)) for name in door.names()]


def _opened(name: str, file: BinaryIO) -> Member:
    return Member(f"new/{name}", os.fstat(file.fileno()).st_size, lambda: file)


@contextmanager
def aside(folder: Path) -> Iterator[Path]:
    """A directory of one's own beside the book, for as long as it is needed.

    It belongs to whom ``folder`` belongs to, so that its owner may clear away what a kill has left (``clear_asides``).
    """
    with tempfile.TemporaryDirectory(prefix=_ASIDE, dir=folder) as made:
        owner = folder.stat()
        os.chown(made, owner.st_uid, owner.st_gid)
        yield Path(made)


def clear_asides(folder: Path, before: float) -> int:
    """Remove what was left aside before a moment (Unix seconds), since a copy of the book would outlive all delays; how
    many."""
    left = [path for path in folder.glob(f"{_ASIDE}*") if path.stat().st_mtime < before]
    for path in left:
        shutil.rmtree(path)
    return len(left)


def copy_book(book: Path, target: Path) -> None:
    """The book as of one moment, the keeper writing or not."""
    with closing(sqlite3.connect(f"file:{book}?mode=ro", uri=True)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)


def write_backup(members: Iterable[Member], out: BinaryIO, recovery: bytes) -> int:
    """Seal the tar of ``members`` to the recovery certificate (DER); its size before sealing.

    Refused BAK-002 (scope box) when it is more than a seal may hold, BAK-003 when a file changed its size.
    """
    listed = list(members)
    size = sum(_RECORD + _padded(one.size) for one in listed) + 2 * _RECORD
    if size > MAX_SIZE:
        raise Refused("BAK-002", f"La sauvegarde ferait {size >> 30} Gio : trop pour un seul fichier.", Scope.BOX)
    sealer = Sealer(out, [recovery], size)
    for one in listed:
        info = tarfile.TarInfo(one.name)
        info.size, info.mode = one.size, 0o400
        sealer.write(info.tobuf(tarfile.USTAR_FORMAT))
        _copy(one, sealer)
    sealer.write(bytes(2 * _RECORD))
    sealer.close()
    return size


def _copy(one: Member, sealer: Sealer) -> None:
    left = one.size
    with one.open() as file:
        for block in blocks(file):
            left -= len(block)
            if left < 0:
                break
            sealer.write(block)
    if left:
        raise Refused("BAK-003", f"{one.name} a changé pendant la sauvegarde : recommencez.", Scope.BOX)
    sealer.write(bytes(_padded(one.size) - one.size))


def _padded(size: int) -> int:
    return -(-size // _RECORD) * _RECORD


def read_backup(src: BinaryIO, keys: Sequence[PrivateKey]) -> Iterator[tuple[str, BinaryIO]]:
    """The members of a backup in order, each to be read before the next; the whole seal was checked before the first.

    Refused as by ``open_by``, and BAK-001 for a member that no backup has.
    """
    opened = open_by(keys, src)
    try:
        with tarfile.open(fileobj=opened, mode="r|", format=tarfile.USTAR_FORMAT) as tar:  # type: ignore[call-overload]
            for info in tar:
                file = tar.extractfile(info) if info.isreg() else None
                if file is None or not _NAMES.fullmatch(info.name):
                    raise Refused("BAK-001", f"La sauvegarde contient « {info.name} », qui n'y a pas sa place.")
                yield info.name, file
    except tarfile.TarError as error:
        raise Refused("BAK-001", f"La sauvegarde n'est pas lisible : {error}.") from None

"""A box made again from a backup, on a machine with keys of its own.

Rules.  The book is put in place last: until then there is none, and it can be begun again.  What was sealed to the
lost box is sealed to the new one, by way of the recovery key.  What the lost box may have done after the backup is
not known, so numbers jump: seals get numbers that it cannot have used, and whatever was on its way is sealed and
sent again; the OCT answers what it has with its first receipt.  No service of the box may run meanwhile.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from gateway.book.backup import BOOK, MANIFEST, SETTINGS, YEARS, Manifest, aside, read_backup, read_manifest
from gateway.book.doors import Copied, Door
from gateway.book.moves import Book
from gateway.book.parts import Parts, Writable
from gateway.disk import sync_directory
from gateway.envelope.algorithms import PrivateKey
from gateway.envelope.ring import open_by
from gateway.envelope.seal import seal
from gateway.errors import Refused, Scope
from gateway.fichier import Verb
from gateway.formats.words import plural

JUMP = 1000
"""Seals that the lost box cannot have made since its backup."""


@dataclass(frozen=True)
class Place:
    """Where the new box keeps things, and to whom it seals fichiers and returns (DER)."""

    book: Path
    parts: Path
    new: Path
    secret: Callable[[str], Path]
    fichiers: Sequence[bytes]
    returns: Sequence[bytes]


@dataclass(frozen=True)
class Restored:
    """``again``: fichiers to be sealed and sent again; ``lost``: parts that the recovery key does not open."""

    manifest: Manifest
    fichiers: int
    again: tuple[str, ...]
    lost: int


def restore(src: BinaryIO, recovery: Sequence[PrivateKey], place: Place) -> Restored:
    """Make the box anew by the practice's recovery keys: the one of the backup's time, and older ones of what was still
    kept then.

    Refused BAK-001 for what is no backup, BAK-004 (scope box) where there is a book with fichiers already, BAK-007
    where a fichier is sealed to a recovery key that was not given.
    """
    _check_empty(place.book / BOOK)
    with aside(place.book) as folder:
        members = read_backup(src, recovery)
        manifest = _first(members)
        restoration = _Restoration(folder, recovery, place)
        for name, file in members:
            restoration.take(name, file)
        return restoration.finish(manifest)


def _check_empty(path: Path) -> None:
    """A box that was only started has a book without fichiers; it makes room."""
    if path.exists():
        book = Book(path)
        count = book.connection.execute("SELECT count(*) FROM fichiers").fetchone()[0]
        book.close()
        if count:
            text = f"Cette passerelle a déjà un livre de {plural(count, 'fichier')} ({path}) : rien n'est changé."
            raise Refused("BAK-004", text, Scope.BOX)


def _first(members: Iterator[tuple[str, BinaryIO]]) -> Manifest:
    for name, file in members:
        if name == MANIFEST:
            return read_manifest(file.read())
        break
    raise Refused("BAK-001", "Ce fichier scellé n'est pas une sauvegarde de passerelle.")


class _Restoration:
    """The members of one backup on their way to their places."""

    def __init__(self, aside: Path, recovery: Sequence[PrivateKey], place: Place) -> None:
        self._aside, self._recovery, self._place = aside, recovery, place
        self._parts, self._new = Parts(place.parts), Door(place.new)
        self._book: Book | None = None
        self._lost = 0

    @property
    def book(self) -> Book:
        """The book of the backup, which stands before whatever it names."""
        if self._book is None:
            raise Refused("BAK-001", "La sauvegarde ne contient pas de livre à sa place.")
        return self._book

    def take(self, name: str, file: BinaryIO) -> None:
        """One member, by the folder that it stands in."""
        folder, _, rest = name.rpartition("/")
        takes = {
            "secrets": self._take_secret, "years": self._take_salt, "new": self._take_entry, "parts": self._take_part,
            "": self._take_settings if name == SETTINGS else self._take_book,
        }  # fmt: skip
        takes[folder](rest, file)

    def _take_book(self, name: str, file: BinaryIO) -> None:
        with (self._aside / name).open("wb") as out:
            shutil.copyfileobj(file, out)
        self._book = Book(self._aside / name)

    def _take_secret(self, name: str, file: BinaryIO) -> None:
        _put(self._place.secret(name), file, 0o400)

    def _take_settings(self, name: str, file: BinaryIO) -> None:
        _put(self._place.book / name, file, 0o600)

    def _take_salt(self, name: str, file: BinaryIO) -> None:
        years = self._place.book / YEARS
        if not years.exists():
            years.mkdir(mode=0o700)
            _give(years, self._place.book)
        _put(years / name, file, 0o600)

    def _take_entry(self, name: str, file: BinaryIO) -> None:
        with self._new.begin() as entry:
            if name.startswith("fichier."):
                self._seal_again(file, entry, self._place.fichiers)
            else:
                shutil.copyfileobj(file, entry)
            entry.finish(name)

    def _take_part(self, digest: str, file: BinaryIO) -> None:
        """A part keeps its place in the book under the digest of its new bytes."""
        fichier = self._rows("SELECT fichier, role FROM parts WHERE digest = ?", digest)
        delivery = self._rows("SELECT id FROM returns WHERE delivery = ?", digest)
        recipients = self._place.returns if delivery else self._place.fichiers
        sealed = delivery or any(row["role"] == "received" for row in fichier)
        try:
            part = self._add(file, recipients if sealed else ())
        except Refused as refusal:
            if refusal.code != "CMS-020":  # not for us
                raise
            if fichier:
                text = "La copie d'un fichier est scellée à une autre clé de recours : donnez-la aussi (--key)."
                raise Refused("BAK-007", text, Scope.BOX) from None
            self._lost += 1  # a return that an older version sealed to one key alone
            return
        with self.book.transaction():
            for row in fichier:
                self.book.name_part(row["fichier"], row["role"], part)
            self.book.connection.execute("UPDATE returns SET delivery = ? WHERE delivery = ?", (part.digest, digest))

    def _rows(self, query: str, digest: str) -> list[dict[str, str]]:
        return [dict(row) for row in self.book.connection.execute(query, (digest,)).fetchall()]

    def _add(self, file: BinaryIO, recipients: Sequence[bytes]) -> Copied:
        def write(out: Writable) -> None:
            if recipients:
                self._seal_again(file, out, recipients)
            else:
                shutil.copyfileobj(file, out)

        return self._parts.add(write)

    def _seal_again(self, file: BinaryIO, out: Writable, recipients: Sequence[bytes]) -> None:
        """From the recovery key to new recipients; only the sealed bytes touch the disk."""
        with (self._aside / "sealed").open("w+b") as sealed:
            shutil.copyfileobj(file, sealed)
            sealed.seek(0)
            opened = open_by(self._recovery, sealed)
            seal(opened, opened.size, out, recipients)

    def finish(self, manifest: Manifest) -> Restored:
        """Numbers jump, and the book is put in its place."""
        book = self.book
        rows = book.connection.execute("SELECT id FROM fichiers ORDER BY received").fetchall()
        with book.transaction():
            book.settle_claims("")
            book.connection.execute("UPDATE fichiers SET seals = seals + ?", (JUMP,))
            again = tuple(row["id"] for row in rows if book.move(row["id"], Verb.UNSEAL, {"why": "restore"}))
            marks = ", ".join("?" * len(again))
            query = f"DELETE FROM parts WHERE role = 'sealed' AND fichier IN ({marks})"  # noqa: S608
            book.connection.execute(query, again)
            book.record("", {"verb": "restore", "backup": manifest.made})
        book.close()
        for file in self._place.parts.iterdir():
            _give(file, self._place.parts)
        for leftover in (f"{BOOK}-wal", f"{BOOK}-shm"):
            (self._place.book / leftover).unlink(missing_ok=True)
        _place_file(self._aside / BOOK, self._place.book / BOOK)
        return Restored(manifest, len(rows), again, self._lost)


def _give(file: Path, folder: Path) -> None:
    """What root makes belongs to whom its folder belongs to."""
    owner = folder.stat()
    os.chown(file, owner.st_uid, owner.st_gid)


def _put(path: Path, file: BinaryIO, mode: int) -> None:
    """A small file, whole under its name or not at all."""
    made = path.with_name(f".{path.name}")
    made.unlink(missing_ok=True)
    made.write_bytes(file.read())
    made.chmod(mode)
    _place_file(made, path)


def _place_file(made: Path, path: Path) -> None:
    """A file into its place, whole and durable."""
    _give(made, path.parent)
    with made.open("rb") as file:
        os.fsync(file.fileno())
    made.replace(path)
    sync_directory(path.parent)

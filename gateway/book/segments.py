"""The journal's segment files: what the book has is appended and forced to disk, and read back for verification.

Rules.  The book is the truth: a file that is missing is made again from it, byte for byte, and what a power cut
tore is cut off and written again; either is told.  A file that says something else than the book is left as it is,
and told: it may be a trace.  A segment ends with its year or its size.  One writer, the keeper.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gateway.book.proofs import Proofs, Tree, read_rows
from gateway.disk import sync_directory
from gateway.formats import canonical
from gateway.journal.chain import CHAINS, START
from gateway.journal.segment import PROOFS, Proof, SegmentHead, entry_line, read_entry, read_name, segment_name

LARGEST = 64 << 20
"""Bytes after which a segment is followed by another."""

BATCH = 4096
TAIL = 1 << 20


@dataclass(frozen=True)
class Line:
    """Entry number ``number`` and how it is written; ``year`` decides where a segment ends."""

    number: int
    year: str
    written: bytes


@dataclass(frozen=True)
class Repair:
    """What was found wrong with a file: ``torn`` (cut by a power cut), ``short`` (lines that were there are gone),
    ``missing`` or ``altered``; all but the last are made good from entry ``first`` on."""

    kind: str
    name: str
    first: int


class Source(Protocol):
    """Whose entries a segment has."""

    def lines(self, after: int) -> Iterator[Line]: ...
    def before(self, first: int) -> tuple[bytes, list[bytes]]: ...


class _Rows:
    """The rows of one chain."""

    def __init__(self, connection: sqlite3.Connection, chain: str) -> None:
        self._connection, self._chain = connection, chain

    def lines(self, after: int) -> Iterator[Line]:
        for row in read_rows(self._connection, self._chain, after + 1):
            yield Line(row.seq, json.loads(row.text)["at"][:4], entry_line(row.hash, row.text))

    def before(self, first: int) -> tuple[bytes, list[bytes]]:
        tree = Tree(self._connection, self._chain)
        return (START, []) if first == 1 else (tree.head(first - 1), tree.peaks(first - 1))


class _Proofs:
    """What was signed."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._proofs = Proofs(connection)

    def lines(self, after: int) -> Iterator[Line]:
        for row in self._proofs.each(after):
            text = canonical.encode(proof_of(row)).decode()
            yield Line(row["id"], row["at"][:4], entry_line(bytes.fromhex(row["digest"]), text))

    def before(self, first: int) -> tuple[bytes, list[bytes]]:
        return START, []


def proof_of(row: sqlite3.Row) -> Proof:
    """A row of ``proofs`` as segments write it."""
    der = base64.b64encode(row["der"]).decode()
    return Proof(row["id"], row["kind"], row["chain"], row["size"], row["about"], row["at"], der)


class Writer:
    """The open segment of a chain, or of the proofs; ``connection`` is the book's."""

    def __init__(self, directory: Path, box: str, chain: str, connection: sqlite3.Connection) -> None:
        self._directory, self._box, self._chain, self._connection = directory, box, chain, connection
        self._source: Source = _Proofs(connection) if chain == PROOFS else _Rows(connection, chain)
        self.altered = False
        """The last file says something else than the book: nothing more is written behind it."""

    # -- what a crash, or somebody, left

    def open(self) -> list[Repair]:
        """Make whole what is in the directory, as far as the book recorded it; what was found."""
        found, self.altered = [], False
        for row in self._segments():
            path = self._path(row["number"])
            if not path.exists():
                self._write(row["number"], row["first"], row["last"])
                found.append(Repair("missing", path.name, row["first"]))
        last = self._last()
        if last is not None:
            found += self._examine(last)
        return found

    def _examine(self, last: sqlite3.Row) -> list[Repair]:
        """The file to which more is to be appended: its tail must be the book's."""
        path = self._path(last["number"])
        torn = _cut_tail(path)
        number, place = self._unrecorded(path, last)
        if number:
            self.altered = True
            return [Repair("altered", path.name, number)]
        if place:
            _cut(path, place)
            torn = True
        line = _last_line(path)
        entry = read_entry(line)
        if entry is None and line and not line.startswith(b"{"):
            self.altered = True
            return [Repair("altered", path.name, last["last"])]
        if entry is None:  # only the head, or not even that
            self._write(last["number"], last["first"], last["last"])
            return [Repair("torn", path.name, last["first"])]
        number = _number(entry[1], self._chain)
        known = next(iter(self._source.lines(number - 1)), None) if number else None
        if known is None or known.number != number or known.written != line + b"\n":
            self.altered = True
            return [Repair("altered", path.name, number)]
        if number < last["last"]:
            self._append(last["number"], number, last["last"])
            return [Repair("torn" if torn else "short", path.name, number + 1)]
        self._record(last["number"], last["first"], number)
        return [Repair("torn", path.name, number + 1)] if torn else []

    def _unrecorded(self, path: Path, last: sqlite3.Row) -> tuple[int, int]:
        """What stands behind the lines that the book recorded: the number of an entry that is not the book's (0: none),
        and where lines begin that a power cut spoilt (0: none): its blocks reach the disk in any order."""
        place, number = 0, last["last"]
        for begin, line in _lines_behind(path, last["last"] - last["first"] + 2):
            entry = None if b"\0" in line else read_entry(line)
            told = _number(entry[1], self._chain) if entry else 0
            known = next(iter(self._source.lines(told - 1)), None) if told else None
            if entry is None:
                place = place or begin
            elif known is None or (known.number, known.written) != (told, line + b"\n"):
                return told or number + 1, 0
            elif told != number + 1:
                place = place or begin
            number += 1
        return 0, place

    # -- writing

    def append(self) -> bool:
        """Append what the book has more, as much as makes one batch; whether there may be more still."""
        if self.altered:
            return False
        last = self._last()
        done = last["last"] if last else 0
        number, first, year = (last["number"], last["first"], self._year(last["first"])) if last else (0, 0, "")
        size = self._path(number).stat().st_size if last else LARGEST
        batch: list[Line] = []
        for line in self._source.lines(done):
            if size >= LARGEST or line.year > year:
                if batch:
                    break
                number, first, year, size = number + 1, line.number, line.year, 0
                self._begin(number, first)
            batch.append(line)
            size += len(line.written)
            if len(batch) == BATCH:
                break
        if batch:
            _extend(self._path(number), b"".join(line.written for line in batch))
            self._record(number, first, batch[-1].number)
        return bool(batch)

    def _begin(self, number: int, first: int) -> None:
        """A new file with its head."""
        before = None
        if number > 1:
            with self._path(number - 1).open("rb") as file:
                before = hashlib.file_digest(file, "sha256").hexdigest()
        previous, peaks = self._source.before(first)
        frontier = tuple(peak.hex() for peak in peaks)
        head = SegmentHead(self._box, self._chain, number, first, previous.hex(), frontier, before)
        self._path(number).unlink(missing_ok=True)
        _extend(self._path(number), head.to_line())
        sync_directory(self._directory)

    def _write(self, number: int, first: int, last: int) -> None:
        """A whole segment anew."""
        self._begin(number, first)
        self._append(number, first - 1, last)

    def _append(self, number: int, after: int, last: int) -> None:
        batch: list[bytes] = []
        for line in self._source.lines(after):
            if line.number > last:
                break
            batch.append(line.written)
            if len(batch) == BATCH:
                _extend(self._path(number), b"".join(batch))
                batch = []
        _extend(self._path(number), b"".join(batch))

    # -- what the book remembers of files

    def _path(self, number: int) -> Path:
        return self._directory / segment_name(self._chain, number)

    def _segments(self) -> list[sqlite3.Row]:
        return self._connection.execute(
            "SELECT * FROM segments WHERE chain = ? ORDER BY number", (self._chain,)
        ).fetchall()

    def _last(self) -> sqlite3.Row | None:
        rows = self._segments()
        return rows[-1] if rows else None

    def _record(self, number: int, first: int, last: int) -> None:
        self._connection.execute(
            "INSERT INTO segments (chain, number, first, last) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (chain, number) DO UPDATE SET last = excluded.last",
            (self._chain, number, first, last),
        )

    def _year(self, first: int) -> str:
        line = next(iter(self._source.lines(first - 1)), None)
        return line.year if line else ""


class Archive:
    """All segments of a box."""

    def __init__(self, directory: Path, box: str, connection: sqlite3.Connection) -> None:
        self._writers = [Writer(directory, box, chain, connection) for chain in (*CHAINS, PROOFS)]

    def open(self) -> list[Repair]:
        """Make whole what is there; what was found."""
        return [repair for writer in self._writers for repair in writer.open()]

    def append(self) -> bool:
        """Append one batch to each, proofs after the rows that they cover; whether there may be more still."""
        *chains, proofs = self._writers
        more = [writer.append() for writer in chains]
        return any(more) or proofs.append()


def _extend(path: Path, written: bytes) -> None:
    """Append durably."""
    with path.open("ab") as out:
        out.write(written)
        out.flush()
        os.fsync(out.fileno())


def _cut_tail(path: Path) -> bool:
    """Cut off what follows the last whole line; whether there was anything."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        start = max(0, size - TAIL)
        file.seek(start)
        whole = start + file.read().rfind(b"\n") + 1
    if whole == size:
        return False
    _cut(path, whole)
    return True


def _cut(path: Path, size: int) -> None:
    """Cut off what follows, durably."""
    with path.open("r+b") as file:
        file.truncate(size)
        os.fsync(file.fileno())


def _lines_behind(path: Path, count: int) -> Iterator[tuple[int, bytes]]:
    """The lines behind the first ``count``, each with where it begins and without its newline."""
    place = 0
    with path.open("rb") as file:
        for number, line in enumerate(file):
            if number >= count:
                yield place, line.rstrip(b"\n")
            place += len(line)


def _last_line(path: Path) -> bytes:
    """The last line without its newline; b"" where there is none."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - TAIL))
        lines = file.read().split(b"\n")
    return lines[-2] if len(lines) > 1 else b""


def _number(text: str, chain: str) -> int:
    """The number of an entry by its own text; 0 where it says none."""
    with suppress(ValueError, TypeError, KeyError):
        number = json.loads(text)["id" if chain == PROOFS else "seq"]
        if isinstance(number, int):
            return number
    return 0


# ---------------------------------------------------------------- reading


def names(directory: Path, chain: str) -> list[Path]:
    """The segments of a chain, in order."""
    return sorted(path for path in directory.glob(f"{chain}-*") if read_name(path.name))

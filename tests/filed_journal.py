"""A real journal in the book and in segments, to be touched in copies and looked over."""

from __future__ import annotations

import dataclasses
import shutil
import sqlite3
from datetime import timedelta
from pathlib import Path

from development_pki import Pki
from journal_bench import Oct, act, carried
from keeper_bench import KeeperBench

from gateway.book.inspection import Authority, Inspection, inspect
from gateway.book.proofs import Tree
from gateway.book.segments import Archive
from gateway.journal.chain import ACCESS, EVIDENCE
from gateway.services.keeper.archive import Archiving


@dataclasses.dataclass
class Filed:
    """A real journal, in the book and in segments, with every row under a checkpoint."""

    book: Path
    directory: Path
    authority: Authority
    bench: KeeperBench
    sizes: dict[str, int]

    def inspect(self, *, alone: bool = False, receipts: tuple[bytes, ...] = ()) -> Inspection:
        authority = dataclasses.replace(self.authority)
        book = None if alone else self.book
        return inspect(self.directory, authority, self.bench.now, book, receipts)

    def copy(self, folder: Path) -> Filed:
        shutil.copytree(self.directory, folder / "journal")
        shutil.copy(self.book, folder / "book.db")
        return dataclasses.replace(self, book=folder / "book.db", directory=folder / "journal")

    def open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.book, isolation_level=None)
        connection.row_factory = sqlite3.Row
        return connection

    def segment(self, chain: str) -> Path:
        return self.directory / f"{chain}-000001.journal"


def make_filed(bench: KeeperBench, witness: Oct, pki: Pki) -> Filed:
    """A journal of both chains with a fichier that the OCT countersigned."""
    archiving = Archiving(bench.desk)
    archiving.start()
    key = bench.checked("a", "991038431")
    act(bench, 3, ACCESS)
    witness.answer(witness.see(carried(bench)).head, key)
    act(bench, 2)
    carried(bench)
    bench.now += timedelta(days=1)
    archiving.look()
    while archiving._archive.append():
        pass
    connection = bench.desk.book.connection
    sizes = {chain: Tree(connection, chain).size() for chain in (EVIDENCE, ACCESS)}
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    paths = bench.desk.paths
    authority = Authority((pki.root,), tuple(pki.chain))
    return Filed(paths.book / "book.db", paths.journal, authority, bench, sizes)


def remake(copy: Filed, book: sqlite3.Connection) -> None:
    shutil.rmtree(copy.directory)
    copy.directory.mkdir()
    book.execute("DELETE FROM segments")
    archive = Archive(copy.directory, "box-0001", book)
    while archive.append():
        pass

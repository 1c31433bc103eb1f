"""Revocation lists: a year of them in the book, beside whole zlib copies of the same lists in the same run.

One authority has 100,000 entries; each day 150 come and 100 go, and its list is kept as the keeper does it, for another
fichier.  Copies deflate the same lists; every tenth is deflated and stands for ten.  On the last day a process of its
own keeps one more list and reads it back, so that its memory is known.  The paths of a signature are then checked under
that list, and under one with a single entry.  Times are of the processor.

``PYTHONPATH=firmware-tools python -m bench.lists 3653`` is ten years, and takes half an hour.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from large_list import LargeList

from bench.pki import development_pki
from bench.rows import row
from gateway.book import exhibits
from gateway.book.moves import Book
from gateway.envelope.certificates import Use, check_path, load_certificates, load_key, load_lists
from gateway.process.keyring import ListFiles

DAYS, COME, GO = 365, 150, 100
EVERY = 10
MEMORY = 100 << 20
CHECKS = 20
NOW = datetime.now(UTC).replace(microsecond=0)
ANOTHER = """
import json, sys, time
from pathlib import Path
from gateway.book import exhibits
from gateway.book.moves import Book
book, content = Book(Path(sys.argv[1])), Path(sys.argv[2]).read_bytes()
begun = time.process_time()
with book.transaction():
    exhibits.keep(book, "another", exhibits.LIST, [content])
kept = time.process_time()
found = exhibits.exhibits(book, "another", exhibits.LIST)
read = time.process_time()
assert found == [content]
status = Path("/proc/self/status").read_text()
print(json.dumps([kept - begun, read - kept, int(status.partition("VmHWM:")[2].split()[0]) * 1024]))
"""


def spent(act: Callable[[], object]) -> float:
    """Seconds of the processor."""
    begun = time.process_time()
    act()
    return time.process_time() - begun


class Year:
    """A book that had a list a day, how long each took, and what copies of all would have."""

    def __init__(self, folder: Path, authority: LargeList, days: int) -> None:
        self.path, self.seconds, self.copies, self.deflating = folder / "book.db", list[float](), 0, list[float]()
        with closing(Book(self.path)) as book:
            for day in range(days):
                content = authority.signed(NOW + timedelta(days=day))
                self.seconds.append(spent(lambda one=content, name=f"f{day}": self._keep(book, name, one)))
                if day % EVERY == 0:
                    self.deflating.append(spent(lambda one=content: self._copy(one)))
                authority.change(COME, GO)
        self.size = self.path.stat().st_size
        self.copies = self.copies * days // len(self.deflating)

    def _keep(self, book: Book, name: str, content: bytes) -> None:
        with book.transaction():
            exhibits.keep(book, name, exhibits.LIST, [content])

    def _copy(self, content: bytes) -> None:
        self.copies += len(zlib.compress(content))


class Paths:
    """The paths of a signature, as the keeper checks them, under the lists of a directory."""

    def __init__(self, folder: Path, pki: Path) -> None:
        def read(name: str) -> bytes:
            return load_certificates((pki / f"{name}.pem").read_bytes())[0]

        self._folder, self._root = folder, read("root")
        self._chain = [read("chains/sante")]
        self._leaf = read("practitioners/99900000011/sig")
        (folder / "root.crl").write_bytes(load_lists((pki / "crl/root.crl").read_bytes())[0])

    def check(self, content: bytes) -> float:
        """Milliseconds of one check by this list, once it was read."""
        (self._folder / "sante.crl").write_bytes(content)
        files = ListFiles(self._folder)
        self._check(files)
        return 1000 * spent(lambda: [self._check(files) for _ in range(CHECKS)]) / CHECKS

    def _check(self, files: ListFiles) -> None:
        check_path(self._leaf, self._chain, [self._root], files.read(), NOW + timedelta(hours=1), Use.SIGN_FICHIER)


def measure(days: int = DAYS) -> list[dict[str, Any]]:
    """What a year of lists takes on the disk, in time and in memory."""
    with development_pki() as (root, pki):
        checked = root / "crl"
        checked.mkdir()
        issuer = load_certificates((pki / "chains/sante.pem").read_bytes())[0]
        key = load_key((pki / "ca/sante.key").read_bytes())
        authority = LargeList(issuer, key, NOW)
        year = Year(root, authority, days)
        large, small = authority.signed(NOW), LargeList(issuer, key, NOW, 1).signed(NOW)
        (root / "large.crl").write_bytes(large)
        command = [sys.executable, "-c", ANOTHER, year.path, root / "large.crl"]
        keeping, reading, peak = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        paths = Paths(checked, pki)
        under_large, under_small = paths.check(large), paths.check(small)
    print(f"keeping one: median {1000 * median(year.seconds):.0f} ms, at most {1000 * max(year.seconds):.0f} ms,"
          f" the last {1000 * keeping:.0f} ms; a list has {len(large)} bytes", file=sys.stderr)  # fmt: skip
    return [
        row(f"the book after {days} days of lists", year.size, "bytes", "whole zlib copies", year.copies),
        row("to keep a list", 1000 * median(year.seconds), "ms", "to deflate it", 1000 * median(year.deflating)),
        row("to read a list back", 1000 * reading, "ms", "to deflate it", 1000 * median(year.deflating)),
        row("peak memory to keep and read one", peak, "bytes", "the bound", MEMORY),
        row("to check a path under it", under_large, "ms", "under a list of one entry", under_small),
    ]


if __name__ == "__main__":
    for found in measure(int(sys.argv[1]) if len(sys.argv) > 1 else DAYS):
        print(found)

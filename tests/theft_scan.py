"""What a thief of the box would find: secrets in clear in its files, in free pages of its databases, in its logs, in
files without a name, and in what every process may read of another.

A secret is looked for in each form in which a program may leave it: as written, with the blanks that people put into a
NIR, in hexadecimal, in base64 at each of the three alignments, in Latin-1, UTF-16 and EBCDIC, as JSON escapes.
Out of scope: the practice's own folders, which are the practice's plaintext, and the directories of keys.
"""

from __future__ import annotations

import base64
import json
import re
import sqlite3
import threading
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pin_scan import forms as pin_forms

PRACTICE = ("outbox", "processed", "inbox", "refused")
"""Folders below ``srv/gateway`` that hold the practice's own files; ``receipts`` is looked into."""

PEM = b"PRIVATE KEY-----"


@dataclass(frozen=True)
class Secret:
    """What must not be found, by any of ``forms``; ``name`` tells it in a find without repeating it."""

    name: str
    forms: tuple[bytes, ...]


def _written(content: bytes) -> Iterator[bytes]:
    """A value as bytes, in hexadecimal, in base64 wherever it stands in what was encoded."""
    yield content
    yield content.hex().encode()
    yield content.hex().upper().encode()
    for before in range(3):
        whole = base64.b64encode(bytes(before) + content)
        first = -(-before * 8 // 6) + (before > 0)  # without the characters that the bytes before share
        last = len(whole.rstrip(b"=")) - ((before + len(content)) % 3 > 0)
        yield whole[first:last]


def text_secret(name: str, text: str, *more: str) -> Secret:
    """A text: a name, a password, a NIR."""
    found = [form for one in (text, *more) for form in _written(one.encode())]
    found += [text.encode("utf-16-le"), text.encode("cp500"), text.encode("latin-1"), json.dumps(text)[1:-1].encode()]
    return Secret(name, tuple(dict.fromkeys(found)))


def nir_secret(nir: str) -> Secret:
    """The 13 characters of a NIR, also as people write them."""
    number = nir[:13]
    cuts = (0, 1, 3, 5, 7, 10, 13)
    groups = [number[start:end] for start, end in pairwise(cuts)]
    return text_secret(f"NIR …{number[-3:]}", number, " ".join(groups), ".".join(groups))


def key_secrets(directory: Path) -> list[Secret]:
    """What each file of a directory of keys holds: the numbers of private keys, hexadecimal secrets, passwords."""
    return [_key_secret(path) for path in sorted(directory.rglob("*")) if path.is_file()]


def _key_secret(path: Path) -> Secret:
    content = path.read_bytes()
    if PEM not in content:
        text = content.decode().strip()
        raw = bytes.fromhex(text) if re.fullmatch(r"(?:[0-9a-f]{2}){16,}", text) else b""
        return Secret(path.name, tuple(form for form in (*_written(text.encode()), *_written(raw)) if form))
    key = load_pem_private_key(content, None)
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.private_numbers()
        secret = [numbers.d, numbers.p, numbers.q]
    else:
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        secret = [key.private_numbers().private_value]
    values = [value.to_bytes((value.bit_length() + 7) // 8, "big") for value in secret]
    return Secret(path.name, tuple(form for value in values for form in _written(value)))


def finds(where: str, content: bytes, secrets: Iterable[Secret]) -> list[str]:
    """Which secrets stand in a content."""
    found = [secret.name for secret in secrets if any(form in content for form in secret.forms)]
    return [f"{where}: {name}" for name in found + (["a private key"] if PEM in content else [])]


def in_files(root: Path, secrets: Iterable[Secret], passed_over: Iterable[Path] = ()) -> list[str]:
    """Finds in all files below ``root``, their names included, without what lies below ``passed_over``."""
    listed, passed, found = list(secrets), tuple(passed_over), []
    for path in sorted(root.rglob("*")):
        if any(path.is_relative_to(place) for place in passed):
            continue
        found += finds(f"{path} (name)", str(path.relative_to(root)).encode(), listed)
        if path.is_file() and not path.is_symlink():
            found += [find for where, content in layers(path) for find in finds(where, content, listed)]
    return found


def layers(path: Path) -> Iterator[tuple[str, bytes]]:
    """What a file holds, and what lies deflated in it: in the members of an archive, in the rows of a database."""
    content = path.read_bytes()
    yield str(path), content
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield from ((f"{path} {name}", archive.read(name)) for name in archive.namelist())
    if content.startswith(b"SQLite format 3\0"):
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            yield from _inflated(str(path), database)


def _inflated(where: str, database: sqlite3.Connection) -> Iterator[tuple[str, bytes]]:
    for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        for value in chain.from_iterable(database.execute(f'SELECT * FROM "{table}"')):
            with suppress(zlib.error):
                if isinstance(value, bytes):
                    yield f"{where} {table}", zlib.decompress(value)


def pins_in(content: bytes, pin: str) -> bool:
    """Whether a text holds the code of a card; for text only: sealed bytes hold any four digits somewhere."""
    return any(re.search(form, content) for form in pin_forms(pin))


def nameless(process: Path) -> Iterator[tuple[str, bytes]]:
    """The files that a process (its directory below /proc) has open and that have no name any more, memory files too:
    the disk, or swap, has them as well as others."""
    descriptors: list[Path] = []
    with suppress(OSError):  # it may end meanwhile
        descriptors = list((process / "fd").iterdir())
    for descriptor in descriptors:
        with suppress(OSError):
            if " (deleted)" in str(descriptor.readlink()) and descriptor.is_file():
                yield f"{process.name} {descriptor.readlink()}", descriptor.read_bytes()


class Listings:
    """Watches, in a thread, processes below one directory: what every other may read of them, command lines and
    environments, and the files without a name that they hold open."""

    def __init__(self, mark: str) -> None:
        """``mark``: what stands in the command line or environment of a process that is watched."""
        self._mark = mark.encode()
        self._stop = threading.Event()
        self.seen: dict[str, bytes] = {}
        self.nameless: dict[str, bytes] = {}
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Listings:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.is_set():
            self.look()
            self._stop.wait(0.05)

    def look(self) -> None:
        """One look at all processes."""
        for process in Path("/proc").glob("[0-9]*"):
            try:
                words, environment = (process / "cmdline").read_bytes(), (process / "environ").read_bytes()
            except OSError:
                continue
            if self._mark in words + environment:
                self.seen[f"{process.name} {words[:200]!r}"] = words + b"\0" + environment
                self.nameless |= dict(nameless(process))

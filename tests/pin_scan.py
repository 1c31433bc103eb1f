"""Where a code porteur shows in files: as digits of its own, as hexadecimal with or without blanks, as base64.

Every card of the tests has one of ``CODES``: they begin with 0, as no process id, port or count does, so that a find
is a find.  What a code may stand in is named in ``INPUTS``.  Sealed and random bytes are left out, and told by their
own look, file by file and again around each find: among millions of them any four digits stand somewhere.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import zlib
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

CODE, WRONG, NEW = "0872", "0871", "0891"  # no hour, minute or second, however a time is cut
PUK = "08769315"
CODES = (CODE, WRONG, NEW, PUK)
"""What cards of the tests are opened with, what is typed by mistake, what a code is changed to, what unblocks."""

INPUTS = {
    "*.pin": "a test's own file for --pin-file, --new-pin-file or --puk-file",
    "codes*.json": "the memory of a virtual card, which keeps its codes as a real one does",
}
"""Names of files that a code may stand in, and why."""

BEFORE, AFTER = 8, 64
"""Bytes around a hint within which the longest form stands."""

NEAR, VALUES = 64, 85
"""Bytes on each side of bare digits, and how many different values show that these were drawn by lot: of 128 random
bytes 101 differ (give or take 5), of text or structures fewer than 70."""

BLOCK = 16 << 20

SAMPLE, RANDOM = 1024, 0.95
"""Bytes that are looked at in two places of a file, and to how much of their size random ones compress at best."""


def forms(code: str) -> Iterator[bytes]:
    """Regular expressions for what ``code`` looks like in a log, a trace or a dump."""
    plain = code.encode()
    length = b"%02x" % len(plain)
    yield rb"(?<![0-9A-Za-z])(?<![0-9]\.)" + plain + rb"(?![0-9A-Za-z])"
    yield re.escape(bytes([len(plain)])) + plain  # in a VERIFY as it goes to the card
    yield rb"(?i)" + length + rb"[ :,]?" + rb"[ :,]?".join(f"{byte:02x}".encode() for byte in plain)
    yield rb"(?i)" + rb"[ :,]".join(f"(0x)?{byte:02x}".encode() for byte in plain)
    yield rb", ".join(str(byte).encode() for byte in plain)
    yield re.escape(base64.b64encode(plain).rstrip(b"="))


def in_bytes(content: bytes, codes: Iterable[str] = CODES) -> list[str]:
    """The forms in which ``content`` shows one of ``codes``; bare digits among random bytes are chance."""
    sources = _forms(codes := tuple(codes))
    shown: dict[bytes, None] = {}
    for hint in _hints(codes):
        for match in hint.finditer(content):
            around = content[max(0, match.start() - BEFORE) : match.end() + AFTER]
            chance = len(set(content[max(0, match.start() - NEAR) : match.start() + NEAR])) > VALUES
            shown |= {form.pattern: None for form in sources[chance * len(codes) :] if form.search(around)}
    return [repr(form) for form in shown]


@cache
def _forms(codes: tuple[str, ...]) -> list[re.Pattern[bytes]]:
    """Of each kind one for every code, the bare digits first."""
    return [re.compile(form) for kind in zip(*map(forms, codes), strict=True) for form in kind]


@cache
def _hints(codes: tuple[str, ...]) -> list[re.Pattern[bytes]]:
    """What stands in all bytes that show a code, each of a kind that is sought fast: most files have none of it."""
    heads = [code[:3].encode() for code in codes]
    kinds = (
        [code.encode() for code in codes],
        [rb"%02x[ :,]?(?:0[xX])?%02x[ :,]?(?:0[xX])?%02x" % tuple(head) for head in heads],
        [rb"%d, %d, %d" % tuple(head) for head in heads],
        [base64.b64encode(head) for head in heads],
    )
    return [re.compile(b"|".join(kind)) for kind in kinds]


def is_random(path: Path) -> bool:
    """Whether the middle and the end of a file are sealed, compressed or drawn by lot."""
    size = path.stat().st_size
    if size < 2 * SAMPLE:
        return False
    with path.open("rb") as file:
        samples = [file.read(SAMPLE) for place in (size // 2, size - SAMPLE) if file.seek(place)]
    return all(len(zlib.compress(one, 1)) > RANDOM * SAMPLE for one in samples)


def _blocks(path: Path) -> Iterator[bytes]:
    """What is written of a file, in blocks that overlap: some tests make files that are larger than any memory."""
    with path.open("rb") as file:
        at, content = 0, bytes(BLOCK)
        while len(content) == BLOCK:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:
                return  # nothing but a hole is left
            content = os.pread(file.fileno(), BLOCK, at)
            yield content
            at += BLOCK - BEFORE - AFTER


def found(folder: Path, codes: Iterable[str] = CODES) -> list[str]:
    """Every file under ``folder`` but ``INPUTS`` that shows one of ``codes``, with the form that it shows it in."""
    finds = []
    for path in sorted(folder.rglob("*")):
        named = any(fnmatch(path.name, name) for name in INPUTS)
        if path.is_file() and not path.is_symlink() and not named and not is_random(path):
            shown = dict.fromkeys(form for block in _blocks(path) for form in in_bytes(block, codes))
            finds += [f"{path}: {form}" for form in shown]
    return finds


def strange(folder: Path) -> list[str]:
    """Codes in ``INPUTS`` under ``folder`` that are none of ``CODES``: left elsewhere they would not be found.

    Of a card's two codes only the first counts: the unblocking code of most is never typed.
    """
    given = [(path, path.read_text().strip()) for path in folder.rglob("*.pin")]
    given += [(path, json.loads(path.read_text())["secrets"]["1"]) for path in folder.rglob("codes*.json")]
    return [f"{path}: a code that is none of the tests'" for path, code in given if code not in CODES]


def remove(folder: Path) -> None:
    """Remove a folder that the run wrote into, once it was searched; AssertionError where it shows a code."""
    finds = found(folder) + strange(folder)
    shutil.rmtree(folder)
    assert not finds, "\n".join(finds)

"""The practice's folders: what its software writes into and reads from, on a share of the LAN.

``outbox/`` is the practice's: a file is complete when it was unchanged for two looks (a rename into place is
one of them).  It is renamed into ``outbox/.taking/`` before it is read, so that a second file of the same
name is a file of its own, and goes to ``processed/`` or ``refused/`` only after the door has it.
``inbox/`` gets returns byte for byte and each exactly once: three steps that a crash may cut anywhere.
Nothing here opens, checks or understands a fichier.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from gateway.disk import sync_directory

FOLDERS = ("outbox", "inbox", "receipts", "processed", "refused")
UNFINISHED = (".tmp", ".part", ".crdownload", "~")
"""Endings by which programs mark a file they still write."""

LONGEST_NAME = 200
"""Bytes kept of a practice's file name, so that an id and an ending fit beside it."""

REASON = ".raison.txt"
"""What the reason beside a refused file is called."""

_PROCESSED = re.compile(r"([0-9a-f]{32})_.")

Look = tuple[int, int, int]


class PracticeFolder:
    """The five folders under one root."""

    def __init__(self, root: Path) -> None:
        self.outbox, self.inbox, self.receipts, self.processed, self.refused = (root / name for name in FOLDERS)
        self._taking = self.outbox / ".taking"
        self._delivering = self.inbox / ".delivering"
        for path in (self.outbox, self.inbox, self.receipts, self.processed, self.refused):
            path.mkdir(parents=True, exist_ok=True)
        for path in (self._taking, self._delivering):
            path.mkdir(exist_ok=True)
        self._looks: dict[str, Look] = {}
        self._last = 0

    # -- outbox

    def take(self) -> list[Path]:
        """Rename what is complete into ``.taking``; all that stands there, oldest first, is to be worked on."""
        seen: dict[str, Look] = {}
        for entry in os.scandir(self.outbox):
            look = _look(entry)
            if look is None:
                continue
            if self._looks.get(entry.name) == look:
                self._last = max(self._last + 1, _next_number(self._taking))
                Path(entry.path).rename(self._taking / f"{self._last}_{_end_of(entry.name)}")
            else:
                seen[entry.name] = look
        self._looks = seen
        return [path for _, path in sorted(_numbered(self._taking))]

    @staticmethod
    def given_name(taken: Path) -> str:
        """The name the practice gave to a file that stands in ``.taking``; of a very long one its end."""
        return taken.name.split("_", 1)[1]

    def process(self, taken: Path, fichier: str) -> None:
        """The door has it: the practice's own file goes to ``processed/<id>_<name>``."""
        taken.rename(self.processed / f"{fichier}_{self.given_name(taken)}")

    def refuse(self, file: Path, name: str, reason: str) -> None:
        """Move a file to ``refused/`` with the reason beside it."""
        (self.refused / f"{name}{REASON}").write_text(reason, encoding="utf-8")
        with suppress(FileNotFoundError):
            file.rename(self.refused / name)

    def refuse_processed(self, fichier: str, reason: str) -> None:
        """The box or the OCT refused what was processed already."""
        for file in self.processed.glob(f"{fichier}_*"):
            self.refuse(file, file.name, reason)

    def empty(self, before: float, spared: Callable[[str], bool]) -> int:
        """Remove what came into ``processed/`` and ``refused/`` before ``before`` (Unix seconds); how many files.

        The time is that of the inode, since a rename keeps the practice's own.  What the box did not put there
        stays, and in ``processed/`` what belongs to a fichier that is ``spared``.
        """
        gone = [file for file in self.processed.iterdir()
                if (found := _PROCESSED.match(file.name)) and not spared(found[1])]  # fmt: skip
        for reason in self.refused.glob(f"*{REASON}"):
            gone += [reason.with_name(reason.name.removesuffix(REASON)), reason]
        old = [file for file in gone if file.is_file() and file.stat(follow_symlinks=False).st_ctime < before]
        for file in old:
            file.unlink(missing_ok=True)  # the practice may take it away at any moment
        return len(old)

    # -- receipts

    def write_receipt(self, fichier: str, word: Mapping[str, Any]) -> None:
        """The fichier's own JSON, replaced as a whole; an older word never takes the place of a newer one."""
        path = self.receipts / f"{fichier}.json"
        with suppress(FileNotFoundError, ValueError):
            if json.loads(path.read_text(encoding="utf-8"))["rank"] >= word["rank"]:
                return
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(word, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        temporary.rename(path)

    # -- inbox

    def deliver(self, key: str, name: str, write: Callable[[BinaryIO], None]) -> None:
        """Put a return into ``inbox/`` once: whole aside, then a mark, then its place.

        After a crash: no mark = begin again; mark and whole file = only the last step is missing; mark alone
        = it was delivered, even if the practice's software has taken it since.  ``delivered`` ends it.
        """
        whole, mark = self._delivering / key, self._delivering / f"{key}.mark"
        if not mark.exists():
            with whole.open("wb") as out:
                write(out)
                out.flush()
                os.fsync(out.fileno())
            mark.touch()
            sync_directory(self._delivering)
        if whole.exists():
            self._place(whole, name)

    def _place(self, whole: Path, name: str) -> None:
        if whole.stat().st_nlink == 1:
            number = 0
            while True:
                with suppress(FileExistsError):
                    os.link(whole, self.inbox / (name if number == 0 else f"{name}.{number}"))
                    break
                number += 1
            sync_directory(self.inbox)
        whole.unlink()
        sync_directory(self._delivering)

    def delivered(self, key: str) -> None:
        """The pick-up is known to the book: the mark has done its duty."""
        (self._delivering / f"{key}.mark").unlink(missing_ok=True)

    def forget_marks(self, offered: Collection[str]) -> None:
        """At start: end the marks of returns that are no longer offered; a crash left them."""
        for mark in self._delivering.glob("*.mark"):
            if mark.stem not in offered:
                mark.unlink()


def _look(entry: os.DirEntry[str]) -> Look | None:
    if entry.name.startswith(".") or entry.name.endswith(UNFINISHED):
        return None
    with suppress(FileNotFoundError):
        if entry.is_file(follow_symlinks=False):
            info = entry.stat(follow_symlinks=False)
            return info.st_ino, info.st_size, info.st_mtime_ns
    return None


def _end_of(name: str) -> str:
    return os.fsdecode(os.fsencode(name)[-LONGEST_NAME:])


def _numbered(taking: Path) -> Iterator[tuple[int, Path]]:
    """What ``take`` renamed, with its number; whatever else lies there is not ours."""
    for path in taking.iterdir():
        number, found, _ = path.name.partition("_")
        if found and number.isascii() and number.isdigit():
            yield int(number), path


def _next_number(taking: Path) -> int:
    return 1 + max((number for number, _ in _numbered(taking)), default=0)

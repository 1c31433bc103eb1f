"""The restart context of one transfer, kept in a small file: what it is, then a line for every point.

Rules (F-76, F-102, F-111): the head never changes. A line is appended for each point; a point undoes those
of higher numbers, so that going back is one more line. A last line that a crash cut short does not count.
Where points must outlive a power cut, their lines are on disk when ``reach`` returns.
It knows neither who sends nor where the data are.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from gateway.pesit.transfer import SyncPoint

PRIVATE = 0o600
_REACHED, _ENDED = "point", "ended"


@dataclass(frozen=True)
class Kept:
    """A point, and its place in the local file where that is not its ``offset``."""

    point: SyncPoint
    place: int


class Context:
    """One context; ``head`` is what the transfer is, as JSON holds it."""

    def __init__(self, path: Path, head: Mapping[str, Any], lines: Iterator[str]) -> None:
        self.path = path
        self.head = dict(head)
        self.ended: dict[str, Any] | None = None
        """What ``end`` recorded; None while the transfer is under way."""
        self._kept: dict[int, Kept] = {0: Kept(SyncPoint(), 0)}
        for line in lines:
            self._replay(json.loads(line))

    @classmethod
    def begin(cls, path: Path, head: Mapping[str, Any]) -> Context:
        """A new context in place of an older one; its name is not on disk yet."""
        draft = path.with_name(f"{path.name}.tmp")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE), "wb") as out:
            out.write(_line(head))
        draft.replace(path)
        return cls(path, head, iter(()))

    @classmethod
    def load(cls, path: Path) -> Context | None:
        """The context that is there; None when there is none, or none that can be read."""
        try:
            whole = path.read_bytes()
        except FileNotFoundError:
            return None
        end = whole.rfind(b"\n") + 1
        try:
            first, *lines = whole[:end].decode("utf-8").splitlines()
            head = json.loads(first)
            if not isinstance(head, dict) or _REACHED in head:
                return None
            made = cls(path, head, iter(lines))
        except (ValueError, TypeError, KeyError):
            return None
        if end < len(whole):
            os.truncate(path, end)
        return made

    @property
    def last(self) -> Kept:
        """The point that was recorded last."""
        return self._kept[next(reversed(self._kept))]

    @property
    def points(self) -> dict[int, SyncPoint]:
        """Every point that stands, by number; 0 is the start of the file."""
        return {number: kept.point for number, kept in self._kept.items()}

    def place(self, number: int) -> int | None:
        """Where point ``number`` lies in the local file, None for a point that was never recorded."""
        kept = self._kept.get(number)
        return kept.place if kept else None

    def record(self, point: SyncPoint, place: int) -> None:
        """Keep a point and forget those behind it; after a power cut the line may be missing."""
        self._record([Kept(point, place)], durable=False)

    def reach(self, points: Sequence[Kept]) -> None:
        """Keep several, in their order: they are on disk when this returns."""
        self._record(points, durable=True)

    def end(self, **what: object) -> None:
        """Record durably that the transfer is over, and ``what`` came of it."""
        self.ended = what
        self._append([{_ENDED: what}], durable=True)

    def drop(self) -> None:
        """The transfer will never go on: forget it."""
        self.path.unlink(missing_ok=True)

    def _record(self, points: Sequence[Kept], *, durable: bool) -> None:
        for kept in points:
            self._keep(kept)
        self._append([{_REACHED: asdict(kept.point), "place": kept.place} for kept in points], durable=durable)

    def _replay(self, line: Mapping[str, Any]) -> None:
        if _ENDED in line:
            self.ended = line[_ENDED]
        else:
            self._keep(Kept(SyncPoint(**line[_REACHED]), line["place"]))

    def _keep(self, kept: Kept) -> None:
        number = kept.point.number
        if number < self.last.point.number:
            self._kept = {known: at for known, at in self._kept.items() if known < number}
        if number == 0:
            kept = replace(kept, place=0)
        self._kept[number] = kept

    def _append(self, lines: Iterable[Mapping[str, Any]], *, durable: bool) -> None:
        # Not created when it is gone: a context without its head would be worse than none.
        with os.fdopen(os.open(self.path, os.O_WRONLY | os.O_APPEND), "wb") as out:
            out.writelines(map(_line, lines))
            out.flush()
            if durable:
                os.fdatasync(out.fileno())


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"

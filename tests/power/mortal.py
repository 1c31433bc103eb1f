"""Run one gateway service that dies by a real SIGKILL at wanted instants.

    python mortal.py WANTED KILLS run NAME --config FILE

WANTED lists what is still to come, ``instant count`` a line; KILLS gets a line ``instant subject`` for each
death.  An instant is a point just before or just after something becomes durable: a move's commit, a link
into a door, an unlink out of it, a restart context's commit.  The product knows nothing of this: its own
choke points are wrapped from outside.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Fate:
    """Which instants are wanted still, and the end when one is reached."""

    def __init__(self, service: str, wanted: Path, kills: Path) -> None:
        self.service, self._path, self._kills = service, wanted, kills
        self._done = set(kills.read_text().splitlines()) if kills.exists() else set()

    def reach(self, instant: str, subject: str = "") -> None:
        """Die here if this instant is wanted, but only once for the same subject: five deaths would hold it."""
        wanted = {name: int(count) for name, count in (line.split() for line in self._path.read_text().splitlines())}
        name = f"{self.service}:{instant}"
        told = f"{name} {subject}"
        if not wanted.get(name) or told in self._done:
            return
        wanted[name] -= 1
        temporary = self._path.with_suffix(f".{self.service}")
        temporary.write_text("".join(f"{key} {count}\n" for key, count in wanted.items() if count))
        temporary.rename(self._path)
        with self._kills.open("a") as out:
            out.write(f"{told}\n")
        os.kill(os.getpid(), signal.SIGKILL)


def around(fate: Fate, owner: Any, name: str, instant: Callable[..., tuple[str, str]]) -> None:
    """Wrap a method: an instant before it and one after."""
    real = getattr(owner, name)

    @functools.wraps(real)
    def wrapped(*arguments: Any, **options: Any) -> Any:
        what, subject = instant(*arguments, **options)
        fate.reach(f"{what}:before", subject)
        result = real(*arguments, **options)
        fate.reach(f"{what}:after", subject)
        return result

    setattr(owner, name, wrapped)


def doors(fate: Fate) -> None:
    """Each link into a door and each unlink out of it."""
    from gateway.book.doors import Door

    def put(door: Door, name: str, file: Path) -> tuple[str, str]:
        return f"put-{door.path.name}-{_kind(name)}", name

    def remove(door: Door, name: str) -> tuple[str, str]:
        return f"remove-{door.path.name}-{_kind(name)}", name

    around(fate, Door, "place", put)

    def withdraw(door: Door, name: str) -> tuple[str, str]:
        return f"withdraw-{door.path.name}-{_kind(name)}", name

    around(fate, Door, "remove", remove)
    around(fate, Door, "withdraw", withdraw)


def _kind(name: str) -> str:
    """``fichier``, ``sent``, ``return`` …; a sealed part's entry begins with its fichier's id instead."""
    first = name.split(".")[0]
    return "part" if len(first) == 32 else first


def keeper(fate: Fate) -> None:
    """Each move, before and after its commit."""
    from gateway.book.moves import Book

    moved: list[tuple[str, str]] = []
    real_receive, real_move, real_transaction = Book.receive, Book.move, Book.transaction

    def receive(book: Book, fichier: str, *arguments: Any) -> bool:
        moved.append(("receive", fichier))
        return real_receive(book, fichier, *arguments)

    def move(book: Book, fichier: str, verb: Any, *arguments: Any, **columns: Any) -> bool:
        done = real_move(book, fichier, verb, *arguments, **columns)
        if done:
            moved.append((str(verb), fichier))
        return done

    @contextmanager
    def transaction(book: Book) -> Iterator[None]:
        moved.clear()
        with real_transaction(book):
            yield
            told = list(moved)
            for verb, fichier in told:
                fate.reach(f"move-{verb}:before", fichier)
        for verb, fichier in told:
            fate.reach(f"move-{verb}:after", fichier)

    Book.receive, Book.move, Book.transaction = receive, move, transaction  # type: ignore[method-assign,assignment]


def forward(fate: Fate) -> None:
    """Each commit of a restart context."""
    from gateway.services.forward.transfers import Transfers

    for name in ("begin_write", "acknowledge", "finish_write", "begin_pull", "record_whole", "end_pull"):
        around(fate, Transfers, name, lambda transfers, *what, act=name: (act, str(what[:2])))


def intake(fate: Fate) -> None:
    """What changes the practice's folders."""
    from gateway.lan.folder import PracticeFolder

    around(fate, PracticeFolder, "process", lambda folder, taken, fichier: ("process", fichier))
    around(fate, PracticeFolder, "deliver", lambda folder, key, name, write: ("deliver", key))
    around(fate, PracticeFolder, "delivered", lambda folder, key: ("delivered", key))
    around(fate, PracticeFolder, "write_receipt", lambda folder, fichier, word: ("receipt", fichier))


def card(fate: Fate) -> None:
    """Each signature, before and after it is kept for the keeper."""
    from gateway.card.pending import Pending

    around(fate, Pending, "record", lambda pending, item, signed: ("sign", item.fichier))


def status(fate: Fate) -> None:
    """Each look at the board."""
    from gateway.services.status.view import View

    around(fate, View, "situation", lambda view: ("look", str(os.getpid())))


def concentrator(fate: Fate) -> None:
    """Each commit of the receiving end's store."""
    from gateway.concentrator.store import Store

    for name in ("begin", "reach", "complete", "settle", "offer", "deliver"):
        around(fate, Store, name, lambda store, *what, act=name: (act, str(what[:2])))


WRAPS: dict[str, tuple[Callable[[Fate], None], ...]] = {
    "keeper": (doors, keeper),
    "forward": (doors, forward),
    "intake": (doors, intake),
    "card": (card,),
    "status": (status,),
    "concentrator": (concentrator,),
}

INSTANTS = {
    "keeper": (
        *(f"move-{verb}" for verb in ("receive", "check", "refuse", "sign", "seal", "send", "integrate")),
        "put-outgoing-part", "put-counter-word", "put-counter-return", "remove-new-fichier", "remove-new-picked",
        "remove-arrived-begun", "remove-arrived-sent", "remove-arrived-return", "withdraw-outgoing-part",
    ),
    "forward": (
        "begin_write", "acknowledge", "finish_write", "begin_pull", "record_whole", "end_pull",
        "put-arrived-begun", "put-arrived-sent", "put-arrived-return", "remove-outgoing-part",
    ),
    "intake": (
        "put-new-fichier", "put-new-picked", "process", "deliver", "delivered", "receipt",
        "remove-counter-word", "remove-counter-return",
    ),
    "card": ("sign",),
    "status": ("look",),
    "concentrator": ("begin", "reach", "complete", "settle", "offer", "deliver"),
}  # fmt: skip
"""Every instant of every service; each exists before and after."""


def main() -> int:
    wanted, kills, *words = sys.argv[1:]
    name = words[words.index("run") + 1]
    fate = Fate(name, Path(wanted), Path(kills))
    for wrap in WRAPS[name]:
        wrap(fate)
    from gateway.__main__ import main as gateway

    return gateway(words)


if __name__ == "__main__":
    sys.exit(main())

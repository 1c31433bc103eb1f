"""What tests of full disks have in common: somebody who types the code, and what must be so once all is over."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from stage import BOX, Stage

ONCE = ("receive", "check", "sign", "seal", "integrate")

RETURNS = 3
"""Of each B2 file: an ARL of each of its two lots, and what is paid."""


def _type_pin(stage: Stage, over: threading.Event) -> None:
    while not over.wait(0.1):
        with suppress(OSError, KeyError, ValueError):
            told = stage.pending()
            if told["items"] and told["card"]["state"] == "locked":
                stage.unlock()


@contextmanager
def typing(stage: Stage) -> Iterator[None]:
    """Somebody types the code whenever the card wants it."""
    over = threading.Event()
    thread = threading.Thread(target=_type_pin, args=(stage, over))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def inbox(stage: Stage) -> list[bytes]:
    """The returns that the practice has."""
    return [path.read_bytes() for path in (stage.paths.practice / "inbox").glob("[!.]*")]


def check_once(stage: Stage, fichiers: int) -> None:
    """Each of so many fichiers went each step once, each return came once, and nothing is left half done."""
    assert Counter(Counter(row["fichier"] for row in stage.integrated()).values()) == {1: fichiers}
    assert [row["name"] for row in stage.board.fichiers() if row["held_since"] or row["transmission"] != 1] == []
    for row in stage.board.fichiers():
        verbs = Counter(json.loads(event["text"])["verb"] for event in stage.board.of_fichier("events", row["id"]))
        assert {verb: verbs[verb] for verb in ONCE} == dict.fromkeys(ONCE, 1), row["name"]
    verified = stage.gateway("journal", "verify")
    assert verified.returncode == 0, verified.stderr
    returns = inbox(stage)
    assert len(returns) == len(set(returns)), "a return twice"
    left = [path.name for path in (stage.paths.practice / "outbox").rglob("*") if path.is_file()]
    assert left == []
    for door in ("new", "outgoing", "arrived", "counter"):
        assert [path.name for path in stage.paths.door(door).glob(".tmp-*")] == []


def check_said(stage: Stage, code: str, times: int, *names: str) -> None:
    """The logs of these services say ``code`` so often at most, in their own words."""
    for name in names or BOX:
        told = (stage.logs / f"{name}.log").read_text()
        assert "Traceback" not in told and "Error" not in told, told
        assert told.count(code) <= times, told

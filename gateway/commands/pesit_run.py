"""How a verb of ``gateway pesit`` runs: its result in words or JSON, its trace, and what Ctrl-C does.

Rules: the first signal suspends what is moving, so that it can be taken up; the second, or three seconds in
which nothing came of the first, cut the line by ABORT. The exit code is then 128 and the signal's number.
It knows no transfer.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from gateway.errors import Refused, Scope, Trouble, os_words
from gateway.link.flow import Suspended
from gateway.link.line import Observer
from gateway.link.trace import Trace

_PATIENCE_S = 3.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True)
class Result:
    """What a verb did: ``values`` for programs, ``text`` for people, and the exit code."""

    values: Mapping[str, Any]
    text: str
    code: int = 0


class Stop:
    """The wish of the user to stop; ``signal`` is its number, 0 before it comes."""

    def __init__(self) -> None:
        self.signal = 0
        self._moving = False

    def check(self) -> None:
        """Called while a file moves: ``Suspended`` once the user wants to stop."""
        self._moving = True
        if self.signal:
            raise Suspended("arrêt demandé par l'opérateur")

    async def around(self, work: Awaitable[Result]) -> Result:
        """Do ``work``, and listen to signals meanwhile."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def ask(number: int) -> None:
            if self.signal or not self._moving:
                task.cancel()
            else:
                loop.call_later(_PATIENCE_S, task.cancel)
            self.signal = number

        for number in _SIGNALS:
            loop.add_signal_handler(number, ask, number)
        return await work


def run(act: Callable[[argparse.Namespace, Stop], Awaitable[Result]], arguments: argparse.Namespace) -> int:
    """Run a verb, print what it did; the exit code. A trouble is printed as JSON too where that was asked for."""
    stop = Stop()
    try:
        result = asyncio.run(stop.around(act(arguments, stop)))
    except (Trouble, asyncio.CancelledError) as cause:
        if stop.signal:
            return _stopped(arguments, stop.signal)
        if isinstance(cause, Trouble) and arguments.json:
            _print_json({"error": cause.code, "text": cause.text, "scope": cause.scope})
        raise
    if arguments.json:
        _print_json(result.values)
    else:
        print(result.text)
    return result.code


def _stopped(arguments: argparse.Namespace, number: int) -> int:
    if arguments.json:
        _print_json({"error": "interrupted"})
    said("Interrompu." if not hasattr(arguments, "restart") else "Interrompu ; --restart reprend où l'on en était.")
    return 128 + number


def _print_json(values: Mapping[str, Any]) -> None:
    print(json.dumps(values, ensure_ascii=False), flush=True)


def said(text: str) -> None:
    """A word to the user beside the result."""
    print(f"gateway : {text}", file=sys.stderr, flush=True)


class Tracing:
    """The file of ``--trace``, for the user alone; without one nothing is observed."""

    def __init__(self, path: Path | None, requester: str) -> None:
        """``requester``: see ``Trace``."""
        self._out: TextIO | None = None
        self._requester = requester
        self._numbers = itertools.count(1)
        if path:
            try:
                self._out = os.fdopen(
                    os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
                )
            except OSError as error:
                raise Refused("PES-FILE", f"{path} ne peut être écrit : {os_words(error)}.", Scope.BOX) from None

    def observer(self) -> Observer | None:
        """One connection's observer; connections are numbered."""
        if not self._out:
            return None
        return Trace(self._out, datetime.now, self._requester, f"n° {next(self._numbers)} ")

    def close(self) -> None:
        """Nothing more is written."""
        if self._out:
            self._out.close()

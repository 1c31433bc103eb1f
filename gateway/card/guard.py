"""The service's end of a child that speaks to a reader: every call has its time, and a child that overruns it dies.

Duty: start ``gateway.card.child`` when it is first needed, ask it one thing at a time, and end it when it does not
answer in time, dies, or answers nonsense; the next question starts another.  A card that is slow but answers each
command has its time anew with each, up to a limit.  A code that the child kept is gone with
it, and the card with the transaction that it held.

It deliberately knows nothing of what is asked.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from contextlib import suppress
from typing import Any

from gateway.errors import Deferred, Refused, Scope, Trouble

HUNG, BROKEN = "CPS-HUNG", "CPS-CHILD"

MOST_PATIENCE = 6
"""How many times its patience an answer may take where the card goes on answering commands."""

_LONGEST_LINE = 1 << 20
_PASSED = ("PCSCLITE_CSOCK_NAME",)
"""The only variables that a child inherits: where pcscd is."""

_KINDS: dict[str, type[Refused] | type[Deferred]] = {"Refused": Refused, "Deferred": Deferred}


class Guard:
    """One child of the ``part`` "look" or "sign", for one event loop; a question waits for the one before it."""

    def __init__(self, part: str, patience: float) -> None:
        """``patience``: seconds that one command may take, the start of the child included."""
        self._part = part
        self._patience = patience
        self._process: subprocess.Popen[bytes] | None = None
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._turn = asyncio.Lock()
        self._over = False

    @property
    def running(self) -> bool:
        """Whether there is a child."""
        return self._process is not None

    async def ask(self, act: str, more: float = 0.0, **what: Any) -> Any:
        """What the child answers; its own Trouble, or Deferred(CPS-HUNG | CPS-CHILD).  ``more``: a person's seconds."""
        async with self._turn:
            try:
                async with asyncio.timeout(self._patience + more) as limit:
                    reply = await self._exchange({"act": act, **what}, limit, more)
            except TimeoutError:
                self.end()
                text = (
                    "La carte ou son lecteur ne répond pas : retirez la carte, débranchez le lecteur et remettez-les."
                )
                raise Deferred(HUNG, text, Scope.CARD) from None
            except (OSError, EOFError, ValueError):
                self.end()
                raise Deferred(BROKEN, "Le lecteur de cartes est relancé après une panne.", Scope.CARD) from None
            except asyncio.CancelledError:
                self.end()
                raise
        return _read(reply)

    def end(self, for_good: bool = False) -> None:
        """Kill the child; what it knew is gone.  ``for_good``: no question starts another."""
        self._over = self._over or for_good
        if self._process is None:
            return
        process, self._process = self._process, None
        process.kill()
        process.wait()
        if self._streams is not None:
            _, writer = self._streams
            self._streams = None
            with suppress(RuntimeError):  # the loop may be gone already
                writer.close()

    async def _exchange(self, request: dict[str, Any], limit: asyncio.Timeout, more: float) -> dict[str, Any]:
        clock = asyncio.get_running_loop().time
        last = clock() + MOST_PATIENCE * self._patience + more
        reader, writer = self._streams or await self._start()
        writer.write(json.dumps(request).encode() + b"\n")
        await writer.drain()
        reply: dict[str, Any] = {}
        while not reply:
            reply = json.loads(await reader.readuntil(b"\n"))
            limit.reschedule(min(last, clock() + self._patience + more))
        return reply

    async def _start(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._over:
            raise EOFError
        self._process, line = _child(self._part)
        self._streams = await asyncio.open_unix_connection(sock=line, limit=_LONGEST_LINE)
        return self._streams


def _child(part: str) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """A child of this ``part`` and our end of the line to it; nothing else of this process reaches it."""
    ours, theirs = socket.socketpair()
    environment = {name: os.environ[name] for name in _PASSED if name in os.environ}
    command = [sys.executable, "-I", "-m", "gateway.card.child", part]
    with theirs:
        return subprocess.Popen(command, stdin=theirs.fileno(), env=environment, cwd="/"), ours


def _read(reply: dict[str, Any]) -> Any:
    if "trouble" not in reply:
        return reply["done"]
    kind, code, text = reply["trouble"]
    raised: Trouble = _KINDS[kind](code, text, Scope.CARD)
    raise raised

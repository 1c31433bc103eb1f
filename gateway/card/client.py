"""The other end of the card's two sockets: the keeper offers and confirms, status shows and unlocks.

A client keeps its connection: the service answers the first offer on a connection at once and every later one
when something is new, so that the keeper hears of each change exactly once.  An answer is the JSON object that
``gateway.card.server`` documents.

It deliberately imports nothing of the card but the values that are offered.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from gateway.card.proof import Item
from gateway.errors import Deferred, Refused, Scope

LONGEST_LINE = 4 << 20
"""Bytes of one request or answer: some thousand fichiers, seen by two cards."""

SLACK = 20.0
"""Seconds beyond the wait asked for after which the service is taken for dead: one command of a slow card, and more."""

TAKING, TYPING = 25.0, 60.0
"""Seconds more that a code may take: behind a card that does not answer; typed on the reader's own keys."""


class _Client:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._turn = asyncio.Lock()

    async def close(self) -> None:
        """Leave; the next request connects again."""
        if self._streams is not None:
            _, writer = self._streams
            self._streams = None
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _ask(self, request: dict[str, Any], wait: float = 0.0) -> dict[str, Any]:
        """Send one line and read one; Deferred(CPS-SERVICE) where the card service is not there."""
        async with self._turn:
            try:
                async with asyncio.timeout(wait + SLACK):
                    return await self._exchange(request)
            except (OSError, EOFError, ValueError, TimeoutError, asyncio.LimitOverrunError):
                await self.close()
                raise Deferred("CPS-SERVICE", "Le service de la carte ne répond pas.", Scope.CARD) from None
            except asyncio.CancelledError:
                await self.close()
                raise

    async def _exchange(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._streams is None:
            self._streams = await asyncio.open_unix_connection(self._path, limit=LONGEST_LINE)
        reader, writer = self._streams
        writer.write(json.dumps(request).encode() + b"\n")
        await writer.drain()
        answer: dict[str, Any] = json.loads(await reader.readuntil(b"\n"))
        return answer


class CardClient(_Client):
    """The keeper's end of ``sign.sock``."""

    async def offer(self, items: Iterable[Item], wait: float) -> dict[str, Any]:
        """Say all that awaits a signature; the answer comes with news, or after ``wait`` seconds (at most 60)."""
        plain = [item.plain() for item in items]
        return _well(await self._ask({"op": "offer", "items": plain, "wait": float(wait)}, wait))

    async def confirm(self, fichiers: Iterable[str]) -> None:
        """Say whose signatures are committed."""
        _well(await self._ask({"op": "confirm", "fichiers": list(fichiers)}))


class UnlockClient(_Client):
    """Status's end of ``unlock.sock``."""

    async def pending(self) -> dict[str, Any]:
        """What awaits the code, to be shown: card, root, items, policy."""
        return _well(await self._ask({"op": "pending"}))

    async def unlock(self, pin: str, root: str, last_try: bool = False, card: str | None = None) -> dict[str, Any]:
        """Give the code for what was shown under ``root``: ``{"ok": true}``, or ok false with code, text, tries.

        An empty ``pin`` has it typed on the reader's own keys; ``card`` (the serial's last four digits) says which card
        where several could sign the same."""
        asked = {"op": "unlock-last-try" if last_try else "unlock", "pin": pin, "root": root, "card": card}
        return await self._ask(asked, TAKING if pin else TYPING)

    async def forget(self) -> None:
        """Have a kept code dropped."""
        _well(await self._ask({"op": "forget"}))


def _well(answer: dict[str, Any]) -> dict[str, Any]:
    if answer.get("ok") is False:
        raise Refused(answer["code"], answer["text"], Scope.CARD)
    return answer

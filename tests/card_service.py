"""The card service whole, as its two clients see it: what several tests of it share."""

from __future__ import annotations

import asyncio
import base64
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from card_bench import check_signature
from pin_scan import CODE

from gateway.card.client import CardClient, UnlockClient
from gateway.card.proof import Item, proof_message
from gateway.card.server import serve
from gateway.card.settings import CardSettings

ITEMS = [Item(f"fichier-{number}", bytes([number]) * 32, 41, 231840, 3, "123456789", None) for number in range(3)]


@dataclass
class Running:
    """A service, its two clients, and when it said that it is alive."""

    card: CardClient
    unlock: UnlockClient
    folder: Path
    beats: list[float]

    async def state(self, *wanted: str) -> dict[str, Any]:
        """The card's condition, once it is one of ``wanted``."""
        async with asyncio.timeout(15):
            while True:
                card: dict[str, Any] = (await self.unlock.pending())["card"]
                if card["state"] in wanted:
                    return card
                await asyncio.sleep(0.02)

    async def card_state(self, name: str, *wanted: str) -> dict[str, Any]:
        """What one of several cards would sign, once the card of ``name`` is in one of the states ``wanted``."""
        async with asyncio.timeout(15):
            while True:
                for view in (await self.unlock.pending())["cards"]:
                    if view["card"]["holder"] == name and view["card"]["state"] in wanted:
                        return dict(view)
                await asyncio.sleep(0.02)

    async def cards(self, fit: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        """The condition of every card, once they ``fit``."""
        async with asyncio.timeout(15):
            while True:
                told = [view["card"] for view in (await self.unlock.pending())["cards"]]
                if fit(told):
                    return told
                await asyncio.sleep(0.02)

    async def offered(self, items: list[Item], *wanted: str) -> dict[str, Any]:
        """Offer until each of ``wanted`` is signed."""
        async with asyncio.timeout(15):
            while True:
                answer = await self.card.offer(items, 2.0)
                if {signed["fichier"] for signed in answer["signed"]} >= set(wanted):
                    return answer

    async def open(self, code: str = CODE, **chosen: bool) -> dict[str, Any]:
        """Give the code for what is shown now."""
        shown = await self.unlock.pending()
        return await self.unlock.unlock(code, shown["root"], **chosen)


def listening(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    return listener


@asynccontextmanager
async def running(folder: Path, settings: CardSettings) -> AsyncIterator[Running]:
    stop, ready = asyncio.Event(), asyncio.Event()
    beats: list[float] = []
    task = asyncio.create_task(
        serve(
            listening(folder / "sign.sock"),
            listening(folder / "unlock.sock"),
            settings,
            "box-7",
            stop,
            ready.set,
            lambda: beats.append(time.monotonic()),
        )
    )
    service = Running(CardClient(folder / "sign.sock"), UnlockClient(folder / "unlock.sock"), folder, beats)
    await ready.wait()
    try:
        yield service
    finally:
        await service.card.close()
        await service.unlock.close()
        stop.set()
        await asyncio.wait_for(task, 15)


def told(folder: Path, story: Callable[[Running], Awaitable[None]], policy: str = "this-batch", **chosen: Any) -> None:
    """Tell ``story`` with a service of its own; ``chosen`` are settings."""

    async def tell() -> None:
        async with running(folder, CardSettings(policy, **chosen)) as service:
            await story(service)

    asyncio.run(tell())


def check(answer: dict[str, Any], items: list[Item]) -> None:
    """Every item is signed, by a card that proved itself for its root."""
    assert {signed["fichier"] for signed in answer["signed"]} == {item.fichier for item in items}
    for signed in answer["signed"]:
        certificate = base64.b64decode(signed["certificate"])
        check_signature(certificate, base64.b64decode(signed["signature"]), base64.b64decode(signed["attributes"]))
        proof = signed["authentication"]
        message = proof_message("box-7", base64.b64decode(proof["challenge"]), bytes.fromhex(proof["root"]))
        check_signature(base64.b64decode(proof["certificate"]), base64.b64decode(proof["signature"]), message)

"""The card: what the service adds to the card's own time, and what one code signs in a minute.

The reference is the card itself: the virtual card journals how long it had each command, and is slowed down until a
signature takes about as long as a real card's (400 ms).
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from stage import Stage

from bench.rows import row
from gateway.card.client import CardClient, UnlockClient
from gateway.card.proof import Item

DELAY_MS = 65
"""Of each command; a signature takes six."""

BATCH = 20
PIN = "1234"


def item(number: int) -> Item:
    """A fichier of the usual size."""
    return Item(f"fichier-{number}", bytes([number]) * 32, 41, 231840, 3, "123456789", None)


def own_time(journal: Path, since: float) -> tuple[float, int]:
    """Seconds that the card had commands in hand since that moment, and signatures that it made."""
    lines = [line.split() for line in journal.read_text().splitlines()]
    recent = [line for line in lines if float(line[0]) >= since]
    return sum(float(line[1]) for line in recent), sum(line[2] == "002a9e9a" for line in recent)


async def sign(stage: Stage, items: list[Item]) -> tuple[float, float]:
    """Give the code for ``items``; when it was given, and when the last signature was there."""
    card, page = CardClient(stage.paths.socket("sign")), UnlockClient(stage.paths.socket("unlock"))
    while (await card.offer(items, 1.0))["card"]["state"] != "locked":
        pass
    shown = await page.pending()
    begun = time.monotonic()
    assert (await page.unlock(PIN, shown["root"]))["ok"]
    while len((await card.offer(items, 10.0))["signed"]) < len(items):
        pass
    ended = time.monotonic()
    await card.confirm(one.fichier for one in items)
    await card.close()
    await page.close()
    return begun, ended


def measure() -> list[dict[str, Any]]:
    """One fichier from the code to its signature, and a batch, each against the card's own time."""
    root = Path(tempfile.mkdtemp(prefix="oct-"))
    journal = root / "card.journal"
    try:
        with Stage(root) as stage:
            stage.prepare()
            stage.start_reader()
            stage.insert_card("", "--delay-ms", str(DELAY_MS), "--journal", str(journal))
            stage.start("card")
            stage.wait(lambda: stage.paths.socket("unlock").exists(), "the card service")
            begun, ended = asyncio.run(sign(stage, [item(0)]))
            alone, _ = own_time(journal, begun)
            first = ended - begun
            begun, ended = asyncio.run(sign(stage, [item(number) for number in range(1, 1 + BATCH)]))
            own, made = own_time(journal, begun)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    assert made == BATCH
    a_minute, at_best = 60 * BATCH / (ended - begun), 60 * BATCH / own
    return [
        row("from the code to one signature", first * 1000, "ms", "the card's own time", alone * 1000),
        row("fichiers signed in a minute by one code", a_minute, "/min", "the card alone", at_best),
    ]

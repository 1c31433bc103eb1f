"""The page's own key is renewed like the others: a child makes it and its request, the keeper is asked by its socket.

status itself holds no cryptography; the child runs for a moment, as the same user, once a day.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress
from datetime import UTC, datetime

from gateway.config import Paths
from gateway.process.runtime import Runtime

LOOK_S = 60.0
"""Between two looks at the day."""

LATER_S = 5.0
PATIENCE_S = 30.0


async def renew(runtime: Runtime, paths: Paths) -> None:
    """Ask on each new day for what ends, until the runtime stops; later where the keeper is not there."""
    asked = None
    while not runtime.stop.is_set():
        today = datetime.now(UTC).date()
        if asked != today and all([await ask(paths, *one) for one in await wanted(paths)]):
            asked = today
        await runtime.pause(LOOK_S if asked == today else LATER_S)


async def wanted(paths: Paths) -> list[list[str]]:
    """[name, mark, request in base64] of each certificate that is to be asked for."""
    words = ["-I", "-m", "gateway.process.renewal", str(paths.keys), str(paths.trust), str(paths.renew_days), "status"]
    child = await asyncio.create_subprocess_exec(
        sys.executable, *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
    )
    try:
        told, _ = await child.communicate()
    except asyncio.CancelledError:
        child.kill()
        raise
    found: list[list[str]] = json.loads(told) if child.returncode == 0 else []
    return found


async def ask(paths: Paths, name: str, mark: str, request: str) -> bool:
    """Hand one request to the keeper; whether it was taken."""
    with suppress(OSError, TimeoutError, ValueError):
        async with asyncio.timeout(PATIENCE_S):
            reader, writer = await asyncio.open_unix_connection(str(paths.socket("status")))
            question = {"op": "renew", "name": name, "mark": mark, "request": request}
            writer.write(json.dumps(question).encode() + b"\n")
            answer = json.loads(await reader.readline())
            writer.close()
            return bool(answer.get("ok"))
    return False

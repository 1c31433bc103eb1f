"""Send every file of a folder on one PeSIT connection: ``many.py PORT FOLDER``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from gateway.link.client import Partner, connect
from gateway.pesit.transfer import Identity


async def main(port: int, folder: Path) -> None:
    async with connect(Partner("127.0.0.1", port, "SENDER", "BENCH", "SECRET")) as connection:
        for number, path in enumerate(sorted(folder.iterdir()), start=1):
            with path.open("rb") as source:
                await connection.send(Identity(path.name, number), source)


asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2])))

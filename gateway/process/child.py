"""Hostile bytes are read by a child without keys, files or network: plaintext in, one JSON writing out.

A child that dies, is too slow or says nothing gives ``b""``; the caller decides what that means.  Nothing of
the parent reaches it but the pipe: no environment, no descriptors, another directory.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator

ANSWER_LIMIT = 64 << 20
SECONDS = 120.0


async def read_in_child(content: Iterator[bytes], *options: str) -> bytes:
    """What ``gateway.formats.sandbox`` with ``options`` answers on ``content``."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-m", "gateway.formats.sandbox", *options,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        env={}, cwd="/",
    )  # fmt: skip
    assert child.stdin is not None and child.stdout is not None
    answer = asyncio.create_task(_read(child.stdout))
    try:
        async with asyncio.timeout(SECONDS):
            await _feed(child.stdin, content)
            told = await answer
            return told if await child.wait() == 0 else b""
    except TimeoutError:
        return b""
    finally:
        answer.cancel()
        if child.returncode is None:
            child.kill()
            await child.wait()


async def _feed(stdin: asyncio.StreamWriter, content: Iterator[bytes]) -> None:
    """Write all; the rest of ``content`` is still read when the child ended early, since it is hashed."""
    gone = False
    for block in content:
        try:
            if not gone:
                stdin.write(block)
                await stdin.drain()
        except ConnectionError:
            gone = True
    stdin.close()


async def _read(stdout: asyncio.StreamReader) -> bytes:
    told = bytearray()
    while len(told) <= ANSWER_LIMIT and (block := await stdout.read(1 << 16)):
        told += block
    return bytes(told)

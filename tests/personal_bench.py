"""Fichiers that really passed the door into a keeper's desk, its sockets, and years that pass."""

from __future__ import annotations

import asyncio
import hashlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from keeper_bench import KeeperBench

from gateway.fichier import Verb
from gateway.formats.days import iso
from gateway.formats.intake import IntakeHeader
from gateway.process.runtime import unix_listener
from gateway.services.intake import Deposit
from gateway.services.keeper.asking import Act
from gateway.services.keeper.checking import check
from gateway.services.keeper.commands import serve_commands
from gateway.services.keeper.service import take_new

WAY = ((Verb.SIGN, {}), (Verb.SEAL, {"seal": "1", "seals": 1}))


def received(bench: KeeperBench, content: bytes, name: str = "B2.b2") -> str:
    """A fichier through the door and checked; its id."""
    desk, pki = bench.desk, bench.pki
    recipients = [pki.certificate("box-seal"), pki.certificate("recovery")]
    header = IntakeHeader(name, "folder", iso(bench.now), len(content))
    with Deposit(desk.new, b"k" * 32, recipients, header) as deposit:
        deposit.write(content)
        fichier = deposit.fichier
        deposit.finish()
    take_new(desk)
    asyncio.run(check(desk, fichier))
    return fichier


def integrated(bench: KeeperBench, content: bytes, name: str = "B2.b2") -> str:
    """The same, signed, sealed and sent now, and taken by the OCT."""
    fichier, desk = received(bench, content, name), bench.desk
    with desk.commit():
        for role in ("signature", "sealed"):
            part = desk.parts.add_bytes(f"{role} of {fichier}".encode())
            desk.book.name_part(fichier, role, part)
        for verb, columns in WAY:
            desk.book.move(fichier, verb, {}, **columns)  # type: ignore[arg-type]
        desk.book.move(fichier, Verb.SEND, {}, sent=iso(bench.now))
    with desk.commit():
        desk.book.move(fichier, Verb.INTEGRATE, {})
    hear(bench)
    return fichier


def hear(bench: KeeperBench) -> None:
    """The OCT signs the present moment in a receipt."""
    key = hashlib.sha256(iso(bench.now).encode()).hexdigest()
    with bench.desk.commit():
        bench.desk.book.connection.execute(
            "INSERT OR IGNORE INTO returns (id, kind, name, about, at, arrived, delivery, size)"
            " VALUES (?, 'receipt', '', '', ?, ?, '', 1)", (key, iso(bench.now), iso(bench.now)),
        )  # fmt: skip


def later(bench: KeeperBench, **by: float) -> None:
    """Time passes, and the OCT tells so."""
    bench.now += timedelta(**by)
    hear(bench)


def ask(bench: KeeperBench, acts: dict[str, Act], question: dict[str, Any]) -> dict[str, Any]:
    """One question over a real Unix socket, as the command line asks it."""
    return raw(bench, acts, json.dumps(question).encode())


def raw(bench: KeeperBench, acts: dict[str, Act], line: bytes) -> dict[str, Any]:
    """The answer to any line."""
    path = Path(bench.stage.paths.socket("t"))

    async def talk() -> dict[str, Any]:
        bench.desk.runtime.stop = asyncio.Event()  # of this loop
        serving = asyncio.create_task(serve_commands(bench.desk, unix_listener(path, 0o600), acts))
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(line + b"\n")
        told: dict[str, Any] = json.loads(await reader.readline())
        writer.close()
        bench.desk.runtime.stop.set()
        await serving
        return told

    try:
        return asyncio.run(talk())
    finally:
        path.unlink(missing_ok=True)

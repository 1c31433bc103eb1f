"""The keeper's two sockets: ``status.sock`` for the page, ``admin.sock`` for the command line.

One JSON line in, one JSON line out.  The access list is the mode of each socket; what each may ask is a
table.  Nothing here returns content.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from gateway.book.mandates import TABLES, read_register, signers
from gateway.book.moves import iso
from gateway.errors import Refused, Trouble
from gateway.fichier import Verb
from gateway.formats.enrolment import from_base64
from gateway.journal.chain import ACCESS, EVIDENCE, first_break
from gateway.services.keeper.desk import Desk
from gateway.services.keeper.mandates import today
from gateway.services.keeper.renewals import take_request

LINE_LIMIT = 1 << 16
Ask = dict[str, Any]
Act = Callable[[Desk, Ask], dict[str, Any]]


def _fichier(desk: Desk, ask: Ask) -> str:
    """The one fichier whose id starts with what was typed."""
    prefix = str(ask.get("id", ""))
    rows = desk.book.connection.execute(
        "SELECT id FROM fichiers WHERE substr(id, 1, ?) = ?", (len(prefix), prefix)
    ).fetchall()
    if not prefix or len(rows) != 1:
        raise Refused("CMD-001", f"« {prefix} » désigne {len(rows)} fichiers : il en faut un seul.")
    return str(rows[0]["id"])


def _why(ask: Ask) -> str:
    why = str(ask.get("why", "")).strip()
    if not why:
        raise Refused("CMD-002", "Il faut dire pourquoi.")
    return why


def hold(desk: Desk, ask: Ask) -> dict[str, Any]:
    """Start nothing more on a fichier."""
    fichier = _fichier(desk, ask)
    with desk.commit():
        done = desk.book.hold(fichier, str(ask.get("why") or "Retenu à la demande."), "admin")
    desk.take_back(fichier)
    return {"id": fichier, "done": done}


def release(desk: Desk, ask: Ask) -> dict[str, Any]:
    """End a hold."""
    fichier = _fichier(desk, ask)
    with desk.commit():
        done = desk.book.release(fichier, "admin")
    desk.offer(fichier)
    return {"id": fichier, "done": done}


def resend(desk: Desk, ask: Ask) -> dict[str, Any]:
    """Transmission + 1, same signature, new seal; a refused fichier is checked afresh."""
    fichier, why = _fichier(desk, ask), _why(ask)
    row = desk.book.fichier(fichier)
    assert row is not None
    with desk.commit():
        done = desk.book.move(fichier, Verb.RESEND, {"why": why}, transmission=row["transmission"] + 1)
    if not done:
        raise Refused("CMD-003", f"Le fichier est dans l'état {row['state']} : il n'y a rien à renvoyer.")
    return {"id": fichier, "transmission": row["transmission"] + 1}


def redeliver(desk: Desk, ask: Ask) -> dict[str, Any]:
    """Offer again the returns that arrived since a day."""
    rows = desk.book.connection.execute(
        "SELECT id FROM returns WHERE delivery <> '' AND arrived >= ?", (str(ask.get("since", "")),)
    ).fetchall()
    with desk.commit():
        for row in rows:
            desk.book.connection.execute(
                "UPDATE returns SET picked = '', offered = offered + 1 WHERE id = ?", (row["id"],)
            )
            desk.book.record("", {"verb": "redeliver", "part": row["id"]})
    for row in rows:
        desk.hand_out(row["id"])
    return {"returns": len(rows)}


def verify(desk: Desk, ask: Ask) -> dict[str, Any]:
    """Recompute both chains of the journal."""
    breaks = {chain: first_break(desk.book.journal(chain=chain)) for chain in (EVIDENCE, ACCESS)}
    rows = desk.book.connection.execute("SELECT count(*) FROM journal").fetchone()[0]
    return {"rows": rows, "breaks": {chain: word for chain, word in breaks.items() if word}}


def mandates(desk: Desk, ask: Ask) -> dict[str, Any]:
    """Who may sign, from the book, each mandate with whether it holds today, and who has signed."""
    register, day = read_register(desk.book), today(desk)
    tables = {table: [asdict(row) for row in getattr(register, table)] for table in TABLES}
    for row, one in zip(tables["mandates"], register.mandates, strict=True):
        row["in_force"] = one.covers(day) and one.rpps in register.holders((one.emitter,), day)
    told = [{name: value for name, value in asdict(one).items() if name != "der"} for one in signers(desk.book)]
    return {"rule": desk.settings.mandate_rule, "today": day, **tables, "signers": told}


def renew(desk: Desk, ask: Ask) -> dict[str, Any]:
    """A certificate for a key of the page's."""
    request = from_base64(str(ask.get("request", "")))
    take_request(desk, "status", str(ask.get("name", "")), str(ask.get("mark", "")), request)
    return {}


ADMIN: Mapping[str, Act] = {
    "hold": hold, "release": release, "resend": resend, "redeliver": redeliver, "verify": verify,
    "mandates": mandates,
}  # fmt: skip
STATUS: Mapping[str, Act] = {"renew": renew}
"""The page reads the board; what it asks is a certificate for its key."""


def pick_up(desk: Desk, key: str, number: int) -> None:
    """The practice has the return ``key``, as it was offered the ``number``-th time."""
    with desk.commit():
        desk.book.connection.execute(
            "UPDATE returns SET picked = ? WHERE id = ? AND offered = ? AND picked = ''",
            (iso(desk.book.clock()), key, number),
        )
        desk.book.record("", {"verb": "pick up", "part": key})


async def serve_commands(desk: Desk, listener: socket.socket, acts: Mapping[str, Act]) -> None:
    """Answer one socket until the runtime stops."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await asyncio.wait_for(reader.readline(), 10)
            writer.write(json.dumps(_answer(desk, acts, line), ensure_ascii=False).encode() + b"\n")
            await writer.drain()
        except (ConnectionError, TimeoutError, ValueError):
            pass  # the asker went away or never finished its line
        finally:
            writer.close()

    server = await asyncio.start_unix_server(converse, sock=listener, limit=LINE_LIMIT)
    await desk.runtime.stop.wait()
    server.close()


def _answer(desk: Desk, acts: Mapping[str, Act], line: bytes) -> dict[str, Any]:
    try:
        ask = json.loads(line)
        act = acts.get(str(ask.get("op"))) if isinstance(ask, dict) else None
        if act is None:
            raise Refused("CMD-004", "Demande inconnue.")
        return {"ok": True, **act(desk, ask)}
    except json.JSONDecodeError:
        return {"ok": False, "code": "CMD-005", "text": "La demande n'est pas du JSON."}
    except Trouble as trouble:
        return {"ok": False, "code": trouble.code, "text": trouble.text}

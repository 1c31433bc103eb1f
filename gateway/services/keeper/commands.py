"""The keeper's two sockets: ``status.sock`` for the page, ``admin.sock`` for the command line.

One JSON line in, one JSON line out.  The access list is the mode of each socket; what each may ask is a
table.  Content is returned by *reveal* alone, one facture at a time.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Mapping
from dataclasses import asdict
from inspect import isawaitable
from typing import Any

from gateway.book.mandates import TABLES, read_register, signers
from gateway.book.proofs import Wanted, select
from gateway.disk import DiskFull, room
from gateway.errors import Refused, Trouble
from gateway.fichier import State, Verb
from gateway.formats.days import iso
from gateway.formats.enrolment import from_base64
from gateway.journal.chain import EVIDENCE
from gateway.services.keeper.asking import Act, Ask, user_of
from gateway.services.keeper.asking import fichier_of as _fichier
from gateway.services.keeper.asking import why_of as _why
from gateway.services.keeper.desk import Desk
from gateway.services.keeper.evidence import evidence
from gateway.services.keeper.mandates import today
from gateway.services.keeper.personal import PERSONAL_ADMIN, PERSONAL_STATUS
from gateway.services.keeper.renewals import take_request
from gateway.services.keeper.retention import check_copies
from gateway.services.keeper.retracting import drop_signature
from gateway.services.keeper.reveal import record_access

LINE_LIMIT = 1 << 16


def hold(desk: Desk, ask: Ask) -> dict[str, Any]:
    """Start nothing more on a fichier."""
    fichier = _fichier(desk, ask)
    with desk.commit():
        done = desk.book.hold(fichier, _why(ask) if ask.get("why") else "Retenu à la demande.", "admin")
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
    """Transmission + 1, same signature, new seal; a refused fichier is checked and signed afresh."""
    fichier, why = _fichier(desk, ask), _why(ask)
    row = desk.book.fichier(fichier)
    assert row is not None
    check_copies(row)
    with desk.commit():
        signed_anew = row["state"] == State.REFUSED and row["signer"]
        fact = {"why": why} | (drop_signature(desk, fichier) if signed_anew else {})
        done = desk.book.move(fichier, Verb.RESEND, fact, transmission=row["transmission"] + 1)
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
    """Look the whole journal over: begin, or how far it is, or what was found."""
    return desk.verification.ask(start=bool(ask.get("start")))


JOURNAL_PAGE = 2000
"""Rows that one question looks at."""


def journal(desk: Desk, ask: Ask) -> dict[str, Any]:
    """Rows of a chain behind row ``after``, as asked; that the journal was read is a row of the access chain."""
    chain, after = str(ask.get("chain", EVIDENCE)), int(ask.get("after", 0))
    wanted = Wanted(*(str(ask.get(name, "")) for name in ("fichier", "since", "until", "verb")))
    if not after:
        with desk.commit():
            asked = {name: value for name, value in asdict(wanted).items() if value}
            record_access(desk, "read journal", str(ask.get("peer", "")), "", of=chain, asked=asked)
    page, next_ = select(desk.book.connection, chain, wanted, after, JOURNAL_PAGE)
    return {"rows": [json.loads(row.text) for row in page], "next": next_}


def mandates(desk: Desk, ask: Ask) -> dict[str, Any]:
    """Who may sign, from the book, each mandate with whether it holds today, and who has signed."""
    register, day = read_register(desk.book), today(desk)
    tables = {table: [asdict(row) for row in getattr(register, table)] for table in TABLES}
    for row, one in zip(tables["mandates"], register.mandates, strict=True):
        row["in_force"] = one.covers(day) and one.holder in register.holders((one.emitter,), day)
    told = [{name: value for name, value in asdict(one).items() if name != "der"} for one in signers(desk.book)]
    settings = desk.paths.settings
    changed = str(settings) if settings.exists() else ""
    return {"rule": desk.settings.mandate_rule, "today": day, "changed": changed, **tables, "signers": told}


def clock(desk: Desk, ask: Ask) -> dict[str, Any]:
    """Whether the clock holds; with a reason, that a person says so."""
    if ask.get("why"):
        with desk.commit():
            desk.watch.accept(_why(ask), "admin")
    holds, known = desk.clock_holds(), desk.watch.known
    own = iso(known.own) if known.own else ""
    told = {"now": iso(desk.book.clock()), "witness": iso(known.witness), "what": known.what, "own": own}
    return {**told, "holds": holds, "text": desk.watch.words()}


def renew(desk: Desk, ask: Ask) -> dict[str, Any]:
    """A certificate for a key of the page's."""
    request = from_base64(str(ask.get("request", "")))
    take_request(desk, "status", str(ask.get("name", "")), str(ask.get("mark", "")), request)
    return {}


ADMIN: Mapping[str, Act] = {
    "hold": hold, "release": release, "resend": resend, "redeliver": redeliver, "verify": verify, "journal": journal,
    "mandates": mandates, "evidence": evidence, "clock": clock, **PERSONAL_ADMIN,
}  # fmt: skip
STATUS: Mapping[str, Act] = {"renew": renew, **PERSONAL_STATUS}
"""What the page asks: one facture in clear, and a certificate for its key; all else it reads on the board."""


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
            told = await _answer(desk, acts, line, user_of(writer.get_extra_info("socket")))
            writer.write(json.dumps(told, ensure_ascii=False).encode() + b"\n")
            await writer.drain()
        except (ConnectionError, TimeoutError, ValueError):
            pass  # the asker went away or never finished its line
        finally:
            writer.close()

    server = await asyncio.start_unix_server(converse, sock=listener, limit=LINE_LIMIT)
    await desk.runtime.stop.wait()
    server.close()


async def _answer(desk: Desk, acts: Mapping[str, Act], line: bytes, peer: str) -> dict[str, Any]:
    try:
        ask = json.loads(line)
        act = acts.get(str(ask.get("op"))) if isinstance(ask, dict) else None
        if act is None:
            raise Refused("CMD-004", "Demande inconnue.")
        with room():
            told = act(desk, {**ask, "peer": peer})
            return {"ok": True, **(await told if isawaitable(told) else told)}
    except (json.JSONDecodeError, RecursionError):
        return {"ok": False, "code": "CMD-005", "text": "La demande n'est pas du JSON."}
    except Trouble as trouble:
        if isinstance(trouble, DiskFull):
            desk.say_full(trouble)
        return {"ok": False, "code": trouble.code, "text": trouble.text}

"""The card's two sockets: JSON, one line asked, one line answered.

``sign.sock`` (the keeper's)
    {"op": "offer", "items": [{fichier, digest, count, total, lots, emitter, challenge|null, holders}], "wait": seconds}
        → {"card": {state, code, text, holder, serial, tries, valid_until, identifier, pad}, "cards": […], "root",
        "signed": [{fichier, attributes, signature, certificate,
        authentication: {challenge, origin, signature, certificate, root, at}}],
        "refused": [{fichier, code, text}]}
    {"op": "confirm", "fichiers": […]} → {"ok": true}
``unlock.sock`` (status's)
    {"op": "pending"} → {"card", "root", "items": [{fichier, count, total, lots, emitter, holders}], "policy",
        "until", "cards": [{"card", "root", "items", "policy", "until"}]}: what the first card would sign, and what each
        would; "until": HH:MM where a code given now would be kept for what comes later, else null
    {"op": "unlock" | "unlock-last-try", "pin", "root", "card": serial's last four digits|null}
        → {"ok": true} once the card has taken the code; an empty "pin" is typed on the reader's own keys
    {"op": "forget"} → {"ok": true}
Anything else, and whatever is refused: {"ok": false, "code", "text"}, for unlock with "tries" too.

Digests, roots and challenges are hexadecimal in requests, as is "root" everywhere; what is signed is base64.  An
offer is answered with whatever is new on its connection: at once the first time or where an answer waits,
later when the card's condition changes or something is signed, at the latest after "wait".  Of many signatures each
answer has ``MOST_SIGNED``, those that the connection was not given yet before others.

Rules: a request has exactly the fields above; no answer repeats anything of a request; who may connect is the
mode of the socket.  It deliberately decides nothing: ``signer`` does.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from gateway.card.client import LONGEST_LINE
from gateway.card.condition import Condition
from gateway.card.proof import Item, batch_root
from gateway.card.settings import CardSettings, Policy
from gateway.card.signer import Signer
from gateway.errors import Refused, Scope, Trouble
from gateway.formats import canonical
from gateway.formats.holder import IDENTIFIER

LONGEST_WAIT = 60.0
LARGEST_NUMBER = 10**15
MOST_SIGNED = 256
"""Signatures in one answer, of some 8 kB each; more come with the next."""
_REQUEST = "La demande à la carte"

Answer = dict[str, Any]


@dataclass(frozen=True)
class _OfferedItem:
    fichier: Annotated[str, canonical.Form(r"[\x21-\x7e]{1,128}")]
    digest: canonical.Digest
    count: int
    total: int
    lots: int
    emitter: canonical.Short
    challenge: Annotated[str, canonical.Form(r"([0-9a-f]{2}){8,64}")] | None
    holders: tuple[Annotated[str, canonical.Form(IDENTIFIER)], ...]


@dataclass(frozen=True)
class _Offer:
    op: str
    items: tuple[_OfferedItem, ...]
    wait: float


@dataclass(frozen=True)
class _Confirm:
    op: str
    fichiers: tuple[canonical.Short, ...]


@dataclass(frozen=True)
class _Plain:
    op: str


@dataclass(frozen=True)
class _Unlock:
    op: str
    pin: Annotated[str, canonical.Form(r"([0-9]{4,8})?")]
    root: canonical.Digest
    card: Annotated[str, canonical.Form(r"[0-9]{4}")] | None


class _Talk:
    """One connection: the answers to its requests, and how much of the news it has had."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self._told = -1
        self._given: set[str] = set()

    async def offer(self, request: _Offer) -> Answer:
        items = [_item(item) for item in request.items]
        if not 0 <= request.wait <= LONGEST_WAIT:
            raise Refused("CPS-REQUEST", f"{_REQUEST} attend trop longtemps.", Scope.BOX)
        pending = self._signer.pending
        pending.offer(items)
        if self._names() <= self._given:
            await self._signer.news(self._told, request.wait)
        self._told = self._signer.version
        names = [signed["fichier"] for signed in pending.answers()]
        chosen = set(sorted(names, key=self._given.__contains__)[:MOST_SIGNED])
        self._given = (self._given & self._names()) | chosen | pending.refusals().keys()
        refused = [{"fichier": name, "code": why.code, "text": why.text} for name, why in pending.refusals().items()]
        return {
            "card": asdict(self._signer.condition),
            "cards": [asdict(place.condition) for place in self._signer.cards],
            "root": batch_root(pending.unsigned()).hex(),
            "signed": [signed for signed in pending.answers() if signed["fichier"] in chosen],
            "refused": refused,
        }

    def _names(self) -> set[str]:
        """The fichiers of which there is something to say."""
        pending = self._signer.pending
        return {signed["fichier"] for signed in pending.answers()} | pending.refusals().keys()

    async def confirm(self, request: _Confirm) -> Answer:
        self._signer.pending.confirm(request.fichiers)
        self._given -= set(request.fichiers)
        return {"ok": True}

    async def pending(self, _: _Plain) -> Answer:
        cards = [
            self._view(place.condition, place.waiting(), place.policy, place.until) for place in self._signer.cards
        ]
        nobody = self._view(
            self._signer.condition, self._signer.pending.unsigned(), self._signer.settings.policy_of(None), None
        )
        return {**(cards[0] if cards else nobody), "cards": cards}

    def _view(self, condition: Condition, items: tuple[Item, ...], policy: Policy, until: str | None) -> Answer:
        return {
            "card": asdict(condition),
            "root": self._signer.pending.show(items).hex(),
            "items": [_shown(item) for item in items],
            "policy": policy.words,
            "until": until,
        }

    async def unlock(self, request: _Unlock) -> Answer:
        tries = self._signer.condition.tries
        try:
            root = bytes.fromhex(request.root)
            place = self._signer.chosen(root, request.card)
            items = self._signer.pending.members(root)
            try:
                await place.unlock(request.pin, root, items, request.op == "unlock-last-try")
            finally:
                tries = place.condition.tries
        except Trouble as trouble:
            return _refusal(trouble) | {"tries": tries}
        return {"ok": True}

    async def forget(self, _: _Plain) -> Answer:
        await self._signer.forget()
        return {"ok": True}


_Asks = Mapping[str, tuple[type, Callable[[_Talk, Any], Awaitable[Answer]]]]

SIGN: _Asks = {"offer": (_Offer, _Talk.offer), "confirm": (_Confirm, _Talk.confirm)}
UNLOCK: _Asks = {
    "pending": (_Plain, _Talk.pending),
    "unlock": (_Unlock, _Talk.unlock),
    "unlock-last-try": (_Unlock, _Talk.unlock),
    "forget": (_Plain, _Talk.forget),
}
"""What may be asked on each socket: the request's shape and who answers it."""


async def serve(
    sign_socket: socket.socket,
    unlock_socket: socket.socket,
    settings: CardSettings,
    box_id: str,
    stop: asyncio.Event,
    ready: Callable[[], None],
    alive: Callable[[], None],
) -> None:
    """Serve both listening sockets until ``stop``; ``ready`` once, ``alive`` after each step of the card."""
    signer = Signer(settings, box_id, stop, alive)
    async with asyncio.TaskGroup() as group:
        talks: set[asyncio.Task[None]] = set()
        servers = [
            await _listen(sign_socket, signer, SIGN, group, talks),
            await _listen(unlock_socket, signer, UNLOCK, group, talks),
        ]
        ready()
        await signer.run()
        for server in servers:
            server.close()
        for talk in talks:
            talk.cancel()


async def _listen(
    listener: socket.socket, signer: Signer, asks: _Asks, group: asyncio.TaskGroup, talks: set[asyncio.Task[None]]
) -> asyncio.Server:
    """Serve ``listener``; each connection is a task of ``group``, so that a bug in one ends the service."""

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = group.create_task(_converse(_Talk(signer), asks, reader, writer))
        talks.add(talk)
        talk.add_done_callback(talks.discard)

    return await asyncio.start_unix_server(connected, sock=listener, limit=LONGEST_LINE)


async def _converse(talk: _Talk, asks: _Asks, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while line := await _line(reader):
            writer.write(canonical.encode(await _answer(talk, asks, line)) + b"\n")
            await writer.drain()
    except ConnectionError:
        return
    except asyncio.LimitOverrunError:
        too_long = Refused("CPS-REQUEST", f"{_REQUEST} est trop longue.", Scope.BOX)
        writer.write(canonical.encode(_refusal(too_long)) + b"\n")
    finally:
        writer.close()


async def _line(reader: asyncio.StreamReader) -> bytes:
    """The next line; empty at the end of the connection."""
    try:
        return await reader.readuntil(b"\n")
    except asyncio.IncompleteReadError:
        return b""


async def _answer(talk: _Talk, asks: _Asks, line: bytes) -> Answer:
    try:
        request, act = _request(asks, line)
        return await act(talk, request)
    except Trouble as trouble:
        return _refusal(trouble)


def _request(asks: _Asks, line: bytes) -> tuple[Any, Callable[[_Talk, Any], Awaitable[Answer]]]:
    try:
        plain = json.loads(line)
        kind, act = asks[plain["op"]]
        if kind is _Unlock:
            plain.setdefault("card", None)
        written = canonical.encode(plain)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Refused("CPS-REQUEST", f"{_REQUEST} n'est pas de celles prévues.", Scope.BOX) from None
    return canonical.decode(kind, written, "CPS-REQUEST", _REQUEST), act


def _refusal(trouble: Trouble) -> Answer:
    return {"ok": False, "code": trouble.code, "text": trouble.text}


def _item(asked: _OfferedItem) -> Item:
    if asked.count < 0 or asked.lots < 0 or max(asked.count, asked.lots, abs(asked.total)) > LARGEST_NUMBER:
        raise Refused("CPS-REQUEST", f"{_REQUEST} porte un nombre hors des bornes.", Scope.BOX)
    challenge = None if asked.challenge is None else bytes.fromhex(asked.challenge)
    return Item(
        asked.fichier, bytes.fromhex(asked.digest), asked.count, asked.total, asked.lots, asked.emitter, challenge,
        asked.holders,
    )  # fmt: skip


def _shown(item: Item) -> Answer:
    return {
        "fichier": item.fichier,
        "count": item.count,
        "total": item.total,
        "lots": item.lots,
        "emitter": item.emitter,
        "holders": list(item.holders),
    }

"""One reader and the card in it, as the service knows them: its condition, its code, its batch.

Duty: for one reader, bring together what lies in it, the child that speaks to it (``guard``) and what awaits a
signature (``pending``).  Each place has a child and a pace of its own: a reader that hangs holds up no other.

Rules: a code is offered to the card once; it is gone with the batch, at the hour of its policy, when it was not
used for long, outside the practice's hours, with the card, at any failure, at the end.  A failure in the middle of a
batch leaves what is signed signed and the rest waiting.  After a hang the reader is left alone for a while.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from gateway.card import pinpad
from gateway.card.apdu import PIN_BLOCKED
from gateway.card.condition import STOPS, Condition, condition_of
from gateway.card.failures import ABSENT, UNRESPONSIVE, failure
from gateway.card.guard import HUNG, Guard
from gateway.card.models import model
from gateway.card.pending import Pending, may_sign
from gateway.card.proof import Item
from gateway.card.settings import CardSettings, Policy
from gateway.errors import Deferred, Refused, Scope, Trouble

REFUSED_REST_S = 5.0
"""Seconds after which a card that answered nonsense is asked again: it may have been disturbed."""

_READING = Condition("reading", "CPS-READING", "La carte est en cours de lecture.")


@dataclass(frozen=True)
class Slot:
    """What the readers' child saw in a reader: as ``gateway.card.reader.Slot``."""

    reader: str
    atr: bytes | None
    changes: int


@dataclass(frozen=True)
class Sight:
    """A CPS as it is without its code."""

    serial: str
    tries: int
    name: str
    identifier: str
    kind: str
    valid_until: str
    pad: bool


@dataclass(frozen=True)
class Office:
    """What all places share: settings, what is to be signed, whom to tell, when to stop."""

    settings: CardSettings
    box_id: str
    pending: Pending
    news: Callable[[], Awaitable[None]]
    spawn: Callable[[Any], object]
    stop: asyncio.Event


class Place:
    """Lives on the event loop; ``turn`` is called again and again and returns at once while something is under way."""

    def __init__(self, slot: Slot, office: Office) -> None:
        self.slot = slot
        self.sight: Sight | None = None
        self.condition = _READING
        self._office = office
        self._guard = Guard("sign", office.settings.patience_s)
        self._turn = asyncio.Lock()
        self._changed = False
        self._stale = True
        self._rest_until = 0.0
        self._complaint: Trouble | None = None
        self._signing = False
        self._ended = False
        self._dropped = False
        self._typing_s = 0.0
        self._kept_until: datetime | None = None
        self._used = _now()

    @property
    def policy(self) -> Policy:
        """The policy of this card's holder."""
        return self._office.settings.policy_of(self.sight.identifier if self.sight else None)

    @property
    def until(self) -> str | None:
        """The hour, HH:MM, until which a code given now serves at most; None: for what it signs at once."""
        if self.sight is None or self.sight.pad:
            return None
        return self._office.settings.keeps_until(self.sight.identifier, _now())

    def waiting(self) -> tuple[Item, ...]:
        """What the next code given to this card signs."""
        return self._office.pending.waiting(self.sight.identifier if self.sight else None, self.policy.each)

    def saw(self, slot: Slot) -> None:
        """What the readers' child saw; another card, or the same again, begins anew."""
        if slot != self.slot:
            self.slot, self._changed, self._stale = slot, True, True
            self._complaint, self._rest_until = None, 0.0

    async def turn(self) -> None:
        """Look at the card where that is due, then sign whatever a kept code may sign."""
        if self._turn.locked() or self._signing or self._ended or self._office.stop.is_set():
            return
        async with self._turn:
            changed, self._changed = self._changed, False
            if changed or self._outdated():
                await self.forget()
            if changed and self.slot.atr:
                await self._tell(_READING)
            await self._look()
            items = self.waiting()
            if self._kept_until is not None and items:
                with suppress(Trouble):  # said by the condition
                    await self._begin(None, self._office.pending.show(items), items, last_try=False)

    async def unlock(self, code: str, root: bytes, items: tuple[Item, ...], last_try: bool) -> None:
        """Offer ``code`` ("": the reader's own keys) to the card for ``items``; returns when the card has taken it, and
        signs them meanwhile.  Refused or Deferred where nothing shall be signed."""
        async with self._turn:
            if self._signing:
                raise Deferred("CPS-SIGNING", "Une signature est en cours : attendez qu'elle finisse.", Scope.CARD)
            if self.sight is None:
                raise Deferred(self.condition.code, self.condition.text, Scope.CARD)
            if self._complaint is not None and self._complaint.code in STOPS:
                raise self._complaint
            if not may_sign(self.sight.identifier, items):
                text = f"La carte de {self.sight.name} n'est pas de celles qui peuvent signer ces fichiers."
                raise Refused("CPS-HOLDER", text, Scope.CARD)
            await self._begin(code, root, items, last_try)

    async def forget(self) -> None:
        """Have a kept code dropped, and a batch under way stop after the signature in hand."""
        was, self._kept_until, self._dropped = self._kept_until, None, True
        if was is not None and self._guard.running:
            with suppress(Deferred):  # a child that does not even forget has been killed
                await self._guard.ask("forget")

    async def drop(self) -> None:
        """As ``forget``, for a person, who is told at once that the card is not ready any more."""
        await self.forget()
        if self.condition.state == "ready" and self.sight is not None:
            await self._tell(self._seen(self.sight))

    def end(self) -> None:
        """The reader is gone or the service ends: so does the child, with all it knows."""
        self._kept_until, self._ended = None, True
        self._guard.end(for_good=True)

    def stop(self) -> None:
        """The service stops: a signature in hand is finished, any other question to the card is not waited for."""
        if not self._signing:
            self.end()

    async def _look(self) -> None:
        """See what lies here; ask the card only if what is known of it is stale."""
        if self._ended:
            return
        try:
            self._recognise()
            if self._stale and time.monotonic() >= self._rest_until:
                await self._ask_card()
            if self.sight is not None:
                await self._tell(self._seen(self.sight))
        except Trouble as trouble:
            self._stale, self.sight = True, None
            self._rest(trouble)
            await self.forget()
            await self._tell(condition_of(trouble))

    def _recognise(self) -> None:
        if self.slot.atr is None:
            raise Deferred(ABSENT, "Aucune carte dans le lecteur : insérez la carte CPS.", Scope.CARD)
        if self.slot.atr == b"":
            raise failure(UNRESPONSIVE)
        model(self.slot.atr)

    async def _ask_card(self) -> None:
        reset = self._complaint is not None
        self._stale, self.sight = False, None  # a change that comes meanwhile makes it stale again
        sight = Sight(**await self._guard.ask("look", reader=self.slot.reader, reset=reset))
        if sight.kind not in self._office.settings.card_types:
            text = f"La carte de {sight.name} ({sight.kind}) n'est pas d'un type qui signe ici."
            raise Refused("CPS-TYPE", text, Scope.CARD)
        self.sight = sight
        if self._complaint is not None and self._complaint.code == HUNG:
            self._complaint = None

    async def _begin(self, code: str | None, root: bytes, items: tuple[Item, ...], last_try: bool) -> None:
        """Have the card take the code, then sign in the background; on any Trouble the condition says it."""
        assert self.sight is not None
        self._typing_s = pinpad.ENTRY_S if code == "" else 0.0
        self._dropped = False  # before the card is asked: meanwhile a person may want the code dropped
        try:
            await self._guard.ask(
                "unlock",
                self._typing_s,
                reader=self.slot.reader,
                serial=self.sight.serial,
                code=code,
                box=self._office.box_id,
                policy=self.policy.words,
                root=root.hex(),
                last_try=last_try,
            )
        except Trouble as trouble:
            await self._fail(trouble)
            await self._look()
            raise
        self._complaint, self._used = None, _now()
        if code is not None:
            self._kept_until = self.policy.ends(_now()) if code and not self._dropped else None
        self._signing = True
        await self._tell(replace(self.condition, state="signing", code="", text="Signature en cours."))
        self._office.spawn(self._sign(items))

    async def _sign(self, items: tuple[Item, ...]) -> None:
        """Sign ``items`` but those withdrawn meanwhile; whatever happens the card is reset at the end."""
        try:
            for item in items:
                await self._sign_one(item)
        except Trouble as trouble:
            await self._fail(trouble)
        self._stale = True
        if self._guard.running:  # else the session died with its child, and pcscd has reset the card
            with suppress(Deferred):
                await self._guard.ask("close", keep=self._kept_until is not None)
        self._signing = False
        await self.turn()

    async def _sign_one(self, item: Item) -> None:
        pending = self._office.pending
        with pending.claim(item) as ours:
            if ours and not self._dropped and not self._office.stop.is_set():
                pending.record(item, await self._guard.ask("sign", self._typing_s, item=item.plain()))
                await self._office.news()

    async def _fail(self, trouble: Trouble) -> None:
        self._complaint, self._stale = trouble, True
        self._rest(trouble)
        await self.forget()

    def _rest(self, trouble: Trouble) -> None:
        """How long the card is left alone after ``trouble``."""
        rest = self._office.settings.patience_s if trouble.code == HUNG else 0.0
        if isinstance(trouble, Refused) and self.sight is None:
            rest = REFUSED_REST_S
        self._rest_until = time.monotonic() + rest

    def _outdated(self) -> bool:
        """Whether a kept code has served long enough."""
        settings, now = self._office.settings, _now()
        if self._kept_until is None:
            return False
        idle = not timedelta(0) <= now - self._used < timedelta(minutes=settings.idle_minutes)  # below: set back since
        return now >= self._kept_until or idle or settings.closed_since(now) is not None

    def _seen(self, sight: Sight) -> Condition:
        """The condition of a CPS that lies here."""
        closed = None if self.waiting() else self._office.settings.closed_since(_now())
        state, code, text = "locked", "CPS-LOCKED", "Carte insérée : le code porteur est attendu."
        if sight.tries == 0:
            state, code, text = "blocked", PIN_BLOCKED, "Le code porteur est bloqué : débloquez la carte."
        elif self._complaint is not None:
            code, text = self._complaint.code, self._complaint.text
            state = STOPS.get(code, "locked")
        elif self._kept_until is not None:
            state, code, text = "ready", "", "Carte prête : le code porteur est gardé jusqu'à l'heure choisie."
        elif sight.tries == 1:
            code, text = "CPS-LAST-TRY", "Il ne reste qu'un essai de code avant le blocage de la carte."
        elif closed is not None:
            state, code = "left", "CPS-LEFT"
            text = f"La carte de {sight.name} est restée dans le lecteur après {closed} : retirez-la."
        return Condition(
            state,
            code,
            text,
            sight.name,
            sight.serial[-4:],
            sight.tries,
            sight.valid_until,
            sight.identifier,
            sight.pad,
        )

    async def _tell(self, condition: Condition) -> None:
        if condition != self.condition:
            self.condition = condition
            await self._office.news()


def _now() -> datetime:
    return datetime.now().astimezone()

"""The one who signs: watches the reader, takes the code once, signs what that code was given for.

Duty: bring together what is offered (``pending``), the card (``session``, in one worker thread) and the policy.
The card's condition is looked at twice a second and costs it no command while nothing changes.

Rules: a code is offered to the card once; it is gone with the batch, at the hour of its policy, with the card, at any
failure, at the end.  A failure in the middle of a batch leaves what is signed signed and the rest waiting.
``alive`` is called after each step of the card and by nothing else, so that a reader that hangs is noticed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from gateway.card.apdu import PIN_BLOCKED
from gateway.card.pending import Pending
from gateway.card.pin import Pin
from gateway.card.proof import Item
from gateway.card.reader import ABSENT, MUTE, NO_READER, NO_SERVICE, REMOVED, Slot
from gateway.card.session import Cards, Session, Sight
from gateway.card.settings import CardSettings
from gateway.errors import Deferred, Refused, Scope, Trouble

LOOK_EVERY = 0.4
"""Seconds between two looks at the reader."""

_Result = TypeVar("_Result")

STATES = {
    NO_SERVICE: "no-service",
    NO_READER: "no-reader",
    ABSENT: "absent",
    REMOVED: "absent",
    MUTE: "foreign",
    PIN_BLOCKED: "blocked",
}
"""The card's state by the code of what went wrong; any other Refused is "foreign", any other Deferred "absent"."""

_LOCKED = "Carte insérée : le code porteur est attendu."
_LAST = "Il ne reste qu'un essai de code avant le blocage de la carte."


@dataclass(frozen=True)
class Condition:
    """How the card is, for a person: state, code and sentence, and what may be known of it without its code."""

    state: str
    code: str
    text: str
    holder: str | None = None
    serial: str | None = None
    tries: int | None = None
    valid_until: str | None = None


class Signer:
    """Lives on the event loop; ``run`` watches until ``stop`` is set."""

    def __init__(
        self, settings: CardSettings, box_id: str, cards: Cards, stop: asyncio.Event, alive: Callable[[], None]
    ) -> None:
        self.settings = settings
        self._box_id = box_id
        self.pending = Pending(settings.each)
        self.condition = Condition("no-service", NO_SERVICE, "Le lecteur de cartes n'a pas encore été regardé.")
        self.version = 0
        self._cards = cards
        self._stop = stop
        self._alive = alive
        self._thread = ThreadPoolExecutor(1, "card")
        self._news = asyncio.Condition()
        self._slots: tuple[Slot, ...] | None = None
        self._sight: Sight | None = None
        self._complaint: Trouble | None = None
        self._pin: Pin | None = None
        self._pin_ends: datetime | None = None
        self._stale = True
        self._turn = asyncio.Lock()
        self._signing = False
        self._group: asyncio.TaskGroup

    async def run(self) -> None:
        """Watch the reader until the stop; then finish the signature under way, reset the card, forget the code."""
        try:
            async with asyncio.TaskGroup() as self._group:
                while not self._stop.is_set():
                    await self._watch()
                    await _either(self._stop, LOOK_EVERY)
        finally:
            self.forget()
            await self._card(self._cards.close)
            self._thread.shutdown(wait=False)

    async def unlock(self, pin: Pin, root: bytes, last_try: bool = False) -> None:
        """Offer ``pin`` to the card for the items shown under ``root``; returns when the card has taken it, and signs
        them meanwhile.  Refused or Deferred where nothing shall be signed; the code is forgotten then."""
        async with self._turn:
            try:
                if self._signing:
                    raise Deferred("CPS-SIGNING", "Une signature est en cours : attendez qu'elle finisse.", Scope.CARD)
                await self._begin(pin, root, self.pending.members(root), last_try)
            except Trouble:
                pin.forget()
                raise

    def forget(self) -> None:
        """Drop the code that a policy ``until`` keeps."""
        if self._pin is not None:
            self._pin.forget()
            self._pin = self._pin_ends = None

    async def news(self, since: int, wait: float) -> None:
        """Return when the version is past ``since``, or after ``wait`` seconds."""
        try:
            async with asyncio.timeout(wait), self._news:
                await self._news.wait_for(lambda: self.version > since)
        except TimeoutError:
            return

    async def _watch(self) -> None:
        """One look at the reader, then whatever a kept code may sign; nothing while a batch is being signed."""
        async with self._turn:
            if self._signing or self._stop.is_set():
                return
            if self._pin_ends is not None and datetime.now().astimezone() >= self._pin_ends:
                self.forget()
            await self._look()
            items = self.pending.waiting()
            if self._pin is not None and items:
                with suppress(Trouble):  # said by the condition
                    await self._begin(self._pin, self.pending.root(), items, last_try=False)

    async def _look(self) -> None:
        """See whether a card came or went; ask the card only if so, or if what is known of it is stale."""
        try:
            slots = await self._card(self._cards.slots)
            if slots != self._slots:
                self._slots, self._stale, self._complaint = slots, True, None
                self.forget()
            if self._stale:
                self._stale, self._sight = False, None
                self._sight = await self._card(self._cards.look, self._complaint is not None)
            if self._sight is not None:
                await self._tell(self._seen(self._sight))
        except Trouble as trouble:
            self._stale = isinstance(trouble, Deferred)
            self._sight = None
            self.forget()
            await self._tell(_condition(trouble))

    async def _begin(self, pin: Pin, root: bytes, items: tuple[Item, ...], last_try: bool) -> None:
        """Have the card take the code, then sign in the background; on any Trouble the condition says it."""
        if self._sight is None:
            raise Deferred(self.condition.code, self.condition.text, Scope.CARD)
        serial, (box, policy) = self._sight.contents.serial, (self._box_id, self.settings.policy)
        try:
            session = await self._card(self._cards.unlock, serial, pin, box, policy, root, last_try)
        except Trouble as trouble:
            self._fail(pin, trouble)
            await self._look()
            raise
        self._complaint = None
        await self._tell(replace(self.condition, state="signing", code="", text="Signature en cours."))
        self._signing = True
        self._group.create_task(self._sign(session, items))

    async def _sign(self, session: Session, items: tuple[Item, ...]) -> None:
        """Sign ``items`` but those withdrawn meanwhile; whatever happens the card is reset at the end."""
        try:
            for item in items:
                if self.pending.wanted(item) and not self._stop.is_set():
                    self.pending.record(item, await self._card(session.sign, item))
                    await self._news_came()
            self._keep(session.pin)
        except Trouble as trouble:
            self._fail(session.pin, trouble)
        finally:
            self._stale = True
            await self._card(session.close)
            self._signing = False
        await self._watch()

    def _keep(self, pin: Pin) -> None:
        """After its batch a code is kept only where the policy gives it an hour that is still to come."""
        ends = self._pin_ends or self.settings.ends(datetime.now().astimezone())
        if ends is None or not pin.known:
            pin.forget()
            return
        self._pin, self._pin_ends = pin, ends

    def _fail(self, pin: Pin, trouble: Trouble) -> None:
        pin.forget()
        self.forget()
        self._complaint, self._stale = trouble, True

    def _seen(self, sight: Sight) -> Condition:
        """The condition of a CPS that lies in the reader."""
        state, code, text = "locked", "CPS-LOCKED", _LOCKED
        if sight.tries == 0:
            state, code, text = "blocked", PIN_BLOCKED, "Le code porteur est bloqué : débloquez la carte."
        elif self._pin is not None:
            state, code, text = "ready", "", "Carte prête : le code porteur est gardé jusqu'à l'heure choisie."
        elif self._complaint is not None:
            code, text = self._complaint.code, self._complaint.text
        elif sight.tries == 1:
            code, text = "CPS-LAST-TRY", _LAST
        until = sight.valid_until.date().isoformat()
        return Condition(state, code, text, sight.holder, sight.contents.serial[-4:], sight.tries, until)

    async def _tell(self, condition: Condition) -> None:
        if condition != self.condition:
            self.condition = condition
            await self._news_came()

    async def _news_came(self) -> None:
        async with self._news:
            self.version += 1
            self._news.notify_all()

    async def _card(self, act: Callable[..., _Result], *arguments: object) -> _Result:
        """Run one blocking act of the card in its thread."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, act, *arguments)
        finally:
            self._alive()


def _condition(trouble: Trouble) -> Condition:
    state = STATES.get(trouble.code, "foreign" if isinstance(trouble, Refused) else "absent")
    return Condition(state, trouble.code, trouble.text)


async def _either(stop: asyncio.Event, seconds: float) -> None:
    """Sleep, but wake when the service is to stop."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return

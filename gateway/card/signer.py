"""The card service's heart: which readers there are, one ``place`` for each, and what is said of them all.

Duty: watch the readers twice a second through a child that knows nothing else, make and end places as readers come
and go, and find the card that a code is meant for.

Rules: this process speaks to no reader, so that nothing there can hold it up; ``alive`` is called after each look,
whose time is bounded.  It deliberately knows neither a code nor what a card is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from gateway.card.condition import RANKS, Condition, condition_of
from gateway.card.failures import ABSENT, NO_SERVICE
from gateway.card.guard import Guard
from gateway.card.pending import Pending, may_sign
from gateway.card.place import Office, Place, Slot
from gateway.card.settings import CardSettings
from gateway.errors import Deferred, Refused, Scope, Trouble

LOOK_EVERY = 0.4
"""Seconds between two looks at the readers."""

LOOK_PATIENCE_S = 8.0
"""Seconds that a look may take, which speaks to pcscd and to no reader."""

_UNSEEN = Condition("no-service", NO_SERVICE, "Le lecteur de cartes n'a pas encore été regardé.")
_EMPTY = Condition("absent", ABSENT, "Aucune carte dans le lecteur : insérez la carte CPS.")


class Signer:
    """Lives on the event loop; ``run`` watches until ``stop`` is set."""

    def __init__(self, settings: CardSettings, box_id: str, stop: asyncio.Event, alive: Callable[[], None]) -> None:
        self.settings = settings
        self.pending = Pending()
        self.version = 0
        self._stop = stop
        self._alive = alive
        self._news = asyncio.Condition()
        self._lookout = Guard("look", LOOK_PATIENCE_S)
        self._places: dict[str, Place] = {}
        self._readers = _UNSEEN
        self._office = Office(settings, box_id, self.pending, self._news_came, self._spawn, stop)
        self._group: asyncio.TaskGroup

    async def run(self) -> None:
        """Watch until the stop; then let the signature in hand finish, reset the cards, forget the codes."""
        try:
            async with asyncio.TaskGroup() as self._group:
                while not self._stop.is_set():
                    await self._watch()
                    self._alive()
                    await _either(self._stop, LOOK_EVERY)
                for place in self._places.values():
                    place.stop()
        finally:
            self._lookout.end()
            for place in self._places.values():
                place.end()

    @property
    def cards(self) -> list[Place]:
        """The places where something lies, the one to be spoken of first."""
        there = [place for place in self._places.values() if place.slot.atr is not None]
        return sorted(there, key=lambda place: (RANKS.index(place.condition.state), not place.waiting()))

    @property
    def condition(self) -> Condition:
        """The condition of the first card, or why there is none."""
        return next((place.condition for place in self.cards), self._readers)

    def chosen(self, root: bytes, card: str | None) -> Place:
        """The card that a code for ``root`` is meant for: the one whose serial ends with ``card``, or the only one that
        may sign it.  Refused(CPS-WHICH) where there are several, Deferred as the condition says where there is none."""
        members = self.pending.members(root)
        there = [place for place in self.cards if place.sight and place.sight.serial.endswith(card or "")]
        able = [place for place in there if place.sight and may_sign(place.sight.identifier, members)]
        if not there:
            raise Deferred(self.condition.code, self.condition.text, Scope.CARD)
        if len(able) > 1:
            raise Refused("CPS-WHICH", "Plusieurs cartes peuvent signer : dites laquelle.", Scope.CARD)
        return (able or there)[0]

    async def forget(self) -> None:
        """Drop every kept code; a batch under way stops after the signature in hand."""
        for place in self._places.values():
            await place.drop()

    async def news(self, since: int, wait: float) -> None:
        """Return when the version is past ``since``, or after ``wait`` seconds."""
        try:
            async with asyncio.timeout(wait), self._news:
                await self._news.wait_for(lambda: self.version > since)
        except TimeoutError:
            return

    async def _watch(self) -> None:
        """One look at the readers, and a turn for each place."""
        try:
            slots = [_slot(*plain) for plain in await self._lookout.ask("slots")]
            readers = _EMPTY
        except Trouble as trouble:
            slots, readers = [], condition_of(trouble)
        for gone in self._places.keys() - {slot.reader for slot in slots}:
            self._places.pop(gone).end()
        for slot in slots:
            if slot.reader not in self._places:
                self._places[slot.reader] = Place(slot, self._office)
            self._places[slot.reader].saw(slot)
        if readers != self._readers:
            self._readers = readers
            await self._news_came()
        for place in self._places.values():
            self._spawn(place.turn())

    def _spawn(self, act: Any) -> None:
        self._group.create_task(act)

    async def _news_came(self) -> None:
        async with self._news:
            self.version += 1
            self._news.notify_all()


def _slot(reader: str, atr: str | None, changes: int) -> Slot:
    return Slot(reader, None if atr is None else bytes.fromhex(atr), changes)


async def _either(stop: asyncio.Event, seconds: float) -> None:
    """Sleep, but wake when the service is to stop."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return

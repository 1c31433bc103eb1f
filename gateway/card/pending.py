"""What awaits the practitioners' codes: offered, shown, signed, confirmed.

Rules: the keeper's last offer says what there is, and whose card may sign each item; what was shown under a root is
what that root signs, and only while the keeper still offers all of it; of two cards that may sign the same item one
claims it; an answer is kept until the keeper confirms that it is committed, so that a fichier offered again gets the
same signature and never a second one.

It deliberately knows neither the card nor the time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from gateway.card.proof import Item, batch_root
from gateway.errors import Refused, Scope

_SHOWN = 32
"""Roots remembered: a page that was left open may be older than the last offer."""

Signed = dict[str, Any]
"""What a card signed for one fichier, as ``sign.sock`` gives it."""


class Pending:
    """Items by fichier, in the order in which the keeper offered them."""

    def __init__(self) -> None:
        self._offered: dict[str, Item] = {}
        self._answers: dict[str, tuple[Item, Signed]] = {}
        self._shown: dict[bytes, tuple[Item, ...]] = {}
        self._claimed: set[str] = set()

    def offer(self, items: Iterable[Item]) -> None:
        """Replace what is offered."""
        self._offered = {item.fichier: item for item in items}

    def confirm(self, fichiers: Iterable[str]) -> None:
        """Forget answers that the keeper has committed, and that these fichiers were ever offered."""
        for fichier in fichiers:
            self._answers.pop(fichier, None)
            self._offered.pop(fichier, None)

    def record(self, item: Item, signed: Signed) -> None:
        """Keep the answer for ``item``."""
        self._answers[item.fichier] = (item, signed)

    def answers(self) -> tuple[Signed, ...]:
        """The answers to what is offered now."""
        return tuple(signed for item, signed in self._answers.values() if _same(self._offered.get(item.fichier), item))

    def refusals(self) -> dict[str, Refused]:
        """Offered fichiers that already have an answer for other content: one of the two is not committed yet."""
        text = "Ce fichier a déjà été signé avec un autre contenu, et cette signature attend d'être prise en compte."
        return {
            item.fichier: Refused("CPS-TWICE", text, Scope.FICHIER)
            for item, _ in self._answers.values()
            if item.fichier in self._offered and not _same(self._offered[item.fichier], item)
        }

    def waiting(self, holder: str | None, one_by_one: bool) -> tuple[Item, ...]:
        """What the next code of the holder ``holder`` will sign: one item only under the policy ``each``."""
        items = tuple(
            item for item in self._offered.values() if item.fichier not in self._answers and _may_sign(holder, item)
        )
        return items[:1] if one_by_one else items

    def unsigned(self) -> tuple[Item, ...]:
        """All that awaits a signature, whoever may give it."""
        return tuple(item for item in self._offered.values() if item.fichier not in self._answers)

    def show(self, items: tuple[Item, ...]) -> bytes:
        """The root under which ``items`` are shown to a person; it is remembered."""
        root = batch_root(items)
        self._shown.pop(root, None)
        self._shown[root] = items
        while len(self._shown) > _SHOWN:
            del self._shown[next(iter(self._shown))]
        return root

    def members(self, root: bytes) -> tuple[Item, ...]:
        """The items shown under ``root``; Refused(CPS-ROOT) unless all of them still wait, CPS-EMPTY where none did."""
        items = self._shown.get(root)
        if items is None or not all(self.wanted(item) for item in items):
            text = "Ce qui attend la signature a changé depuis l'affichage : vérifiez la liste et refaites le code."
            raise Refused("CPS-ROOT", text, Scope.CARD)
        if not items:
            raise Refused("CPS-EMPTY", "Aucun fichier n'attend de signature.", Scope.CARD)
        return items

    def wanted(self, item: Item) -> bool:
        """Whether ``item`` is still offered, as it was, and has no answer."""
        return self._offered.get(item.fichier) == item and item.fichier not in self._answers

    @contextmanager
    def claim(self, item: Item) -> Iterator[bool]:
        """For the time of its signature ``item`` is one card's; False where it is another's, or not wanted any more."""
        if not self.wanted(item) or item.fichier in self._claimed:
            yield False
            return
        self._claimed.add(item.fichier)
        try:
            yield True
        finally:
            self._claimed.discard(item.fichier)


def may_sign(holder: str | None, items: Iterable[Item]) -> bool:
    """Whether the card of ``holder`` is among those that each of ``items`` allows."""
    return all(_may_sign(holder, item) for item in items)


def _may_sign(holder: str | None, item: Item) -> bool:
    return not item.holders or holder in item.holders


def _same(offered: Item | None, answered: Item) -> bool:
    return offered is not None and (offered.fichier, offered.digest) == (answered.fichier, answered.digest)

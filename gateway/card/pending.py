"""What awaits the practitioner's code: offered, shown, signed, confirmed.

Rules: the keeper's last offer says what there is; what was shown under a root is what that root signs, and only
while the keeper still offers all of it; an answer is kept until the keeper confirms that it is committed, so that a
fichier offered again gets the same signature and never a second one.

It deliberately knows neither the card nor the time.
"""

from __future__ import annotations

from collections.abc import Iterable

from gateway.card.proof import Item, batch_root
from gateway.card.session import Signed
from gateway.errors import Refused, Scope

_SHOWN = 16
"""Roots remembered: a page that was left open may be older than the last offer."""


class Pending:
    """Items by fichier, in the order in which the keeper offered them."""

    def __init__(self, one_by_one: bool) -> None:
        """``one_by_one``: the policy ``each`` shows, and signs, one fichier at a time."""
        self._one_by_one = one_by_one
        self._offered: dict[str, Item] = {}
        self._answers: dict[str, tuple[Item, Signed]] = {}
        self._shown: dict[bytes, tuple[Item, ...]] = {}

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

    def waiting(self) -> tuple[Item, ...]:
        """What the next code will sign."""
        items = tuple(item for item in self._offered.values() if item.fichier not in self._answers)
        return items[:1] if self._one_by_one else items

    def root(self) -> bytes:
        """The root of ``waiting``."""
        return batch_root(self.waiting())

    def show(self) -> tuple[bytes, tuple[Item, ...]]:
        """Root and items for a person to see; the root is remembered."""
        items = self.waiting()
        root = batch_root(items)
        self._shown.pop(root, None)
        self._shown[root] = items
        while len(self._shown) > _SHOWN:
            del self._shown[next(iter(self._shown))]
        return root, items

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
        return _same(self._offered.get(item.fichier), item) and item.fichier not in self._answers


def _same(offered: Item | None, answered: Item) -> bool:
    return offered is not None and (offered.fichier, offered.digest) == (answered.fichier, answered.digest)

"""One way to the OCT: when it is tried again after a trouble, since when it carries nothing, and what is said of it.

A trouble of the line is waited out, longer each time; a refusal (password, certificate, host key) can only end
by a person's hand and is tried again rarely, so that nothing over there is hammered.  Either is the state of the
route and uses up no attempt of any fichier.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from gateway.disk import DiskFull
from gateway.errors import Refused, Scope, Trouble
from gateway.formats.days import iso
from gateway.services.forward.settings import ForwardSettings

WORDS: Mapping[str, str] = {
    "PES-UNREACHABLE": "Le concentrateur ne répond pas",
    "PES-LATE": "Le concentrateur ne répond plus",
    "PES-CUT": "La liaison avec le concentrateur est coupée",
    "PES-TLS": "La liaison chiffrée avec le concentrateur ne s'établit pas",
    "PES-3.301": "Le concentrateur ne reconnaît pas notre identifiant",
    "PES-3.304": "Le concentrateur refuse notre mot de passe ou notre certificat",
    "SFT-UNREACHABLE": "La voie de secours ne répond pas",
    "SFT-LATE": "La voie de secours ne répond plus",
    "SFT-CUT": "La voie de secours est coupée",
}
"""What the practice reads for troubles of a route; the address of an OCT is confidential (requirement 210)."""


class Route:
    """The state of one route; ``name`` is the condition's in the book."""

    def __init__(self, name: str, settings: ForwardSettings, tell: Callable[[dict[str, Any]], None]) -> None:
        self.name = name
        self.detour = ""
        """What is added to its troubles while something else carries in its place."""
        self._settings, self._tell_fact = settings, tell
        self._failures, self._next_try = 0, 0.0
        self._down_since: float | None = None
        self._told: str | None = None  # the book may still hold what was said before this start
        self._refused = False

    def due(self) -> bool:
        """Whether it may be tried now."""
        return time.monotonic() >= self._next_try

    def down_for(self) -> float:
        """Seconds for which it has carried nothing; 0 when it is well, and when the other side refuses us: the
        reserve stands in for a line, not for a permission."""
        return 0.0 if self._down_since is None else time.monotonic() - self._down_since

    @property
    def well(self) -> bool:
        """Nothing is said against it."""
        return not self._told

    def moved(self) -> None:
        """Something got through."""
        self._down_since = None

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """One try: a trouble inside is counted and said, its absence too."""
        try:
            yield
        except DiskFull:
            raise  # none of the route's doing
        except Trouble as trouble:
            self._fail(trouble)
        else:
            self._failures, self._refused = 0, False
            self.moved()
            self._tell("", "", 0.0)

    def forget(self) -> None:
        """It is not needed now: what only the line did to it is not said any longer; a refusal stands."""
        self._failures, self._next_try = 0, self._next_try if self._refused else 0.0
        if not self._refused:
            self.moved()
            self._tell("", "", 0.0)

    def try_anew(self) -> None:
        """We come with other keys: what was refused before may be tried now."""
        self._next_try, self._refused = 0.0, False

    def _fail(self, trouble: Trouble) -> None:
        now = time.monotonic()
        of_fichier = trouble.scope is Scope.FICHIER
        self._refused = isinstance(trouble, Refused) and not of_fichier
        if self._refused or of_fichier:  # the other side answers: the line is there
            self.moved()
        elif self._down_since is None:
            self._down_since = now
        self._failures += 1
        delay = min(self._settings.retry_s * 2.0 ** (self._failures - 1), self._settings.retry_max_s)
        delay = self._settings.refused_s if self._refused else delay
        delay *= random.uniform(0.8, 1.2)  # noqa: S311 - spreads boxes over time, hides nothing
        self._next_try = now + delay
        text = WORDS.get(trouble.code, self._settings.hidden(trouble.text))
        self._tell(trouble.code, f"{text.rstrip('.')} ; {self.detour}" if self.detour else text, delay)

    def _tell(self, code: str, text: str, delay: float) -> None:
        if not code and self._told == "":
            return
        self._told = code
        at = iso(datetime.fromtimestamp(time.time() + delay, UTC))
        self._tell_fact({"name": self.name, "code": code, "text": text, "next": at if code else ""})

"""What the practice sets about signing: the section [card].

A policy says how long one code serves: ``each`` (one fichier), ``this-batch`` (what was shown), or ``until HH:MM``
(whatever is offered before that hour, in this box's local time).  Each practitioner may have their own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, time
from typing import Any

from gateway.errors import Refused, Scope
from gateway.formats.holder import IDENTIFIER, IDENTIFIER_WORDS, KINDS

_HOUR = r"([01][0-9]|2[0-3]):([0-5][0-9])"
_UNTIL = re.compile(f"until {_HOUR}")
_HOURS = re.compile(f"({_HOUR})-({_HOUR})")
_OWN = re.compile(f"({IDENTIFIER})=([^=]+)")


@dataclass(frozen=True)
class Policy:
    """How long one code serves; Refused(CPS-POLICY) where ``words`` are none of the three."""

    words: str

    def __post_init__(self) -> None:
        if self.words not in ("each", "this-batch") and not _UNTIL.fullmatch(self.words):
            raise _wrong("policy", self.words, "ni each, ni this-batch, ni until HH:MM")

    @property
    def each(self) -> bool:
        return self.words == "each"

    def ends(self, given: datetime) -> datetime | None:
        """When a code given at ``given`` (local, aware) ends; None: with its batch, as where the hour is past."""
        hour = _UNTIL.fullmatch(self.words)
        if hour is None:
            return None
        end = datetime.combine(given.date(), time(int(hour[1]), int(hour[2]))).astimezone()  # at that hour's own offset
        return end if end > given else None


def _setting(default: Any, doc: str) -> Any:
    return field(default=default, metadata={"doc": doc})


@dataclass(frozen=True)
class CardSettings:
    """Refused (scope box) where a setting has not its form."""

    policy: str = _setting("this-batch", "durée d'un code porteur : each, this-batch ou until HH:MM")
    policies: tuple[str, ...] = _setting((), 'la durée propre à un porteur : "10001234567=until 12:30", …')
    card_types: tuple[str, ...] = _setting(
        ("CPS", "CPF"), "types de carte qui signent ; ajouter CPE ou CPA est un choix du cabinet"
    )
    hours: str = _setting(
        "", "heures du cabinet, par exemple 07:30-20:00 : en dehors, aucun code gardé, carte à retirer"
    )
    idle_minutes: int = _setting(120, "minutes sans signature après lesquelles un code gardé est oublié")
    patience_s: float = _setting(20.0, "secondes laissées à la carte et au lecteur pour un geste")

    def __post_init__(self) -> None:
        Policy(self.policy)
        for own in self.policies:
            if not _OWN.fullmatch(own):
                raise _wrong("policies", own, f"pas de la forme porteur=durée ({IDENTIFIER_WORDS})")
        for kind in self.card_types:
            if kind not in KINDS:
                raise _wrong("card_types", kind, f"pas un type de carte ({', '.join(KINDS)})")
        if self.hours and (not (hours := _HOURS.fullmatch(self.hours)) or hours[1] >= hours[4]):
            raise _wrong("hours", self.hours, "pas de la forme HH:MM-HH:MM")
        if self.idle_minutes < 1 or self.patience_s <= 0:
            raise _wrong(
                "idle_minutes, patience_s", f"{self.idle_minutes}, {self.patience_s}", "pas plus grand que zéro"
            )
        self.policy_of(None)

    def policy_of(self, holder: str | None) -> Policy:
        """The policy of the card holder with this identifier (None: of whoever has none of their own)."""
        own = {found[1]: Policy(found[2]) for found in map(_OWN.fullmatch, self.policies) if found}
        return own.get(holder or "", Policy(self.policy))

    def closed_since(self, now: datetime) -> str | None:
        """The closing hour, HH:MM, where ``now`` (local, aware) is outside the practice's hours, else None."""
        hours = _HOURS.fullmatch(self.hours)
        if hours is None or hours[1] <= f"{now:%H:%M}" < hours[4]:
            return None
        return hours[4]

    def keeps_until(self, holder: str | None, now: datetime) -> str | None:
        """The hour, HH:MM, until which a code that ``holder`` gives at ``now`` is kept at most; None: not at all."""
        end = self.policy_of(holder).ends(now)
        if end is None or self.closed_since(now) is not None:
            return None
        hours = _HOURS.fullmatch(self.hours)
        return min(f"{end:%H:%M}", hours[4] if hours else "24:00")


def _wrong(name: str, value: str, why: str) -> Refused:
    return Refused("CPS-POLICY", f"[card] {name} : « {value} » n'est {why}.", Scope.BOX)

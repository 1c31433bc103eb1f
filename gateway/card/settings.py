"""What the practice sets about signing: the section [card].

``policy`` says how long one code serves: ``each`` (one fichier), ``this-batch`` (what was shown), or
``until HH:MM`` (whatever is offered before that hour, in this box's local time).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, time

from gateway.errors import Refused, Scope

_UNTIL = re.compile(r"until ([01][0-9]|2[0-3]):([0-5][0-9])")


@dataclass(frozen=True)
class CardSettings:
    """Refused(CPS-POLICY) where the policy is none of the three."""

    policy: str = field(
        default="this-batch", metadata={"doc": "durée d'un code porteur : each, this-batch ou until HH:MM"}
    )

    def __post_init__(self) -> None:
        if self.policy not in ("each", "this-batch") and not _UNTIL.fullmatch(self.policy):
            text = f"[card] policy : « {self.policy} » n'est ni each, ni this-batch, ni until HH:MM."
            raise Refused("CPS-POLICY", text, Scope.BOX)

    @property
    def each(self) -> bool:
        return self.policy == "each"

    def ends(self, given: datetime) -> datetime | None:
        """When a code given at ``given`` (local, aware) ends; None: with its batch, as where the hour is past."""
        hour = _UNTIL.fullmatch(self.policy)
        if hour is None:
            return None
        end = datetime.combine(given.date(), time(int(hour[1]), int(hour[2])), given.tzinfo)
        return end if end > given else None

"""How long each class of data is kept, and how much of it may be seen in clear: settings of the keeper.

The 90 days of sealed copies are the rule of the trade (requirement 292, R161-47 CSS: « au moins 90 jours ») and
cannot be set lower.  Every other delay is a choice of this gateway, said as such in docs/conformite: neither the
time bar of a claim nor a recommended life of access data is established by the facts that we hold.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.config import setting
from gateway.errors import Refused, Scope

LEAST_COPIES_DAYS = 90
"""Of a sealed copy, from its sending."""

LEAST_DIGESTS_DAYS = 1100
"""A lot number has 999 values and at most one is used a day for each destination of a small practice; how it goes on
after 999 is not established (flux facts), so digests stay at least that long."""


@dataclass(frozen=True)
class RetentionSettings:
    """The section [keeper.retention]; all in days."""

    copies_days: int = setting(90, "copies scellées d'un fichier, à compter de son envoi ; 90 au moins")
    signatures_days: int = setting(3653, "signature de la carte, sans donnée de patient : la preuve de l'envoi")
    returns_days: int = setting(90, "copies scellées d'un retour, à compter de sa relève par le cabinet")
    paid_days: int = setting(365, "suivi des factures réglées ou rejetées, à compter du dernier retour qui en parle")
    follow_days: int = setting(1095, "suivi des factures sans règlement, à compter de l'envoi")
    digests_days: int = setting(3653, "empreintes des fichiers, qui font reconnaître un double ; 1100 au moins")
    access_years: int = setting(1, "années pleines au bout desquelles le journal des accès ne nomme plus personne")

    def __post_init__(self) -> None:
        least = {
            "copies_days": LEAST_COPIES_DAYS,
            "digests_days": LEAST_DIGESTS_DAYS,
            "signatures_days": self.copies_days,
            "paid_days": self.copies_days,
            "follow_days": self.copies_days,
            "returns_days": 1,
            "access_years": 1,
        }
        for name, days in least.items():
            if getattr(self, name) < days:
                raise Refused("CFG-010", f"[keeper.retention] {name} : {days} au moins.", Scope.BOX)
        if self.digests_days < self.follow_days:
            raise Refused("CFG-010", "[keeper.retention] digests_days : pas moins que follow_days.", Scope.BOX)


@dataclass(frozen=True)
class RevealSettings:
    """The section [keeper.reveal]."""

    alarm: int = setting(
        10, "consultations en clair (factures, exports) en une heure, à partir desquelles la passerelle le signale"
    )
    limit: int = setting(30, "consultations en clair en une heure, au plus")

    def __post_init__(self) -> None:
        if not 0 < self.alarm < self.limit:
            raise Refused("CFG-011", "[keeper.reveal] : il faut 0 < alarm < limit.", Scope.BOX)

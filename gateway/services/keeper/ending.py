"""The end of the box's own certificates: which comes first, and what is said once it is past.

Until then the box renews them by itself.  Afterwards nobody over there lets it in or reads what it signs, so it can
only be enrolled again; what waits in it stays as it is meanwhile, and goes then.
"""

from __future__ import annotations

from datetime import datetime

from gateway.config import Paths
from gateway.envelope.algorithms import read_certificate
from gateway.envelope.box_keys import KEYS
from gateway.errors import Scope
from gateway.formats.days import day_of
from gateway.formats.words import day as day_words
from gateway.process import keyring

ENROL = (
    " : elle doit être enrôlée de nouveau, avec un code du concentrateur et la carte du praticien, par"
    " « gateway enrol … --again » (docs/cles.md) ; rien de ce qui attend n'est perdu"
)


def first_end(paths: Paths) -> tuple[str, str]:
    """Name and last day (ISO, Paris) of the box's certificate that ends first."""
    placed = [row.name for row in KEYS if (paths.trust / f"{row.name}.pem").exists()]
    return min(((name, _end(paths, name)) for name in placed), key=lambda each: each[1])


def _end(paths: Paths, name: str) -> str:
    certificate = read_certificate(keyring.read_certificate(paths.trust / f"{name}.pem"), Scope.BOX)
    return day_of(certificate.not_valid_after_utc)


def ended_words(paths: Paths, now: datetime) -> str:
    """What a clock that is in doubt would mean if it were right, '' where the certificates hold by it."""
    _, until = first_end(paths)
    if day_of(now) <= until:
        return ""
    return f" Si elle est juste, les certificats de la passerelle ont expiré le {day_words(until)}{ENROL}."

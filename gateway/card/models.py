"""Which card of the family an ATR announces.  The ATR is no proof: ``cps`` reads the serial file before it believes it.

CPS2ter and CPS4 answer other commands, and the contactless application of a CPS3 holds no signature key: they are
named for what they are, and not taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from gateway.errors import Refused, Scope


class Model(Enum):
    """The cards of the family that an ATR names, with the word a user knows."""

    CPS3 = "CPS3"
    CPS3_CONTACTLESS = "CPS3 sans contact"
    CPS2TER = "CPS2ter"
    CPS4 = "CPS4"


ATRS: Mapping[bytes, Model] = {
    bytes.fromhex("3BAC00402A001225006480000310009000"): Model.CPS3,
    bytes.fromhex("3B8F80010031B86404B0ECC1739401808290000E"): Model.CPS3_CONTACTLESS,
    bytes.fromhex("3BAC00402A001225006480820212009000"): Model.CPS2TER,
    bytes.fromhex("3B9B188001001225006480040100009044"): Model.CPS4,
    bytes.fromhex("3B9B188001001225006480000401009044"): Model.CPS4,
    bytes.fromhex("3BDC18FF00001225006480000401009000"): Model.CPS4,
}
"""Exact ATRs (official library; pcsc-tools list)."""


def model(atr: bytes) -> Model:
    """The card that ``atr`` announces; Refused where it is not a CPS3 with contacts."""
    named = ATRS.get(atr)
    if named is None:
        raise Refused("CPS-FOREIGN", "La carte dans le lecteur n'est pas une carte CPS.", Scope.CARD)
    if named is not Model.CPS3:
        raise Refused("CPS-MODEL", f"La carte est une {named.value} : seule la CPS3 à contact est prise.", Scope.CARD)
    return named

"""What PC/SC's failures mean for a user: one row each.

It deliberately imports nothing of PC/SC: the service's own process, which never speaks to a reader, says the same
words as the child that does.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.errors import Deferred, Refused, Scope, Trouble

NO_SERVICE, NO_READER = "CPS-NO-SERVICE", "CPS-NO-READER"
ABSENT, REMOVED, RESET, MUTE = "CPS-ABSENT", "CPS-REMOVED", "CPS-RESET", "CPS-MUTE"
COPY, UPDATE = "CPS-COPY", "CPS-UPDATE"
BUSY, ACCESS = "CPS-BUSY", "CPS-ACCESS"

_SERVICE = (Deferred, NO_SERVICE, "Le service des lecteurs de cartes (pcscd) ne répond pas.")
_READER = (Deferred, NO_READER, "Aucun lecteur de cartes n'est branché.")
_GONE = (Deferred, REMOVED, "La carte a été retirée du lecteur.")
_MUTE = (Deferred, MUTE, "La carte dans le lecteur est muette : vérifiez son sens.")

UNKNOWN_READER, NO_READERS, UNRESPONSIVE = 0x80100009, 0x8010002E, 0x80100066

FAILURES: Mapping[int, tuple[type[Refused] | type[Deferred], str, str]] = {
    0x80100001: _SERVICE,  # F_INTERNAL_ERROR
    0x80100003: _SERVICE,  # E_INVALID_HANDLE: a handle of a pcscd that has been restarted
    0x80100013: _SERVICE,  # F_COMM_ERROR
    0x8010001D: _SERVICE,  # E_NO_SERVICE
    0x8010001E: _SERVICE,  # E_SERVICE_STOPPED
    UNKNOWN_READER: _READER,  # E_UNKNOWN_READER
    0x80100017: _READER,  # E_READER_UNAVAILABLE
    NO_READERS: _READER,  # E_NO_READERS_AVAILABLE
    0x8010000C: (Deferred, ABSENT, "Aucune carte dans le lecteur."),  # E_NO_SMARTCARD
    0x00000000: _GONE,  # success, but without a status word: pulled out during the command
    0x80100016: _GONE,  # E_NOT_TRANSACTED
    0x8010002F: _GONE,  # E_COMM_DATA_LOST
    0x80100069: _GONE,  # W_REMOVED_CARD
    0x80100068: (
        Deferred,
        RESET,
        "Un autre programme a remis la carte à zéro : il faut refaire le code.",
    ),  # W_RESET_CARD
    0x8010000B: (Deferred, BUSY, "Un autre programme garde la carte pour lui."),  # E_SHARING_VIOLATION
    UNRESPONSIVE: _MUTE,
    0x80100067: _MUTE,  # W_UNPOWERED_CARD
    0x8010000F: (Refused, "CPS-FOREIGN", "La carte dans le lecteur n'est pas une carte CPS."),  # E_PROTO_MISMATCH
    0x8010006A: (
        Refused,
        ACCESS,
        "Le système refuse l'accès au lecteur de cartes (polkit).",
    ),  # W_SECURITY_VIOLATION
}
"""What PC/SC result codes mean for a user (pcsclite.h); any other is CPS-PCSC with its number."""


def failure(result: int) -> Trouble:
    """The Trouble that PC/SC ``result`` means; some builds give it as a negative number."""
    code = result & 0xFFFFFFFF
    unknown = (Deferred, "CPS-PCSC", f"Le lecteur de cartes a échoué (PC/SC {code:08X}).")
    kind, name, text = FAILURES.get(code, unknown)
    return kind(name, text, Scope.CARD)

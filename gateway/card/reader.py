"""The reader: the only place that knows PC/SC, by pyscard's thin binding.

Duty: tell which readers there are and what lies in them, connect to a card, carry bytes to it, hold it alone.
Every way in which PC/SC fails is a row of ``FAILURES`` and comes out as Refused or Deferred of scope card; a
failure ends the connection, and the context with it where pcscd itself is gone, so that the next look starts afresh.

Rules: blocking, and for one thread only (two threads on a card get each other's answers); how a card is left is
always said; nothing here is traced, for a trace would show the code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from smartcard import scard

from gateway.errors import Deferred, Refused, Scope, Trouble

NO_SERVICE, NO_READER = "CPS-NO-SERVICE", "CPS-NO-READER"
ABSENT, REMOVED, RESET, MUTE = "CPS-ABSENT", "CPS-REMOVED", "CPS-RESET", "CPS-MUTE"

_SERVICE = (Deferred, NO_SERVICE, "Le service des lecteurs de cartes (pcscd) ne répond pas.")
_READER = (Deferred, NO_READER, "Aucun lecteur de cartes n'est branché.")
_GONE = (Deferred, REMOVED, "La carte a été retirée du lecteur.")
_MUTE = (Deferred, MUTE, "La carte dans le lecteur est muette : vérifiez son sens.")

UNRESPONSIVE = 0x80100066

FAILURES: Mapping[int, tuple[type[Refused] | type[Deferred], str, str]] = {
    0x80100001: _SERVICE,  # F_INTERNAL_ERROR
    0x80100003: _SERVICE,  # E_INVALID_HANDLE: a handle of a pcscd that has been restarted
    0x80100013: _SERVICE,  # F_COMM_ERROR
    0x8010001D: _SERVICE,  # E_NO_SERVICE
    0x8010001E: _SERVICE,  # E_SERVICE_STOPPED
    0x80100009: _READER,  # E_UNKNOWN_READER
    0x80100017: _READER,  # E_READER_UNAVAILABLE
    0x8010002E: _READER,  # E_NO_READERS_AVAILABLE
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
    0x8010000B: (Deferred, "CPS-BUSY", "Un autre programme garde la carte pour lui."),  # E_SHARING_VIOLATION
    UNRESPONSIVE: _MUTE,
    0x80100067: _MUTE,  # W_UNPOWERED_CARD
    0x8010000F: (Refused, "CPS-FOREIGN", "La carte dans le lecteur n'est pas une carte CPS."),  # E_PROTO_MISMATCH
    0x8010006A: (
        Refused,
        "CPS-ACCESS",
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


@dataclass(frozen=True)
class Slot:
    """A reader: its name, the ATR of its card (None: no card, empty: a mute one), how often one came or went."""

    reader: str
    atr: bytes | None
    changes: int


class Connection:
    """A card, shared with other programs but for the time between ``hold`` and ``leave``."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle
        self._lost = False

    def hold(self) -> None:
        """Have the card alone (SCardBeginTransaction); waits for as long as another program has it."""
        _check(scard.SCardBeginTransaction(self._handle))

    def transmit(self, tpdu: bytes) -> bytes:
        """One TPDU of T=0 and its answer, two bytes at least."""
        result, answer = scard.SCardTransmit(self._handle, scard.SCARD_PCI_T0, list(tpdu))
        if result or len(answer) < 2:
            self._lost = True
            raise failure(result)
        return bytes(value & 0xFF for value in answer)

    def leave(self, reset: bool) -> None:
        """Give the card back: as it is, or reset so that the code given to it is worth nothing any more.

        A card that stopped answering is not reset: pcscd 1.9.9, told to reset a card that is gone, does not see
        one that is put in before its next look (0.4 s).
        """
        how = scard.SCARD_RESET_CARD if reset and not self._lost else scard.SCARD_LEAVE_CARD
        scard.SCardEndTransaction(self._handle, scard.SCARD_LEAVE_CARD)
        scard.SCardDisconnect(self._handle, how)


class Readers:
    """All readers, through one context of pcscd that is made again whenever it breaks."""

    def __init__(self) -> None:
        self._context: Any = None

    def look(self) -> tuple[Slot, ...]:
        """Every reader as it is now; Deferred(CPS-NO-SERVICE | CPS-NO-READER) where there is none."""
        try:
            context = self._open()
            result, names = scard.SCardListReaders(context, [])
            _check(result)
            if not names:
                raise Deferred(NO_READER, _READER[2], Scope.CARD)
            result, states = scard.SCardGetStatusChange(
                context, 0, [(name, scard.SCARD_STATE_UNAWARE) for name in names]
            )
            _check(result)
        except Deferred as trouble:
            if trouble.code != NO_READER:
                self.close()
            raise
        return tuple(_slot(*state) for state in states)

    def connect(self, reader: str) -> Connection:
        """The card in ``reader``, spoken to by T=0."""
        result, handle, _ = scard.SCardConnect(self._open(), reader, scard.SCARD_SHARE_SHARED, scard.SCARD_PROTOCOL_T0)
        _check(result)
        return Connection(handle)

    def close(self) -> None:
        """Give the context back; the next look makes another."""
        if self._context is not None:
            scard.SCardReleaseContext(self._context)
            self._context = None

    def _open(self) -> Any:
        if self._context is None:
            result, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)
            _check(result)
            self._context = context
        return self._context


def _slot(reader: str, state: int, atr: list[int]) -> Slot:
    present = state & scard.SCARD_STATE_PRESENT
    return Slot(reader, bytes(atr) if present else None, state >> 16)


def _check(result: int) -> None:
    if result:
        raise failure(result)

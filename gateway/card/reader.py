"""The reader: the only place that knows PC/SC, by pyscard's thin binding.

Duty: tell which readers there are and what lies in them, connect to a card, carry bytes to it, hold it alone.
Every way in which PC/SC fails comes out as a row of ``failures``; a failure ends the connection, and the context
with it where pcscd itself is gone, so that the next look starts afresh.

Rules: blocking, without any bound (``guard`` bounds it from outside), and for one thread only (two threads on a
card get each other's answers); how a card is left is always said; nothing here is traced, for a trace would show
the code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from smartcard import scard

from gateway.card import pinpad
from gateway.card.failures import NO_READER, NO_READERS, UNKNOWN_READER, failure
from gateway.errors import Deferred


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

    def pad(self) -> int | None:
        """The control code by which the reader takes a code on its own keys; None where it has none."""
        result, reply = scard.SCardControl(self._handle, scard.SCARD_CTL_CODE(pinpad.GET_FEATURES), [])
        found = {} if result else pinpad.features(bytes(value & 0xFF for value in reply))
        return found.get(pinpad.VERIFY_DIRECT)

    def control(self, code: int, order: bytes) -> bytes:
        """Have the reader itself carry out ``order``; its answer ends with a status word."""
        result, answer = scard.SCardControl(self._handle, code, list(order))
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
            result, states = self._states()
            if (
                result & 0xFFFFFFFF == UNKNOWN_READER
            ):  # one was unplugged since they were listed: the others are still there
                result, states = self._states()
            _check(result)
        except Deferred as trouble:
            if trouble.code != NO_READER:
                self.close()
            raise
        return tuple(_slot(*state) for state in states)

    def _states(self) -> tuple[int, Any]:
        """PC/SC's result, and the state of each reader that it lists."""
        context = self._open()
        result, names = scard.SCardListReaders(context, [])
        _check(result)
        if not names:
            raise failure(NO_READERS)
        found: tuple[int, Any] = scard.SCardGetStatusChange(
            context, 0, [(name, scard.SCARD_STATE_UNAWARE) for name in names]
        )
        return found

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

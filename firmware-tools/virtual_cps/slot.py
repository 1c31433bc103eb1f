"""The wire to vpcd: the reader's side of the card's contacts.

Each message is a 16-bit length and a payload: one byte is power (00 off, 01 on, 02 reset) or a question for the
ATR (04), which pcscd asks all the time to know that the card is there; anything longer is a command.
"""

from __future__ import annotations

import socket
import time

from virtual_cps.card import VirtualCps
from virtual_cps.faults import Fault

_OFF, _ON, _RESET, _ATR = b"\x00", b"\x01", b"\x02", b"\x04"
_POWER = (_OFF, _ON, _RESET)


class Pulled(Exception):
    """The card leaves the reader; for so many seconds, or (None) for good."""

    def __init__(self, seconds: float | None) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class Slot:
    """Keeps ``card`` in the reader behind ``port`` until it is told to leave, whatever happens to pcscd."""

    def __init__(self, card: VirtualCps, atr: bytes, port: int, faults: list[Fault], delay: float) -> None:
        self._card = card
        self._atr = atr
        self._port = port
        self._faults = faults
        self._delay = delay

    def stay(self) -> None:
        """Insert the card, again after each loss of the reader; ends when a fault pulls it out for good."""
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self._port)) as wire:
                    self._card.reset()
                    print(f"inserted {self._port}", flush=True)
                    self._serve(wire)
            except OSError:
                time.sleep(0.1)
            except Pulled as pulled:
                print("pulled", flush=True)
                if pulled.seconds is None:
                    return
                time.sleep(pulled.seconds)

    def _serve(self, wire: socket.socket) -> None:
        while message := _receive(wire):
            if message in _POWER:
                self._card.reset()
                continue
            answer = self._atr if message == _ATR else self._answer(message)
            wire.sendall(len(answer).to_bytes(2, "big") + answer)

    def _answer(self, tpdu: bytes) -> bytes:
        time.sleep(self._delay)
        struck = [fault for fault in self._faults if fault.strikes(tpdu)]
        for fault in struck:
            if fault.do == "pull":
                raise Pulled(fault.seconds)
            if fault.do == "reset":
                self._card.reset()
            if fault.do == "sw":
                return fault.sw.to_bytes(2, "big")
            time.sleep(fault.ms / 1000)
        return self._card.transmit(tpdu)


def _receive(wire: socket.socket) -> bytes:
    """The next payload; empty when the reader is gone."""
    size = int.from_bytes(_exactly(wire, 2), "big")
    return _exactly(wire, size)


def _exactly(wire: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        # vpcd writes length and payload apart: without this each command waits 40 ms for an acknowledgement
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        part = wire.recv(size - len(data))
        if not part:
            return b""
        data += part
    return data

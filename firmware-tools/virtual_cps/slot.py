"""The wire to vpcd: the reader's side of the card's contacts.

Each message is a 16-bit length and a payload: one byte is power (00 off, 01 on, 02 reset) or a question for the
ATR (04), which pcscd asks all the time to know that the card is there; anything longer is a command.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

from virtual_cps.card import VirtualCps
from virtual_cps.faults import Fault

_OFF, _ON, _RESET, _ATR = b"\x00", b"\x01", b"\x02", b"\x04"
_POWER = (_OFF, _ON, _RESET)

Make = Callable[[str | None, bool], VirtualCps]
"""The card of that name (None: the first one); True: with other keys than its certificates'."""


class Pulled(Exception):
    """The card leaves the reader, as ``fault`` says."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault = fault


class Slot:
    """Keeps ``card`` in the reader behind ``port`` until it is told to leave, whatever happens to pcscd."""

    def __init__(
        self,
        card: VirtualCps,
        make: Make,
        atr: bytes,
        port: int,
        faults: list[Fault],
        delay: float,
        journal: Path | None,
    ) -> None:
        """``journal`` gets a line for each command: when, how long, its header, its status word; never its data."""
        self._card = card
        self._make = make
        self._atr = atr
        self._port = port
        self._faults = faults
        self._delay = delay
        self._journal = journal.open("a", buffering=1) if journal else None

    def stay(self) -> None:
        """Insert the card, again after each loss of the reader; ends when a fault pulls it out for good."""
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self._port)) as wire:
                    self._card.reset()
                    for fault in self._faults:
                        fault.inserted()
                    print(f"inserted {self._port}", flush=True)
                    self._serve(wire)
            except OSError:
                time.sleep(0.1)
            except Pulled as pulled:
                print("pulled", flush=True)
                if pulled.fault.seconds is None:
                    return
                time.sleep(pulled.fault.seconds)
                if pulled.fault.do == "swap":
                    self._card = self._make(pulled.fault.card, pulled.fault.clone)

    def _serve(self, wire: socket.socket) -> None:
        while message := _receive(wire):
            if message in _POWER:
                self._card.reset()
                continue
            answer = self._atr if message == _ATR else self._told(message)
            wire.sendall(len(answer).to_bytes(2, "big") + answer)

    def _told(self, tpdu: bytes) -> bytes:
        begun = time.monotonic()
        answer = self._answer(tpdu)
        if self._journal:
            took = time.monotonic() - begun
            self._journal.write(f"{begun:.6f} {took:.6f} {tpdu[:4].hex()} {answer[-2:].hex()}\n")
        return answer

    def _answer(self, tpdu: bytes) -> bytes:
        time.sleep(self._delay)
        for fault in [fault for fault in self._faults if fault.strikes(tpdu)]:
            if fault.do in ("pull", "swap"):
                if fault.after:
                    self._card.transmit(tpdu)
                raise Pulled(fault)
            if fault.do == "sw":
                return fault.sw.to_bytes(2, "big")
            if fault.do == "garbage":
                return os.urandom(2 + fault.nth % 200)
            self._disturb(fault)
        return self._card.transmit(tpdu)

    def _disturb(self, fault: Fault) -> None:
        if fault.do == "reset":
            self._card.reset()
        if fault.do == "block":
            self._card.codes.block()
        while fault.do == "hang":
            time.sleep(1)
        time.sleep(fault.ms / 1000)


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

"""What speaks to a reader: a process of its own, because a call to a reader may block for ever.

    python -m gateway.card.child look     the readers and what lies in them, nothing else
    python -m gateway.card.child sign     one card: read it, take its code, sign

Duty: one JSON line asked on descriptor 0, one answered there: ``{"act", …}``, then ``{"done": …}`` or
``{"trouble": [kind, code, text]}``; before it ``{}`` for each command that the card answered.  The code porteur lives
here and nowhere else for longer than a request; it dies with this process, and the card, let go by a process that
dies, is reset by pcscd.

Rules: only ``guard`` starts it; it ends when the line does, or with its parent; no dump of it is ever written.
Anything that is not a Trouble ends it: the guard says so and starts another.
"""

from __future__ import annotations

import json
import socket
import sys
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from gateway.card import memory
from gateway.card.failures import COPY
from gateway.card.pin import Pin
from gateway.card.reader import Readers
from gateway.errors import Refused, Scope, Trouble

if TYPE_CHECKING:
    from gateway.card.session import Cards, Proof, Session, Signed

Acts = Mapping[str, Callable[..., Any]]


class Hand:
    """One card and at most one session with it; between two sessions a policy ``until`` has the code kept."""

    def __init__(self, cards: Cards) -> None:
        self._cards = cards
        self._session: Session | None = None
        self._kept: Pin | None = None

    def look(self, reader: str, reset: bool) -> dict[str, Any]:
        """The CPS in ``reader`` without its code."""
        sight = self._cards.look(reset, reader)
        holder = sight.holder
        return {
            "serial": sight.contents.serial,
            "tries": sight.tries,
            "name": holder.name,
            "identifier": holder.identifier,
            "kind": holder.kind,
            "valid_until": sight.valid_until.isoformat(),
            "pad": sight.pad,
        }

    def unlock(
        self, reader: str, serial: str, code: str | None, box: str, policy: str, root: str, last_try: bool
    ) -> None:
        """Open a session by ``code``: digits, "" for the reader's own keys, None for the code that was kept."""
        pin = self._kept if code is None else Pin(code.encode())
        if pin is None:
            raise Refused("CPS-6982", "Le code porteur n'est plus gardé : il faut le refaire.", Scope.CARD)
        self._kept = None
        try:
            self._session = self._cards.unlock(
                serial, pin, box, policy, bytes.fromhex(root), last_try=last_try, reader=reader
            )
        except BaseException:
            pin.forget()
            raise

    def sign(self, item: dict[str, Any]) -> dict[str, Any]:
        """What the session signs for ``item``, as ``sign.sock`` gives it."""
        from gateway.card.proof import item_of

        assert self._session is not None
        try:
            return _signed(self._session.sign(item_of(item)))
        except Refused as refused:
            if refused.code == COPY:  # or its certificate was disturbed when it was read
                self._cards.drop(self._session.contents.serial)
            raise

    def close(self, keep: bool) -> None:
        """End the session; keep its code where the policy says so."""
        if self._session is None:
            return
        session, self._session = self._session, None
        if keep:
            self._kept = session.pin
        else:
            session.pin.forget()
        session.close()

    def forget(self) -> None:
        """Write over a kept code."""
        if self._kept is not None:
            self._kept.forget()
            self._kept = None

    def acts(self) -> Acts:
        return {
            "look": self.look, "unlock": self.unlock, "sign": self.sign, "close": self.close, "forget": self.forget,
        }  # fmt: skip


def look_acts(_: Callable[[object], None]) -> Acts:
    """The readers alone: this process loads nothing that reads a card."""
    readers = Readers()

    def slots() -> list[list[Any]]:
        return [[slot.reader, None if slot.atr is None else slot.atr.hex(), slot.changes] for slot in readers.look()]

    return {"slots": slots}


def sign_acts(say: Callable[[object], None]) -> Acts:
    """All that may be asked about one card, which gives a sign of life with each command that it answers."""
    from gateway.card.session import Cards

    return Hand(Cards(Readers(), lambda _: say({}))).acts()


PARTS: Mapping[str, Callable[[Callable[[object], None]], Acts]] = {"look": look_acts, "sign": sign_acts}


def answer(acts: Acts, request: dict[str, Any]) -> dict[str, Any]:
    """Do what ``request`` asks."""
    try:
        return {"done": acts[request.pop("act")](**request)}
    except Trouble as trouble:
        return {"trouble": [type(trouble).__name__, trouble.code, trouble.text]}


def main() -> None:
    """Answer until the other end is closed."""
    memory.seal()
    memory.die_with_parent()
    stream = socket.socket(fileno=0).makefile("rwb")  # closed by the end alone, after a bug has told its story

    def say(told: object) -> None:
        stream.write(json.dumps(told).encode() + b"\n")
        stream.flush()

    acts = PARTS[sys.argv[1]](say)
    for request in stream:
        say(answer(acts, json.loads(request)))


def _signed(signed: Signed) -> dict[str, Any]:
    return {
        "fichier": signed.fichier,
        "attributes": _base64(signed.attributes),
        "signature": _base64(signed.signature),
        "certificate": _base64(signed.certificate),
        "authentication": _proof(signed.proof),
    }


def _proof(proof: Proof) -> dict[str, Any]:
    return {
        "challenge": _base64(proof.challenge),
        "origin": proof.origin,
        "signature": _base64(proof.signature),
        "certificate": _base64(proof.certificate),
        "root": proof.root.hex(),
        "at": proof.at.isoformat(),
    }


def _base64(value: bytes) -> str:
    return b64encode(value).decode("ascii")


if __name__ == "__main__":
    main()

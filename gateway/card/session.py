"""The card in the reader and one session with it: look, take the code, prove the card, sign.

Duty: everything that blocks, for the one thread that owns the reader.  A session holds the card alone from the
code to the last signature and then resets it, so that the code is worth nothing afterwards.  It builds the signed
attributes itself: no caller can have anything else signed than what an item says.

Rules: certificates are read once per card and kept by serial number; a session begins by reading the serial again
(the card may have been changed); a card that wants its code for every signature gets it again only after it
has accepted it in the same session.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TypeVar

from asn1crypto import x509

from gateway.card.apdu import PIN_NEEDED
from gateway.card.cps import Contents, Cps, model
from gateway.card.pin import Pin
from gateway.card.proof import Item, digest_info, proof_message
from gateway.card.reader import ABSENT, UNRESPONSIVE, Connection, Readers, Slot, failure
from gateway.envelope.attributes import VERSION, Origin, SigningContext, signed_attributes
from gateway.errors import Deferred, Refused, Scope, Trouble

NONCE = 32

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Sight:
    """A CPS in the reader, as it is without its code."""

    contents: Contents
    tries: int

    @cached_property
    def holder(self) -> str:
        """Given name and surname, or the common name where the certificate has none."""
        subject = x509.Certificate.load(self.contents.signature.certificate).subject.native
        names = [subject.get("given_name"), subject.get("surname")]
        return " ".join(filter(None, names)) or str(subject.get("common_name", ""))

    @cached_property
    def valid_until(self) -> datetime:
        """When the first of the card's two certificates ends."""
        held = (self.contents.signature, self.contents.authentication)
        ends: list[datetime] = [x509.Certificate.load(each.certificate).not_valid_after for each in held]
        return min(ends)


@dataclass(frozen=True)
class Proof:
    """The card was there for this batch: its signature over ``proof_message``."""

    challenge: bytes
    origin: Origin
    signature: bytes
    certificate: bytes
    root: bytes
    at: datetime


@dataclass(frozen=True)
class Signed:
    """One fichier signed: the SET of attributes, its signature, the signer's certificate, and the card's proof."""

    fichier: str
    attributes: bytes
    signature: bytes
    certificate: bytes
    proof: Proof


@dataclass
class Session:
    """A CPS held alone, its code accepted, for the batch of this ``root``."""

    connection: Connection
    cps: Cps
    contents: Contents
    pin: Pin
    box_id: str
    policy: str
    root: bytes
    _nonce: bytes = field(default_factory=lambda: os.urandom(NONCE))
    _proofs: dict[bytes, Proof] = field(default_factory=dict)

    def sign(self, item: Item) -> Signed:
        """Prove the card for the item's challenge if that was not done yet, then sign the item."""
        proof = self._prove(item.challenge)
        context = SigningContext(
            VERSION, item.fichier, item.count, item.total, self.policy, proof.origin, proof.challenge
        )
        credential = self.contents.signature
        attributes = signed_attributes(item.digest, datetime.now(UTC), credential.certificate, context)
        signature = self._with_code(lambda: self.cps.sign(credential.key, attributes))
        return Signed(item.fichier, attributes, signature, credential.certificate, proof)

    def close(self) -> None:
        """Reset the card and let it go."""
        self.connection.leave(reset=True)

    def _prove(self, given: bytes | None) -> Proof:
        challenge = self._nonce if given is None else given
        origin: Origin = "local" if given is None else "oct"
        if challenge not in self._proofs:
            credential = self.contents.authentication
            info = digest_info(proof_message(self.box_id, challenge, self.root))
            signature = self._with_code(lambda: self.cps.authenticate(credential.key, info))
            self._proofs[challenge] = Proof(
                challenge, origin, signature, credential.certificate, self.root, datetime.now(UTC)
            )
        return self._proofs[challenge]

    def _with_code(self, act: Callable[[], _Result]) -> _Result:
        """``act``, once more after the code if the card has forgotten it; the card accepted this very code before."""
        try:
            return act()
        except Refused as refused:
            if refused.code != PIN_NEEDED:
                raise
        self.cps.verify(self.contents.pin, self.pin.digits)
        return act()


class Cards:
    """What lies in the readers; the contents of each card are kept by its serial number."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers
        self._contents: dict[str, Contents] = {}

    def slots(self) -> tuple[Slot, ...]:
        """The readers and the ATRs in them; costs no command to a card."""
        return self._readers.look()

    def look(self, reset: bool = False) -> Sight:
        """The CPS in a reader; Refused where another card lies there, Deferred where none or no reader does.

        ``reset`` after a failure: a card that is still there might still know its code.
        """
        with self.card(reset) as cps:
            contents = self._read(cps)
            return Sight(contents, cps.pin_tries(contents.pin))

    @contextmanager
    def card(self, reset: bool) -> Iterator[Cps]:
        """The CPS in a reader, held alone; ``reset`` it at the end where a code is offered to it."""
        connection, cps = self._connect()
        try:
            yield cps
        finally:
            connection.leave(reset)

    def unlock(self, serial: str, pin: Pin, box_id: str, policy: str, root: bytes, last_try: bool = False) -> Session:
        """A session with the card ``serial``; Refused(CPS-CHANGED) where another lies there, and as Cps.verify."""
        connection, cps = self._connect()
        try:
            contents = self._read(cps)
            if contents.serial != serial:
                text = "La carte a été changée depuis l'affichage : vérifiez ce qui est affiché."
                raise Refused("CPS-CHANGED", text, Scope.CARD)
            cps.verify(contents.pin, pin.digits, last_try)
        except BaseException:
            connection.leave(reset=True)
            raise
        return Session(connection, cps, contents, pin, box_id, policy, root)

    def close(self) -> None:
        """Leave pcscd."""
        self._readers.close()

    def _connect(self) -> tuple[Connection, Cps]:
        slot = _chosen(self.slots())
        connection = self._readers.connect(slot.reader)
        try:
            connection.hold()
            return connection, Cps(connection.transmit, slot.atr or b"")
        except BaseException:
            connection.leave(reset=False)
            raise

    def _read(self, cps: Cps) -> Contents:
        serial = cps.serial()
        if serial not in self._contents:
            self._contents[serial] = cps.contents()
        return self._contents[serial]


def _chosen(slots: tuple[Slot, ...]) -> Slot:
    """The reader with a CPS3; where there is none, the Trouble that names what is there instead."""
    found: list[Trouble] = []
    for slot in slots:
        try:
            if slot.atr:
                model(slot.atr)
                return slot
            found += [failure(UNRESPONSIVE)] if slot.atr == b"" else []
        except Refused as refused:
            found.append(refused)
    if found:
        raise found[0]
    raise Deferred(ABSENT, "Aucune carte dans le lecteur : insérez la carte CPS.", Scope.CARD)

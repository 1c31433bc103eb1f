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
from functools import cached_property, partial
from typing import TypeVar

from gateway.card.apdu import PIN_NEEDED
from gateway.card.certificate import check_readable, holder, valid_until
from gateway.card.cps import Contents, Cps
from gateway.card.failures import ABSENT, NO_READER, UNRESPONSIVE, failure
from gateway.card.models import model
from gateway.card.pin import Pin
from gateway.card.proof import Item, digest_info, proof_message
from gateway.card.reader import Connection, Readers, Slot
from gateway.card.rsa import check
from gateway.card.trace import traced
from gateway.envelope.attributes import VERSION, Origin, SigningContext, signed_attributes
from gateway.errors import Deferred, Refused, Scope, Trouble
from gateway.formats.holder import Holder

NONCE = 32

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Sight:
    """A CPS in the reader, as it is without its code; ``pad``: the reader takes the code on keys of its own."""

    contents: Contents
    tries: int
    pad: bool

    @cached_property
    def holder(self) -> Holder:
        """Whose card it is, from the certificate of the signature key."""
        return holder(self.contents.signature.certificate)

    @cached_property
    def valid_until(self) -> datetime:
        """When the first of the card's two certificates ends."""
        return min(map(valid_until, self.contents.certificates))


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
    """A CPS held alone, its code accepted, for the batch of this ``root``; ``enter`` has it given once more."""

    connection: Connection
    cps: Cps
    contents: Contents
    pin: Pin
    enter: Callable[[bool], None]
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
        check(credential.certificate, signature, attributes)
        return Signed(item.fichier, attributes, signature, credential.certificate, proof)

    def close(self) -> None:
        """Reset the card and let it go."""
        self.connection.leave(reset=True)

    def _prove(self, given: bytes | None) -> Proof:
        challenge = self._nonce if given is None else given
        origin: Origin = "local" if given is None else "oct"
        if challenge not in self._proofs:
            credential = self.contents.authentication
            message = proof_message(self.box_id, challenge, self.root)
            signature = self._with_code(lambda: self.cps.authenticate(credential.key, digest_info(message)))
            check(credential.certificate, signature, message)
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
        self.enter(False)
        return act()


class Cards:
    """What lies in the readers; the contents of each card are kept by its serial number."""

    def __init__(self, readers: Readers, write: Callable[[str], object] | None = None) -> None:
        """``write`` gets a line for each command and answer, without codes."""
        self._readers = readers
        self._write = write
        self._contents: dict[str, Contents] = {}

    def slots(self) -> tuple[Slot, ...]:
        """The readers and the ATRs in them; costs no command to a card."""
        return self._readers.look()

    def look(self, reset: bool = False, reader: str | None = None) -> Sight:
        """The CPS in ``reader`` (None: the only one); Refused where another card lies there, Deferred where none or no
        reader does.  ``reset`` after a failure: a card that is still there might still know its code."""
        with self._held(reset, reader) as (connection, cps):
            contents = self._read(cps)
            return Sight(contents, cps.pin_tries(contents.pin), connection.pad() is not None)

    @contextmanager
    def card(self, reset: bool, reader: str | None = None) -> Iterator[Cps]:
        """The CPS in ``reader`` (None: the only one), held alone; ``reset`` it at the end where it is given a code."""
        with self._held(reset, reader) as (_, cps):
            yield cps

    def unlock(
        self,
        serial: str,
        pin: Pin,
        box_id: str,
        policy: str,
        root: bytes,
        *,
        last_try: bool = False,
        reader: str | None = None,
    ) -> Session:
        """A session with the card ``serial``; an empty ``pin`` is typed on the reader's own keys.
        Refused(CPS-CHANGED) where another card lies there, (CPS-NO-PAD) without such keys, and as Cps.verify."""
        connection, cps = self._connect(reader)
        try:
            contents = self._read(cps)
            if contents.serial != serial:
                text = "La carte a été changée depuis l'affichage : vérifiez ce qui est affiché."
                raise Refused("CPS-CHANGED", text, Scope.CARD)
            enter = _entry(connection, cps, contents, pin)
            enter(last_try)
        except BaseException:
            connection.leave(reset=True)
            raise
        return Session(connection, cps, contents, pin, enter, box_id, policy, root)

    def drop(self, serial: str) -> None:
        """Read the card of this number anew when it is next seen."""
        self._contents.pop(serial, None)

    def close(self) -> None:
        """Leave pcscd."""
        self._readers.close()

    @contextmanager
    def _held(self, reset: bool, reader: str | None) -> Iterator[tuple[Connection, Cps]]:
        connection, cps = self._connect(reader)
        try:
            cps.check_update()
            yield connection, cps
        finally:
            connection.leave(reset)

    def _connect(self, reader: str | None) -> tuple[Connection, Cps]:
        slot = _chosen(tuple(slot for slot in self.slots() if reader in (None, slot.reader)), reader)
        connection = self._readers.connect(slot.reader)
        transmit = traced(connection.transmit, self._write) if self._write else connection.transmit
        try:
            connection.hold()
            return connection, Cps(transmit, slot.atr or b"")
        except BaseException:
            connection.leave(reset=False)
            raise

    def _read(self, cps: Cps) -> Contents:
        serial = cps.serial()
        if serial not in self._contents:
            contents = cps.contents()
            for certificate in contents.certificates:
                check_readable(certificate)  # what was disturbed on its way is read again, not kept
            self._contents[serial] = contents
        return self._contents[serial]


def _entry(connection: Connection, cps: Cps, contents: Contents, pin: Pin) -> Callable[[bool], None]:
    """How this session's code reaches the card: the digits of ``pin``, or the reader's own keys where it has none."""
    if pin.digits:
        return lambda last_try: cps.verify(contents.pin, pin.digits, last_try)
    order = connection.pad()
    if order is None:
        raise Refused("CPS-NO-PAD", "Ce lecteur n'a pas de clavier : tapez le code sur la page.", Scope.CARD)
    return lambda last_try: cps.verify_on_pad(contents.pin, partial(connection.control, order), last_try)


def _chosen(slots: tuple[Slot, ...], reader: str | None) -> Slot:
    """The slot with a CPS3 among those of ``reader`` (None: all); Refused(CPS-WHICH) where there are several, and
    where there is none the Trouble that names what is there instead."""
    if not slots:
        raise Deferred(NO_READER, f"Aucun lecteur ne s'appelle « {reader} ».", Scope.CARD)
    there: list[Slot] = []
    found: list[Trouble] = []
    for slot in slots:
        try:
            if slot.atr:
                model(slot.atr)
                there.append(slot)
            found += [failure(UNRESPONSIVE)] if slot.atr == b"" else []
        except Refused as refused:
            found.append(refused)
    if len(there) > 1:
        raise Refused("CPS-WHICH", "Plusieurs cartes CPS sont là : dites quel lecteur (--reader).", Scope.CARD)
    if there:
        return there[0]
    if found:
        raise found[0]
    raise Deferred(ABSENT, "Aucune carte dans le lecteur : insérez la carte CPS.", Scope.CARD)

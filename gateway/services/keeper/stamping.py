"""Time stamps on the daily checkpoint, where an authority is trusted (``trust/tsa.pem``).

The keeper has no network: its request goes through ``notices/`` to forward, the answer comes through ``arrived/``.
Only the newest request waits, since a later checkpoint covers all that an earlier one did.  A stamp is a row of the
evidence chain: the stamps of later days cover it, and so renew it before its authority's certificate ends.
Nothing waits for a stamp.
"""

from __future__ import annotations

import hashlib
import secrets

from gateway.book.doors import Door
from gateway.book.proofs import Proofs
from gateway.errors import Refused, Scope
from gateway.formats.days import iso
from gateway.journal.chain import EVIDENCE
from gateway.process.keyring import read_certificates
from gateway.services.keeper.audit import Prepared
from gateway.services.keeper.desk import Desk

NAME = "stamp."


class Stamping:
    """The requests that wait; without ``trust/tsa.pem`` there are none."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._door = desk, Door(desk.paths.door("notices"))

    def _trusted(self) -> tuple[bytes, ...]:
        path = self._desk.paths.trust / "tsa.pem"
        return read_certificates(path) if path.exists() else ()

    def ask_again(self) -> None:
        """At start: what was committed and not yet offered."""
        for row in self._desk.book.connection.execute("SELECT imprint, request FROM stamp_requests").fetchall():
            self._door.put(NAME + row["imprint"], row["request"])

    def ask(self, prepared: Prepared) -> None:
        """Ask for a stamp on a checkpoint that the book has; earlier requests are taken back."""
        if not self._trusted():
            return
        from gateway.envelope import timestamp  # heavy, and only where an authority is trusted

        book = self._desk.book
        imprint = hashlib.sha256(prepared.signed).digest()
        asked = timestamp.request(imprint, secrets.randbits(63))
        older = [row[0] for row in book.connection.execute("SELECT imprint FROM stamp_requests")]
        with book.transaction():
            book.connection.execute("DELETE FROM stamp_requests")
            book.connection.execute(
                "INSERT INTO stamp_requests SELECT ?, id, ?, ? FROM proofs WHERE digest = ?",
                (imprint.hex(), asked, iso(book.clock()), imprint.hex()),
            )
        for name in older:
            self._door.withdraw(NAME + name)
        self._door.put(NAME + imprint.hex(), asked)

    def take(self, imprint: str, answer: bytes) -> None:
        """An answer from forward; one that nobody waits for is nothing, one that is not good is said."""
        desk = self._desk
        asked = desk.book.connection.execute(
            "SELECT * FROM stamp_requests JOIN proofs ON proofs.id = proof WHERE imprint = ?", (imprint,)
        ).fetchone()
        if asked is None:
            return
        from gateway.envelope import timestamp  # heavy, and only where an authority is trusted

        try:
            token = timestamp.token_of(answer)
            stamp = timestamp.read_token(token, self._trusted())
            if (stamp.imprint.hex(), stamp.nonce) != (imprint, timestamp.nonce_of(asked["request"])):
                raise Refused("TSA-003", "La contremarque de temps est celle d'une autre demande.", Scope.BOX)
        except Refused as refusal:
            with desk.commit():
                desk.book.connection.execute("DELETE FROM stamp_requests WHERE imprint = ?", (imprint,))
                desk.book.state_condition(Scope.BOX, "stamp", refusal.code, refusal.text)
            return
        with desk.commit():
            desk.book.connection.execute("DELETE FROM stamp_requests WHERE imprint = ?", (imprint,))
            digest = Proofs(desk.book.connection).add(
                "stamp", EVIDENCE, asked["size"], asked["root"], imprint, iso(stamp.at), token
            )
            desk.book.record("", {"verb": "stamp", "of": imprint, "signed": digest})
            desk.book.state_condition(Scope.BOX, "stamp", "", "")

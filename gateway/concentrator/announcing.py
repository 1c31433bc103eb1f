"""What the boxes are told of the OCT's own certificates and of the authorities above: one return for each partner,
whenever it is not what that partner was told last.

Rules.  The settings are the truth: who puts a new certificate, authority or root there and starts the service again
has announced it.  An authority is announced before anything below it is used (``docs/certificats.md``).
A return that cannot be made now (a list is missing, a box is out of force) is made at the next look.
What ends is an alarm here, early enough for the boxes: their certificates last no longer than their authority.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from gateway.concentrator.alarms import ENDS, settle_ends
from gateway.concentrator.boxes import Boxes, note_told
from gateway.concentrator.keys import Keys, Trust, load_transport
from gateway.concentrator.mailbox import Mailbox
from gateway.concentrator.settings import ConcentratorSettings
from gateway.concentrator.store import Store
from gateway.envelope.algorithms import read_certificate
from gateway.envelope.issuing import MOST_DAYS
from gateway.envelope.names import display_name
from gateway.envelope.succession import known_chain, successor
from gateway.errors import Scope, Trouble
from gateway.formats.announcement import Announcement
from gateway.formats.days import day_words, iso
from gateway.formats.enrolment import to_base64
from gateway.formats.returns import ReturnHeader

OWN_DAYS, AUTHORITY_DAYS = 90, MOST_DAYS + 90
"""How many days before its end a certificate of ours, and an authority's, is an alarm."""


DAY = timedelta(days=1)


class Announcing:
    """The worker's look at what was announced: at the start, then every day, sooner where something is left to do."""

    def __init__(
        self, settings: ConcentratorSettings, store: Store, mailbox: Mailbox, keys: Keys, trust: Callable[[], Trust],
        clock: Callable[[], datetime],
    ) -> None:  # fmt: skip
        """``trust`` reads certificates and lists anew at each call."""
        self._settings, self._store, self._mailbox, self._keys = settings, store, mailbox, keys
        self._trust, self._clock = trust, clock
        self._next = datetime.min.replace(tzinfo=UTC)

    def work(self) -> bool:
        """Announce, where it is time; True if somebody was told something."""
        at = self._clock()
        if at < self._next:
            return False
        self._next = at + timedelta(seconds=self._settings.retry_s)
        with suppress(Trouble):
            trust = self._trust()
            self._alarm_ends(trust, at)
            untold = self._untold(trust, at)
            done = [self._tell(partner, told, digest, trust, at) for partner, told, digest in untold]
            if all(done):
                self._next = at + DAY
            return any(done)
        return False

    def _untold(self, trust: Trust, at: datetime) -> list[tuple[str, Announcement, str]]:
        """(partner, announcement, its digest) of each partner that was told something else last."""
        told = Announcement(
            at=iso(at),
            roots=tuple(map(to_base64, trust.roots)),
            chain=tuple(map(to_base64, trust.chain)),
            oct_seal=to_base64(self._keys.seal_certificate),
            oct_sign=to_base64(self._keys.sign_certificate),
        )
        digest = hashlib.sha256(replace(told, at="").to_bytes()).hexdigest()
        boxes = Boxes(self._store)
        return [(partner, told, digest) for partner in boxes.in_force() if boxes.told(partner) != digest]

    def _tell(self, partner: str, told: Announcement, digest: str, trust: Trust, at: datetime) -> bool:
        header = ReturnHeader("trust", f"trust_{digest[:16]}_{at:%Y%m%d%H%M%S}", "", iso(at))
        try:
            made = self._mailbox.make(partner, header, told.to_bytes(), at.timestamp(), trust)
        except Trouble:
            return False
        self._store.post(made, lambda connection: note_told(connection, partner, digest))
        return True

    def _alarm_ends(self, trust: Trust, at: datetime) -> None:
        """An alarm for each certificate of ours, and each authority without a successor, that ends soon; no other."""
        own = {"oct-seal": self._keys.seal_certificate, "oct-sign": self._keys.sign_certificate}
        own["oct-transport"] = load_transport(self._settings)
        ends = [(name, one, OWN_DAYS) for name, one in own.items()]
        for group in (trust.roots, known_chain((), trust.chain, trust.roots, at)):
            alone = (one for one in group if successor(one, group) is None)
            ends += [(display_name(read_certificate(one, Scope.BOX)), one, AUTHORITY_DAYS) for one in alone]
        current = set()
        for name, certificate, days in ends:
            until = read_certificate(certificate, Scope.BOX).not_valid_after_utc
            if until - at < timedelta(days=days):
                end = day_words(until)
                text = f"Le certificat de « {name} » expire le {end} : mettez le suivant dans les réglages."
                current.add(about := f"{name} {until:%Y-%m-%d}")
                self._store.alarm(about, ENDS, text, iso(at))
        with self._store.transaction() as connection:
            settle_ends(connection, current, at)

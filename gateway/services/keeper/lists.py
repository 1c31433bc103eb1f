"""Revocation lists that come by the line: checked one by one, kept durably, and never older ones again.

Rules.  A list counts by its issuer's signature alone, whoever carried it; so the most stale box can still take the
newest list.  Its number only grows, lists put by hand into ``trust/crl`` included.  What is wrong with a list is said
and changes nothing.  The file is durable before the book names its number; both may be done again.
From some days before the first list ends it is said until when signatures can be checked, and ``forward`` is told to
look for newer ones more often: by the file ``wanted`` beside the lists.  An authority that has ended owes no list.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from gateway.disk import sync_directory
from gateway.envelope.lists import LIMIT, Authority, Listing, authorities, is_newer, read_listing, unbundle
from gateway.envelope.revocation import GRACE
from gateway.errors import Refused, Scope
from gateway.follow.moments import on_words
from gateway.formats.days import iso
from gateway.formats.words import plural
from gateway.services.keeper.desk import Desk

WANTED = "wanted"
LOOK_S = 60.0
"""Between two looks at the clock, while no list changes."""

_SOON, _OVER = "lists", "lists-over"


async def take_lists(desk: Desk, name: str) -> None:
    """``lists.<SHA-256>``: a bundle as the concentrator offers it."""
    known, wrong = known_authorities(desk), []
    try:
        found = unbundle(desk.arrived.read(name, LIMIT))
    except ValueError:  # longer than any bundle
        found, wrong = [], [Refused("LST-001", "Le lot de listes de révocation est démesuré.", Scope.ROUTE)]
    except Refused as refusal:
        found, wrong = [], [refusal]
    for der in found:
        try:
            keep(desk, der, known)
        except Refused as refusal:
            wrong.append(refusal)
    first = wrong[0] if wrong else None
    text = f"{first.text} {plural(len(wrong), 'liste écartée', 'listes écartées')}." if first else ""
    desk.condition(Scope.ROUTE, "lists-refused", first.code if first else "", text)


def known_authorities(desk: Desk) -> tuple[Authority, ...]:
    """Those whose lists count here."""
    return authorities(desk.trust.roots, desk.trust.chain)


def keep(desk: Desk, der: bytes, known: tuple[Authority, ...]) -> bool:
    """Keep one list if it is of a known authority and newer than the one before; Refused LST-002 … LST-005.

    The one that is kept already comes several times a day, and is not read again.
    """
    name = hashlib.sha256(der).hexdigest()
    row = desk.book.connection.execute("SELECT authority FROM lists WHERE digest = ?", (name,)).fetchone()
    if row is not None and _file(desk, row["authority"]).exists():
        return False
    listing = read_listing(der, known)
    return listing is not None and _keep(desk, listing)


def _keep(desk: Desk, listing: Listing) -> bool:
    row = desk.book.connection.execute("SELECT * FROM lists WHERE authority = ?", (listing.authority.key,)).fetchone()
    file = _file(desk, listing.authority.key)
    newer = row is None or is_newer(listing, int(row["number"]), row["digest"])
    if not newer and file.exists():
        return False
    write_list(file, listing.der)
    with desk.commit():
        desk.book.connection.execute("INSERT OR REPLACE INTO lists VALUES (?, ?, ?, ?, ?)", _columns(listing))
        fact = {"verb": "list", "authority": listing.authority.name, "number": str(listing.number)}
        desk.book.record("", {**fact, "until": iso(listing.until), "digest": listing.digest})
        desk.watch.witness(listing.since, f"la liste de révocation de « {listing.authority.name} »")
    return True


def _file(desk: Desk, authority: str) -> Path:
    return desk.paths.lists / f"{authority}.crl"


def _columns(listing: Listing) -> tuple[str, ...]:
    moments = iso(listing.since), iso(listing.until)
    return listing.authority.key, str(listing.number), *moments, listing.digest


def write_list(path: Path, der: bytes) -> None:
    """Put a list in place of the one before, durably; readable by all, for it is public."""
    aside = path.with_suffix(".new")
    with aside.open("wb") as out:
        os.fchmod(out.fileno(), 0o644)
        out.write(der)
        out.flush()
        os.fsync(out.fileno())
    aside.rename(path)
    sync_directory(path.parent)


class Lists:
    """Until when the lists serve: looked at when one changes, and every minute."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        desk.paths.lists.mkdir(parents=True, exist_ok=True)
        self._known: tuple[Authority, ...] = ()
        self._files: object = None
        self._next = 0.0
        self._listings: dict[str, Listing] = {}
        self._wrong = ""

    def look(self) -> None:
        """Take up what was put by hand, and say how long the lists serve, where the clock can tell."""
        files = self._lying()
        if files == self._files and time.monotonic() < self._next:
            return
        if files != self._files:
            self._read()
            files = self._lying()
        self._files, self._next = files, time.monotonic() + LOOK_S
        if self._desk.watch.doubt() is None:
            self._say(self._desk.book.clock())
        else:
            self._want(True)  # a list may be what shows that the clock is right

    def _lying(self) -> object:
        """What tells whether there is anything new: the files, and the authorities whose lists count."""
        trust = self._desk.trust
        return trust.lists.marks(), trust.roots, trust.chain

    def _read(self) -> None:
        """The newest sound list of each authority; what came by hand is kept like what came by the line."""
        self._known, self._listings, self._wrong = known_authorities(self._desk), {}, ""
        try:
            lists = self._desk.trust.crls()
        except Refused as wrong:  # a file that somebody put here, and that is none
            lists, self._wrong = (), wrong.text
        for der in lists:
            with suppress(Refused):  # one that is not sound serves nobody
                if listing := read_listing(der, self._known):
                    self._take(listing)

    def _take(self, listing: Listing) -> None:
        with suppress(Refused):  # an old one, whose successor is there: such files stay where a hand put them
            _keep(self._desk, listing)
        before = self._listings.get(listing.authority.key)
        if before is None or before.number < listing.number:
            self._listings[listing.authority.key] = listing

    def _say(self, now: datetime) -> None:
        owing = {one.key: one for one in self._known if one.certificate.not_valid_after_utc >= now}
        lists = [one for key, one in self._listings.items() if key in owing]
        first = min(lists, key=lambda one: one.until, default=None)
        over, soon = self._wrong or self._missing(owing.values()), ""
        if first is not None and not over:
            end = _end(first)
            if first.until + GRACE < now:
                over = f"Les listes de révocation ne valent plus depuis {end} : signatures et envois attendent."
            elif first.until - now < self._margin(first):
                soon = (
                    f"Les listes de révocation ne valent plus que jusqu'au {end.removeprefix('le ')} : rétablissez la"
                    " liaison avec le concentrateur d'ici là, sinon signatures et envois attendront."
                )
        self._desk.condition(Scope.BOX, _OVER, "LST-012" if over else "", over)
        self._desk.condition(Scope.BOX, _SOON, "LST-011" if soon else "", soon)
        self._want(bool(over or soon))

    def _missing(self, owing: Iterable[Authority]) -> str:
        missing = next((one for one in owing if one.key not in self._listings), None)
        if missing is None:
            return ""
        return f"Il manque la liste de révocation de « {missing.name} » : ce qui en dépend attend."

    def _margin(self, listing: Listing) -> timedelta:
        """A list of a few days is not said to end soon from its first hour on."""
        return min(timedelta(days=self._desk.settings.lists_warn_days), (listing.until - listing.since) / 3)

    def _want(self, wanted: bool) -> None:
        mark = self._desk.paths.lists / WANTED
        if wanted and not mark.exists():
            mark.touch(0o644)
            mark.chmod(0o644)
        elif not wanted:
            mark.unlink(missing_ok=True)


def _end(listing: Listing) -> str:
    return on_words(iso(listing.until + GRACE))

"""The reserve channel's receiving end: what senders leave by SFTP in their landing directories, and their returns.

Rules.  OpenSSH serves the directories; here they are only looked at, as doors with a hostile writer.  A file
counts when it has its whole name, is a plain file with one link and does not change while it is copied; what
is copied is hashed, made durable and recorded like any transfer, and only then is it removed: killed at any
instant, it is recorded once.  A copy that is not what its name says is taken all the same, with an alarm: the
seal decides, and the receipt tells the sender.  Returns are laid out when the sender asks, and are delivered
when it says that it has them, never because they are gone; those sealed to a key out of force are taken
away.  What was left half done is swept by its age here (ctime), which the sender cannot set.  It limits no
sender's disk space: that is the file system's quota, and who has used it up holds up nobody else.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from gateway.book.doors import Copied, Door, blocks, copy_hashing
from gateway.concentrator.boxes import Members
from gateway.concentrator.disk import OctDiskFull
from gateway.concentrator.reception import FICHIER_NAME
from gateway.concentrator.settings import ConcentratorSettings
from gateway.concentrator.store import Store
from gateway.disk import DiskFull, room, sync_directory
from gateway.errors import Refused, Scope
from gateway.formats.days import iso
from gateway.formats.landing import DEMAND, DEPOT, HAD, RETURNS, read_landing_name

MOST_RETURNS = 100
"""Returns laid out for one demand."""


class Landing:
    """The landing directories of all senders; the integration worker looks at them, and nobody else."""

    def __init__(
        self, settings: ConcentratorSettings, store: Store, members: Members, clock: Callable[[], datetime]
    ) -> None:
        """Refused OCT-008 (scope box) when a landing directory has not its two rooms."""
        self._settings = settings
        self._store = store
        self._members = members
        self._clock = clock
        homes = {one.identifier: Path(one.landing) for one in settings.partners if one.landing}
        for home in homes.values():
            if not ((home / DEPOT).is_dir() and (home / RETURNS).is_dir()):
                text = f"Le répertoire de dépôt {home} n'a pas ses dossiers {DEPOT} et {RETURNS}."
                raise Refused("OCT-008", text, Scope.BOX)
        self._depots = {sender: Door(home / DEPOT) for sender, home in homes.items()}
        self._returns = {sender: Door(home / RETURNS) for sender, home in homes.items()}

    def look(self) -> bool:
        """See to the returns of all, then take one fichier in; whether one was taken."""
        for sender, door in self._returns.items():
            recipients = self._members.recipients(sender)
            self._deliver(sender, door, recipients)
            self._answer(sender, door, recipients)
        return any(self._take(sender, door, name) for sender, door in self._depots.items() for name in door.names())

    # -- fichiers in

    def _take(self, sender: str, depot: Door, name: str) -> bool:
        """Take one whole file; False for anything else, which stays where it is."""
        columns = self._columns(sender, name)
        if columns is None:
            return False
        known = self._store.transfer(columns) is not None  # killed before it was removed, or sent again
        if not known:
            part = self._copy(sender, name, depot)
            if part is None:
                return False
            self._store.land(columns, part, iso(self._clock()))
        _clear(depot, name)
        return not known

    def _columns(self, sender: str, name: str) -> dict[str, object] | None:
        """The row of a whole file's name; the name is what tells it from every transfer of PeSIT."""
        read = read_landing_name(name)
        found = FICHIER_NAME.fullmatch(read[0]) if read else None
        if found is None:
            return None
        return {
            "sender": sender,
            "server": self._settings.name,
            "file_type": 0,
            "file_name": name,
            "transfer_id": 0,
            "created": "",
            "initial_sender": sender,
            "final_receiver": self._settings.name,
            "label": "",
            "free_text": found[0],
            "fichier": found[1],
            "transmission": int(found[2]),
            "seal": found[3],
            "channel": "sftp",
        }

    def _copy(self, sender: str, name: str, depot: Door) -> Copied | None:
        """Our own durable copy under its digest; None for a file that may not be taken, or not yet."""
        try:
            source = depot.open(name)
        except OSError:  # a link, a pipe, or a mode that keeps us out: the sender's own doing
            return None
        temporary = self._settings.spool / "landing"
        with source, temporary.open("wb") as out:
            before = os.fstat(source.fileno())
            if not self._takeable(sender, name, before):
                return None
            part = copy_hashing(source, out)
            after = os.fstat(source.fileno())
        if (part.size, after.st_size, after.st_mtime_ns) != (before.st_size, before.st_size, before.st_mtime_ns):
            return None
        if not name.endswith(part.digest):
            self._alarm(sender, name, "OCT-009", "Fichier déposé par SFTP autre que son nom ne dit : le sceau décide.")
        temporary.rename(self._settings.received / part.digest)
        sync_directory(self._settings.received)
        return part

    def _takeable(self, sender: str, name: str, info: os.stat_result) -> bool:
        """A plain file with one name, not above the limit, for which there is room: the last two are said."""
        if not stat.S_ISREG(info.st_mode) or info.st_nlink != 1:
            return False
        if info.st_size > self._settings.limit:
            self._alarm(sender, name, "OCT-010", "Fichier déposé par SFTP trop grand : il n'est pas pris.")
            return False
        if info.st_size > shutil.disk_usage(self._settings.spool).free:
            self._alarm(sender, name, OctDiskFull.CODE, "Pas de place pour ce fichier déposé par SFTP : il attend.")
            return False
        return True

    def _alarm(self, sender: str, name: str, code: str, text: str) -> None:
        self._store.alarm(f"{sender} {name}", code, text, iso(self._clock()))

    # -- returns out

    def _deliver(self, sender: str, door: Door, recipients: Sequence[str]) -> None:
        """Record what the sender says that it has, and clear away what is delivered, by whichever channel; who is out
        of force is not believed."""
        names = door.names()
        for mark in (name for name in names if recipients and name.endswith(HAD)):
            row = self._store.named(sender, mark.removesuffix(HAD))
            if row is not None:
                self._store.deliver(row["id"], iso(self._clock()))
        for name in names:
            row = self._store.named(sender, name)
            if name != DEMAND and (row is None or row["delivered"] or row["recipient"] not in recipients):
                _clear(door, name)

    def withdraw(self, sender: str, name: str) -> None:
        """A return is about to lie under another seal: what is laid out of it goes first."""
        if sender in self._returns:
            _clear(self._returns[sender], name)

    def _answer(self, sender: str, door: Door, recipients: Sequence[str]) -> None:
        """Lay out what is undelivered, if the sender asks; the demand goes last, not while they find no room."""
        if DEMAND not in door.names():
            return
        at = self._clock()
        try:
            for row in self._store.undelivered(sender, at.timestamp(), MOST_RETURNS, recipients):
                if not door.has(row["name"]):
                    self._lay_out(door, row["name"], self._settings.returns / row["file"])
        except DiskFull:
            text = "Plus de place pour les retours dans le répertoire SFTP de ce correspondant : ils attendent."
            self._alarm(sender, f"{RETURNS} {iso(at)[:10]}", "OCT-021", text)
        else:
            _clear(door, DEMAND)

    @staticmethod
    def _lay_out(door: Door, name: str, file: Path) -> None:
        with room(), file.open("rb") as source, door.begin() as entry:
            for block in blocks(source):
                entry.write(block)
            entry.finish(name)

    # -- leftovers

    def sweep(self) -> None:
        """Remove what has lain for ``landing_days`` and is neither a whole fichier nor a return on offer."""
        since = (self._clock() - timedelta(days=self._settings.landing_days)).timestamp()
        for sender, depot in self._depots.items():
            for name, info in _older(depot, since):
                if self._columns(sender, name) is None or info.st_size > self._settings.limit:
                    _clear(depot, name)
        for sender, door in self._returns.items():
            for name, _ in _older(door, since):
                if self._store.named(sender, name) is None:
                    _clear(door, name)


def _older(door: Door, since: float) -> Iterator[tuple[str, os.stat_result]]:
    """What last changed before ``since``, hidden files and links too."""
    for path in door.path.iterdir():
        with suppress(FileNotFoundError):
            info = path.stat(follow_symlinks=False)
            if info.st_ctime < since:
                yield path.name, info


def _clear(door: Door, name: str) -> None:
    """Remove an entry; a directory that a sender put in its place stays, and is its own loss."""
    with suppress(IsADirectoryError):
        door.remove(name)

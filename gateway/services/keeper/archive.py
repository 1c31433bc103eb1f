"""What the keeper does for its journal in every turn: the day's checkpoint and its stamp, the segments, a verification.

Rows reach the segment files within ``EXPORT_S``; the book has them from their commit on.
"""

from __future__ import annotations

import time

from gateway.book.segments import Archive
from gateway.errors import Scope
from gateway.services.keeper.audit import Daily
from gateway.services.keeper.desk import Desk
from gateway.services.keeper.stamping import Stamping

EXPORT_S = 60.0
"""Between two writings of what is new; each one is an fsync on a small card."""


class Archiving:
    """The journal's share of the main loop."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._archive = Archive(desk.paths.journal, desk.paths.box_id, desk.book.connection)
        self._daily, self._stamping = Daily(desk), Stamping(desk)
        self._export_at = 0.0

    def start(self) -> None:
        """Make whole what a crash, or somebody, left of the files, and say it."""
        self._desk.paths.journal.mkdir(parents=True, exist_ok=True)
        repairs = self._archive.open()
        for repair in repairs:
            self._desk.runtime.log("warning", f"journal file {repair.name}: {repair.kind} from {repair.first} on")
            with self._desk.commit():
                fact = {"verb": "repair", "segment": repair.name, "cause": repair.kind, "first": repair.first}
                self._desk.book.record("", fact)
        altered = [repair.name for repair in repairs if repair.kind == "altered"]
        text = f"Le fichier {altered[0]} du journal ne dit pas ce que dit le livre." if altered else ""
        self._desk.condition(Scope.BOX, "segments", "JRN-036" if altered else "", text)
        self._stamping.ask_again()

    def look(self) -> None:
        """One turn."""
        prepared = self._daily.look()
        if prepared is not None:
            self._stamping.ask(prepared)
        if time.monotonic() >= self._export_at and not self._archive.append():
            self._export_at = time.monotonic() + EXPORT_S
        self._tell_verification()

    def _tell_verification(self) -> None:
        news = self._desk.verification.news()
        if news is None:
            return
        at, found = news
        text = f"La vérification du journal a trouvé : {found.findings[0].text}." if found.findings else ""
        detail = {"at": at, "findings": len(found.findings)}
        self._desk.condition(Scope.BOX, "verification", "JRN-001" if text else "", text, detail)

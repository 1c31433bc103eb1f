"""The journal looked over while the keeper works: in a thread with its own, reading connection.

It is begun by a command, asked for how far it is, and its outcome is kept until the next one.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any

from gateway.book.inspection import Authority, Inspection, inspect
from gateway.config import Paths
from gateway.errors import Deferred, Scope, Trouble
from gateway.formats.days import iso
from gateway.process.keyring import read_certificates
from gateway.services.keeper.keys import read_trust


class Verification:
    """At most one at a time."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._thread: threading.Thread | None = None
        self._rows = 0
        self._trouble: Trouble | None = None
        self._outcome: tuple[str, Inspection] | None = None
        self._untold = False

    def ask(self, *, start: bool) -> dict[str, Any]:
        """How far it is, or its outcome; ``start`` begins a new one unless one runs.

        Deferred JRN-004 (scope box) where none was begun, since the keeper started.
        """
        if self._thread is not None and self._thread.is_alive():
            return {"running": True, "rows": self._rows}
        if start:
            self._rows, self._trouble, self._outcome = 0, None, None
            self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
            self._thread.start()
            return {"running": True, "rows": 0}
        if self._trouble is not None:
            raise self._trouble
        if self._outcome is None:
            text = "La vérification du journal a été interrompue par un redémarrage : demandez-la de nouveau."
            raise Deferred("JRN-004", text, Scope.BOX)
        at, found = self._outcome
        return {"running": False, "at": at, **found.to_json()}

    def news(self) -> tuple[str, Inspection] | None:
        """When it ended and what it found, once."""
        if not self._untold:
            return None
        self._untold = False
        return self._outcome

    def _run(self) -> None:
        try:
            trust, tsa = read_trust(self._paths), self._paths.trust / "tsa.pem"
            stampers = read_certificates(tsa) if tsa.exists() else ()
            authority = Authority(trust.roots, trust.chain, tsa=stampers, box=self._paths.box_id)
            found = inspect(
                self._paths.journal, authority, datetime.now(UTC), self._paths.book / "book.db", progress=self._reach
            )
        except Trouble as trouble:
            self._trouble = trouble
            return
        self._outcome = iso(datetime.now(UTC)), found
        self._untold = True

    def _reach(self, rows: int) -> None:
        self._rows = rows

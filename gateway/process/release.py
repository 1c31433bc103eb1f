"""When this version was made: the one moment that a box knows by itself to be past.

It is set with the version, in ``pyproject.toml`` and here, when a release is cut.
"""

from __future__ import annotations

from datetime import UTC, datetime

RELEASED = datetime(2026, 11, 1, tzinfo=UTC)
"""No clock that shows less is right."""

"""What tests of other parts ask of the journal: that its chain holds."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.journal.chain import EVIDENCE, Row
from gateway.journal.verify import Reading


def first_break(rows: Iterable[Row], chain: str = EVIDENCE) -> str | None:
    """What is wrong with the first row that does not follow from the one before it; None if all do."""
    reading = Reading(chain, "")
    for _ in reading.read(rows):
        pass
    return reading.findings[0].text if reading.findings else None

"""The check of a content by the child that has no key, no file and no network.

A child that says something else than a report refuses the fichier: its limits are those under which the
sender's own check passed.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.errors import Refused
from gateway.formats.findings import Report
from gateway.process.child import Writable, read_in_child


def check_content(feed: Callable[[Writable], object], profile: str, today: str) -> Report:
    """The report on what ``feed`` writes, read on the day ``today`` (YYYY-MM-DD).

    Refused OCT-004 when the check came to no end.
    """
    answer = read_in_child(feed, "--profile", profile, "--today", today)
    if not answer:
        raise Refused("OCT-004", "Le contrôle du contenu n'a pas abouti.")
    return Report.from_json(answer)

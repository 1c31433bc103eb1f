"""French words that page, command line and messages share: amounts, counts, days, masked NIR.

It decides nothing about what may be shown: a caller that has no right to a NIR masks it here first.
"""

from __future__ import annotations

_HARD_SPACE = "\u00a0"


def euros(cents: int) -> str:
    """'1 234,56 €' with no-break spaces, '-' in front when negative."""
    whole, rest = divmod(abs(cents), 100)
    grouped = f"{whole:,}".replace(",", _HARD_SPACE)
    return f"{'-' if cents < 0 else ''}{grouped},{rest:02d}{_HARD_SPACE}€"


def plural(count: int, one: str, many: str = "") -> str:
    """'1 lot', '3 lots'; French keeps the singular for 0.  ``many`` where an s is not enough."""
    word = one if abs(count) < 2 else many or f"{one}s"
    return f"{count} {word}"


def day(iso: str) -> str:
    """'22/11/2025' of '2025-11-22' (or of a longer moment); '' stays ''."""
    return f"{iso[8:10]}/{iso[5:7]}/{iso[:4]}" if iso else ""


def mask_nir(nir: str) -> str:
    """The first three characters (sex and year of birth) and an ellipsis."""
    return f"{nir[:3]}…" if nir else ""


def printable(text: str) -> str:
    """``text`` from a foreign file, safe for a screen, a log line and a report: odd characters become ?."""
    return "".join(figure if figure.isprintable() else "?" for figure in text)

"""Check keys and two-digit dates, shared by B2 and NOEMIE.

Keys: flux facts 2.2.  A key function answers None where its input has not the shape that it needs.
Dates are written YYMMDD; years are 20YY, since no file of this gateway is older than the euro.
"""

from __future__ import annotations

from datetime import date

_CORSICA = {"A": 1_000_000, "B": 2_000_000}


def nir_key(nir: str) -> int | None:
    """The key (1-97) of a 13-character NIR, or None when it is not one.  In Corsica the 7th character is
    A or B: it counts as 0, less 1,000,000 or 2,000,000."""
    letter = nir[6:7]
    less = _CORSICA.get(letter, 0)
    digits = nir[:6] + "0" + nir[7:] if less else nir
    if len(digits) != 13 or not is_digits(digits):
        return None
    return 97 - (int(digits) - less) % 97


def luhn_ok(number: str) -> bool:
    """Whether the last digit is the Luhn key of those before it."""
    if not is_digits(number):
        return False
    total = 0
    for place, figure in enumerate(reversed(number)):
        value = int(figure) * (1 + place % 2)
        total += value - 9 * (value > 9)
    return total % 10 == 0


def luhn_digit(number: str) -> str:
    """The Luhn key to put behind the digits of ``number``."""
    return next(key for key in "0123456789" if luhn_ok(number + key))


def is_digits(text: str) -> bool:
    """Whether ``text`` is ASCII digits only, and at least one."""
    return text.isascii() and text.isdigit()


def read_day(text: str) -> str:
    """'YYYY-MM-DD' of a YYMMDD zone, '' when it is no day of the calendar (zeros and blanks included)."""
    if len(text) != 6 or not is_digits(text):
        return ""
    try:
        return date(2000 + int(text[:2]), int(text[2:4]), int(text[4:])).isoformat()
    except ValueError:
        return ""


def write_day(day: str) -> str:
    """YYMMDD of 'YYYY-MM-DD'; '' gives six zeros."""
    return day[2:4] + day[5:7] + day[8:10] if day else "000000"

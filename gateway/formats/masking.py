"""NIRs inside texts that others wrote: masked before such a text goes into a table, a list or a log.

Rule 1: in the words of a payer, of a check or of a person, any number that is long enough to hold a NIR is masked,
also where blanks or points stand between its digits; numbers of the trade begin with 0 where they are that long.
Rule 2: in the name of a file only what is shaped like a NIR is, in one or in its groups, since names hold moments and
counts as well.
A patient's name in a text cannot be told from any other word: the guide asks not to write one.
"""

from __future__ import annotations

import re

from gateway.formats.keys import nir_key
from gateway.formats.words import mask_nir

_LONG = re.compile(
    r"(?<![0-9])[1-9](?:[ .\u00a0\u202f]?[0-9]){5}[ .\u00a0\u202f]?[0-9AB](?:[ .\u00a0\u202f]?[0-9]){6,}"
)
_NIR = re.compile(
    r"(?<![0-9])[1-478](?P<gap>[ .\u00a0\u202f_/-]?)[0-9]{2}(?P=gap)(?:0[1-9]|1[0-2]|20|3[0-9]|4[0-2]|[5-9][0-9])"
    r"(?P=gap)[0-9][0-9ABab](?P=gap)[0-9]{3}(?P=gap)[0-9]{3}(?:(?P=gap)[0-9]{2})?(?![0-9])"
)
"""A NIR by its shape, written in one or in its groups: 1 85 05 78 006 084 36."""


def without_nir(text: str) -> str:
    """``text`` with the beginning only of each number that may be a NIR."""
    return _LONG.sub(lambda found: mask_nir(found[0]), name_without_nir(text))


def name_without_nir(name: str) -> str:
    """A file name with the beginning only of each NIR: in groups, or 13 characters of its shape, or 15 with a right
    key."""
    return _NIR.sub(lambda found: mask_nir(found[0]) if found["gap"] or _is_nir(found[0]) else found[0], name)


def _is_nir(text: str) -> bool:
    key = nir_key(text[:13].upper())
    return key is not None and text[13:] in ("", f"{key:02d}")

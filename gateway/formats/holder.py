"""Whose card it is: the one reading of a CPS subject, and the identifier by which a card holder is declared.

The subject of a CPS is made of RDN *sets*: title, then one RDN of several attributes, whose CN begins with the kind
of identifier (cps.md table G08).  The certificates of a CPE or CPA name a structure and ``…/CPE…`` or ``…/CPA…``.
What kind of card it is in the issuer's own words (an extension of 1.2.250.1.71) is not established, so it is
told from the subject, and a subject of neither form is ``?``.

An identifier is taken from the subject's own words: the eleven digits of an RPPS; register and number of another
person (``ADELI 756012345``); the whole CN of a member of staff (``499700012345678/CPE0001``).

Pure: it knows neither certificates nor who may sign.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

COMMON_NAME, SURNAME, TITLE, GIVEN_NAME = "2.5.4.3", "2.5.4.4", "2.5.4.12", "2.5.4.42"
"""Attributes of a subject (X.520)."""

PERSONS: Mapping[str, tuple[str, str]] = {
    "0": ("CPS", "ADELI"),
    "2": ("CPS", "DRASS"),
    "8": ("CPS", "RPPS"),
    "9": ("CPF", "étudiant"),
}
"""Card type and register by the first digit of a person's CN."""

KINDS = ("CPS", "CPF", "CPE", "CPA", "CDE", "CDA")
"""Card types that name their holder."""

UNPRINTED = r"\x00-\x1f\x7f\u2028\u2029\ud800-\udfff"
"""What no identifier or name may contain, as members of a set in a regular expression."""

_RPPS, _NUMBER = "[0-9]{11}", "[0-9A-Z]{5,20}"
_STAFF_NAME = f"[^{UNPRINTED}]{{1,60}}/(?:CP[AEF]|CD[AE])[^/{UNPRINTED}]{{0,60}}"
IDENTIFIER = f"{_RPPS}|(?:ADELI|DRASS|étudiant) {_NUMBER}|{_STAFF_NAME}"
"""What an identifier looks like, as a regular expression that matches all of it."""
IDENTIFIER_WORDS = "RPPS de onze chiffres, registre et numéro comme « ADELI 756012345 », ou CN entier « …/CPE… »"

_PERSON = re.compile(f"([0-9])({_NUMBER})")
_STAFF = re.compile(_STAFF_NAME)


@dataclass(frozen=True)
class Holder:
    """``kind`` is one of ``KINDS`` or ``?``; ``register`` says what ``number`` is (RPPS, ADELI, structure …);
    ``identifier`` is how the holder is declared, '' where the subject is of neither form."""

    name: str
    kind: str
    register: str
    number: str
    profession: str
    identifier: str

    @property
    def words(self) -> str:
        """Name and identifier, for a message."""
        return self.name if self.name == self.identifier else f"{self.name} ({self.identifier})"


def read_subject(attributes: Iterable[tuple[str, str]]) -> Holder:
    """The holder that a subject names: its attributes (object identifier in dots, text), RDN sets laid flat."""
    pairs = list(attributes)
    texts = dict(pairs)
    common = texts.get(COMMON_NAME, "")
    name = " ".join(filter(None, (texts.get(GIVEN_NAME), texts.get(SURNAME)))) or common
    title = texts.get(TITLE, "")
    one_name = [kind for kind, _ in pairs].count(COMMON_NAME) == 1
    person = _PERSON.fullmatch(common) if one_name and SURNAME in texts else None
    if one_name and _STAFF.fullmatch(common):
        structure, _, member = common.rpartition("/")
        return Holder(name, member[:3], "structure", structure, title, common)
    if person and person[1] in PERSONS:
        kind, register = PERSONS[person[1]]
        identifier = person[2] if register == "RPPS" else f"{register} {person[2]}"
        if re.fullmatch(IDENTIFIER, identifier):  # an RPPS of another length is none
            return Holder(name, kind, register, person[2], title, identifier)
    return Holder(name, "?", "", common, title, "")


def identifier_words(identifier: str) -> str:
    """How a holder who is not declared is called."""
    return f"RPPS {identifier}" if re.fullmatch(_RPPS, identifier) else identifier

"""Whose card it is, from the subject of its certificate.

The subject of a CPS is made of RDN *sets*: title, then one RDN of several attributes, whose CN begins with the kind
of identifier (cps.md table G08).  The certificates of a CPE or CPA name a structure and ``…/CPE…`` or ``…/CPA…``.
What kind of card it is in the issuer's own words (an extension of 1.2.250.1.71) is not established, so it is
told from the subject, and a subject of neither form is ``?``.

It deliberately judges nothing: who may sign is the settings' and the mandates' matter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from asn1crypto import x509

from gateway.errors import Refused, Scope

PERSONS: Mapping[str, tuple[str, str]] = {
    "0": ("CPS", "ADELI"),
    "2": ("CPS", "DRASS"),
    "8": ("CPS", "RPPS"),
    "9": ("CPF", "étudiant"),
}
"""Card type and register by the first digit of a person's CN."""

_PERSON = re.compile(r"([0-9])([0-9A-Z]{5,20})")
_STAFF = re.compile(r".+/(CP[AEF]|CD[AE])[^/]*")


@dataclass(frozen=True)
class Holder:
    """``kind`` is CPS, CPF, CPE, CPA, CDE, CDA or ``?``; ``register`` says what ``number`` is (RPPS, ADELI …)."""

    name: str
    kind: str
    register: str
    number: str
    profession: str

    @property
    def rpps(self) -> str | None:
        """The RPPS number (11 digits) where that is the holder's identifier."""
        return self.number if self.register == "RPPS" and re.fullmatch(r"[0-9]{11}", self.number) else None


def holder(certificate: bytes) -> Holder:
    """The holder that ``certificate`` (DER) names; Refused(CPS-CERT) where it cannot be read."""
    try:
        subject = x509.Certificate.load(certificate).subject
        pairs = [(one["type"].native, str(one["value"].native)) for rdn in subject.chosen for one in rdn]
    except (ValueError, TypeError) as error:
        raise Refused("CPS-CERT", "Le certificat sur la carte est illisible.", Scope.CARD) from error
    texts = dict(pairs)
    common = texts.get("common_name", "")
    name = " ".join(filter(None, (texts.get("given_name"), texts.get("surname")))) or common
    staff, person = _STAFF.fullmatch(common), _PERSON.fullmatch(common)
    if staff:
        return Holder(name, staff[1], "structure", common.partition("/")[0], texts.get("title", ""))
    if person and person[1] in PERSONS and "surname" in texts:
        kind, register = PERSONS[person[1]]
        return Holder(name, kind, register, person[2], texts.get("title", ""))
    return Holder(name, "?", "", common, texts.get("title", ""))

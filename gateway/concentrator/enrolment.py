"""Enrolment at the OCT: a signed request in, certificates for all keys of a box out, once.

Rules.  A request that was answered is answered again by the same certificates, under the lists of the day, as long as
the box that it enrolled is in force: an answer may be lost on the way.  The card and the clock are checked before the
code, so that only who holds the named practitioner's card can spend a try, and no old request can.  The code is used
up, the certificates and the answer are in the store, in one commit; nothing is answered before.  What is made is
checked as the box will check it, before the code is used up: an authority that is set up wrong costs nobody a code.
It runs in one thread at a time, with a store of its own.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta

from gateway.concentrator.boxes import MOST_TRIES, Boxes, Enrolled
from gateway.concentrator.keys import Keys, Trust, load_authority
from gateway.concentrator.settings import ConcentratorSettings
from gateway.concentrator.store import Store
from gateway.envelope.box_keys import BY_NAME, KEYS
from gateway.envelope.certificates import Use, holder
from gateway.envelope.issuing import Asked, asked_in, issue
from gateway.envelope.requests import mark, read_request
from gateway.envelope.signed import SignedContent, read_signed, sign_with_key, signed_size, write_signed
from gateway.envelope.succession import first_root
from gateway.errors import Refused, Scope
from gateway.formats.codes import proof
from gateway.formats.days import iso
from gateway.formats.enrolment import (
    REQUEST_LIMIT,
    Bundle,
    EnrolmentAnswer,
    EnrolmentRequest,
    Named,
    fingerprint,
    from_base64,
    to_base64,
)

CLOCKS_DIFFER = timedelta(hours=24)
"""How far the clock of a box may be from ours."""

_CLOSED = {
    "used": ("ENR-002", "Ce code d'enrôlement a déjà servi."),
    "withdrawn": ("ENR-002", "Ce code d'enrôlement a été retiré."),
    "exhausted": ("ENR-004", f"Ce code d'enrôlement ne vaut plus rien : {MOST_TRIES} essais faux."),
}
"""Why a code is not in force, by what closed it."""


class Enrolment:
    """The desk of enrolment."""

    def __init__(
        self, settings: ConcentratorSettings, store: Store, keys: Keys, trust: Callable[[], Trust],
        clock: Callable[[], datetime],
    ) -> None:  # fmt: skip
        """``trust`` reads certificates and lists anew at each call."""
        self._settings = settings
        self._store = store
        self._boxes = Boxes(store)
        self._keys = keys
        self._trust = trust
        self._clock = clock

    def answer(self, signed: bytes) -> bytes:
        """The signed answer to a signed request; Refused ENR-002 … ENR-009, ENR-020 … ENR-022, CMS-…; Deferred where
        a list is missing."""
        out = io.BytesIO()
        content = read_signed(io.BytesIO(signed), out, REQUEST_LIMIT)
        request = EnrolmentRequest.from_bytes(out.getvalue())
        at, trust = self._clock(), self._trust()
        known = self._boxes.made_for(fingerprint(out.getvalue()))
        if known:
            self._check_in_force(request, fingerprint(out.getvalue()))
            return self._sign(self._written(out.getvalue(), request.bundle, known, at, trust), at, trust)
        code = self._code(request.bundle.partner, at)
        self._check_card(content, code, at, trust)
        _check_clock(request.bundle, at)
        self._check_proof(request, code)
        certificates = self._issue(request.bundle, at, trust)
        answer = self._sign(self._written(out.getvalue(), request.bundle, certificates, at, trust), at, trust)
        person = holder(content.signature.certificate)
        enrolled = Enrolled(
            fingerprint(out.getvalue()), request.bundle.partner, request.bundle.box, person.identifier,
            person.name, iso(at), request.bundle.password, code["mandates"], signed, answer,
            certificates,
        )  # fmt: skip
        if not self._boxes.enrol(code["id"], enrolled):
            raise Refused(*_CLOSED["used"], Scope.BOX)
        return answer

    def _check_in_force(self, request: EnrolmentRequest, digest: str) -> None:
        partner = request.bundle.partner
        last = self._boxes.last(partner)
        if last is None or last["request"] != digest or self._boxes.excluded(partner):
            text = "Cette demande a déjà servi, et le boîtier qu'elle a enrôlé n'est plus en vigueur."
            raise Refused("ENR-015", text, Scope.BOX)

    def _code(self, partner: str, at: datetime) -> sqlite3.Row:
        code = self._boxes.code(partner)
        if code is None:
            raise Refused("ENR-002", f"Aucun code d'enrôlement n'a été émis pour {partner}.", Scope.BOX)
        if code["closed"]:
            raise Refused(*_CLOSED[code["closed"]], Scope.BOX)
        if code["until"] <= iso(at):
            raise Refused("ENR-003", "Ce code d'enrôlement est périmé.", Scope.BOX)
        return code

    def _check_card(self, content: SignedContent, code: sqlite3.Row, at: datetime, trust: Trust) -> None:
        trust.check(content.signature.certificate, content.chain, at, Use.SIGN_FICHIER)
        person = holder(content.signature.certificate)
        if person.identifier != code["rpps"]:
            text = f"La carte de {person.words} n'est pas celle que ce code désigne."
            raise Refused("ENR-006", text, Scope.CARD)

    def _check_proof(self, request: EnrolmentRequest, code: sqlite3.Row) -> None:
        expected = proof(code["key"], request.bundle.to_bytes())
        if hmac.compare_digest(expected, request.proof):
            return
        left = self._boxes.miss(code["id"])
        if not left:
            raise Refused(*_CLOSED["exhausted"], Scope.BOX)
        raise Refused("ENR-005", f"Code d'enrôlement faux ; essais restants : {left}.", Scope.BOX)

    def _issue(self, bundle: Bundle, at: datetime, trust: Trust) -> tuple[tuple[str, bytes], ...]:
        """A certificate for each key of the table, as sound as the box will want it."""
        if not bundle.password:
            raise Refused("ENR-007", "La demande d'enrôlement est refusée : il y manque le mot de passe.", Scope.BOX)
        requests = read_requests(bundle, {row.name for row in KEYS})
        return issue_all(self._settings, requests, bundle, at, trust)

    def _written(
        self, content: bytes, bundle: Bundle, certificates: tuple[tuple[str, bytes], ...], at: datetime, trust: Trust
    ) -> bytes:
        return EnrolmentAnswer(
            request=fingerprint(content),
            partner=bundle.partner,
            server=self._settings.name,
            at=iso(at),
            certificates=tuple(Named(name, to_base64(der)) for name, der in certificates),
            root=to_base64(first_root(trust.roots, at)),
            chain=tuple(map(to_base64, (*trust.chain, *trust.roots[1:]))),
            oct_seal=to_base64(self._keys.seal_certificate),
            oct_sign=to_base64(self._keys.sign_certificate),
            lists=tuple(map(to_base64, trust.crls)),
        ).to_bytes()

    def _sign(self, content: bytes, at: datetime, trust: Trust) -> bytes:
        chain = trust.check(self._keys.sign_certificate, (), at, Use.SIGN_RETURN).certificates[1:-1]
        digest = hashlib.sha256(content).digest()
        signature = sign_with_key(digest, at, self._keys.sign_certificate, self._keys.sign)
        out = io.BytesIO()
        write_signed(io.BytesIO(content), len(content), out, signature, chain)
        assert out.tell() == signed_size(len(content), signature, chain)
        return out.getvalue()


def _check_clock(bundle: Bundle, at: datetime) -> None:
    said = datetime.fromisoformat(bundle.at)
    if abs(said - at) > CLOCKS_DIFFER:
        text = f"L'horloge du boîtier dit {said:%d/%m/%Y %H:%M} UTC, celle du concentrateur {at:%d/%m/%Y %H:%M}."
        raise Refused("ENR-008", text, Scope.BOX)


def read_requests(bundle: Bundle, wanted: set[str]) -> dict[str, Asked]:
    """What counts of the requests of exactly the wanted keys, each key its own; Refused ENR-009, ENR-020 … ENR-022."""
    names = [one.name for one in bundle.keys]
    if sorted(names) != sorted(wanted):
        raise Refused("ENR-009", "La demande ne porte pas sur les clés attendues, une fois chacune.", Scope.BOX)
    requests = {one.name: read_request(BY_NAME[one.name], from_base64(one.der)) for one in bundle.keys}
    asked = {name: asked_in(request) for name, request in requests.items()}
    if len({mark(one.key) for one in asked.values()}) != len(asked):
        raise Refused("ENR-009", "Deux des certificats demandés sont pour une même clé.", Scope.BOX)
    return asked


def issue_all(
    settings: ConcentratorSettings, asked: dict[str, Asked], bundle: Bundle, at: datetime, trust: Trust
) -> tuple[tuple[str, bytes], ...]:
    """(name, DER) for each key; Refused or Deferred where one would not hold at the box."""
    authority = load_authority(settings)
    days = settings.enrolment.days
    made = tuple(
        (name, issue(authority, BY_NAME[name], one, bundle.partner, bundle.box, at, days))
        for name, one in asked.items()
    )
    for name, der in made:
        trust.check(der, (), at, BY_NAME[name].use)
    return made

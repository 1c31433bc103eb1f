"""Enrolment at the box: what is asked for, and what of the answer is put in force.

Rules.  All keys are new and are made here; only requests leave.  Of the answer everything is checked, with the root
whose fingerprint a person typed, and later ones that it vouches for, as the only thing believed: who signed it, what it
answers, that each certificate is for a key of ours and holds for its use, that the OCT's own certificates hold, that
the server that gave it is not revoked.  Nothing is written before all of it is.

It signs nothing with the card, asks nobody anything and has no network.
"""

from __future__ import annotations

import io
import secrets
import string
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.envelope.algorithms import UNREADABLE, PrivateKey, public_key, read_certificate
from gateway.envelope.box_keys import BY_NAME, KEYS, PRACTICE
from gateway.envelope.certificates import Use, check_path
from gateway.envelope.issuing import MOST_DAYS, SKEW
from gateway.envelope.requests import make_request, mark, new_key, read_request
from gateway.envelope.signed import read_signed
from gateway.envelope.succession import believed_roots, below
from gateway.errors import Refused, Scope
from gateway.formats.codes import proof
from gateway.formats.days import iso
from gateway.formats.enrolment import (
    ANSWER_LIMIT,
    REQUEST_LIMIT,
    Bundle,
    EnrolmentAnswer,
    EnrolmentRequest,
    Named,
    fingerprint,
    from_base64,
    to_base64,
)
from gateway.link.passwords import password_hash
from gateway.process.identity import Identity

PASSWORD_SYMBOLS = string.ascii_letters + string.digits
PASSWORD_LENGTH = 8
"""As long as PI 5 may be: 47 bits, beside the TLS certificate, and slowed at each wrong try."""

DAY_MORE = timedelta(days=1)


@dataclass(frozen=True)
class Prepared:
    """A request to be signed, and the recovery key, which is to leave the box."""

    content: bytes
    recovery: PrivateKey


@dataclass(frozen=True)
class Accepted:
    """An answer that holds: the files of its generation, and its revocation lists, by name."""

    fingerprint: str
    partner: str
    files: dict[str, bytes]
    lists: dict[str, bytes]
    recovery: bytes
    server: str
    """The OCT's PeSIT identifier."""


def prepare(identity: Identity, box: str, partner: str, code: bytes, hosts: tuple[str, ...], at: datetime) -> Prepared:
    """Make every key of the box and ask for their certificates; ``code`` is the key of the proof."""
    identity.check_owners()
    identity.make_secrets()
    keys = {row.name: new_key(row) for row in KEYS}
    identity.begin(mark(key.public_key()) for key in keys.values())
    for row in KEYS:
        if row.owner != PRACTICE:
            identity.keep_key(row, keys[row.name])
    password = "".join(secrets.choice(PASSWORD_SYMBOLS) for _ in range(PASSWORD_LENGTH))
    identity.keep_password(mark(keys["box-transport"].public_key()), password)
    asked = tuple(Named(row.name, to_base64(make_request(row, keys[row.name], hosts))) for row in KEYS)
    bundle = Bundle(box, partner, iso(at), asked, password_hash(password))
    request = EnrolmentRequest(bundle, proof(code, bundle.to_bytes()))
    return Prepared(request.to_bytes(), keys["recovery"])


def read_pending(signed: bytes) -> tuple[EnrolmentRequest, str]:
    """A signed request of ours, and its fingerprint."""
    out = io.BytesIO()
    read_signed(io.BytesIO(signed), out, REQUEST_LIMIT)
    return EnrolmentRequest.from_bytes(out.getvalue()), fingerprint(out.getvalue())


def accept(pending: bytes, answer: bytes, root: bytes, server: bytes, at: datetime) -> Accepted:
    """Check an answer whole; ``server`` is the certificate (DER) of who gave it, ``root`` that of the fingerprint.

    Refused ENR-030 not an answer, ENR-031 to another request, ENR-032 certificates that are not for our keys or last
    too long, ENR-033 signed by another than it names; CMS-… where a path does not hold; Deferred where a list is
    missing or the clock is wrong.
    """
    request, ours = read_pending(pending)
    out = io.BytesIO()
    content = read_signed(io.BytesIO(answer), out, ANSWER_LIMIT)
    told = EnrolmentAnswer.from_bytes(out.getvalue())
    chain = tuple(map(from_base64, told.chain))
    lists = tuple(map(from_base64, told.lists))
    roots = believed_roots([root], chain, chain, at)

    def check(leaf: bytes, use: Use) -> None:
        check_path(leaf, (*content.chain, *chain), roots, lists, at, use)

    signer = content.signature.certificate
    check(signer, Use.SIGN_RETURN)
    check(server, Use.TRANSPORT)
    if signer != from_base64(told.oct_sign):
        raise Refused("ENR-033", "La réponse n'est pas signée par le certificat qu'elle annonce.", Scope.BOX)
    if (told.request, told.partner) != (ours, request.bundle.partner):
        raise Refused("ENR-031", "La réponse n'est pas celle de notre demande.", Scope.BOX)
    check(from_base64(told.oct_seal), Use.SEAL)
    made = {one.name: from_base64(one.der) for one in told.certificates}
    check_certificates(request.bundle, made)
    for name, der in made.items():
        check(der, BY_NAME[name].use)
    files = _files(made, told, roots, below(chain, roots))
    return Accepted(ours, told.partner, files, _lists(lists), made["recovery"], told.server)


def check_certificates(bundle: Bundle, made: dict[str, bytes]) -> None:
    """Refused ENR-032 unless there is one certificate for each key that was asked for, for 24 months at most."""
    wanted = {one.name: read_request(BY_NAME[one.name], from_base64(one.der)).public_key() for one in bundle.keys}
    if made.keys() != wanted.keys() or any(public_key(made[name]) != key for name, key in wanted.items()):
        raise Refused("ENR-032", "Les certificats reçus ne sont pas ceux de nos clés.", Scope.BOX)
    check_lifetimes(made)


def check_lifetimes(made: dict[str, bytes]) -> None:
    """Refused ENR-032 for a certificate (DER, by name) that lasts longer than was agreed."""
    for name, der in made.items():
        loaded = read_certificate(der, Scope.BOX)
        if loaded.not_valid_after_utc - loaded.not_valid_before_utc > timedelta(days=MOST_DAYS) + SKEW + DAY_MORE:
            raise Refused("ENR-032", f"Le certificat de {name} vaudrait plus de 24 mois.", Scope.BOX)


def _files(
    made: dict[str, bytes], told: EnrolmentAnswer, roots: tuple[bytes, ...], chain: tuple[bytes, ...]
) -> dict[str, bytes]:
    """The generation as services read it, in PEM."""
    return {
        **{f"{name}.pem": pem(der) for name, der in made.items()},
        "box-transport.pem": transport_file(made["box-transport"], chain),
        "root.pem": pem(*roots),
        "chain.pem": pem(*chain),
        "oct-seal.pem": pem(from_base64(told.oct_seal)),
        "oct-sign.pem": pem(from_base64(told.oct_sign)),
    }


def _lists(lists: tuple[bytes, ...]) -> dict[str, bytes]:
    """The newest list of each issuer, by a name that tells them apart; all of them in PEM for the line."""
    try:
        read = sorted(map(x509.load_der_x509_crl, lists), key=lambda one: one.last_update_utc)
    except UNREADABLE:
        raise Refused("ENR-030", "La réponse porte une liste de révocation illisible.", Scope.BOX) from None
    loaded = {fingerprint(one.issuer.public_bytes())[:16]: one for one in read}
    named = {f"{name}.crl": one.public_bytes(Encoding.DER) for name, one in loaded.items()}
    return {**named, "all.pem": b"".join(one.public_bytes(Encoding.PEM) for one in loaded.values())}


def transport_file(certificate: bytes, chain: tuple[bytes, ...]) -> bytes:
    """The line's certificate (DER) with its intermediate, as TLS sends them, in PEM."""
    issuer = read_certificate(certificate, Scope.BOX).issuer
    return pem(certificate, *(one for one in chain if read_certificate(one, Scope.BOX).subject == issuer))


def pem(*certificates: bytes) -> bytes:
    """DER certificates as one PEM file."""
    return b"".join(x509.load_der_x509_certificate(one).public_bytes(Encoding.PEM) for one in certificates)

"""Renewal of the box's certificates: requests of all owners in, one signed bundle to the OCT, certificates in force.

Rules.  Each service makes its new key and sends only a request: intake through ``new/``, forward through
``arrived/``, status by its socket.  The keeper bundles what is due, signs it with box-sign and has it carried like a
fichier, sealed to the OCT; the answer is a return.  Nothing is put in force before each certificate is for a key that
was asked for and holds for its use.  Everything may be done again: the same request is answered by the same.
What a certificate's end means is said on the ladder at ``STEPS``, whether it is being renewed or not.
"""

from __future__ import annotations

import hashlib
import io
from datetime import date, timedelta

from gateway.book.doors import Door
from gateway.envelope.algorithms import public_key
from gateway.envelope.box_keys import BY_NAME, KEYS, PRACTICE
from gateway.envelope.names import common_name
from gateway.envelope.requests import mark, read_request
from gateway.envelope.seal import Sealer
from gateway.envelope.signed import sign_with_key, signed_size, write_signed
from gateway.errors import Deferred, Refused, Scope
from gateway.formats.days import iso
from gateway.formats.enrolment import (
    RENEWAL,
    REQUEST_LIMIT,
    Bundle,
    Named,
    RenewalAnswer,
    RenewalRequest,
    fingerprint,
    from_base64,
    to_base64,
)
from gateway.process import keyring
from gateway.process.enrolment import check_lifetimes, pem, transport_file
from gateway.process.identity import Identity
from gateway.process.renewal import OwnKeys, ends_soon
from gateway.services.keeper import generations, succession
from gateway.services.keeper.desk import Desk
from gateway.services.keeper.ending import ENROL, first_end
from gateway.services.keeper.signers import state_end

ALONE_AFTER = timedelta(days=7)
"""How long the requests of some wait for those of others."""

AGAIN_AFTER = timedelta(days=3)
"""When a request that was not answered is sent again."""


class Renewals:
    """The keeper's part in the life of the keys; looked at in each turn, at work once a day and when something came."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._own = OwnKeys(desk.paths, "keeper")
        self._day: date | None = None
        generations.take_up(desk, reading=False)
        generations.end_keys(desk, self._own)

    def look(self) -> None:
        """Take up what changed, put in force what was answered, and once a day see to what ends."""
        desk = self._desk
        generations.take_up(desk)
        succession.follow(desk, again=self._day is None)
        drop_stale(desk)
        put_in_force(desk)
        if self._day != (today := desk.book.clock().date()):
            self._day = today
            for wanted in self._own.daily(desk.book.clock()):
                take_request(desk, "keeper", wanted.name, wanted.mark, wanted.request)
            state_ends(desk)
            succession.state_ends(desk)
            offer_again(desk)
            generations.clear_away(desk, self._own)
        ask(desk)


def take_request(desk: Desk, owner: str, name: str, which: str, request: bytes) -> None:
    """Keep the request of an owner for one of its keys; Refused ENR-009 for another's, ENR-020 … ENR-022."""
    row = BY_NAME.get(name)
    if row is None or row.owner != owner:
        raise Refused("ENR-009", f"{owner} a demandé un certificat pour « {name} », qui n'est pas à lui.", Scope.BOX)
    if mark(read_request(row, request).public_key()) != which:
        raise Refused("ENR-020", f"La demande pour {name} n'est pas celle de la clé {which}.", Scope.BOX)
    with desk.commit():
        desk.book.connection.execute(
            "INSERT INTO key_requests VALUES (?, ?, ?, ?) ON CONFLICT (name)"
            " DO UPDATE SET mark = excluded.mark, request = excluded.request WHERE mark <> excluded.mark",
            (name, which, request, iso(desk.book.clock())),
        )


def take_entry(desk: Desk, door: Door, owner: str, name: str) -> None:
    """The request that an owner left at a door as ``renewal.<key>.<mark>``; Refused as by ``take_request``."""
    _, key, which = name.split(".")
    try:
        request = door.read(name, REQUEST_LIMIT)
    except ValueError:
        raise Refused("ENR-020", f"La demande de certificat pour {key} est trop longue.", Scope.BOX) from None
    take_request(desk, owner, key, which, request)


# -- asking


def ask(desk: Desk) -> None:
    """Send one bundle for all that is due, when every owner has asked or has had its time."""
    waiting = desk.book.connection.execute("SELECT * FROM key_requests ORDER BY name").fetchall()
    if not waiting or desk.book.connection.execute("SELECT 1 FROM renewals WHERE settled = ''").fetchone():
        return
    now = desk.book.clock()
    due = {row.name for row in KEYS if ends_soon(desk.paths, row.name, now)}
    waiting = [row for row in waiting if row["name"] in due]
    late = any(row["at"] <= iso(now - ALONE_AFTER) for row in waiting)
    if not waiting or (not late and {row["name"] for row in waiting} != due - _kept_elsewhere()):
        return
    keys = tuple(Named(row["name"], to_base64(row["request"])) for row in waiting)
    certificate = keyring.read_certificate(desk.paths.trust / "box-sign.pem")
    partner = common_name(certificate).removesuffix(" box-sign")
    bundle = Bundle(desk.paths.box_id, partner, iso(now), keys, "")
    content = RenewalRequest(bundle, tuple(sorted(due & _kept_elsewhere()))).to_bytes()
    with desk.commit():
        desk.book.connection.execute(
            "INSERT OR IGNORE INTO renewals (request, content, generation, at) VALUES (?, ?, ?, ?)",
            (fingerprint(content), content, keyring.generation(desk.paths), iso(now)),
        )
        desk.book.record("", {"verb": "ask renewal", "request": fingerprint(content)})
    _offer(desk, fingerprint(content), content, 1)


def _kept_elsewhere() -> set[str]:
    """Keys that are not on the box: they get another certificate for the same key."""
    return {row.name for row in KEYS if row.owner == PRACTICE}


def drop_stale(desk: Desk) -> None:
    """Forget what was asked before an enrolment put other keys in force: the keys that it was for are gone."""
    current = keyring.generation(desk.paths)
    rows = desk.book.connection.execute(
        "SELECT request FROM renewals WHERE settled = '' AND generation <> ?", (current,)
    ).fetchall()
    for row in rows:
        if row["request"][:16] != current:  # else it is the one that put this generation in force
            _settle(desk, row["request"], {"verb": "drop renewal", "request": row["request"]})


def offer_again(desk: Desk) -> None:
    """Requests that were not answered in their time, or that a crash kept from the door."""
    before = iso(desk.book.clock() - AGAIN_AFTER)
    rows = desk.book.connection.execute(
        "SELECT * FROM renewals WHERE settled = '' AND answer = x'' AND offered <= ?", (before,)
    ).fetchall()
    for row in rows:
        _offer(desk, row["request"], row["content"], row["sends"] + 1)


def _offer(desk: Desk, request: str, content: bytes, number: int) -> None:
    """Into ``outgoing/``: the entry first, then the row that says so; an entry that is there already is as good."""
    certificate = keyring.read_certificate(desk.paths.trust / "box-sign.pem")
    key = keyring.read_key(keyring.key_file(desk.paths, "keeper", "box-sign"))
    signature = sign_with_key(hashlib.sha256(content).digest(), desk.book.clock(), certificate, key)
    out = io.BytesIO()
    sealer = Sealer(out, [desk.trust.oct_seal], signed_size(len(content), signature, ()))
    write_signed(io.BytesIO(content), len(content), sealer, signature, ())
    sealer.close()
    desk.outgoing.put(f"{RENEWAL}{request[:32]}.1.{number}", out.getvalue())
    with desk.commit():
        desk.book.connection.execute(
            "UPDATE renewals SET sends = ?, offered = ? WHERE request = ?", (number, iso(desk.book.clock()), request)
        )


# -- the answer


def keep_answer(desk: Desk, answer: RenewalAnswer) -> None:
    """Remember an answer, in the transaction that records the return; one that nobody waits for is forgotten."""
    desk.book.connection.execute(
        "UPDATE renewals SET answer = ? WHERE request = ? AND settled = ''", (answer.to_bytes(), answer.request)
    )


def put_in_force(desk: Desk) -> None:
    """Check what was answered and install it; what cannot be checked now waits, what does not hold is said."""
    rows = desk.book.connection.execute("SELECT * FROM renewals WHERE settled = '' AND answer <> x''").fetchall()
    for row in rows:
        try:
            made = _accept(desk, RenewalRequest.from_bytes(row["content"]), RenewalAnswer.from_bytes(row["answer"]))
        except Deferred as trouble:
            desk.condition(Scope.BOX, "renewal", trouble.code, f"Les nouveaux certificats attendent : {trouble.text}")
            return
        except Refused as refusal:
            _settle(desk, row["request"], {"verb": "refuse renewal", "code": refusal.code})
            desk.condition(Scope.BOX, "renewal", refusal.code, f"Certificats renouvelés refusés : {refusal.text}")
            return
        Identity(desk.paths).install(row["request"][:16], _files(desk, made), {})
        generations.take_up(desk)
        _settle(desk, row["request"], {"verb": "renew", "request": row["request"], "keys": sorted(made)})
        desk.condition(Scope.BOX, "renewal", "", "")
        state_ends(desk)


def _accept(desk: Desk, request: RenewalRequest, answer: RenewalAnswer) -> dict[str, bytes]:
    """The certificates (DER) by name; Refused ENR-032 where they are not for the keys that were asked for."""
    made = {one.name: from_base64(one.der) for one in answer.certificates}
    wanted = {
        one.name: read_request(BY_NAME[one.name], from_base64(one.der)).public_key() for one in request.bundle.keys
    }
    wanted |= {name: public_key(_current(desk, name)) for name in request.again}
    if made.keys() != wanted.keys() or any(public_key(made[name]) != key for name, key in wanted.items()):
        raise Refused("ENR-032", "Les certificats reçus ne sont pas ceux de nos clés.", Scope.BOX)
    check_lifetimes(made)
    for name, der in made.items():
        desk.trust.check(der, (), desk.book.clock(), BY_NAME[name].use)
    return made


def _current(desk: Desk, name: str) -> bytes:
    return keyring.read_certificate(desk.paths.trust / f"{name}.pem")


def _files(desk: Desk, made: dict[str, bytes]) -> dict[str, bytes]:
    """The generation in force, with the new certificates in place of the old."""
    files = {path.name: path.read_bytes() for path in (desk.paths.trust / keyring.CURRENT).glob("*.pem")}
    files |= {f"{name}.pem": pem(der) for name, der in made.items()}
    if "box-transport" in made:
        files["box-transport.pem"] = transport_file(made["box-transport"], desk.trust.chain)
    return files


def _settle(desk: Desk, request: str, fact: dict[str, object]) -> None:
    with desk.commit():
        desk.book.connection.execute(
            "UPDATE renewals SET settled = ? WHERE request = ?", (iso(desk.book.clock()), request)
        )
        desk.book.connection.execute("DELETE FROM key_requests")
        desk.book.record("", fact)


# -- the ladder


def state_ends(desk: Desk) -> None:
    """The rung of the ladder: which certificate of the box ends first."""
    name, until = first_end(desk.paths)
    said = f"Le certificat « {name} » de la passerelle"
    state_end(desk, Scope.BOX, "certificates", "KEY-CERT", until, said, " ; elle le renouvelle d'elle-même", ENROL)

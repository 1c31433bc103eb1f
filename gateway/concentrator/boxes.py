"""Enrolled boxes in the store: codes, enrolments, certificates, exclusions; and who is in force of all partners.

Rules.  What is in force is asked of the store each time: a revocation counts at the next word that a box says.  A
partner that was enrolled has the password and the certificates of its last enrolment; what only the settings say of
it (name of its certificate, landing directory, and mandates where there are any) goes on holding.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from gateway.concentrator.settings import ConcentratorSettings, PartnerAccess
from gateway.concentrator.store import Store
from gateway.envelope.algorithms import read_certificate
from gateway.envelope.certificates import load_certificates
from gateway.errors import Deferred, Refused, Scope, os_words
from gateway.formats.days import iso
from gateway.formats.mandates import Mandate

MOST_TRIES = 5

MandateRow = tuple[str, str, str]
"""(holder, emitter, role), as a code carries it to the partner."""


@dataclass(frozen=True)
class Enrolled:
    """One box that was enrolled: what the store keeps of it.  ``certificates`` are (name, DER)."""

    request: str
    partner: str
    box: str
    rpps: str
    holder: str
    at: str
    password: str
    mandates: str
    signed: bytes
    answer: bytes
    certificates: tuple[tuple[str, bytes], ...]


class Boxes:
    """The tables of enrolment; the store is its caller's."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def _rows(self, query: str, *arguments: object) -> list[sqlite3.Row]:
        return self._store.connection.execute(query, arguments).fetchall()

    # -- codes

    def add_code(
        self, partner: str, rpps: str, mandates: Sequence[MandateRow], key: bytes, made: str, until: str
    ) -> None:
        """A new code of a partner; whatever code it had is withdrawn."""
        with self._store.transaction() as connection:
            connection.execute(
                "UPDATE enrolment_codes SET closed = 'withdrawn' WHERE partner = ? AND closed = ''", (partner,)
            )
            connection.execute(
                "INSERT INTO enrolment_codes (partner, rpps, mandates, made, until, key) VALUES (?, ?, ?, ?, ?, ?)",
                (partner, rpps, json.dumps(mandates), made, until, key),
            )

    def code(self, partner: str) -> sqlite3.Row | None:
        """The last code of a partner, whatever became of it."""
        rows = self._rows("SELECT * FROM enrolment_codes WHERE partner = ? ORDER BY id DESC LIMIT 1", partner)
        return rows[0] if rows else None

    def miss(self, code: int) -> int:
        """Count a wrong try; how many are left."""
        with self._store.transaction() as connection:
            connection.execute(
                "UPDATE enrolment_codes SET tries = tries + 1,"
                " closed = CASE WHEN tries + 1 >= ? THEN 'exhausted' ELSE closed END WHERE id = ?",
                (MOST_TRIES, code),
            )
            tries = connection.execute("SELECT tries FROM enrolment_codes WHERE id = ?", (code,)).fetchone()[0]
        return max(0, MOST_TRIES - int(tries))

    # -- enrolments

    def made_for(self, request: str) -> tuple[tuple[str, bytes], ...]:
        """(name, DER) of what a request was answered by; () for one that was not answered."""
        rows = self._rows("SELECT name, der FROM box_certificates WHERE answer = ? ORDER BY rowid", request)
        return tuple((row["name"], bytes(row["der"])) for row in rows)

    def enrol(self, code: int, box: Enrolled) -> bool:
        """Use up the code, put the box in force: one commit.  False when the code was used meanwhile."""
        columns = {name: value for name, value in vars(box).items() if name != "certificates"}
        with self._store.transaction() as connection:
            used = connection.execute(
                "UPDATE enrolment_codes SET closed = 'used' WHERE id = ? AND closed = ''", (code,)
            ).rowcount
            if not used:
                return False
            names, marks = ", ".join(columns), ", ".join(f":{name}" for name in columns)
            connection.execute(f"INSERT INTO enrolments ({names}) VALUES ({marks})", columns)  # noqa: S608
            for name, der in box.certificates:
                add_certificate(connection, box.request, box.partner, box.request, name, der, box.at)
            connection.execute("DELETE FROM exclusions WHERE partner = ?", (box.partner,))
            connection.execute("DELETE FROM announcements WHERE partner = ?", (box.partner,))
        return True

    def listing(self) -> list[sqlite3.Row]:
        """Every enrolment, oldest first, with the day on which its first certificate ends and what is out of force."""
        return self._rows(
            "SELECT e.request, e.partner, e.box, e.rpps, e.holder, e.at, min(c.until) AS until,"
            " sum(c.revoked <> '') AS revoked, count(*) AS certificates,"
            " EXISTS (SELECT 1 FROM exclusions x WHERE x.partner = e.partner) AS excluded,"
            " e.rowid = (SELECT max(rowid) FROM enrolments l WHERE l.partner = e.partner) AS last"
            " FROM enrolments e JOIN box_certificates c ON c.enrolment = e.request"
            " GROUP BY e.request ORDER BY e.rowid"
        )

    def last(self, partner: str) -> sqlite3.Row | None:
        """The enrolment of a partner that counts."""
        rows = self._rows("SELECT * FROM enrolments WHERE partner = ? ORDER BY rowid DESC LIMIT 1", partner)
        return rows[0] if rows else None

    def certificates(self, partner: str, name: str = "") -> list[sqlite3.Row]:
        """The unrevoked certificates of the last enrolment, of one key or of all, the newest first."""
        last = self.last(partner)
        rows = self._rows(
            "SELECT * FROM box_certificates WHERE enrolment = ? AND revoked = '' ORDER BY rowid DESC",
            last["request"] if last else "",
        )
        return [row for row in rows if name in ("", row["name"])]

    # -- renewals

    def renewed(self, request: str) -> bytes | None:
        """The answer that a renewal was given."""
        rows = self._rows("SELECT answer FROM renewals WHERE request = ?", request)
        return bytes(rows[0]["answer"]) if rows else None

    def confirm(self, certificate: bytes, at: str) -> None:
        """The box uses this certificate, so it has all that came with it; said again, it changes nothing."""
        digest = hashlib.sha256(certificate).hexdigest()
        rows = self._rows("SELECT answer FROM box_certificates WHERE certificate = ? AND confirmed = ''", digest)
        if rows:
            with self._store.transaction() as connection:
                connection.execute(
                    "UPDATE box_certificates SET confirmed = ? WHERE answer = ? AND confirmed = ''",
                    (at, rows[0]["answer"]),
                )

    # -- announcements

    def in_force(self) -> list[str]:
        """Every partner that was enrolled and not taken out of force."""
        rows = self._rows(
            "SELECT DISTINCT partner FROM enrolments WHERE partner NOT IN (SELECT partner FROM exclusions)"
            " ORDER BY partner"
        )
        return [row["partner"] for row in rows]

    def told(self, partner: str) -> str:
        """SHA-256 of what a partner was last told of our certificates and authorities; '' for nothing."""
        rows = self._rows("SELECT digest FROM announcements WHERE partner = ?", partner)
        return str(rows[0]["digest"]) if rows else ""

    # -- out of force

    def excluded(self, partner: str) -> bool:
        """Whether a partner was taken out of force and not enrolled since."""
        return bool(self._rows("SELECT 1 FROM exclusions WHERE partner = ?", partner))

    def revoke(self, partner: str, at: datetime, name: str = "") -> list[str]:
        """Take a partner out of force, or only the certificates of one of its keys; the names of what was revoked."""
        only = " AND name = ?" if name else ""
        arguments = (partner, name) if name else (partner,)
        with self._store.transaction() as connection:
            rows = connection.execute(
                f"SELECT name FROM box_certificates WHERE partner = ? AND revoked = ''{only}",  # noqa: S608
                arguments,
            ).fetchall()
            connection.execute(
                f"UPDATE box_certificates SET revoked = ? WHERE partner = ? AND revoked = ''{only}",  # noqa: S608
                (iso(at), *arguments),
            )
            if not name:
                connection.execute("INSERT OR REPLACE INTO exclusions VALUES (?, ?)", (partner, iso(at)))
        return [row["name"] for row in rows]

    def revoked(self) -> dict[int, datetime]:
        """Since when which certificates are revoked, by serial number."""
        rows = self._rows("SELECT serial, revoked FROM box_certificates WHERE revoked <> ''")
        return {int(row["serial"], 16): datetime.fromisoformat(row["revoked"]) for row in rows}


def add_certificate(
    connection: sqlite3.Connection, enrolment: str, partner: str, answer: str, name: str, der: bytes, confirmed: str
) -> None:
    """A certificate that was made for a key of an enrolled box; ``answer`` is the request that it answers."""
    loaded = read_certificate(der, Scope.BOX)
    since, until = iso(loaded.not_valid_before_utc), iso(loaded.not_valid_after_utc)
    connection.execute(
        "INSERT INTO box_certificates"
        " (certificate, enrolment, partner, name, serial, since, until, der, answer, confirmed)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (hashlib.sha256(der).hexdigest(), enrolment, partner, name, f"{loaded.serial_number:x}", since, until, der,
         answer, confirmed),
    )  # fmt: skip


def note_told(connection: sqlite3.Connection, partner: str, digest: str) -> None:
    """Remember what a partner is told, in the transaction of the return that says it."""
    connection.execute("INSERT OR REPLACE INTO announcements VALUES (?, ?)", (partner, digest))


class Members:
    """Everybody who may come in, declared or enrolled, as it is now."""

    def __init__(self, settings: ConcentratorSettings, store: Store) -> None:
        self._declared = {partner.identifier: partner for partner in settings.partners}
        self._seals = {one.identifier: _declared(one.box_seal)[0] for one in settings.partners}
        self._signs = {one.identifier: tuple(_declared(one.box_sign)) for one in settings.partners if one.box_sign.name}
        self._boxes = Boxes(store)
        self.hashes = {one.identifier: one.password_hash for one in settings.partners}
        """Hashes of passwords by identifier, as ``find`` last saw them."""

    def find(self, identifier: str) -> PartnerAccess | None:
        """The partner, None for whom nobody declared or enrolled, or who was taken out of force."""
        found = None if self._boxes.excluded(identifier) else self._find(identifier)
        if found is None:
            self.hashes.pop(identifier, None)
        else:
            self.hashes[identifier] = found.password_hash
        return found

    def _find(self, identifier: str) -> PartnerAccess | None:
        declared, enrolled = self._declared.get(identifier), self._boxes.last(identifier)
        if enrolled is None:
            return declared
        mandates = tuple(Mandate(*row) for row in json.loads(enrolled["mandates"]))
        own = declared or PartnerAccess(identifier, "", Path())
        return replace(own, password_hash=enrolled["password"], mandates=own.mandates or mandates)

    def mandates(self, identifier: str) -> tuple[Mandate, ...]:
        """The mandates of a partner; none for who is out of force."""
        found = self.find(identifier)
        return found.mandates if found else ()

    def may_connect(self, identifier: str, certificate: bytes, at: str) -> bool:
        """Whether a TLS certificate is one of the partner's own; of who was only declared, any sound one is."""
        if self._boxes.last(identifier) is None:
            return True
        own = {bytes(row["der"]) for row in self._boxes.certificates(identifier, "box-transport")}
        if certificate in own:
            self._boxes.confirm(certificate, at)
        return certificate in own

    def seal_certificate(self, identifier: str) -> bytes:
        """To which certificate (DER) returns are sealed: the newest that the box is known to have in force;
        Deferred ENR-010 for who is out of force."""
        rows = [row for row in self._boxes.certificates(identifier, "box-seal") if row["confirmed"]]
        if rows and not self._boxes.excluded(identifier):
            return bytes(rows[0]["der"])
        if self._boxes.excluded(identifier) or self._boxes.last(identifier) or identifier not in self._seals:
            text = f"Le boîtier {identifier} n'est plus en vigueur : ses retours attendent un nouvel enrôlement."
            raise Deferred("ENR-010", text, Scope.ROUTE)
        return self._seals[identifier]

    def recipients(self, identifier: str) -> tuple[str, ...]:
        """To which certificates (SHA-256) that must be sealed which this partner is handed; none for who is out of
        force.  '' is among them: returns that were made before their recipient was kept."""
        if self._boxes.excluded(identifier):
            return ()
        found = tuple(row["certificate"] for row in self._boxes.certificates(identifier, "box-seal"))
        if not found and self._boxes.last(identifier) is None and identifier in self._seals:
            found = (hashlib.sha256(self._seals[identifier]).hexdigest(),)
        return ("", *found) if found else ()

    def sign_certificates(self, identifier: str) -> tuple[bytes, ...]:
        """The certificates (DER) by which the box of a partner signs its journal; none where none is known."""
        enrolled = tuple(bytes(row["der"]) for row in self._boxes.certificates(identifier, "box-sign"))
        return enrolled or self._signs.get(identifier, ())


def _declared(path: Path) -> list[bytes]:
    try:
        return load_certificates(path.read_bytes())
    except OSError as trouble:
        raise Refused("OCT-001", f"{path} ne peut pas être lu : {os_words(trouble)}.", Scope.BOX) from None

"""Which certificates are in force, as the keeper follows it: read anew when they change, and what that entails.

Rules.  Whoever changed them, the enrolment command or a renewal, the keeper takes the new ones up without a restart,
and the journal says since when they are in force.  What waits sealed to an OCT certificate that is not in force any
more is sealed again.  An old key that opens is kept for ``KEEP_DAYS`` at least, until the OCT has sealed something to
the new one and nothing here names the old; then it is destroyed by its owner, and the journal says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from gateway.envelope.algorithms import public_key
from gateway.envelope.box_keys import KEYS, BoxKey
from gateway.envelope.identifiers import issuer_and_serial
from gateway.envelope.requests import mark
from gateway.fichier import State, Verb
from gateway.formats.days import iso
from gateway.process import keyring
from gateway.process.renewal import OwnKeys
from gateway.services.keeper.desk import Desk, entry_name
from gateway.services.keeper.keys import read_keys, read_trust

KEEP_DAYS = 90
"""How long an old key stays at least: as long as sealed copies are kept."""

_HEAD = 1 << 20
"""The recipients of an envelope stand within these bytes (``envelope.seal``)."""


def take_up(desk: Desk, *, reading: bool = True) -> None:
    """Note the certificates in force, and act on it where they are new; ``reading`` has the keys read again."""
    name = keyring.generation(desk.paths)
    if not name or not _note(desk, name):
        return
    if reading:
        desk.keys, desk.trust = read_keys(desk.paths), read_trust(desk.paths, desk.book)
    _seal_again(desk)


def _note(desk: Desk, name: str) -> bool:
    """Journal a generation that is new here, and since when the former keys are former; whether it is new."""
    now = iso(desk.book.clock())
    last = desk.book.connection.execute("SELECT name FROM generations ORDER BY rowid DESC LIMIT 1").fetchone()
    if last and last["name"] == name:
        return False
    digests = {row.name: hashlib.sha256(_in_force(desk, row)).hexdigest() for row in KEYS}
    with desk.commit():
        desk.book.connection.execute("INSERT OR REPLACE INTO generations VALUES (?, ?)", (name, now))
        for row in (row for row in KEYS if row.opens):
            for certificate in keyring.generations_of(desk.paths, row.name) - {_in_force(desk, row)}:
                desk.book.connection.execute(
                    "INSERT OR IGNORE INTO former_keys (name, mark, since) VALUES (?, ?, ?)",
                    (row.name, mark(public_key(certificate)), now),
                )
        desk.book.record("", {"verb": "keys in force", "generation": name, "certificates": digests})
    return True


def _in_force(desk: Desk, row: BoxKey) -> bytes:
    return keyring.read_certificate(desk.paths.trust / f"{row.name}.pem")


def name_recipient(desk: Desk, fichier: str) -> None:
    """Remember to whom a fichier is sealed, in the transaction of its seal."""
    digest = hashlib.sha256(desk.trust.oct_seal).hexdigest()
    desk.book.connection.execute("INSERT OR REPLACE INTO seal_recipients VALUES (?, ?)", (fichier, digest))


def _seal_again(desk: Desk) -> None:
    """What waits sealed to a certificate of the OCT that is not in force goes back to be sealed.

    A transfer under way may still end: the OCT then answers the second one as a double of the first.
    """
    digest = hashlib.sha256(desk.trust.oct_seal).hexdigest()
    rows = desk.book.connection.execute(
        "SELECT id, transmission, seal FROM fichiers JOIN seal_recipients ON fichier = id"
        " WHERE state = ? AND certificate <> ?", (State.SEALED, digest),
    ).fetchall()  # fmt: skip
    for row in rows:
        desk.outgoing.withdraw(entry_name(row["id"], row["transmission"], row["seal"]))
        with desk.commit():
            desk.book.move(row["id"], Verb.UNSEAL, {"seal": row["seal"], "why": "another certificate of the OCT"})


# -- the end of old keys


def clear_away(desk: Desk, own: OwnKeys) -> None:
    """Destroy the old keys that nobody needs any more: ours here, intake's by a word through its door."""
    before = iso(desk.book.clock() - timedelta(days=KEEP_DAYS))
    rows = desk.book.connection.execute(
        "SELECT name, mark FROM former_keys WHERE destroyed = '' AND since <= ?", (before,)
    ).fetchall()
    for row, which in [(BY_OPENING[row["name"]], row["mark"]) for row in rows]:
        if _needed(desk, row, which):
            continue
        with desk.commit():
            desk.book.connection.execute(
                "UPDATE former_keys SET destroyed = ? WHERE name = ? AND mark = ?",
                (iso(desk.book.clock()), row.name, which),
            )
            desk.book.record("", {"verb": "destroy key", "name": row.name, "mark": which})
        end_key(desk, own, row, which)
    if rows:
        desk.keys = read_keys(desk.paths)


BY_OPENING = {row.name: row for row in KEYS if row.opens}


def end_key(desk: Desk, own: OwnKeys, row: BoxKey, which: str) -> None:
    """Have a key destroyed by its owner; done again it changes nothing."""
    if row.owner == "keeper":
        own.destroy(row.name, which)
    else:
        desk.counter.put(f"forget.{row.name}.{which}", b"{}")


def end_keys(desk: Desk, own: OwnKeys) -> None:
    """What a crash left between the journal and the key: done again, from the book alone."""
    for row in desk.book.connection.execute("SELECT name, mark FROM former_keys WHERE destroyed <> ''").fetchall():
        if row["name"] in BY_OPENING:
            end_key(desk, own, BY_OPENING[row["name"]], row["mark"])


def _needed(desk: Desk, row: BoxKey, which: str) -> bool:
    former = [
        one for one in keyring.generations_of(desk.paths, row.name) if mark(public_key(one)) == which
    ]  # fmt: skip
    if any(names(path, one) for one in former for path in _sealed(desk)):
        return True
    confirmed = row.owner != "keeper" or any(names(path, _in_force(desk, row)) for path in _returns(desk))
    return not confirmed


def _sealed(desk: Desk) -> Iterator[Path]:
    """Everything here that may be sealed to a key of the box."""
    yield from (path for path in desk.paths.parts.iterdir() if not path.name.startswith("."))
    for door in (desk.new, desk.arrived, desk.counter):
        yield from (door.path / name for name in door.names())


def _returns(desk: Desk) -> Iterator[Path]:
    """What the OCT sealed to us."""
    for row in desk.book.connection.execute("SELECT id FROM returns ORDER BY arrived DESC"):
        if (path := desk.parts.file(row["id"])).exists():
            yield path


def names(path: Path, certificate: bytes) -> bool:
    """Whether an envelope may be for the owner of a certificate (DER): its identifier stands among the recipients.

    Bytes are looked for, nothing is parsed: what only looks like it keeps a key longer, never shorter.
    """
    try:
        with path.open("rb") as source:
            return issuer_and_serial(certificate) in source.read(_HEAD)
    except FileNotFoundError:
        return False

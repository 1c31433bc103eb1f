"""The OCT's certificates, and the authorities above all, follow one another without anybody coming: as it announces.

Rules.  An announcement is a return, signed by our OCT.  Of roots and sector authorities that counts which proves itself
(``envelope.succession``).  The OCT's own two certificates count when they hold for their use and name whom the ones
before named.  The authorities come first: only who knows one takes its lists, without which nothing below it holds.
The last announcement counts.  Everything may be done again; where the certificates were placed by hand, a hand
changes them.
What ends, and has no successor here, is said on the ladder at ``STEPS``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import suppress

from gateway.envelope.algorithms import read_certificate
from gateway.envelope.box_keys import KEYS
from gateway.envelope.certificates import Use
from gateway.envelope.names import display_name
from gateway.envelope.succession import believed_roots, known_chain, successor
from gateway.errors import Deferred, Refused, Scope
from gateway.formats.announcement import Announcement
from gateway.formats.days import day_of, iso
from gateway.formats.enrolment import from_base64
from gateway.process import keyring
from gateway.process.enrolment import pem
from gateway.process.identity import Identity
from gateway.services.keeper import generations
from gateway.services.keeper.desk import Desk
from gateway.services.keeper.signers import state_end

ROOTS, CHAIN, SEAL, SIGN = "root.pem", "chain.pem", "oct-seal.pem", "oct-sign.pem"
_FILES = frozenset({ROOTS, CHAIN, SEAL, SIGN, *(f"{row.name}.pem" for row in KEYS)})
"""What a generation consists of."""


def keep_announcement(desk: Desk, told: Announcement) -> None:
    """Remember an announcement, in the transaction that records the return."""
    desk.book.connection.execute(
        "INSERT OR IGNORE INTO announcements (at, content) VALUES (?, ?)", (told.at, told.to_bytes())
    )


def follow(desk: Desk, *, again: bool = False) -> None:
    """Put in force what was announced last; what cannot be checked now waits, what does not hold is said.  ``again``
    looks at what was settled too: a hand may have placed a root since."""
    row = desk.book.connection.execute("SELECT * FROM announcements ORDER BY at DESC LIMIT 1").fetchone()
    before = keyring.generation(desk.paths)
    if row is None or not before or (row["settled"] and not again):
        return
    told = Announcement.from_bytes(row["content"])
    try:
        chain = [from_base64(one) for one in told.chain]
        _learn(desk, map(from_base64, told.roots), chain, chain)
        _put_in_force(desk, _certificates(desk, told))
    except Deferred as trouble:
        text = f"Les nouveaux certificats du concentrateur attendent : {trouble.text}"
        desk.condition(Scope.BOX, "announcement", trouble.code, text)
        return
    except Refused as refusal:
        text = f"Ce que le concentrateur annonce est refusé : {refusal.text}"
        desk.condition(Scope.BOX, "announcement", refusal.code, text)
        _settle(desk, row["at"], {"verb": "refuse announcement", "code": refusal.code})
        return
    desk.condition(Scope.BOX, "announcement", "", "")
    if (now := keyring.generation(desk.paths)) != before or not row["settled"]:
        _settle(desk, row["at"], {"verb": "follow announcement", "generation": now})
        state_ends(desk)


def take_shown(desk: Desk, shown: Iterable[bytes]) -> None:
    """Put in force what follows our authorities among certificates (DER) that came with something, whoever brought
    them: each proves itself, or is nothing.  A clock that is behind what others vouch for tells nothing of them."""
    before, known = keyring.generation(desk.paths), (*desk.trust.roots, *desk.trust.chain)
    new = [one for one in shown if one not in known and _readable(one)]
    if before and new and desk.book.clock() >= desk.watch.known.witness:
        _learn(desk, new, new, [one for one in new if any(successor(old, [one]) for old in desk.trust.chain)])
    if (now := keyring.generation(desk.paths)) != before:
        with desk.commit():
            desk.book.record("", {"verb": "learn authorities", "generation": now})


def _readable(certificate: bytes) -> bool:
    with suppress(Refused):
        return bool(read_certificate(certificate, Scope.ROUTE))
    return False


def _learn(desk: Desk, roots: Iterable[bytes], links: Iterable[bytes], chain: Iterable[bytes]) -> None:
    """Put in force the roots and intermediates that are new and prove themselves."""
    now = desk.book.clock()
    believed = believed_roots(desk.trust.roots, roots, links, now)
    known = known_chain(desk.trust.chain, chain, believed, now)
    changed = {ROOTS: pem(*believed)} if believed != desk.trust.roots else {}
    _put_in_force(desk, changed | ({CHAIN: pem(*known)} if known != desk.trust.chain else {}))


def _certificates(desk: Desk, told: Announcement) -> dict[str, bytes]:
    """The files of the OCT's own certificates, where they change; Refused ANN-002 for those of somebody else."""
    rows = (
        (SEAL, desk.trust.oct_seal, from_base64(told.oct_seal), Use.SEAL),
        (SIGN, desk.trust.oct_sign, from_base64(told.oct_sign), Use.SIGN_RETURN),
    )
    changed = {}
    for file, old, new, use in rows:
        if new == old:
            continue
        desk.trust.check(new, (), desk.book.clock(), use)
        if read_certificate(new, Scope.ROUTE).subject != read_certificate(old, Scope.ROUTE).subject:
            raise Refused("ANN-002", f"{file} nommerait un autre que notre concentrateur.", Scope.ROUTE)
        changed[file] = pem(new)
    return changed


def _put_in_force(desk: Desk, changed: dict[str, bytes]) -> None:
    """A generation of its own; a renewal that is under way stays what it is."""
    if not changed:
        return
    current = keyring.generation(desk.paths)
    files = {path.name: path.read_bytes() for path in (desk.paths.trust / keyring.CURRENT).glob("*.pem")}
    files = {name: content for name, content in (files | changed).items() if name in _FILES}
    name = hashlib.sha256(b"".join(name.encode() + files[name] for name in sorted(files))).hexdigest()[:16]
    with desk.commit():
        desk.book.connection.execute(
            "UPDATE renewals SET generation = ? WHERE settled = '' AND generation = ?", (name, current)
        )
    Identity(desk.paths).install(name, files, {})
    generations.take_up(desk)


def _settle(desk: Desk, at: str, fact: dict[str, object]) -> None:
    with desk.commit():
        desk.book.connection.execute("UPDATE announcements SET settled = ? WHERE at = ?", (iso(desk.book.clock()), at))
        desk.book.record("", fact)


# -- the ladder


def state_ends(desk: Desk) -> None:
    """The rungs of the ladder: which certificate of the OCT ends first, and which authority without a successor."""
    trust = desk.trust
    name, end = min(((name, _end(one)) for name, one in (("oct-seal", trust.oct_seal), ("oct-sign", trust.oct_sign))),
                    key=lambda each: each[1])  # fmt: skip
    said = f"Le certificat « {name} » du concentrateur"
    state_end(desk, Scope.BOX, "oct-certificates", "OCT-CERT", end, said, " ; il doit en annoncer un autre")
    alone = [one for group in (trust.roots, trust.chain) for one in group if successor(one, group) is None]
    first = min(alone, key=_end)
    said = f"Le certificat de l'autorité « {display_name(read_certificate(first, Scope.BOX))} »"
    after = " ; le concentrateur doit annoncer la suivante"
    state_end(desk, Scope.BOX, "authorities", "AUT-CERT", _end(first), said, after)


def _end(certificate: bytes) -> str:
    return day_of(read_certificate(certificate, Scope.BOX).not_valid_after_utc)

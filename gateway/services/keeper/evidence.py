"""The evidence of one fichier: all that shows, to who trusts nobody here, what was signed, by whom, and who took it.

What is needed is kept when it passes (``keep_…``), in the transaction of its move, and the journal row names it by
its SHA-256.  Asked for, it is put together with the fichier's journal rows, their proofs of inclusion in a checkpoint
that box-sign signed and, where the OCT countersigned them, in its receipt's head.  docs/preuve.md has the layout.

Nothing of a patient is in it: the content is not, only its digest.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

from gateway.book import exhibits
from gateway.book.moves import iso
from gateway.book.proofs import Proofs, Tree
from gateway.card.proof import proof_message
from gateway.envelope import certificates
from gateway.envelope.attributes import read_attributes
from gateway.envelope.certificates import Use, check_path, lists_of
from gateway.envelope.signed import detached
from gateway.errors import Refused
from gateway.formats import canonical
from gateway.formats.returns import ReturnHeader
from gateway.journal.chain import EVIDENCE, START, Row
from gateway.journal.checkpoint import Checkpoint, read_checkpoint
from gateway.services.keeper.asking import Answer, Ask, fichier_of
from gateway.services.keeper.audit import prepare
from gateway.services.keeper.desk import Desk
from gateway.services.keeper.reveal import record_access
from gateway.services.keeper.sealing import signature_of

VERSION = 1


# ---------------------------------------------------------------- kept when it passes


def keep_signature(desk: Desk, fichier: str, packed: bytes, paths: Iterable[certificates.Path]) -> list[str]:
    """A signature as the card gave it (``pack_signature``) with what stood behind it; the SHA-256 of each thing."""
    kept = exhibits.keep(desk.book, fichier, exhibits.SIGNATURE, [packed])
    return [*kept, *chain.from_iterable(_keep_path(desk, fichier, path) for path in paths)]


def keep_return(desk: Desk, header: ReturnHeader, signed: bytes, path: certificates.Path) -> dict[str, list[str]]:
    """What the OCT signed about a fichier; what the journal row of the return says of it."""
    if header.kind not in ("receipt", "arl") or not header.about:
        return {}
    kept = _keep_path(desk, header.about, path)
    if header.kind == "arl":  # a receipt is kept with what it countersigns
        kept += exhibits.keep(desk.book, header.about, exhibits.ARL, [signed])
    return {"exhibits": kept}


def _keep_path(desk: Desk, fichier: str, path: certificates.Path) -> list[str]:
    kept = exhibits.keep(desk.book, fichier, exhibits.CERTIFICATE, path.certificates)
    return kept + exhibits.keep(desk.book, fichier, exhibits.LIST, lists_of(path, desk.trust.crls()))


# ---------------------------------------------------------------- put together


@dataclass(frozen=True)
class _Point:
    """A checkpoint over the rows of a fichier, as it was signed, and its time stamp if it has one."""

    told: Checkpoint
    signed: bytes
    stamp: bytes | None


def evidence(desk: Desk, ask: Ask) -> Answer:
    """The files of an evidence file by name, base64; journaled in the access chain before the answer.

    Refused EVD-001 for a fichier that nobody signed, or that was signed before evidence was kept.
    """
    fichier = fichier_of(desk, ask)
    signatures = exhibits.exhibits(desk.book, fichier, exhibits.SIGNATURE)
    if not signatures:
        raise Refused("EVD-001", "Ce fichier n'a pas de signature gardée : il n'y a rien à prouver.")
    with desk.commit():
        record_access(desk, "evidence", str(ask["peer"]), "preuve d'un fichier", about=fichier)
    point = _point(desk, fichier)
    files = dict(_files(desk, fichier, point, json.loads(signatures[-1])))
    return {"id": fichier, "files": {name: base64.b64encode(content).decode() for name, content in files.items()}}


def _point(desk: Desk, fichier: str) -> _Point:
    """The first checkpoint over all rows of a fichier that was time-stamped, or else a new one."""
    last = max(row.seq for row in desk.book.journal(fichier))
    stamped = desk.book.connection.execute(
        "SELECT point.der AS signed, stamp.der AS stamp FROM proofs AS point JOIN proofs AS stamp"
        " ON stamp.kind = 'stamp' AND stamp.about = point.digest"
        " WHERE point.kind = 'checkpoint' AND point.chain = ? AND point.size >= ? ORDER BY point.size LIMIT 1",
        (EVIDENCE, last),
    ).fetchone()
    if stamped is not None:
        return _Point(read_checkpoint(stamped["signed"])[0], stamped["signed"], stamped["stamp"])
    made = prepare(desk, EVIDENCE)
    assert made is not None  # the fichier has rows
    with desk.commit():
        made.keep(desk)
    return _Point(made.checkpoint, made.signed, None)


def _files(desk: Desk, fichier: str, point: _Point, answer: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """``answer`` is the signature in force, as the card gave it."""
    signature, present = signature_of(answer), answer["authentication"]
    ours = check_path(
        desk.keys.sign_certificate, desk.trust.chain, desk.trust.roots, desk.trust.crls(), desk.book.clock(),
        Use.SIGN_JOURNAL,
    )  # fmt: skip
    known = [*exhibits.exhibits(desk.book, fichier, exhibits.CERTIFICATE), *ours.certificates]
    lists = [*exhibits.exhibits(desk.book, fichier, exhibits.LIST), *lists_of(ours, desk.trust.crls())]
    receipts = Proofs(desk.book.connection).about("receipt", fichier)
    head = max((row["size"] for row in receipts), default=0)
    yield "preuve.json", canonical.encode(_told(desk, fichier, point, answer, head))
    yield "signature.cms", detached(signature, [one for one in known[1:3] if one != signature.certificate])
    yield "presence.cer", base64.b64decode(present["certificate"])
    yield "presence.sig", base64.b64decode(present["signature"])
    yield "journal.cms", point.signed
    if point.stamp is not None:
        yield "horodatage.tst", point.stamp
    for name, contents in (
        ("recu-{}.cms", [bytes(row["der"]) for row in receipts]),
        ("arl-{}.cms", exhibits.exhibits(desk.book, fichier, exhibits.ARL)),
        ("certificats/{}.cer", dict.fromkeys(known)), ("listes/{}.crl", dict.fromkeys(lists)),
    ):  # fmt: skip
        yield from ((name.format(number), content) for number, content in enumerate(contents, start=1))


def _told(desk: Desk, fichier: str, point: _Point, answer: dict[str, Any], head: int) -> dict[str, Any]:
    """What preuve.json says; every hash in lower-case hexadecimal.  ``head``: the rows that the OCT countersigned."""
    tree = Tree(desk.book.connection, EVIDENCE)
    row, present = desk.book.fichier(fichier), answer["authentication"]
    assert row is not None
    attributes = read_attributes(base64.b64decode(answer["attributes"]))
    message = proof_message(desk.paths.box_id, base64.b64decode(present["challenge"]), bytes.fromhex(present["root"]))
    context = attributes.context
    return {
        "v": VERSION, "box": desk.paths.box_id, "fichier": fichier, "digest": row["digest"], "size": row["size"],
        "state": row["state"], "made": iso(desk.book.clock()),
        "presence": {"message": message.hex(), "at": attributes.at.strftime("%Y%m%d%H%M%SZ")},
        "signed": {"at": iso(attributes.at), "context": None if context is None else {
            "count": context.count, "total": context.total, "policy": context.policy, "origin": context.origin,
        }},
        "journal": [_proven(tree, each, point.told.size, head) for each in desk.book.journal(fichier)],
    }  # fmt: skip


def _proven(tree: Tree, row: Row, size: int, head: int) -> dict[str, Any]:
    """A journal row and its ways up: to the checkpoint, and to the OCT's last countersignature, if that has it."""
    previous = tree.head(row.seq - 1) if row.seq > 1 else START
    told = {"seq": row.seq, "text": row.text, "previous": previous.hex(), "path": _hex(tree.inclusion(row.seq, size))}
    return told | ({"head": _hex(tree.inclusion(row.seq, head))} if row.seq <= head else {})


def _hex(path: list[bytes]) -> list[str]:
    return [step.hex() for step in path]

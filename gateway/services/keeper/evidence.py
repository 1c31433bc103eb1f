"""The evidence of one fichier: all that shows, to who trusts nobody here, what was signed, by whom, and who took it.

What is needed is kept when it passes (``keep_…``), in the transaction of its move, and the journal row names it by
its SHA-256.  Asked for, it is put together with the fichier's journal rows, their proofs of inclusion in a checkpoint
that box-sign signed and, where the OCT countersigned them, in its receipt's head.  docs/preuve.md has the layout.

Nothing of a patient is in it: the content is not, only its digest.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.book import exhibits
from gateway.book.proofs import Proofs, Tree
from gateway.card.proof import proof_message
from gateway.envelope import certificates
from gateway.envelope.attributes import read_attributes
from gateway.envelope.certificates import line_of, lists_of
from gateway.envelope.signed import Signature, detached, directly_signed, read_signed
from gateway.errors import Refused
from gateway.formats import canonical
from gateway.formats.days import iso
from gateway.formats.returns import ReturnHeader
from gateway.journal.chain import EVIDENCE, START
from gateway.journal.checkpoint import Checkpoint, read_checkpoint
from gateway.services.keeper.asking import Answer, Ask, fichier_of
from gateway.services.keeper.audit import prepare
from gateway.services.keeper.desk import Desk
from gateway.services.keeper.reveal import record_access
from gateway.services.keeper.sealing import ALGORITHM, signature_of

# ---------------------------------------------------------------- kept when it passes


def keep_signature(desk: Desk, fichier: str, packed: bytes, paths: Iterable[certificates.Path]) -> list[str]:
    """A signature as the card gave it (``pack_signature``) with what stood behind it; the SHA-256 of each thing."""
    kept = exhibits.keep(desk.book, fichier, exhibits.SIGNATURE, [packed])
    return [*kept, *chain.from_iterable(_keep_path(desk, fichier, path) for path in paths)]


def keep_return(desk: Desk, header: ReturnHeader, signed: bytes, path: certificates.Path) -> dict[str, list[str] | str]:
    """What the OCT signed about a fichier; what the journal row of the return says of it."""
    if header.kind not in ("receipt", "arl") or not header.about:
        return {}
    kept = _keep_path(desk, header.about, path)
    if header.kind == "arl":  # a receipt is kept with what it countersigns
        kept += exhibits.keep(desk.book, header.about, exhibits.ARL, [signed])
    return {"exhibits": kept, "piece": hashlib.sha256(signed).hexdigest()}


def _keep_path(desk: Desk, fichier: str, path: certificates.Path) -> list[str]:
    kept = exhibits.keep(desk.book, fichier, exhibits.CERTIFICATE, path.certificates)
    lists = lists_of(path.certificates, desk.trust.crls())
    return kept + exhibits.keep(desk.book, fichier, exhibits.LIST, lists)


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
    point, answer = _point(desk, fichier), json.loads(signatures[-1])
    files = {name: base64.b64encode(content).decode() for name, content in _files(desk, fichier, point, answer)}
    return {"id": fichier, "files": files, "told": _told(desk, fichier, answer)}


def _point(desk: Desk, fichier: str) -> _Point:
    """The first checkpoint over all rows of a fichier that was time-stamped, those first of which the lists of their
    day are kept; or else a new one."""
    last = max(row.seq for row in desk.book.journal(fichier))
    stamped = desk.book.connection.execute(
        "SELECT point.der AS signed, stamp.der AS stamp FROM proofs AS point JOIN proofs AS stamp"
        " ON stamp.kind = 'stamp' AND stamp.about = point.digest"
        " WHERE point.kind = 'checkpoint' AND point.chain = ? AND point.size >= ?"
        " ORDER BY NOT EXISTS (SELECT 1 FROM exhibits_of WHERE fichier = point.digest), point.size LIMIT 1",
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
    at = read_attributes(signature.attributes).at
    known = [*exhibits.exhibits(desk.book, fichier, exhibits.CERTIFICATE), *desk.trust.chain, *desk.trust.roots]
    lists = exhibits.exhibits(desk.book, fichier, exhibits.LIST)
    receipts = Proofs(desk.book.connection).about("receipt", fichier)
    arls = exhibits.exhibits(desk.book, fichier, exhibits.ARL)
    line = line_of(signature.certificate, known, at)
    yield from _piece("signature", detached(signature, line[1:-1]), line)
    line = line_of(base64.b64decode(present["certificate"]), known, at)
    yield from _piece("presence", _presence(desk.paths.box_id, present, line), line)
    for name, signed in (
        ("journal", point.signed), *_numbered("recu", [bytes(row["der"]) for row in receipts]), *_numbered("arl", arls)
    ):  # fmt: skip
        line = _line(signed, known)
        if name == "journal":
            lists += _lists_then(desk, signed) or lists_of(line, desk.trust.crls())
        yield from _piece(name, signed, line)
    yield "listes.pem", b"".join(x509.load_der_x509_crl(one).public_bytes(Encoding.PEM) for one in dict.fromkeys(lists))
    head = max((row["size"] for row in receipts), default=0)
    yield "journal.json", canonical.encode(_rows(desk, fichier, point.told.size, head))
    if point.stamp is not None:
        yield "horodatage.tst", point.stamp


def _lists_then(desk: Desk, checkpoint: bytes) -> list[bytes]:
    """The lists that served on the day of a checkpoint, if they were kept."""
    return exhibits.exhibits(desk.book, hashlib.sha256(checkpoint).hexdigest(), exhibits.LIST)


def _piece(name: str, signed: bytes, line: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    """What somebody signed, and beside it the certificates from the signer's to the root."""
    yield f"{name}.cms", signed
    yield f"{name}.pem", b"".join(x509.load_der_x509_certificate(one).public_bytes(Encoding.PEM) for one in line)


def _numbered(name: str, contents: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    return ((f"{name}-{number}", content) for number, content in enumerate(contents, start=1))


def _line(signed: bytes, known: list[bytes]) -> tuple[bytes, ...]:
    content = read_signed(io.BytesIO(signed), None, len(signed))
    return line_of(content.signature.certificate, [*known, *content.chain], content.attributes.at)


def _presence(box_id: str, present: dict[str, Any], line: tuple[bytes, ...]) -> bytes:
    """The card's answer to its challenge, as openssl checks it."""
    message = proof_message(box_id, base64.b64decode(present["challenge"]), bytes.fromhex(present["root"]))
    signature = Signature(b"", base64.b64decode(present["signature"]), line[0], ALGORITHM)
    return directly_signed(message, signature, line[1:-1])


def _told(desk: Desk, fichier: str, answer: dict[str, Any]) -> dict[str, Any]:
    """What a person is told of it beside the files; nobody has to believe it."""
    row, attributes = desk.book.fichier(fichier), read_attributes(signature_of(answer).attributes)
    assert row is not None
    context = attributes.context
    return {
        "box": desk.paths.box_id, "digest": row["digest"], "size": row["size"], "state": row["state"],
        "made": iso(desk.book.clock()), "signed": iso(attributes.at),
        "context": context and {"count": context.count, "total": context.total, "policy": context.policy},
    }  # fmt: skip


def _rows(desk: Desk, fichier: str, size: int, head: int) -> list[dict[str, Any]]:
    """The journal rows of a fichier, each with its ways up: under the checkpoint over ``size`` rows, and under the
    longest head that the OCT countersigned (``head`` rows), where the row did not come later."""
    tree = Tree(desk.book.connection, EVIDENCE)
    return [
        {
            "text": row.text,
            "previous": (tree.head(row.seq - 1) if row.seq > 1 else START).hex(),
            "path": _hex(tree.inclusion(row.seq, size)),
            "head": _hex(tree.inclusion(row.seq, head)) if row.seq <= head else [],
        }
        for row in desk.book.journal(fichier)
    ]


def _hex(path: list[bytes]) -> list[str]:
    return [step.hex() for step in path]

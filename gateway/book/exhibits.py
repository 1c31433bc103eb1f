"""Exhibits: what an evidence file needs beside the journal's rows, kept as long as the journal; nothing of a patient.

The signature as the card gave it, the certificates and revocation lists that stood behind it at the time, the OCT's
answers as they were signed.  An exhibit is kept once under its SHA-256, by which the journal rows name it; a list
serves many fichiers.  A daily checkpoint has its lists too, under its SHA-256 in the place of a fichier.
Writing is done in the caller's transaction.

A list of megabytes comes each day and is nearly the one of the day before.  So it is kept as its changes to one before
it, its base, as long as they are small beside it.  Ranks count from the last list that is whole, and a base is found by
taking the lowest bit from the rank: 13 rests on 12, that on 8, that on 0.  So a list is no more steps away from a whole
one than its rank has bits, and a change is written as many times at most.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable

from gateway.book.moves import Book
from gateway.envelope.changes import changed, changes
from gateway.envelope.lists import series
from gateway.envelope.revocation import load_list
from gateway.errors import Refused, Scope

SIGNATURE, CERTIFICATE, LIST, ARL = "signature", "certificate", "list", "arl"

WORTH = 4
"""A list is kept whole where its changes, deflated, are more than this part of it; whole, it deflates to about half."""


def keep(book: Book, fichier: str, kind: str, contents: Iterable[bytes]) -> list[str]:
    """Keep exhibits of a fichier; their SHA-256 in order."""
    digests = []
    for content in contents:
        digest = hashlib.sha256(content).hexdigest()
        if book.connection.execute("SELECT 1 FROM exhibits WHERE digest = ?", (digest,)).fetchone() is None:
            _add(book, digest, kind, content)
        book.connection.execute("INSERT OR IGNORE INTO exhibits_of (fichier, digest) VALUES (?, ?)", (fichier, digest))
        digests.append(digest)
    return digests


def _add(book: Book, digest: str, kind: str, content: bytes) -> None:
    found = load_list(content) if kind == LIST else None
    whose = series(found) if found else ""
    rank, base = _place(book, whose)
    packed = _changes(book, base, content) if base else None
    if packed is None:
        rank, base, packed = 0, None, zlib.compress(content)
    book.connection.execute("INSERT INTO exhibits (digest, kind, content) VALUES (?, ?, ?)", (digest, kind, packed))
    if whose:
        book.connection.execute("INSERT INTO editions VALUES (?, ?, ?, ?)", (digest, whose, rank, base))


def _place(book: Book, whose: str) -> tuple[int, str | None]:
    """The rank of the next list of a series, and its base; where that was dropped, the one before it."""
    query = "SELECT digest, rank FROM editions WHERE series = ?{} ORDER BY rowid DESC LIMIT 1"
    last = book.connection.execute(query.format(""), (whose,)).fetchone()
    if last is None:
        return 0, None
    rank = last["rank"] + 1
    base = book.connection.execute(query.format(" AND rank <= ?"), (whose, rank & (rank - 1))).fetchone()
    return rank, base["digest"] if base else None


def _changes(book: Book, base: str, content: bytes) -> bytes | None:
    """A list as its changes to another, deflated; None where it is better kept whole."""
    try:
        packed = zlib.compress(changes(_content(book, base), content))
    except Refused:  # a list whose entries cannot be told apart, or a base that is damaged
        return None
    return packed if len(packed) * WORTH <= len(content) else None


def drop(book: Book, fichier: str) -> None:
    """Forget the exhibits of a fichier that no other needs, in the caller's transaction.

    A list on which others rest stays until the last of them goes.
    """
    query = "DELETE FROM exhibits_of WHERE fichier = ? RETURNING digest"
    own = [row["digest"] for row in book.connection.execute(query, (fichier,)).fetchall()]
    while own:
        gone = book.connection.execute(
            "DELETE FROM exhibits AS one WHERE digest IN (SELECT value FROM json_each(?))"
            " AND NOT EXISTS (SELECT 1 FROM exhibits_of AS named WHERE named.digest = one.digest)"
            " AND NOT EXISTS (SELECT 1 FROM editions WHERE base = one.digest) RETURNING digest", (json.dumps(own),),
        ).fetchall()  # fmt: skip
        rested = book.connection.execute(
            "DELETE FROM editions WHERE digest IN (SELECT value FROM json_each(?)) RETURNING base",
            (json.dumps([row["digest"] for row in gone]),),
        ).fetchall()
        own = [row["base"] for row in rested if row["base"]]


def exhibits(book: Book, fichier: str, kind: str) -> list[bytes]:
    """The exhibits of a fichier of one kind, in the order in which they came; Refused BOX-001 for a damaged one."""
    rows = book.connection.execute(
        "SELECT digest FROM exhibits JOIN exhibits_of USING (digest) WHERE fichier = ? AND kind = ?"
        " ORDER BY exhibits_of.rowid", (fichier, kind),
    )  # fmt: skip
    return [_content(book, row["digest"]) for row in rows.fetchall()]


def _content(book: Book, digest: str) -> bytes:
    """An exhibit: the whole one on which it rests, changed step by step, never more than two of them in memory."""
    line = book.connection.execute(
        "WITH RECURSIVE line (digest, place) AS (SELECT ?, 0 UNION ALL"
        " SELECT base, place + 1 FROM editions JOIN line USING (digest) WHERE base IS NOT NULL)"
        " SELECT digest FROM line ORDER BY place DESC", (digest,),
    ).fetchall()  # fmt: skip
    whole, *later = (row["digest"] for row in line)
    try:
        content = _unpacked(book, whole)
        for one in later:
            content = changed(content, _unpacked(book, one))
    except (zlib.error, IndexError):
        content = b""
    if hashlib.sha256(content).hexdigest() != digest:
        raise Refused("BOX-001", f"Le livre est endommagé : la pièce {digest[:8]} n'en sort plus entière.", Scope.BOX)
    return content


def _unpacked(book: Book, digest: str) -> bytes:
    row = book.connection.execute("SELECT content FROM exhibits WHERE digest = ?", (digest,)).fetchone()
    return zlib.decompress(row["content"])

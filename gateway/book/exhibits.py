"""Exhibits: what an evidence file needs beside the journal's rows, kept as long as the journal; nothing of a patient.

The signature as the card gave it, the certificates and revocation lists that stood behind it at the time, the OCT's
answers as they were signed.  An exhibit is kept once under its SHA-256, by which the journal rows name it; a list
serves many fichiers.  A daily checkpoint has its lists too, under its SHA-256 in the place of a fichier.
Writing is done in the caller's transaction.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable

from gateway.book.moves import Book

SIGNATURE, CERTIFICATE, LIST, ARL = "signature", "certificate", "list", "arl"


def keep(book: Book, fichier: str, kind: str, contents: Iterable[bytes]) -> list[str]:
    """Keep exhibits of a fichier; their SHA-256 in order."""
    digests = []
    for content in contents:
        digest = hashlib.sha256(content).hexdigest()
        book.connection.execute(
            "INSERT OR IGNORE INTO exhibits (digest, kind, content) VALUES (?, ?, ?)",
            (digest, kind, zlib.compress(content)),
        )
        book.connection.execute("INSERT OR IGNORE INTO exhibits_of (fichier, digest) VALUES (?, ?)", (fichier, digest))
        digests.append(digest)
    return digests


def drop(book: Book, fichier: str) -> None:
    """Forget the exhibits of a fichier that no other needs, in the caller's transaction."""
    query = "DELETE FROM exhibits_of WHERE fichier = ? RETURNING digest"
    own = [row["digest"] for row in book.connection.execute(query, (fichier,)).fetchall()]
    book.connection.execute(
        "DELETE FROM exhibits WHERE digest IN (SELECT value FROM json_each(?))"
        " AND digest NOT IN (SELECT digest FROM exhibits_of)", (json.dumps(own),),
    )  # fmt: skip


def exhibits(book: Book, fichier: str, kind: str) -> list[bytes]:
    """The exhibits of a fichier of one kind, in the order in which they came."""
    rows = book.connection.execute(
        "SELECT content FROM exhibits JOIN exhibits_of USING (digest) WHERE fichier = ? AND kind = ?"
        " ORDER BY exhibits_of.rowid", (fichier, kind),
    )  # fmt: skip
    return [zlib.decompress(row["content"]) for row in rows]

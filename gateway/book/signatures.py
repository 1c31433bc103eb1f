"""Signatures that are no longer in force: of each fichier at most one is.

Rules.  What is void here is never committed again, whoever kept it and whatever the clock or a later list says of
its certificate.  Why it became void is told by the journal row of the move that goes with it.
"""

from __future__ import annotations

from gateway.book.moves import Book


def void(book: Book, fichier: str, signature: str) -> dict[str, str]:
    """Drop the signature (its SHA-256, hexadecimal) of a fichier and what was sealed with it, in the transaction of the
    move; what the journal says of it: the signature's digest and that of its part."""
    part = book.part(fichier, "signature")
    book.connection.execute("INSERT INTO void_signatures (signature, fichier) VALUES (?, ?)", (signature, fichier))
    book.connection.execute("DELETE FROM parts WHERE fichier = ? AND role IN (?, ?)", (fichier, "signature", "sealed"))
    book.connection.execute("UPDATE fichiers SET signer = '' WHERE id = ?", (fichier,))
    return {"signature": signature, "part": part.digest}


def is_void(book: Book, signature: str) -> bool:
    """Whether a signature (its SHA-256, hexadecimal) was in force once and is not to be again."""
    found = book.connection.execute("SELECT 1 FROM void_signatures WHERE signature = ?", (signature,)).fetchone()
    return found is not None

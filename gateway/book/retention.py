"""What the book no longer needs: which copies and rows are due, and the two halves of each destruction.

Rules.  Destruction is an intent, then the act, then the proof: the intent takes the things out of every row that
could use them, in one transaction; the proof is a row of the evidence chain, written once they are gone.  What a
crash cut is found in ``destroying`` and goes on.  Moments are ISO UTC texts; ``before`` excludes itself.
Nothing here removes a file, and no clock is read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.book import exhibits
from gateway.book.moves import Book, Fact
from gateway.fichier import FINAL

COPIES, SIGNATURES, RETURNS, FOLLOW, DIGESTS, NAMES = "copies", "signatures", "returns", "follow", "digests", "names"
"""Classes, as proofs name them."""

ROLES: Mapping[str, tuple[str, ...]] = {COPIES: ("received", "sealed"), SIGNATURES: ("signature",)}
"""Parts of a fichier, by class."""

EVIDENCE_KINDS = ("receipt", "arl")
"""Returns of which the original, signed by the OCT and without a patient, stays as evidence."""

OWN_KINDS = ("keys", "trust")
"""Returns that are for the box itself, which keeps what they say."""

CLOSED = "(suivi clos)"
"""What stands in place of the practice's file name once the follow-up is over."""

_LAST = ("seal_recipients", "void_signatures")
"""Tables that speak of a fichier for as long as it has a row."""

_FINAL = "(" + ", ".join(f"'{state}'" for state in sorted(FINAL)) + ")"
_SENT = "CASE WHEN f.state = 'INTEGRATED' AND f.sent <> '' THEN f.sent ELSE f.since END"
"""From when a final fichier is counted: its sending; a refused one its refusal, which is later."""

_OPEN = (
    "EXISTS (SELECT 1 FROM factures v WHERE v.fichier = f.id AND f.state = 'INTEGRATED'"
    " AND ((v.amo > 0 AND v.amo_state NOT IN ('P', 'R')) OR (v.amc > 0 AND v.amc_state NOT IN ('P', 'R'))))"
)
_SETTLED = "coalesce((SELECT max(v.settled) FROM factures v WHERE v.fichier = f.id), '')"


def _ids(book: Book, query: str, *arguments: str) -> list[str]:
    return [str(row[0]) for row in book.connection.execute(query, arguments)]


# -- what is due


def due_parts(book: Book, kind: str, before: str) -> list[str]:
    """Final fichiers whose parts of class ``kind`` are older than wanted, oldest first."""
    roles = ", ".join(f"'{role}'" for role in ROLES[kind])
    return _ids(
        book,
        f"SELECT DISTINCT f.id FROM fichiers f JOIN parts p ON p.fichier = f.id AND p.role IN ({roles})"  # noqa: S608
        f" WHERE f.state IN {_FINAL} AND {_SENT} < ? ORDER BY {_SENT}, f.id", before,
    )  # fmt: skip


def due_returns(book: Book, picked_before: str, unread_before: str) -> list[str]:
    """Returns that the practice has had for long enough, and unreadable ones that nobody will read any more."""
    return _ids(
        book,
        "SELECT id FROM returns WHERE destroyed = '' AND ((picked <> '' AND picked < ?)"
        " OR (kind = 'unread' AND arrived < ?)) ORDER BY arrived, id", picked_before, unread_before,
    )  # fmt: skip


def due_originals(book: Book, before: str) -> list[str]:
    """Returns whose sealed original is of no more use: what the OCT signed is kept as evidence, or was for the box.

    They would keep the key that they are sealed to for as long as themselves.
    """
    own, evidence = (", ".join(f"'{kind}'" for kind in kinds) for kinds in (OWN_KINDS, EVIDENCE_KINDS))
    kept = "SELECT digest FROM proofs UNION SELECT digest FROM exhibits"
    return _ids(
        book,
        f"SELECT id FROM returns WHERE opened = '' AND delivery = '' AND arrived < ? AND"  # noqa: S608
        f" (kind IN ({own}) OR (kind IN ({evidence}) AND signed IN ({kept}))) ORDER BY arrived, id", before,
    )  # fmt: skip


def due_follow(book: Book, settled_before: str, sent_before: str) -> list[str]:
    """Fichiers without copies whose factures are all settled for long enough, or will be paid no more."""
    return _ids(
        book,
        f"SELECT f.id FROM fichiers f WHERE f.destroyed <> '' AND f.name <> ? AND f.state IN {_FINAL} AND"  # noqa: S608
        f" ({_SENT} < ? OR (NOT {_OPEN} AND max({_SETTLED}, {_SENT}) < ?)) ORDER BY f.id",
        CLOSED, sent_before, settled_before,
    )  # fmt: skip


def due_digests(book: Book, before: str) -> list[str]:
    """Fichiers of which nothing is left but that they were there."""
    return _ids(
        book,
        f"SELECT f.id FROM fichiers f WHERE f.name = ? AND {_SENT} < ?"  # noqa: S608
        " AND NOT EXISTS (SELECT 1 FROM parts p WHERE p.fichier = f.id) ORDER BY f.id", CLOSED, before,
    )  # fmt: skip


# -- intent and proof


def intend(book: Book, thing: str, fact: Fact) -> None:
    """Say, in the caller's transaction, that ``thing`` is being destroyed; ``fact`` becomes the proof."""
    book.connection.execute("INSERT OR REPLACE INTO destroying VALUES (?, ?)", (thing, json.dumps(fact)))


def intents(book: Book) -> list[tuple[str, dict[str, Any]]]:
    """What is being destroyed and not proven yet."""
    return [(row["object"], json.loads(row["fact"])) for row in book.connection.execute("SELECT * FROM destroying")]


def prove(book: Book, thing: str, fact: Mapping[str, Any]) -> None:
    """It is gone: write the proof and forget the intent, in the caller's transaction."""
    told = {name: value for name, value in fact.items() if name != "fichier"}
    book.record(str(fact["fichier"]), {**told, "verb": "destroy"})
    book.connection.execute("DELETE FROM destroying WHERE object = ?", (thing,))


def give_up_parts(book: Book, fichier: str, kind: str, rule: str, at: str) -> None:
    """The intent for parts of a fichier: no row names them any more."""
    marks = ", ".join("?" * len(ROLES[kind]))
    where = f"fichier = ? AND role IN ({marks})"
    rows = book.connection.execute(f"SELECT role, digest FROM parts WHERE {where} ORDER BY role",  # noqa: S608
                                   (fichier, *ROLES[kind])).fetchall()  # fmt: skip
    parts = [{"role": row["role"], "digest": row["digest"]} for row in rows]
    book.connection.execute(f"DELETE FROM parts WHERE {where}", (fichier, *ROLES[kind]))  # noqa: S608
    if kind == COPIES:
        book.connection.execute("UPDATE fichiers SET destroyed = ? WHERE id = ?", (at, fichier))
    if kind == SIGNATURES:
        exhibits.drop(book, fichier)
    intend(book, f"{kind} {fichier}", {"class": kind, "rule": rule, "fichier": fichier, "parts": parts})
    book.changed.add(fichier)


def give_up_return(book: Book, key: str, rule: str, at: str) -> None:
    """The intent for a return: its copy for the practice, and what came from the OCT unless that is evidence."""
    row = book.connection.execute("SELECT * FROM returns WHERE id = ?", (key,)).fetchone()
    parts = [{"role": "delivery", "digest": row["delivery"]}] if row["delivery"] else []
    if row["kind"] not in EVIDENCE_KINDS:
        parts.append({"role": "return", "digest": key})
    book.connection.execute("UPDATE returns SET delivery = '', destroyed = ? WHERE id = ?", (at, key))
    fact = {"class": RETURNS, "rule": rule, "fichier": "", "part": key, "kind": row["kind"], "parts": parts}
    intend(book, f"{RETURNS} {key}", fact)


def give_up_original(book: Book, key: str, rule: str, at: str) -> None:
    """The intent for the sealed original of a return of which the book has what matters."""
    row = book.connection.execute("SELECT kind, signed FROM returns WHERE id = ?", (key,)).fetchone()
    book.connection.execute("UPDATE returns SET opened = ? WHERE id = ?", (at, key))
    fact = {"class": RETURNS, "rule": rule, "fichier": "", "part": key, "kind": row["kind"], "kept": row["signed"],
            "parts": [{"role": "return", "digest": key}]}  # fmt: skip
    intend(book, f"{RETURNS} {key} sealed", fact)


# -- rows that need no intent: their transaction is act and proof


def end_follow(book: Book, fichier: str, rule: str) -> None:
    """Delete lots, factures and findings of a fichier, and its name; its digest stays."""
    counts: dict[str, int] = {}
    for table in ("findings", "factures", "lots"):
        counts[table] = book.connection.execute(f"DELETE FROM {table} WHERE fichier = ?", (fichier,)).rowcount  # noqa: S608
    book.connection.execute(
        "UPDATE fichiers SET name = ?, reason_text = '', held_reason = '' WHERE id = ?", (CLOSED, fichier)
    )
    book.record(fichier, {"verb": "destroy", "class": FOLLOW, "rule": rule, "rows": counts})


def end_digests(book: Book, fichiers: Sequence[str], rule: str) -> None:
    """Forget that these fichiers were there; the journal still tells it."""
    for fichier in fichiers:
        for table in _LAST:
            book.connection.execute(f"DELETE FROM {table} WHERE fichier = ?", (fichier,))  # noqa: S608
        book.connection.execute("DELETE FROM fichiers WHERE id = ?", (fichier,))
        book.record(fichier, {"verb": "destroy", "class": DIGESTS, "rule": rule})


# -- figures


def figures(book: Book) -> dict[str, Any]:
    """How much of each class there is, and the day of the oldest; for the report."""

    def one(query: str) -> dict[str, Any]:
        row = book.connection.execute(query).fetchone()
        return {"count": row[0], "oldest": row[1] or ""}

    return {
        COPIES: one(f"SELECT count(*), min({_SENT}) FROM fichiers f WHERE destroyed = ''"),  # noqa: S608
        "under_way": one(f"SELECT count(*), min(received) FROM fichiers f WHERE state NOT IN {_FINAL}"),  # noqa: S608
        SIGNATURES: one("SELECT count(*), min(f.since) FROM parts p JOIN fichiers f ON f.id = p.fichier"
                        " WHERE p.role = 'signature'"),
        RETURNS: one("SELECT count(*), min(arrived) FROM returns WHERE destroyed = '' AND kind <> 'receipt'"),
        FOLLOW: one("SELECT count(*), min(f.received) FROM factures v JOIN fichiers f ON f.id = v.fichier"),
        DIGESTS: one("SELECT count(*), min(received) FROM fichiers"),
        "destroying": one("SELECT count(*), '' FROM destroying"),
    }  # fmt: skip

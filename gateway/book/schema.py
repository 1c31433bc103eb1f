"""The tables of the book and the rule by which they change.

Migrations are additive only: a new one adds tables, columns or indexes, never alters or drops, so that the
previous version of the program can still open the book.  ``user_version`` counts the migrations applied.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.errors import Refused, Scope

MIGRATIONS = (
    """
    CREATE TABLE fichiers (
        id            TEXT PRIMARY KEY,          -- keyed hash of the plaintext, made by intake
        state         TEXT NOT NULL,
        since         TEXT NOT NULL,             -- of the state
        transmission  INTEGER NOT NULL DEFAULT 1,
        seal          TEXT,                      -- of the present sealed part
        seals         INTEGER NOT NULL DEFAULT 0,
        name          TEXT NOT NULL,             -- as the practice named it
        channel       TEXT NOT NULL,
        received      TEXT NOT NULL,
        size          INTEGER NOT NULL,          -- plaintext, bytes
        digest        TEXT NOT NULL,             -- SHA-256 of the plaintext; never leaves in clear
        kind          TEXT NOT NULL DEFAULT '',
        lots          INTEGER NOT NULL DEFAULT 0,
        factures      INTEGER NOT NULL DEFAULT 0,
        total         INTEGER NOT NULL DEFAULT 0, -- cents
        emitter       TEXT NOT NULL DEFAULT '',
        not_before    REAL NOT NULL DEFAULT 0,   -- Unix seconds
        attempts      INTEGER NOT NULL DEFAULT 0,
        reason_code   TEXT NOT NULL DEFAULT '',
        reason_text   TEXT NOT NULL DEFAULT '',
        reason_scope  TEXT NOT NULL DEFAULT '',
        held_reason   TEXT NOT NULL DEFAULT '',
        held_since    TEXT NOT NULL DEFAULT '',
        held_by       TEXT NOT NULL DEFAULT '',
        claim_state   TEXT NOT NULL DEFAULT '',
        claim_boot    TEXT NOT NULL DEFAULT '',
        deaths        INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX fichiers_state ON fichiers (state, received);

    CREATE TABLE parts (
        fichier TEXT NOT NULL REFERENCES fichiers (id),
        role    TEXT NOT NULL,                   -- received | signature | sealed
        digest  TEXT NOT NULL,                   -- SHA-256 of the bytes at rest = its file name
        size    INTEGER NOT NULL,
        PRIMARY KEY (fichier, role)
    ) STRICT;

    CREATE TABLE findings (
        fichier  TEXT NOT NULL REFERENCES fichiers (id),
        rank     INTEGER NOT NULL,
        record   INTEGER NOT NULL,
        position INTEGER NOT NULL,
        code     TEXT NOT NULL,
        text     TEXT NOT NULL,
        severity TEXT NOT NULL,
        PRIMARY KEY (fichier, rank)
    ) STRICT;

    CREATE TABLE lots (
        fichier     TEXT NOT NULL REFERENCES fichiers (id),
        rank        INTEGER NOT NULL,
        emitter     TEXT NOT NULL,
        destination TEXT NOT NULL,
        number      TEXT NOT NULL,
        date        TEXT NOT NULL,
        factures    INTEGER NOT NULL,
        amo         INTEGER NOT NULL,
        amc         INTEGER NOT NULL,
        arl         TEXT NOT NULL DEFAULT '',    -- '' | positive | negative
        arl_code    TEXT NOT NULL DEFAULT '',
        arl_text    TEXT NOT NULL DEFAULT '',
        arl_at      TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (fichier, rank)
    ) STRICT;
    CREATE INDEX lots_key ON lots (emitter, number, date);

    CREATE TABLE factures (
        fichier   TEXT NOT NULL REFERENCES fichiers (id),
        lot       INTEGER NOT NULL,              -- rank of its lot
        rank      INTEGER NOT NULL,              -- within the lot
        emitter   TEXT NOT NULL,
        number    TEXT NOT NULL,
        patient   TEXT NOT NULL,                 -- keyed pseudonym of the NIR
        care_date TEXT NOT NULL,
        spent     INTEGER NOT NULL,
        amo       INTEGER NOT NULL,              -- asked, cents
        amc       INTEGER NOT NULL,
        amo_state TEXT NOT NULL DEFAULT '',      -- '' | P | R | D
        amc_state TEXT NOT NULL DEFAULT '',
        amo_paid  INTEGER NOT NULL DEFAULT 0,
        amc_paid  INTEGER NOT NULL DEFAULT 0,
        reject_code TEXT NOT NULL DEFAULT '',
        reject_text TEXT NOT NULL DEFAULT '',
        settled   TEXT NOT NULL DEFAULT '',      -- when the last return spoke of it
        PRIMARY KEY (fichier, lot, rank)
    ) STRICT;
    CREATE INDEX factures_key ON factures (emitter, number);

    CREATE TABLE returns (
        id       TEXT PRIMARY KEY,               -- SHA-256 of the bytes as they arrived
        kind     TEXT NOT NULL,                  -- receipt | arl | rsp | opaque
        name     TEXT NOT NULL,
        about    TEXT NOT NULL,                  -- fichier id or ''
        at       TEXT NOT NULL,
        arrived  TEXT NOT NULL,
        delivery TEXT NOT NULL,                  -- part sealed to box-delivery, '' for a receipt
        size     INTEGER NOT NULL,
        picked   TEXT NOT NULL DEFAULT '',
        offered  INTEGER NOT NULL DEFAULT 1      -- counts deliveries on demand
    ) STRICT;

    CREATE TABLE conditions (
        scope   TEXT NOT NULL,                   -- route | card | box
        name    TEXT NOT NULL,
        code    TEXT NOT NULL,                   -- '' = well
        text    TEXT NOT NULL,
        since   TEXT NOT NULL,
        detail  TEXT NOT NULL DEFAULT '{}',
        PRIMARY KEY (scope, name)
    ) STRICT;

    CREATE TABLE journal (
        chain   TEXT NOT NULL,
        seq     INTEGER NOT NULL,
        fichier TEXT NOT NULL,
        text    TEXT NOT NULL,
        hash    BLOB NOT NULL,
        PRIMARY KEY (chain, seq)
    ) STRICT;
    CREATE INDEX journal_fichier ON journal (fichier);
    """,
    """
    ALTER TABLE fichiers ADD COLUMN signer TEXT NOT NULL DEFAULT '';  -- SHA-256 of the signer's certificate

    -- rpps: the identifier of a card holder (formats.holder), an RPPS or another's
    CREATE TABLE practitioners (
        rpps  TEXT NOT NULL,
        name  TEXT NOT NULL,
        since TEXT NOT NULL,                     -- days of Paris, both included; '' is open
        until TEXT NOT NULL
    ) STRICT;

    CREATE TABLE emitters (
        number TEXT NOT NULL,
        rpps   TEXT NOT NULL,                    -- whose number it is
        since  TEXT NOT NULL,
        until  TEXT NOT NULL
    ) STRICT;

    CREATE TABLE cards (
        certificate TEXT NOT NULL,               -- SHA-256 of its signature certificate
        rpps        TEXT NOT NULL,
        since       TEXT NOT NULL,
        until       TEXT NOT NULL
    ) STRICT;

    CREATE TABLE mandates (
        rpps    TEXT NOT NULL,
        emitter TEXT NOT NULL,
        role    TEXT NOT NULL,                   -- titulaire | remplaçant | secrétariat
        since   TEXT NOT NULL,
        until   TEXT NOT NULL
    ) STRICT;

    CREATE TABLE absences (
        rpps  TEXT NOT NULL,
        since TEXT NOT NULL,
        until TEXT NOT NULL
    ) STRICT;

    CREATE TABLE signers (
        certificate TEXT PRIMARY KEY,            -- SHA-256 of the certificate of a signature that was committed
        rpps        TEXT NOT NULL,
        name        TEXT NOT NULL,
        since       TEXT NOT NULL,               -- days between which the certificate is valid
        until       TEXT NOT NULL,
        der         BLOB NOT NULL
    ) STRICT;
    """,
    """
    ALTER TABLE fichiers ADD COLUMN begun INTEGER NOT NULL DEFAULT 1;  -- the present seal may have begun to leave

    CREATE TABLE void_signatures (
        signature TEXT PRIMARY KEY,              -- SHA-256 of a signature that was withdrawn, or refused by the OCT
        fichier   TEXT NOT NULL REFERENCES fichiers (id)
    ) STRICT;
    """,
    """
    CREATE TABLE journal_nodes (                 -- roots of complete subtrees of each chain's Merkle tree
        chain  TEXT NOT NULL,
        level  INTEGER NOT NULL,
        number INTEGER NOT NULL,
        hash   BLOB NOT NULL,
        PRIMARY KEY (chain, level, number)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE proofs (                        -- what was signed about the journal
        id      INTEGER PRIMARY KEY AUTOINCREMENT,
        kind    TEXT NOT NULL,                   -- checkpoint | receipt | stamp
        chain   TEXT NOT NULL,
        size    INTEGER NOT NULL,                -- rows that it covers; 0: none
        root    BLOB NOT NULL,
        about   TEXT NOT NULL,                   -- fichier of a receipt; SHA-256 of what a stamp covers
        at      TEXT NOT NULL,
        der     BLOB NOT NULL,                   -- as it was signed
        digest  TEXT NOT NULL,                   -- SHA-256 of it
        carried INTEGER NOT NULL DEFAULT 0       -- a checkpoint that went out with a fichier
    ) STRICT;
    CREATE INDEX proofs_kind ON proofs (kind, chain, size);
    CREATE INDEX proofs_about ON proofs (about);

    CREATE TABLE segments (                      -- how far the journal is in files, by chain and file
        chain  TEXT NOT NULL,
        number INTEGER NOT NULL,
        first  INTEGER NOT NULL,
        last   INTEGER NOT NULL,
        PRIMARY KEY (chain, number)
    ) STRICT;

    CREATE TABLE stamp_requests (                -- put to the time stamping authority, not yet answered
        imprint TEXT PRIMARY KEY,
        proof   INTEGER NOT NULL REFERENCES proofs (id),
        request BLOB NOT NULL,
        at      TEXT NOT NULL
    ) STRICT;
    """,
    """
    ALTER TABLE fichiers ADD COLUMN sent TEXT NOT NULL DEFAULT '';       -- when it last was
    ALTER TABLE fichiers ADD COLUMN destroyed TEXT NOT NULL DEFAULT '';  -- its sealed copies, when
    ALTER TABLE returns ADD COLUMN destroyed TEXT NOT NULL DEFAULT '';

    CREATE TABLE destroying (
        object TEXT PRIMARY KEY,                 -- what is being destroyed and not yet proven to be
        fact   TEXT NOT NULL                     -- the journal row to be written then, JSON
    ) STRICT;
    """,
    """
    CREATE TABLE exhibits (                      -- what evidence needs beside the journal; nothing of a patient
        digest  TEXT PRIMARY KEY,                -- SHA-256 of the content
        kind    TEXT NOT NULL,                   -- signature | certificate | list | arl
        content BLOB NOT NULL                    -- deflated
    ) STRICT;

    CREATE TABLE exhibits_of (
        fichier TEXT NOT NULL,
        digest  TEXT NOT NULL REFERENCES exhibits (digest),
        UNIQUE (fichier, digest)
    ) STRICT;
    """,
    """
    CREATE TABLE lists (
        authority TEXT PRIMARY KEY,              -- SHA-256 of the public key that signs its revocation lists
        number    TEXT NOT NULL,                 -- of the last list that was taken; numbers only grow
        since     TEXT NOT NULL,
        until     TEXT NOT NULL,
        digest    TEXT NOT NULL                  -- SHA-256 of the list
    ) STRICT;

    CREATE TABLE moments (
        name TEXT PRIMARY KEY,                   -- witness: the latest that others signed | own: our last commit
        at   TEXT NOT NULL,
        what TEXT NOT NULL                       -- what says so, in words
    ) STRICT;
    """,
    """
    CREATE TABLE key_requests (
        name    TEXT PRIMARY KEY,                -- of a key of the box that its owner renews
        mark    TEXT NOT NULL,
        request BLOB NOT NULL,                   -- PKCS #10, DER
        at      TEXT NOT NULL
    ) STRICT;

    CREATE TABLE renewals (
        request TEXT PRIMARY KEY,                -- SHA-256 of what was asked
        content BLOB NOT NULL,
        generation TEXT NOT NULL,                -- in force when it was asked; under another it counts no more
        at      TEXT NOT NULL,
        sends   INTEGER NOT NULL DEFAULT 0,
        offered TEXT NOT NULL DEFAULT '',        -- when it was last put into outgoing/
        answer  BLOB NOT NULL DEFAULT x'',
        settled TEXT NOT NULL DEFAULT ''         -- when its certificates were put in force, or refused
    ) STRICT;

    CREATE TABLE generations (
        name TEXT PRIMARY KEY,                   -- of a set of certificates that was in force
        at   TEXT NOT NULL                       -- since when, as the keeper saw it
    ) STRICT;

    CREATE TABLE former_keys (
        name      TEXT NOT NULL,
        mark      TEXT NOT NULL,
        since     TEXT NOT NULL,                 -- when another took its place
        destroyed TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (name, mark)
    ) STRICT;

    CREATE TABLE seal_recipients (
        fichier     TEXT PRIMARY KEY REFERENCES fichiers (id),
        certificate TEXT NOT NULL                -- SHA-256 of the OCT's certificate of the present seal
    ) STRICT;
    """,
    """
    ALTER TABLE returns ADD COLUMN signed TEXT NOT NULL DEFAULT '';  -- SHA-256 of what the OCT signed; '' unknown
    CREATE INDEX returns_signed ON returns (signed) WHERE signed <> '';
    """,
    """
    CREATE TABLE announcements (                 -- what the OCT said of itself and of those above it
        at      TEXT PRIMARY KEY,                -- by the OCT; the last one counts
        content BLOB NOT NULL,
        settled TEXT NOT NULL DEFAULT ''         -- when it was in force whole, or refused
    ) STRICT;
    """,
    """
    ALTER TABLE returns ADD COLUMN opened TEXT NOT NULL DEFAULT '';  -- when its sealed original was destroyed alone
    """,
    """
    ALTER TABLE returns ADD COLUMN content TEXT NOT NULL DEFAULT '';  -- SHA-256 of what the OCT says; '' unknown
    CREATE INDEX returns_content ON returns (content) WHERE content <> '';
    """,
    """
    CREATE TABLE editions (                      -- revocation lists among the exhibits, in series
        digest TEXT PRIMARY KEY,
        series TEXT NOT NULL,                    -- what the lists of one authority share
        rank   INTEGER NOT NULL,                 -- in it, since the last that is whole, which has 0
        base   TEXT REFERENCES exhibits (digest) -- the list to which its content are the changes; NULL: it is whole
    ) STRICT;
    CREATE INDEX editions_series ON editions (series);
    CREATE INDEX editions_base ON editions (base) WHERE base IS NOT NULL;

    CREATE INDEX exhibits_of_digest ON exhibits_of (digest);
    """,
)


def open_book(path: Path) -> sqlite3.Connection:
    """Open or make the book at ``path``."""
    return open_durable(path, MIGRATIONS)


def open_durable(path: Path, migrations: tuple[str, ...], *, one_thread: bool = True) -> sqlite3.Connection:
    """Open or make a database whose every commit lasts; applies missing migrations, one transaction each.

    WAL with synchronous=FULL, because NORMAL syncs nothing at commit; what is deleted is overwritten.  Without
    ``one_thread`` its one user at a time may be on any thread.
    """
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=one_thread)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA secure_delete=ON")
    connection.execute("PRAGMA busy_timeout=10000")
    migrate(connection, migrations)
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """One commit; an exception inside, or one of the commit's own, leaves the database as it was."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk may have ended it already
            connection.execute("ROLLBACK")
        raise


def migrate(connection: sqlite3.Connection, migrations: tuple[str, ...]) -> None:
    """Apply what is missing.  A newer book is opened as it is: migrations only ever add."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    for number, script in enumerate(migrations[version:], start=version + 1):
        connection.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version={number}; COMMIT;")


def check_integrity(connection: sqlite3.Connection) -> None:
    """Refuse (scope box) a book whose pages do not hold together."""
    word = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    if word != "ok":
        raise Refused("BOX-001", f"Le livre est endommagé : {word}.", Scope.BOX)

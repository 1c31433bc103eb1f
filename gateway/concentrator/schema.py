"""The tables of the receiving end; additive migrations, as in the book.

No name and no NIR of a patient stands in them: the content of a fichier is at rest only as it came, sealed.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from gateway.book.schema import open_durable
from gateway.errors import Deferred, Refused, Scope

MIGRATIONS = (
    """
    CREATE TABLE transfers (
        id             INTEGER PRIMARY KEY AUTOINCREMENT,
        sender         TEXT NOT NULL,            -- PI 3 of CONNECT; the first seven are the restart key (F-102)
        server         TEXT NOT NULL,
        file_type      INTEGER NOT NULL,
        file_name      TEXT NOT NULL,
        transfer_id    INTEGER NOT NULL,
        created        TEXT NOT NULL,
        initial_sender TEXT NOT NULL,
        final_receiver TEXT NOT NULL,
        label          TEXT NOT NULL,
        free_text      TEXT NOT NULL,            -- PI 99: fichier.transmission.seal
        fichier        TEXT NOT NULL,
        transmission   INTEGER NOT NULL,
        seal           TEXT NOT NULL,
        point          INTEGER NOT NULL DEFAULT 0, -- last durable sync point
        offset         INTEGER NOT NULL DEFAULT 0, -- bytes of the file at that point
        articles       INTEGER NOT NULL DEFAULT 0,
        began          TEXT NOT NULL,
        received       TEXT NOT NULL DEFAULT '', -- when complete; '' = receiving
        sealed         TEXT NOT NULL DEFAULT '', -- SHA-256 of the sealed bytes = file name in received/
        size           INTEGER NOT NULL DEFAULT 0,
        outcome        TEXT NOT NULL DEFAULT '', -- '' | integrated | refused | unopened | double
        not_before     REAL NOT NULL DEFAULT 0,
        reason_code    TEXT NOT NULL DEFAULT '', -- why the outcome waits
        reason_text    TEXT NOT NULL DEFAULT '',
        UNIQUE (sender, server, file_type, file_name, transfer_id, created, initial_sender, final_receiver)
    ) STRICT;
    CREATE INDEX transfers_waiting ON transfers (outcome, received);

    CREATE TABLE verdicts (
        id           INTEGER PRIMARY KEY REFERENCES transfers (id),
        sender       TEXT NOT NULL,
        digest       TEXT,                       -- SHA-256 of the plaintext; NULL when it could not be read
        transmission INTEGER NOT NULL,
        fichier      TEXT NOT NULL,
        verdict      TEXT NOT NULL,              -- integrated | refused | unopened
        code         TEXT NOT NULL,
        text         TEXT NOT NULL,
        kind         TEXT NOT NULL,
        size         INTEGER NOT NULL,
        receipt      BLOB NOT NULL,              -- the original receipt; doubles get it again
        at           TEXT NOT NULL,
        doubles      INTEGER NOT NULL DEFAULT 0,
        UNIQUE (sender, digest, transmission)
    ) STRICT;

    CREATE TABLE lots (
        verdict     INTEGER NOT NULL REFERENCES verdicts (id),
        rank        INTEGER NOT NULL,
        emitter     TEXT NOT NULL,
        destination TEXT NOT NULL,
        number      TEXT NOT NULL,
        date        TEXT NOT NULL,
        factures    INTEGER NOT NULL,
        amo         INTEGER NOT NULL,            -- cents
        amc         INTEGER NOT NULL,
        PRIMARY KEY (verdict, rank)
    ) STRICT;

    CREATE TABLE factures (
        verdict INTEGER NOT NULL REFERENCES verdicts (id),
        lot     INTEGER NOT NULL,
        rank    INTEGER NOT NULL,
        number  TEXT NOT NULL,
        amo     INTEGER NOT NULL,
        amc     INTEGER NOT NULL,
        PRIMARY KEY (verdict, lot, rank)
    ) STRICT;

    CREATE TABLE mailbox (
        id         INTEGER PRIMARY KEY AUTOINCREMENT,
        sender     TEXT NOT NULL,                -- whose mailbox
        kind       TEXT NOT NULL,                -- receipt | arl | rsp
        name       TEXT NOT NULL,
        about      TEXT NOT NULL,                -- fichier
        file       TEXT NOT NULL,                -- SHA-256 of the sealed return = file name in returns/
        size       INTEGER NOT NULL,
        made       TEXT NOT NULL,
        not_before REAL NOT NULL,
        offered    INTEGER NOT NULL DEFAULT 0,
        point      INTEGER NOT NULL DEFAULT 0,   -- last point that the puller acknowledged
        offset     INTEGER NOT NULL DEFAULT 0,
        articles   INTEGER NOT NULL DEFAULT 0,
        spacing    INTEGER NOT NULL DEFAULT 0,
        delivered  TEXT NOT NULL DEFAULT '',     -- when the puller said that it has it
        UNIQUE (sender, name)
    ) STRICT;
    CREATE INDEX mailbox_waiting ON mailbox (sender, delivered);

    CREATE TABLE alarms (
        about TEXT NOT NULL,                     -- "sender return"
        code  TEXT NOT NULL,
        text  TEXT NOT NULL,
        at    TEXT NOT NULL,
        PRIMARY KEY (about, code)
    ) STRICT;
    """,
    "ALTER TABLE transfers ADD COLUMN channel TEXT NOT NULL DEFAULT 'pesit';",  # or 'sftp'
    """
    CREATE TABLE heads (
        sender TEXT NOT NULL,                    -- whose journal
        size   INTEGER NOT NULL,                 -- rows
        root   BLOB NOT NULL,
        at     TEXT NOT NULL,                    -- the box's time; '' where only a later head proved it
        signed BLOB NOT NULL,                    -- the checkpoint as it came
        seen   TEXT NOT NULL,
        PRIMARY KEY (sender, size)
    ) STRICT;
    """,
    """
    CREATE TABLE enrolment_codes (
        id       INTEGER PRIMARY KEY,
        partner  TEXT NOT NULL,
        rpps     TEXT NOT NULL,                  -- whose card must sign the request
        mandates TEXT NOT NULL,                  -- JSON: [rpps, emitter, role] each
        made     TEXT NOT NULL,
        until    TEXT NOT NULL,
        key      BLOB NOT NULL,                  -- derived from the code by scrypt
        tries    INTEGER NOT NULL DEFAULT 0,     -- wrong ones
        closed   TEXT NOT NULL DEFAULT ''        -- '' | used | withdrawn | exhausted
    ) STRICT;
    CREATE INDEX enrolment_codes_partner ON enrolment_codes (partner);

    CREATE TABLE enrolments (
        request  TEXT PRIMARY KEY,               -- SHA-256 of the request, which people compare
        partner  TEXT NOT NULL,
        box      TEXT NOT NULL,
        rpps     TEXT NOT NULL,                  -- who signed it
        holder   TEXT NOT NULL,
        at       TEXT NOT NULL,
        password TEXT NOT NULL,                  -- scrypt hash of the box's PeSIT password
        mandates TEXT NOT NULL,
        signed   BLOB NOT NULL,                  -- the request as it came
        answer   BLOB NOT NULL                   -- the answer, as it was first given
    ) STRICT;
    CREATE INDEX enrolments_partner ON enrolments (partner, at);

    CREATE TABLE box_certificates (
        certificate TEXT PRIMARY KEY,            -- SHA-256 of the DER
        enrolment   TEXT NOT NULL REFERENCES enrolments (request),
        partner     TEXT NOT NULL,
        name        TEXT NOT NULL,
        serial      TEXT NOT NULL,               -- hexadecimal
        since       TEXT NOT NULL,
        until       TEXT NOT NULL,
        der         BLOB NOT NULL,
        answer      TEXT NOT NULL,               -- SHA-256 of the request that it was made for
        confirmed   TEXT NOT NULL DEFAULT '',    -- when the box was seen to use what it came with
        revoked     TEXT NOT NULL DEFAULT ''
    ) STRICT;
    CREATE INDEX box_certificates_partner ON box_certificates (partner, name);

    CREATE TABLE renewals (
        request TEXT PRIMARY KEY,                -- SHA-256 of what was asked
        partner TEXT NOT NULL,
        at      TEXT NOT NULL,
        answer  BLOB NOT NULL
    ) STRICT;

    CREATE TABLE exclusions (
        partner TEXT PRIMARY KEY,                -- out of force until it is enrolled again
        at      TEXT NOT NULL
    ) STRICT;
    """,
    """
    ALTER TABLE mailbox ADD COLUMN recipient TEXT NOT NULL DEFAULT '';  -- SHA-256 of the box's certificate; '' unknown
    CREATE INDEX mailbox_recipients ON mailbox (sender, recipient) WHERE delivered = '';
    """,
    """
    CREATE TABLE lists (
        authority TEXT PRIMARY KEY,              -- SHA-256 of the public key that signs its revocation lists
        number    TEXT NOT NULL                  -- of the last one that was read; numbers only grow
    ) STRICT;
    """,
    """
    CREATE TABLE announcements (
        partner TEXT PRIMARY KEY,
        digest  TEXT NOT NULL                    -- SHA-256 of what it was last told of our certificates
    ) STRICT;
    """,
    """
    ALTER TABLE mailbox ADD COLUMN signer TEXT NOT NULL DEFAULT '';  -- SHA-256 of our certificate; '' unknown
    ALTER TABLE mailbox ADD COLUMN until REAL NOT NULL DEFAULT 0;    -- when that one ends, Unix seconds; 0 unknown
    CREATE INDEX mailbox_signers ON mailbox (signer) WHERE delivered = '';
    """,
)


def open_store(path: Path) -> sqlite3.Connection:
    """Open or make the database; reception and integration use it from their own threads."""
    return open_durable(path, MIGRATIONS, one_thread=False)


def known(path: Path) -> Path:
    """The database of a concentrator that has run; Deferred OCT-007 where there is none, Refused OCT-025 where it is
    not for this account (both scope box)."""
    try:
        path.stat()
    except PermissionError:
        text = f"{path.parent} est au concentrateur seul : cette commande est à lancer par root."
        raise Refused("OCT-025", text, Scope.BOX) from None
    except OSError:
        text = f"Aucun concentrateur n'a encore tourné dans {path.parent}."
        raise Deferred("OCT-007", text, Scope.BOX) from None
    return path


def open_reading(path: Path) -> sqlite3.Connection:
    """Open the database of a concentrator to look at it only; Deferred or Refused as ``known``."""
    connection = sqlite3.connect(f"file:{known(path)}?mode=ro", uri=True, timeout=5)
    connection.row_factory = sqlite3.Row
    return connection

"""A keeper's desk on a practice of its own, real keys, book and doors; and what a card service might answer it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import tomllib
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from development_pki import Pki
from samples import EMITTER
from stage import DOCTOR, NURSE, Stage

from gateway.book.doors import Copied
from gateway.card.client import CardClient
from gateway.card.proof import Item, proof_message
from gateway.config import read_section
from gateway.envelope import algorithms
from gateway.envelope.attributes import SigningContext
from gateway.envelope.signed import sign_with_key
from gateway.fichier import Verb
from gateway.formats.days import day_of
from gateway.process.runtime import Runtime
from gateway.services.keeper.desk import Desk, KeeperSettings
from gateway.services.keeper.signers import Review
from gateway.services.keeper.signing import sign_waiting

HOLDERS = {DOCTOR: "CLAIRE ESSAI", NURSE: "PAUL EXEMPLE"}
ABSENT = {"state": "absent", "code": "CPS-ABSENT", "text": "Aucune carte.", "holder": None, "identifier": None}


@dataclass
class KeeperBench:
    """A desk whose clock tests set, and a card service that does as they say."""

    root: Path
    pki: Pki
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    card: dict[str, Any] = field(default_factory=lambda: dict(ABSENT))
    others: list[dict[str, Any]] = field(default_factory=list)
    """Cards in further readers."""
    signing: list[dict[str, Any]] = field(default_factory=list)
    offered: list[Item] = field(default_factory=list)
    confirmed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stage = Stage(self.root)
        self.stage.pki = self.pki.directory
        self.stage.prepare()
        document = tomllib.loads(self.stage.config.read_text(encoding="utf-8"))["keeper"]
        # a bench goes to and fro in time: what that means for the clock is tested by itself
        self.settings = {**document, "retry_s": 0.0, "clock_back_h": 1e5, "clock_ahead_days": 1e4}
        self.open()

    def open(self, **changes: object) -> None:
        """Start the keeper, again with other settings."""
        if hasattr(self, "desk"):
            self.desk.board.close()
            self.desk.book.close()
        self.settings |= changes
        settings = read_section(KeeperSettings, self.settings, "[keeper]")
        self.desk = Desk(Runtime("keeper", {}), self.stage.paths, settings)
        self.desk.book.clock = lambda: self.now
        self.desk.start()
        self.review = Review(self.desk)
        self.review.look()

    @property
    def today(self) -> str:
        return day_of(self.now)

    def day(self, days: int) -> str:
        return day_of(self.now + timedelta(days=days))

    # -- fichiers

    def checked(self, fichier: str, *emitters: str) -> str:
        """A checked fichier with a lot for each emitter; its id."""
        key = hashlib.sha256(fichier.encode()).hexdigest()[:32]
        columns = {"name": fichier, "channel": "folder", "received": "2026-11-01T08:00:00Z", "size": 9, "digest": ""}
        digest = hashlib.sha256(b"content of " + fichier.encode()).hexdigest()
        with self.desk.commit():
            self.desk.book.receive(key, columns, Copied("aa", 9))
            for rank, emitter in enumerate(emitters, start=1):
                self.desk.book.connection.execute(
                    "INSERT INTO lots (fichier, rank, emitter, destination, number, date, factures, amo, amc)"
                    " VALUES (?, ?, ?, '', '001', '', 1, 2300, 0)", (key, rank, emitter),
                )  # fmt: skip
            found = {"digest": digest, "lots": len(emitters), "factures": len(emitters), "total": 2300 * len(emitters)}
            self.desk.book.move(key, Verb.CHECK, {}, emitter=emitters[0] if emitters else "", **found)
        return key

    def sealed(self, fichier: str, signer: str = DOCTOR, **columns: int) -> str:
        """A fichier that a card signed and that is offered to forward; its id."""
        key = self.checked(fichier, EMITTER)
        self.sign(key, signer)
        self.turn()
        with self.desk.commit():
            self.desk.book.name_part(key, "sealed", self.desk.parts.add_bytes(key.encode()))
            self.desk.book.move(key, Verb.SEAL, {}, seal="1", seals=1, **{"begun": 0, **columns})
        self.desk.offer(key)
        return key

    def row(self, key: str) -> dict[str, Any]:
        return dict(cast(Any, self.desk.book.fichier(key)))

    def told(self, key: str, verb: str) -> list[dict[str, Any]]:
        """Journal rows of a fichier ('' is none) with this verb."""
        rows = (json.loads(row.text) for row in self.desk.book.journal())
        return [row for row in rows if (row["fichier"], row["verb"]) == (key, verb)]

    def condition(self, name: str) -> dict[str, Any]:
        rows = self.desk.book.connection.execute("SELECT * FROM conditions WHERE name = ?", (name,)).fetchall()
        return dict(rows[0]) if rows else {"code": "", "text": "", "detail": "{}"}

    # -- the card service

    def insert(self, holder: str, state: str = "locked") -> None:
        """A practitioner's card lies in the reader."""
        self.card = {
            "state": state, "code": "CPS-LOCKED", "text": "Le code est attendu.", "holder": HOLDERS[holder],
            "serial": "4321", "tries": 3, "valid_until": "2099-01-01T00:00:00+00:00", "identifier": holder,
        }  # fmt: skip

    def sign(self, key: str, signer: str = DOCTOR) -> None:
        """The card service has a signature for a fichier, whoever was to sign it."""
        row = self.row(key)
        folder = f"practitioners/{signer}" if "/" not in signer else signer
        challenge, root = os.urandom(32), bytes(32)
        context = SigningContext(1, key, row["factures"], row["total"], "this-batch", "local", challenge)
        certificate, secret = self.pki.certificate(f"{folder}/sig"), self.pki.key(f"{folder}/sig")
        made = sign_with_key(bytes.fromhex(row["digest"]), self.now, certificate, secret, context, pkcs1=True)
        message = proof_message(self.desk.paths.box_id, challenge, root)
        proof = {
            "challenge": _text(challenge), "origin": "local", "root": root.hex(), "at": "",
            "signature": _text(algorithms.sign("rsa-pkcs1-sha256", self.pki.key(f"{folder}/auth"), message)),
            "certificate": _text(self.pki.certificate(f"{folder}/auth")),
        }  # fmt: skip
        self.signing.append({
            "fichier": key, "attributes": _text(made.attributes), "signature": _text(made.signature),
            "certificate": _text(certificate), "authentication": proof,
        })  # fmt: skip

    async def offer(self, items: list[Item], wait: float) -> dict[str, Any]:
        """As ``CardClient.offer``."""
        self.offered = list(items)
        names = {item.fichier for item in items}
        signed = [one for one in self.signing if one["fichier"] in names]
        there = [card for card in (self.card, *self.others) if card["state"] != "absent"]
        return {"card": self.card, "cards": there, "root": "", "signed": signed}

    async def confirm(self, fichiers: list[str]) -> None:
        """As ``CardClient.confirm``."""
        self.confirmed += fichiers
        self.signing = [one for one in self.signing if one["fichier"] not in fichiers]

    def turn(self) -> None:
        """One turn of the signing loop."""
        asyncio.run(sign_waiting(self.desk, cast(CardClient, self)))

    # -- revocation

    def revoke(self, name: str) -> None:
        """The authority's new list names the certificate ``name`` of the PKI."""
        path = self.desk.paths.trust / "crl" / "sante-2.crl"
        path.write_bytes(self.pki.list_naming(name, self.now))
        self.review.look()


def _text(value: bytes) -> str:
    return b64encode(value).decode()

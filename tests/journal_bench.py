"""A keeper's journal and the concentrator that witnesses it, without a line between them."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import io
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

from development_pki import Pki
from keeper_bench import KeeperBench

from gateway.concentrator.boxes import Members
from gateway.concentrator.keys import load_trust
from gateway.concentrator.witness import Seen, Witness
from gateway.envelope.seal import Sealer
from gateway.envelope.signed import Signature, sign_with_key, signed_size, write_signed
from gateway.formats.receipt import JournalHead, Receipt
from gateway.formats.returns import pack
from gateway.journal.chain import EVIDENCE, START, row_hash
from gateway.services.keeper import returns
from gateway.services.keeper.audit import prepare_carried
from tests.concentrator.concentrator_bench import BOX, Bench, make_bench

AT = "2026-11-22T08:00:00Z"


def make_oct(pki: Pki, folder: Path) -> Bench:
    """A concentrator that knows the box by its certificate."""
    made = make_bench(pki, folder)
    partner = dataclasses.replace(made.settings.partners[0], box_sign=pki.directory / "box-sign.pem")
    return made.having(partners=(partner,))


def act(bench: KeeperBench, count: int = 1, chain: str = EVIDENCE) -> None:
    with bench.desk.commit():
        for _ in range(count):
            bench.desk.book.record("", {"verb": "act"}, chain)


def carried(bench: KeeperBench) -> bytes:
    """What goes out with a fichier that is sealed now, and the rows that its sealing makes."""
    signature, prepared = prepare_carried(bench.desk, Signature(b"", b"", b"", ""))
    assert prepared is not None
    with bench.desk.commit():
        bench.desk.book.record("", {"verb": "seal", "signed": prepared.keep(bench.desk, carried=True)})
    return signature.checkpoint


class Oct:
    """The concentrator's witness, and its receipts on their way back."""

    def __init__(self, bench: KeeperBench, made: Bench) -> None:
        self.bench, self.made, self.store = bench, made, made.open()
        self.witness = Witness(self.store.connection, Members(made.settings, self.store).sign_certificates)

    def see(self, value: bytes, fichier: str = "f1") -> Seen:
        seen = self.witness.look(BOX, fichier, value, self.bench.now, load_trust(self.made.settings))
        assert seen is not None
        with self.store.transaction() as connection:
            seen.record(connection, self.bench.now)
        return seen

    def answer(self, head: JournalHead | None, fichier: str = "f1") -> None:
        row = self.bench.desk.book.fichier(fichier)
        digest = row["digest"] if row is not None else None
        made = Receipt(fichier, 1, "1", BOX, "integrated", "", "", AT, AT, 0, digest, (), True, head)
        self.bring(made.to_bytes())

    def bring(self, body: bytes) -> None:
        pki, bench = self.bench.pki, self.bench
        content = pack("receipt", "receipt_1", "f1", AT, body)
        digest = hashlib.sha256(content).digest()
        made = sign_with_key(digest, bench.now, pki.certificate("oct-sign"), pki.key("oct-sign"))
        out = io.BytesIO()
        sealer = Sealer(out, [pki.certificate("box-seal")], signed_size(len(content), made, pki.chain))
        write_signed(io.BytesIO(content), len(content), sealer, made, pki.chain)
        sealer.close()
        bench.desk.arrived.put(f"return.{hashlib.sha256(out.getvalue()).hexdigest()}", out.getvalue())
        asyncio.run(returns.take_arrived(bench.desk))

    def alarms(self) -> list[str]:
        return [row["code"] for row in self.store.connection.execute("SELECT code FROM alarms ORDER BY code")]


def rewrite(connection: sqlite3.Connection, chain: str, at: int, change: Callable[[dict[str, object]], object]) -> None:
    """Change row ``at`` and make all hashes from there on new, as whoever has the book but not box-sign can."""
    rows = connection.execute("SELECT seq, text FROM journal WHERE chain = ? ORDER BY seq", (chain,)).fetchall()
    previous = START
    for row in rows:
        text = row["text"]
        if row["seq"] == at:
            told = json.loads(text)
            text = json.dumps(change(told), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        previous = row_hash(previous, text)
        connection.execute(
            "UPDATE journal SET text = ?, hash = ?, fichier = ? WHERE chain = ? AND seq = ?",
            (text, previous, json.loads(text)["fichier"], chain, row["seq"]),
        )
    connection.execute("DELETE FROM journal_nodes")

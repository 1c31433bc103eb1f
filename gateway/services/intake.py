"""intake: the practice's side of the box; takes fichiers, hands out receipts and returns.

It seals what it takes, at once, to the box and to the practice's recovery certificate, and passes it through
the door ``new/``; "201" and "processed/" mean: through that door, durably.  From the door ``counter/`` it
takes the keeper's words (``receipts/``, ``refused/``) and returns (``inbox/``).  It looks at size and
completeness only, opens no fichier past its door, reads no book and opens no connection.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote

from gateway.book.board import BoardReader
from gateway.book.doors import Door, blocks
from gateway.book.moves import utc_now
from gateway.config import Paths, setting
from gateway.disk import room
from gateway.envelope.seal import Sealer
from gateway.errors import Refused
from gateway.follow.headline import fichier_words
from gateway.formats.days import iso
from gateway.formats.intake import Channel, IntakeHeader, clean_name, pack_header
from gateway.formats.returns import read_return
from gateway.lan.folder import PracticeFolder
from gateway.lan.http import Request, Response, Route, Server, answer_json, failure
from gateway.process.credentials import secret_file
from gateway.process.keyring import generation, read_certificate, read_ring, read_secret
from gateway.process.renewal import OwnKeys
from gateway.process.runtime import Runtime

WORD_LIMIT = 1 << 20
EMPTYING_S = 3600.0
UNDER_WAY = "SELECT id FROM fichiers WHERE state NOT IN ('INTEGRATED', 'REFUSED')"
VOUCHED_S = 600.0
"""How old the keeper's word may be that the clock holds; a clock that leapt since has none."""
ID_LENGTH = 32
"""Hex digits of a fichier's id: 128 bits of a keyed hash."""


@dataclass(frozen=True)
class IntakeSettings:
    """The section [intake]."""

    poll_s: float = setting(1.0, "secondes entre deux regards sur outbox/")
    max_bytes: int = setting(64 << 20, "taille maximale d'un fichier, en octets")
    host: str = setting("127.0.0.1", "adresse de dépôt HTTP")
    port: int = setting(8780, "port de dépôt HTTP")
    keep_days: int = setting(30, "jours au bout desquels processed/ et refused/ sont vidés ; 0 : jamais")


class Deposit:
    """One fichier on its way through the door, sealed while it is read."""

    def __init__(self, door: Door, secret: bytes, recipients: Sequence[bytes], header: IntakeHeader) -> None:
        head = pack_header(header)
        self._entry = door.begin()
        self._mac = hmac.new(secret, digestmod=hashlib.sha256)
        self._sealer = Sealer(self._entry, recipients, len(head) + header.size)
        self._sealer.write(head)

    def write(self, block: bytes) -> None:
        """Add content; its length must come to what the header says."""
        self._mac.update(block)
        self._sealer.write(block)

    @property
    def fichier(self) -> str:
        """The id that the content written so far would have."""
        return self._mac.hexdigest()[:ID_LENGTH]

    def finish(self) -> None:
        """Through the door, durably; an entry of the same content there already is as good."""
        self._sealer.close()
        self._entry.finish(f"fichier.{self.fichier}")

    def __enter__(self) -> Deposit:
        return self

    def __exit__(self, *_: object) -> None:
        self._entry.__exit__()


class Intake:
    """The service's parts, made once."""

    def __init__(self, runtime: Runtime, paths: Paths, settings: IntakeSettings) -> None:
        self.runtime, self.settings = runtime, settings
        self.folder = PracticeFolder(paths.practice)
        self.new, self.counter = Door(paths.door("new")), Door(paths.door("counter"))
        self.new.sweep()
        offered = (name.removeprefix("return.") for name in self.counter.names() if name.startswith("return."))
        self.folder.forget_marks(set(offered))
        self.board = BoardReader(paths.board)
        self._secret = read_secret(secret_file(paths, "intake", "fichier-ids.key"))
        self._paths, self._own = paths, OwnKeys(paths, "intake")
        self._next_emptying = 0.0
        self._read_keys()

    def _read_keys(self) -> None:
        """Certificates and keys of the generation that is in force."""
        self._generation = generation(self._paths)
        self._recipients = [read_certificate(self._paths.trust / f"{name}.pem") for name in ("box-seal", "recovery")]
        self._delivery = read_ring(self._paths, "intake", "box-delivery")

    def look_after_keys(self) -> None:
        """Take up new certificates without a restart; ask once a day for those that end."""
        if generation(self._paths) != self._generation:
            self._read_keys()
        for wanted in self._own.daily(utc_now()):
            self.new.put(wanted.entry, wanted.request)

    def _forget(self, name: str, key: str, which: str) -> None:
        """The keeper says that nothing is sealed any more to an old key of ours."""
        self._own.destroy(key, which)
        self.counter.remove(name)
        self._read_keys()

    def deposit(self, name: str, channel: Channel, size: int) -> Deposit:
        """Begin to take a fichier of ``size`` bytes; Refused when it is empty or too large."""
        if size == 0:
            raise Refused("INT-001", f"Le fichier « {name} » est vide.")
        if size > self.settings.max_bytes:
            raise Refused("INT-002", f"Le fichier « {name} » dépasse {self.settings.max_bytes >> 20} Mio.")
        header = IntakeHeader(clean_name(name), channel, iso(utc_now()), size)
        return Deposit(self.new, self._secret, self._recipients, header)

    # -- the folders

    def look(self) -> None:
        """One look at ``outbox/`` and ``counter/``."""
        for taken in self.folder.take():
            try:
                self._receive(taken)
            except Refused as refusal:
                self.folder.refuse(taken, self.folder.given_name(taken), f"{refusal.code}\n{refusal.text}\n")
        for name in self.counter.names():
            kind, key, number = name.split(".", 2)
            {"word": self._show_word, "return": self._deliver, "forget": self._forget}[kind](name, key, number)
            self.runtime.alive()

    def empty(self) -> None:
        """Once an hour: what has lain in ``processed/`` and ``refused/`` for ``keep_days`` goes, unless its fichier is
        still under way; without a board nobody can tell, and nothing goes, nor before the keeper has said of this very
        hour that the clock holds."""
        if not self.settings.keep_days or time.monotonic() < self._next_emptying:
            return
        with suppress(FileNotFoundError):
            if not self.board.vouched(time.time(), VOUCHED_S):
                return
            under_way = {row["id"] for row in self.board.rows(UNDER_WAY)}
            self.folder.empty(time.time() - self.settings.keep_days * 86400, under_way.__contains__)
        self._next_emptying = time.monotonic() + EMPTYING_S

    def _receive(self, taken: Path) -> None:
        """Seal a file into the door; one that changed meanwhile is left for the next look."""
        with taken.open("rb") as source:
            before = self._digest(source)
            size = source.tell()
            source.seek(0)
            with self.deposit(self.folder.given_name(taken), "folder", size) as deposit:
                for block in blocks(source):
                    deposit.write(block)
                if deposit.fichier != before:
                    return
                deposit.finish()
        self.folder.process(taken, before)

    def _digest(self, source: BinaryIO) -> str:
        mac = hmac.new(self._secret, digestmod=hashlib.sha256)
        for block in blocks(source):
            mac.update(block)
        return mac.hexdigest()[:ID_LENGTH]

    def _show_word(self, name: str, fichier: str, rank: str) -> None:
        word: dict[str, Any] = json.loads(self.counter.read(name, WORD_LIMIT))
        self.folder.write_receipt(fichier, {**word, "rank": int(rank)})
        if word["state"] == "REFUSED":
            lines = (word["code"], word["text"], word.get("advice"), *word.get("findings", ()))
            self.folder.refuse_processed(fichier, "".join(f"{line}\n" for line in lines if line))
        self.counter.remove(name)

    def _deliver(self, name: str, key: str, number: str) -> None:
        """A return into ``inbox/``, the pick-up through ``new/``, and only then the entry's end."""
        with self.counter.open(name) as sealed:
            header, body = read_return(self._delivery.open(sealed))

            def write(out: BinaryIO) -> None:
                for block in blocks(body):
                    out.write(block)

            self.folder.deliver(f"{key}.{number}", header.name, write)
        self.new.put(f"picked.{key}.{number}", b"{}")
        self.counter.remove(name)
        self.folder.delivered(f"{key}.{number}")

    # -- HTTP

    async def post(self, request: Request) -> Response:
        """POST /api/v1/fichiers?name=…: the body is the fichier; 201 through the door, 200 seen before."""
        length = request.headers.get("content-length")
        if length is None:
            raise failure(411)
        name = Path(unquote(request.query.get("name") or "sans-nom")).name
        with room(), self.deposit(name, "http", int(length)) as deposit:
            async for block in request.body():
                deposit.write(block)
            known = self._known(deposit.fichier)
            deposit.finish()
        if known:
            return answer_json({"id": deposit.fichier, "state": known["state"], "text": fichier_words(known)}, 200)
        return answer_json({"id": deposit.fichier, "state": "RECEIVED", "text": "Remis à la passerelle."}, 201)

    def _known(self, fichier: str) -> dict[str, Any] | None:
        try:
            rows = self.board.fichier(fichier)
        except FileNotFoundError:
            return None
        return rows[0] if rows else None

    def server(self) -> Server:
        """The routes that carry content."""
        return Server([Route("POST", "/api/v1/fichiers", self.post, limit=self.settings.max_bytes)])


async def run(runtime: Runtime, paths: Paths, settings: IntakeSettings) -> None:
    """Serve folders and HTTP until the runtime stops."""
    intake = Intake(runtime, paths, settings)
    listener = runtime.inherited("intake") or socket.create_server((settings.host, settings.port))

    async def look() -> None:
        while not runtime.stop.is_set():
            async with runtime.outlast():
                intake.empty()  # first: it makes room
                intake.look_after_keys()
                intake.look()
            runtime.alive()
            await runtime.pause(settings.poll_s)

    async with asyncio.TaskGroup() as group:
        group.create_task(intake.server().serve([listener], runtime.stop, ready=runtime.ready))
        group.create_task(look())

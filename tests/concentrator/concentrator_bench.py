"""A practice and its concentrator on one bench: real keys, real envelopes, the service's own parts."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from development_pki import Pki

from gateway.book.doors import Copied
from gateway.concentrator.boxes import Members
from gateway.concentrator.disk import Disk
from gateway.concentrator.integration import Integration
from gateway.concentrator.keys import Trust, load_keys, load_trust
from gateway.concentrator.landing import Landing
from gateway.concentrator.mailbox import Mailbox
from gateway.concentrator.reception import Reception
from gateway.concentrator.resealing import Resealing
from gateway.concentrator.settings import ConcentratorSettings, PartnerAccess, PayerSettings
from gateway.concentrator.store import Store
from gateway.disk import DiskFull
from gateway.envelope.attributes import SigningContext
from gateway.envelope.certificates import Use, check_path
from gateway.envelope.seal import Opened, Sealer
from gateway.envelope.signed import read_signed, sign_with_key, signed_size, write_signed
from gateway.formats.b2 import check
from gateway.formats.b2_write import write_fichier
from gateway.formats.days import iso
from gateway.formats.findings import Facture, Lot, Report
from gateway.formats.keys import nir_key
from gateway.formats.mandates import Mandate
from gateway.formats.receipt import Receipt
from gateway.formats.returns import ReturnFile, unpack
from gateway.link.passwords import password_hash

BOX, PASSWORD = "BOX00001", "secret"
EMITTER = "991038431"
DOCTOR = "99900000011"
SIGNER = f"practitioners/{DOCTOR}/sig"
MANDATES = tuple(
    Mandate(holder, EMITTER, "titulaire") for holder in (DOCTOR, "99900000037", "99900000045", "99900000052")
)
"""The first practitioner, and those of the zoo whose certificates must be refused all the same."""
HASH = password_hash(PASSWORD)
CLIENT = "OCT-GATEWAY TEST box-transport"
DAY = (datetime.now(UTC) - timedelta(days=2)).date().isoformat()
"""A day of the recent past, since the check of a content knows what is future."""


def facture(number: int, cents: int = 2300, amc: int = 0) -> Facture:
    nir = f"155059999{number % 1000:03d}1"
    return Facture(f"{number:09d}", f"{nir}{nir_key(nir):02d}", cents, amc, cents + amc, DAY)


def lots(first: int = 1, factures: int = 2, count: int = 1) -> list[Lot]:
    """``count`` lots to one destination, their factures numbered from ``first`` on."""
    made = []
    for rank in range(count):
        start = first + rank * factures
        numbered = tuple(facture(start + n) for n in range(factures))
        made.append(Lot(EMITTER, "00000001025996", f"{rank + 1:03d}", DAY, numbered))
    return made


def b2(first: int = 1, factures: int = 2, count: int = 1) -> bytes:
    return write_fichier(lots(first, factures, count), f"F{first:05d}"[-6:], DAY)


@dataclass
class Bench:
    """``pki`` and ``settings`` of a concentrator, and what a practice does to it."""

    pki: Pki
    settings: ConcentratorSettings
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    count: int = 0
    said: list[DiskFull] = field(default_factory=list)

    def clock(self) -> datetime:
        return self.now

    def open(self) -> Store:
        for directory in (self.settings.spool, self.settings.received, self.settings.returns):
            directory.mkdir(parents=True, exist_ok=True)
        return Store(self.settings.database)

    def trust(self) -> Trust:
        return load_trust(self.settings)

    def members(self, store: Store) -> Members:
        return Members(self.settings, store)

    def disk(self, store: Store) -> Disk:
        """Whose word of a full disk is kept in ``said``."""
        return Disk(store, self.clock, self.said.append)

    def reception(
        self, store: Store, trust: Callable[[], Trust] | None = None, arrived: Callable[[], None] = lambda: None
    ) -> Reception:
        return Reception(self.settings, store, self.disk(store), trust or self.trust, self.clock, arrived)

    def landing(self, store: Store) -> Landing:
        return Landing(self.settings, store, self.members(store), self.clock)

    def mailbox(self, store: Store) -> Mailbox:
        return Mailbox(self.settings.returns, load_keys(self.settings), self.members(store).seal_certificate)

    def integration(self, store: Store, trust: Callable[[], Trust] | None = None) -> Integration:
        members, mailbox, keys = self.members(store), self.mailbox(store), load_keys(self.settings)
        return Integration(self.settings, store, members, mailbox, keys, trust or self.trust, self.clock)

    def resealing(self, store: Store) -> Resealing:
        members, mailbox, landing = self.members(store), self.mailbox(store), self.landing(store)
        return Resealing(self.settings, store, members, mailbox, landing, self.trust, self.clock)

    def recipients(self, store: Store) -> tuple[str, ...]:
        """To whom returns for the box may be sealed."""
        return self.members(store).recipients(BOX)

    def sign_and_seal(
        self, content: bytes, fichier: str, signer: str = SIGNER, to: str = "oct-seal", named: str | None = None,
        shown: tuple[int, int] | None = None,
    ) -> bytes:  # fmt: skip
        """The sealed bytes of a fichier; the signature says ``named`` instead of ``fichier``, ``shown`` as its sums."""
        certificate, key = self.pki.certificate(signer), self.pki.key(signer)
        report = check(content) if content.startswith(b"000") else Report("documents", ())
        count, total = shown or (report.facture_count, report.spent_cents)
        context = SigningContext(1, named or fichier, count, total, "each", "local", b"")
        digest = hashlib.sha256(content).digest()
        signature = sign_with_key(digest, self.now, certificate, key, context, pkcs1=True)
        out = io.BytesIO()
        sealer = Sealer(out, [self.pki.certificate(to)], signed_size(len(content), signature, ()))
        write_signed(io.BytesIO(content), len(content), sealer, signature, ())
        sealer.close()
        return out.getvalue()

    def receive(
        self, store: Store, sealed: bytes, fichier: str = "f1", transmission: int = 1, seal: str = "s1",
        sender: str = BOX,
    ) -> int:  # fmt: skip
        """A file as reception leaves it; the number of its transfer."""
        self.count += 1
        columns = {
            "sender": sender, "server": "", "file_type": 0, "file_name": "FICHIER", "transfer_id": self.count,
            "created": "261123080000", "initial_sender": "", "final_receiver": "", "label": "",
            "free_text": f"{fichier}.{transmission}.{seal}", "fichier": fichier, "transmission": transmission,
            "seal": seal, "began": iso(self.now),
        }  # fmt: skip
        row = store.begin(columns)
        digest = hashlib.sha256(sealed).hexdigest()
        (self.settings.received / digest).write_bytes(sealed)
        store.complete(row["id"], Copied(digest, len(sealed)), iso(self.now))
        return int(row["id"])

    def unseal(self, sealed: bytes) -> ReturnFile:
        """What the box makes of a return: opened with its own key, signed by the OCT and by nobody else."""
        opened = Opened(io.BytesIO(sealed), self.pki.certificate("box-seal"), self.pki.key("box-seal"))
        out = io.BytesIO()
        content = read_signed(opened, out, 1 << 24)
        # the box has only the root: the intermediate must come with the signature
        lists = self.trust().crls
        check_path(content.signature.certificate, content.chain, [self.pki.root], lists, self.now, Use.SIGN_RETURN)
        return unpack(out.getvalue())

    def returns(self, store: Store) -> list[ReturnFile]:
        """Everything in the box's mailbox, oldest first."""
        rows = store.connection.execute("SELECT file FROM mailbox WHERE sender = ? ORDER BY id", (BOX,))
        return [self.unseal((self.settings.returns / row["file"]).read_bytes()) for row in rows]

    def receipts(self, store: Store) -> list[Receipt]:
        return [Receipt.from_bytes(one.body) for one in self.returns(store) if one.header.kind == "receipt"]

    def having(self, **changes: object) -> Bench:
        """The same bench with other settings."""
        return Bench(self.pki, replace(self.settings, **changes), self.now)  # type: ignore[arg-type]


def make_bench(pki: Pki, directory: object, payer: PayerSettings | None = None) -> Bench:
    folder = pki.directory
    settings = ConcentratorSettings(
        directory=directory,  # type: ignore[arg-type]
        port=0,
        partners=(PartnerAccess(BOX, HASH, folder / "box-seal.pem", CLIENT, mandates=MANDATES),),
        seal_certificate=folder / "oct-seal.pem",
        seal_key=folder / "oct-seal.key",
        sign_certificate=folder / "oct-sign.pem",
        sign_key=folder / "oct-sign.key",
        transport_certificate=folder / "oct-transport.pem",
        transport_key=folder / "oct-transport.key",
        root=folder / "root.pem",
        chain=(*sorted((folder / "chains").iterdir()), folder / "zoo/chains/sante-revoquee.pem"),
        crls=(folder / "crl/all.pem",),
        payer=payer or PayerSettings(),
    )
    return Bench(pki, settings)

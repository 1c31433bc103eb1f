"""A concentrator with one enrolled box whose keys tests hold: it renews, connects and is revoked."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

from concentrator_bench import Bench
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from development_pki import Pki
from enrolment_bench import PARTNER, EnrolmentBench, make_enrolment_bench

from gateway.book.doors import Copied
from gateway.concentrator.boxes import Boxes
from gateway.concentrator.reception import Reception
from gateway.concentrator.settings import PartnerAccess
from gateway.envelope.algorithms import PrivateKey
from gateway.envelope.box_keys import BY_NAME
from gateway.envelope.requests import make_request, new_key
from gateway.envelope.seal import Sealer
from gateway.envelope.signed import sign_with_key, signed_size, write_signed
from gateway.errors import Trouble
from gateway.formats.days import iso
from gateway.formats.enrolment import RENEWAL, Bundle, Named, RenewalRequest, fingerprint, to_base64

NAMES = ("box-seal", "box-sign", "box-transport")


class RenewalBench:
    """A concentrator with one enrolled box whose keys tests hold."""

    def __init__(self, pki: Pki, folder: Path) -> None:
        self.enrolment: EnrolmentBench = make_enrolment_bench(pki, folder)
        self.bench: Bench = self.enrolment.bench
        self.store = self.enrolment.store
        self.box = self.enrol()

    def enrol(self) -> int:
        self.enrolment.add_code()
        signed = self.enrolment.sign(self.enrolment.request())
        self.enrolment.accept(signed, self.enrolment.desk.answer(signed))
        return self.enrolment.boxes

    def certificate(self, name: str) -> bytes:
        """The newest one in the store."""
        return bytes(Boxes(self.store).certificates(PARTNER, name)[0]["der"])

    def key(self, name: str, box: int = 0) -> PrivateKey:
        (path,) = (self.enrolment.folder / f"box{box or self.box}/keys").glob(f"*/{name}.*.key")
        return load_pem_private_key(path.read_bytes(), None)  # type: ignore[return-value]

    def request(self, box: str = "box-9", partner: str = PARTNER, again: tuple[str, ...] = ("recovery",)) -> bytes:
        keys = tuple(Named(name, to_base64(make_request(BY_NAME[name], new_key(BY_NAME[name])))) for name in NAMES)
        return RenewalRequest(Bundle(box, partner, iso(self.bench.now), keys, ""), again).to_bytes()

    def arrive(self, content: bytes, certificate: bytes = b"", key: PrivateKey | None = None) -> None:
        """What forward would have carried, received and worked on."""
        signer, own = certificate or self.certificate("box-sign"), key or self.key("box-sign")
        made = sign_with_key(hashlib.sha256(content).digest(), self.bench.now, signer, own)
        out = io.BytesIO()
        sealer = Sealer(out, [self.bench.pki.certificate("oct-seal")], signed_size(len(content), made, ()))
        write_signed(io.BytesIO(content), len(content), sealer, made, ())
        sealer.close()
        self.bench.count += 1
        name = f"{RENEWAL}{fingerprint(content)[:32]}.1.1"
        columns = {
            "sender": PARTNER, "server": "", "file_type": 0, "file_name": "F", "transfer_id": self.bench.count,
            "created": "", "initial_sender": "", "final_receiver": "", "label": "", "free_text": name,
            "fichier": name.split(".")[0], "transmission": 1, "seal": "1", "began": iso(self.bench.now),
        }  # fmt: skip
        row, digest = self.store.begin(columns), hashlib.sha256(out.getvalue()).hexdigest()
        (self.bench.settings.received / digest).write_bytes(out.getvalue())
        self.store.complete(row["id"], Copied(digest, len(out.getvalue())), iso(self.bench.now))
        self.bench.integration(self.store).work()

    def outcome(self) -> str:
        rows = self.store.connection.execute("SELECT outcome FROM transfers ORDER BY id DESC LIMIT 1").fetchall()
        return str(rows[0]["outcome"])

    def alarms(self) -> list[str]:
        return [row["code"] for row in self.store.connection.execute("SELECT code FROM alarms")]

    def returns(self) -> int:
        return int(self.store.connection.execute("SELECT count(*) FROM mailbox").fetchone()[0])

    def reception(self) -> Reception:
        return self.bench.reception(self.store)

    def come_in(self, reception: Reception, certificate: bytes, password: str = "") -> PartnerAccess:
        """The last box's connection, with its own password unless another is given."""
        found = max((self.enrolment.folder / f"box{self.enrolment.boxes}/keys/forward").glob("oct-password.*"))
        return reception.connect(PARTNER, self.bench.settings.name, password or found.read_text(), certificate)

    def connect(self, certificate: bytes, password: str = "") -> str:
        """The diagnostic of a connection, '' where it is let in."""
        try:
            self.come_in(self.reception(), certificate, password)
        except Trouble as trouble:
            return trouble.code
        return ""

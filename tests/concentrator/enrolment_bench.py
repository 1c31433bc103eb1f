"""A box that asks to be enrolled, without its card reader: the practitioner's key signs as the card would."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from concentrator_bench import DOCTOR, Bench, make_bench
from development_pki import Pki

from gateway.concentrator.boxes import Boxes
from gateway.concentrator.enrolment import Enrolment
from gateway.concentrator.keys import load_keys, load_trust
from gateway.concentrator.publishing import publish
from gateway.concentrator.settings import EnrolmentSettings
from gateway.concentrator.store import Store
from gateway.config import Paths
from gateway.envelope.signed import sign_with_key, write_signed
from gateway.formats.codes import proof_key
from gateway.formats.days import iso
from gateway.process.enrolment import Accepted, accept, prepare
from gateway.process.identity import Identity

PARTNER, CODE = "CABINET9", "0123456789ABCDEFGHJK"
KEY = proof_key(CODE, PARTNER)


@dataclass
class EnrolmentBench:
    """A concentrator that enrols, with its store open, and boxes below ``folder``."""

    bench: Bench
    store: Store
    folder: Path
    boxes: int = 0
    identities: list[Identity] = field(default_factory=list)

    @property
    def desk(self) -> Enrolment:
        settings = self.bench.settings
        return Enrolment(settings, self.store, load_keys(settings), lambda: load_trust(settings), self.bench.clock)

    def add_code(self, rpps: str = DOCTOR, partner: str = PARTNER, hours: int = 72) -> None:
        until = iso(self.bench.now + timedelta(hours=hours))
        mandates = [(DOCTOR, "991038431", "titulaire")]
        Boxes(self.store).add_code(partner, rpps, mandates, proof_key(CODE, partner), iso(self.bench.now), until)

    def new_box(self) -> Identity:
        self.boxes += 1
        root = self.folder / f"box{self.boxes}"
        paths = Paths(keys=root / "keys", trust=root / "trust")
        for owner in ("intake", "keeper", "forward", "status"):
            (paths.keys / owner).mkdir(parents=True)
        paths.trust.mkdir()
        return Identity(paths)

    def request(self, code: str = CODE, partner: str = PARTNER, at: timedelta = timedelta()) -> bytes:
        """The content of a request by a new box."""
        made = prepare(self.new_box(), "box-9", partner, proof_key(code, partner), (), self.bench.now + at)
        return made.content

    def sign(self, content: bytes, signer: str = f"practitioners/{DOCTOR}/sig") -> bytes:
        pki, digest = self.bench.pki, hashlib.sha256(content).digest()
        signature = sign_with_key(digest, self.bench.now, pki.certificate(signer), pki.key(signer), pkcs1=True)
        out = io.BytesIO()
        write_signed(io.BytesIO(content), len(content), out, signature, ())
        return out.getvalue()

    def accept(self, signed: bytes, answer: bytes) -> Accepted:
        pki = self.bench.pki
        return accept(signed, answer, pki.root, pki.certificate("oct-transport"), self.bench.now)


def make_enrolment_bench(pki: Pki, folder: Path) -> EnrolmentBench:
    bench = make_bench(pki, folder / "oct")
    folder.joinpath("boites.crl").write_bytes((pki.directory / "crl/boites.crl").read_bytes())
    enrolment = EnrolmentSettings(
        enabled=True,
        port=0,
        authority_certificate=pki.directory / "chains/boites.pem",
        authority_key=pki.directory / "ca/boites.key",
        crl=folder / "boites.crl",
    )
    bench.settings = replace(bench.settings, enrolment=enrolment)
    store = bench.open()
    publish(bench.settings, store, bench.now)
    return EnrolmentBench(bench, store, folder)

"""A fichier that went all its way on a keeper's bench, its evidence, and the checker, which has nothing of ours."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import shutil
import subprocess
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from asn1crypto import cms, core, crl, pem
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from development_pki import Pki
from keeper_bench import KeeperBench
from samples import EMITTER
from stage import REPO, SENDER

from gateway.book.proofs import Tree
from gateway.envelope import der
from gateway.envelope.algorithms import PrivateKey
from gateway.envelope.attributes import read_attributes
from gateway.envelope.certificates import load_lists
from gateway.envelope.seal import Sealer
from gateway.envelope.signed import detached, sign_with_key, signed_size, write_signed
from gateway.formats.arl import Arl, ArlLot
from gateway.formats.days import iso
from gateway.formats.receipt import JournalHead, Receipt
from gateway.formats.returns import ReturnKind, pack
from gateway.journal.chain import EVIDENCE
from gateway.services.keeper import returns
from gateway.services.keeper.evidence import evidence

Identity = tuple[bytes, PrivateKey]
"""A certificate (DER) and its key."""

CHECKER = REPO / "docs/verifier_preuve.py"


@dataclass
class EvidenceBench:
    """A keeper's bench and what the OCT answers it."""

    keeper: KeeperBench

    @property
    def pki(self) -> Pki:
        return self.keeper.pki

    @property
    def root(self) -> str:
        """The fingerprint of the root."""
        return hashlib.sha256(self.pki.root).hexdigest()

    def content(self, name: str) -> bytes:
        return b"content of " + name.encode()

    def taken(self, name: str) -> str:
        """A fichier that was signed, sealed, taken by the OCT and acknowledged by the payer; its id."""
        key = self.keeper.sealed(name)
        self.receipt(key, "integrated", self.size())
        self.arl(key)
        return key

    # -- the OCT

    def size(self) -> int:
        """Rows of the evidence chain."""
        return Tree(self.keeper.desk.book.connection, EVIDENCE).size()

    def receipt(self, key: str, verdict: str, size: int = 0, **other: str | None) -> None:
        """The OCT's word, which countersigns ``size`` rows (0: none); ``other``: what it says otherwise."""
        row, at = self.keeper.row(key), iso(self.keeper.now)
        head = None
        if size:
            root = Tree(self.keeper.desk.book.connection, EVIDENCE).root(size).hex()
            head = JournalHead(size, root, at, "consistent")
        digest = None if verdict == "unopened" else row["digest"]
        made = Receipt(
            key, row["transmission"], row["seal"], SENDER, verdict, "", "", at,  # type: ignore[arg-type]
            at if verdict == "integrated" else None, row["size"], digest, (), True, head,
        )  # fmt: skip
        self.bring("receipt", key, replace(made, **other).to_bytes())  # type: ignore[arg-type]

    def arl(self, key: str) -> None:
        """The payer's word."""
        lot = ArlLot(EMITTER, "", "001", "")
        made = Arl(key, lot, "positive", "", "", iso(self.keeper.now), "CPAM")
        self.bring("arl", key, made.to_bytes())

    def bring(self, kind: ReturnKind, key: str, body: bytes) -> None:
        """A return of the OCT comes in."""
        pki, keeper = self.pki, self.keeper
        number = keeper.desk.book.connection.execute("SELECT count(*) FROM returns").fetchone()[0] + 1
        content = pack(kind, f"{kind}_{number}", key, iso(keeper.now), body)
        digest = hashlib.sha256(content).digest()
        made = sign_with_key(digest, keeper.now, pki.certificate("oct-sign"), pki.key("oct-sign"))
        chain = [pki.certificate("chains/oct")]
        out = io.BytesIO()
        sealer = Sealer(out, [pki.certificate("box-seal")], signed_size(len(content), made, chain))
        write_signed(io.BytesIO(content), len(content), sealer, made, chain)
        sealer.close()
        keeper.desk.arrived.put(f"return.{hashlib.sha256(out.getvalue()).hexdigest()}", out.getvalue())
        asyncio.run(returns.take_arrived(keeper.desk))
        assert keeper.desk.arrived.names() == []

    # -- odd certificates and lists

    def is_of(self, found: x509.CertificateRevocationList, authority: str) -> bool:
        """Whether a list is that of an authority of the PKI."""
        return found.issuer == x509.load_der_x509_certificate(self.pki.certificate(authority)).subject

    def stale(self, authority: str) -> x509.CertificateRevocationList:
        """The zoo's list of an authority that ended long ago."""
        return x509.load_der_x509_crl((self.pki.directory / f"zoo/crl/stale-{authority}.crl").read_bytes())

    def odd_list(self, kind: str) -> bytes:
        """A list (PEM) of the practitioners' authority that names nobody: ``delta``, ``without end`` (which the
        builder does not make: its end is cut out) or signed ``by another`` authority."""
        key: Any = self.pki.key("ca/oct" if kind == "by another" else "ca/sante")
        issuer = x509.load_der_x509_certificate(self.pki.certificate("chains/sante")).subject
        builder = x509.CertificateRevocationListBuilder(issuer, self.keeper.now, self.keeper.now + timedelta(days=9))
        stranger = x509.RevokedCertificateBuilder(4242, self.keeper.now).build()
        builder = builder.add_extension(x509.CRLNumber(99), critical=False).add_revoked_certificate(stranger)
        if kind == "delta":
            builder = builder.add_extension(x509.DeltaCRLIndicator(98), critical=True)
        made = builder.sign(key, hashes.SHA256())
        if kind != "without end":
            return made.public_bytes(Encoding.PEM)
        body = crl.TbsCertList.load(made.tbs_certlist_bytes)
        del body["next_update"]
        signature = key.sign(body.dump(force=True), padding.PKCS1v15(), hashes.SHA256())
        algorithm = {"algorithm": "sha256_rsa", "parameters": core.Null()}
        whole = crl.CertificateList({"tbs_cert_list": body, "signature_algorithm": algorithm, "signature": signature})
        return pem.armor("X509 CRL", whole.dump())

    def twin(self, name: str, authority: str) -> bytes:
        """Another certificate for the same key and the same uses, by the same authority."""
        old, by = x509.load_der_x509_certificate(self.pki.certificate(name)), self.pki.key(f"ca/{authority}")
        builder = x509.CertificateBuilder(
            old.issuer, old.subject, old.public_key(), x509.random_serial_number(),
            old.not_valid_before_utc, old.not_valid_after_utc,
        )  # fmt: skip
        for one in old.extensions:
            builder = builder.add_extension(one.value, one.critical)
        return builder.sign(by, hashes.SHA256()).public_bytes(Encoding.DER)

    def below_no_authority(self) -> tuple[Identity, bytes]:
        """A card's certificate and its key, and who issued it: a certificate of the root's that is no authority."""
        root, now = x509.load_der_x509_certificate(self.pki.root), self.keeper.now
        keys = [rsa.generate_private_key(65537, 2048) for _ in range(2)]
        middle, leaf = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one)]) for one in ("Faux", "Fausse carte"))
        rows: list[tuple[x509.Name, Any, x509.Name, Any]] = [
            (middle, keys[0], root.subject, self.pki.key("ca/root")), (leaf, keys[1], middle, keys[0]),
        ]  # fmt: skip
        made = [
            x509.CertificateBuilder(issuer, name, key.public_key(), x509.random_serial_number(),
                                    now - timedelta(days=1), now + timedelta(days=9))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.KeyUsage(True, True, False, False, False, True, True, False, False), critical=True)
            .sign(by, hashes.SHA256())
            .public_bytes(Encoding.DER)
            for name, key, issuer, by in rows
        ]  # fmt: skip
        return (made[1], keys[1]), made[0]

    # -- the evidence

    def evidence(self, key: str) -> dict[str, bytes]:
        """The files of the evidence of a fichier."""
        told = evidence(self.keeper.desk, {"op": "evidence", "id": key, "peer": 0})
        return {name: base64.b64decode(content) for name, content in told["files"].items()}


def lay_out(target: Path, files: Mapping[str, bytes]) -> Path:
    """The files in a directory, where nothing else is."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for name, content in files.items():
        (target / name).write_bytes(content)
    return target


def write_zip(target: Path, files: Mapping[str, bytes]) -> Path:
    """The files as a ZIP."""
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return target


def read_zip(source: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(source) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def checked(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """The checker alone: isolated, without our packages, as an auditor runs it."""
    command = ["/usr/bin/python3", "-I", str(CHECKER), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd="/", env={}, timeout=60)


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """What does not hold, as the checker said it: its last line, without a traceback."""
    assert (done.returncode, done.stderr) == (65, ""), done
    verdict, _, rest = done.stdout.splitlines()[-1].partition("  ")
    assert verdict == "NE TIENT PAS" and "Error" not in done.stdout
    return rest


def rows_of(files: Mapping[str, bytes]) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(files["journal.json"])
    return found


# ---------------------------------------------------------------- forgeries


def forged(
    bench: EvidenceBench, name: str, sound: bytes, signer: str | Identity, authority: str | bytes
) -> dict[str, bytes]:
    """The two files of a piece that says what a sound one says and is signed by another, whose chain is joined."""
    pki = bench.pki
    certificate, key = (pki.certificate(signer), pki.key(signer)) if isinstance(signer, str) else signer
    above = pki.certificate(authority) if isinstance(authority, str) else authority
    whole = cms.ContentInfo.load(sound)["content"]
    content: bytes | None = whole["encap_content_info"]["content"].native
    old = read_attributes(b"\x31" + whole["signer_infos"][0]["signed_attrs"].dump()[1:])
    pkcs1 = isinstance(key, rsa.RSAPrivateKey)
    made = sign_with_key(old.digest, old.at, certificate, key, old.context, pkcs1=pkcs1)
    out = io.BytesIO()
    if content is None:
        out.write(detached(made, [above]))
    else:
        write_signed(io.BytesIO(content), len(content), out, made, [above])
    return {f"{name}.cms": out.getvalue(), f"{name}.pem": pem_of(certificate, above, pki.root)}


def signed_by(bench: EvidenceBench, like: bytes, content: bytes, name: str, authority: str) -> bytes:
    """A content signed at the moment of another."""
    at, out = read_attributes(b"\x31" + attributes_of(like)[1:]).at, io.BytesIO()
    digest = hashlib.sha256(content).digest()
    made = sign_with_key(digest, at, bench.pki.certificate(name), bench.pki.key(name))
    write_signed(io.BytesIO(content), len(content), out, made, [bench.pki.certificate(authority)])
    return out.getvalue()


def pem_of(*certificates: bytes) -> bytes:
    """DER certificates as one PEM file."""
    return b"".join(x509.load_der_x509_certificate(one).public_bytes(Encoding.PEM) for one in certificates)


def x509_of(data: bytes) -> list[bytes]:
    """The DER certificates of a PEM file."""
    return [one.public_bytes(Encoding.DER) for one in x509.load_pem_x509_certificates(data)]


def lists_of(data: bytes) -> list[x509.CertificateRevocationList]:
    """The lists of a PEM file."""
    return [x509.load_der_x509_crl(one) for one in load_lists(data)]


def content_of(signed: bytes) -> bytes:
    """The content of a SignedData."""
    found: bytes = cms.ContentInfo.load(signed)["content"]["encap_content_info"]["content"].native
    return found


def attributes_of(signed: bytes) -> bytes:
    """The signed attributes in a SignedData, as they stand there (tag [0])."""
    found: bytes = cms.ContentInfo.load(signed)["content"]["signer_infos"][0]["signed_attrs"].dump()
    return found


def grown(whole: bytes, part: bytes, longer: bytes) -> bytes:
    """A DER structure in which ``longer`` stands instead of ``part``: the lengths of all that is around it grow."""
    if whole == part:
        return longer
    head = 2 + max(whole[1] - 128, 0) if len(whole) > 1 else 0
    body, made, at = whole[head:], b"", 0
    while at < len(body):
        start = at + 2 + max(body[at + 1] - 128, 0)
        end = start + int.from_bytes(body[at + 2 : start] or body[at + 1 : start])
        one = body[at:end]
        made += grown(one, part, longer) if part in one else one
        at = end
    return der.tlv(whole[0], made)

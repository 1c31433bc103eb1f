"""A time stamping authority on loopback: `openssl ts -reply` behind a small HTTP server, its own certificates."""

from __future__ import annotations

import http.server
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.envelope.algorithms import PrivateKey

CONFIG = """
[tsa]
default_tsa = it
[it]
dir = {folder}
serial = {folder}/serial
crypto_device = builtin
signer_cert = {folder}/tsa.pem
certs = {folder}/ca.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ordering = yes
tsa_name = no
ess_cert_id_chain = no
ess_cert_id_alg = {ess}
"""


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@dataclass
class LocalTsa:
    """What it answers with; ``down`` makes it answer 503, ``asked`` counts.  ``now`` and ``command`` are for another
    clock than ours: the time, and what a command becomes that goes by it."""

    folder: Path
    days: int = 365
    kind: str = "rsa"
    ess: str = "sha256"
    purposes: tuple[x509.ObjectIdentifier, ...] = (ExtendedKeyUsageOID.TIME_STAMPING,)
    critical: bool = True
    down: bool = False
    asked: int = 0
    url: str = ""
    authority_days: int = 365
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    command: Callable[[list[str]], list[str]] = lambda words: words
    authority: bytes = field(init=False)
    certificate: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        self._ca_key = self._key()
        ca = self._certificate("TEST TSA AC", "TEST TSA AC", self._ca_key, self._ca_key, self.authority_days, ca=True)
        self.authority = ca.public_bytes(Encoding.DER)
        (self.folder / "ca.pem").write_bytes(ca.public_bytes(Encoding.PEM))
        self.renew()
        (self.folder / "serial").write_text("01\n")
        (self.folder / "tsa.cnf").write_text(CONFIG.format(folder=self.folder, ess=self.ess))

    def renew(self) -> None:
        """Another certificate and key of the same authority, from now on."""
        key = self._key()
        made = self._certificate("TEST TSA", "TEST TSA AC", key, self._ca_key, self.days, ca=False)
        self.certificate = made.public_bytes(Encoding.DER)
        (self.folder / "tsa.pem").write_bytes(made.public_bytes(Encoding.PEM))
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (self.folder / "tsa.key").write_bytes(secret)

    def _key(self) -> PrivateKey:
        return ec.generate_private_key(ec.SECP256R1()) if self.kind == "ec" else rsa.generate_private_key(65537, 2048)

    def _certificate(
        self, name: str, issuer: str, key: PrivateKey, by: PrivateKey, days: int, *, ca: bool
    ) -> x509.Certificate:
        now = self.now()
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(_name(issuer))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if not ca and self.purposes:
            builder = builder.add_extension(x509.ExtendedKeyUsage(self.purposes), critical=self.critical)
        return builder.sign(by, hashes.SHA256())

    def answer(self, asked: bytes) -> bytes:
        """The DER of a TimeStampResp."""
        query = self.folder / "query.tsq"
        query.write_bytes(asked)
        words = ["openssl", "ts", "-reply", "-config", str(self.folder / "tsa.cnf"), "-queryfile", str(query)]
        return subprocess.run(self.command(words), check=True, capture_output=True).stdout

    def verifies(self, token: bytes, imprint: bytes) -> bool:
        """What `openssl ts -verify` says of a token (not of a response)."""
        path = self.folder / "token.der"
        path.write_bytes(token)
        command = ["openssl", "ts", "-verify", "-digest", imprint.hex(), "-in", path, "-token_in"]
        done = subprocess.run([*command, "-CAfile", self.folder / "ca.pem"], capture_output=True)
        return done.returncode == 0

    @contextmanager
    def serving(self) -> Iterator[LocalTsa]:
        """Over HTTP on loopback."""
        tsa = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = self.rfile.read(int(self.headers["Content-Length"]))
                tsa.asked += 1
                if tsa.down or self.headers["Content-Type"] != "application/timestamp-query":
                    self.send_error(503)
                    return
                answer = tsa.answer(asked)
                self.send_response(200)
                self.send_header("Content-Type", "application/timestamp-reply")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_address[1]}/tsa"
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

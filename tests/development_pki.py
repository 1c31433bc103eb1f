"""The development PKI as tests see it: made by ``certs-dev/make-certs``, read by the gateway's own loaders."""

from __future__ import annotations

import functools
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.envelope.algorithms import PrivateKey
from gateway.envelope.certificates import load_certificates, load_key, load_lists

MAKE_CERTS = Path(__file__).parents[1] / "certs-dev" / "make-certs"


_load_key = functools.cache(load_key)  # pyca checks an RSA key each time that it is loaded


@dataclass(frozen=True)
class Pki:
    """A PKI that ``certs-dev/make-certs`` made; names are paths below ``directory`` without suffix."""

    directory: Path

    def certificate(self, name: str) -> bytes:
        return load_certificates((self.directory / f"{name}.pem").read_bytes())[0]

    def key(self, name: str) -> PrivateKey:
        return _load_key((self.directory / f"{name}.key").read_bytes())

    @property
    def root(self) -> bytes:
        return self.certificate("root")

    @property
    def chain(self) -> list[bytes]:
        return [load_certificates(path.read_bytes())[0] for path in sorted((self.directory / "chains").iterdir())]

    def list_naming(self, name: str, at: datetime) -> bytes:
        """A newer list of the practitioners' authority, DER, that names the certificate ``name``."""
        issuer, key = self.certificate("chains/sante"), self.key("ca/sante")
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(cast(Any, key.public_key()))
        listed = x509.load_der_x509_certificate(self.certificate(name))
        entry = x509.RevokedCertificateBuilder().serial_number(listed.serial_number).revocation_date(at).build()
        made = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(x509.load_der_x509_certificate(issuer).subject)
            .last_update(at)
            .next_update(at + timedelta(days=30))
            .add_revoked_certificate(entry)
            .add_extension(x509.CRLNumber(int(at.timestamp()) + 1), critical=False)
            .add_extension(authority, critical=False)
            .sign(cast(Any, key), hashes.SHA256())
        )
        return made.public_bytes(Encoding.DER)

    @property
    def lists(self) -> list[bytes]:
        return load_lists((self.directory / "crl" / "all.pem").read_bytes())


def make_pki(directory: Path, *options: str) -> Pki:
    """Run the script as a person would."""
    subprocess.run([sys.executable, MAKE_CERTS, directory, *options], check=True)
    return Pki(directory)

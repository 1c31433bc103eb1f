"""Certificates and revocation lists that the development PKI does not have, made by its own authorities."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from development_pki import Pki

DAY = timedelta(days=1)
PLACES = {"root": "root", "foreign-root": "zoo/foreign-root", "etrangere": "zoo/chains/etrangere"}


def authority(pki: Pki, name: str) -> tuple[x509.Certificate, Any]:
    """The certificate and the key of an authority of the PKI."""
    return x509.load_der_x509_certificate(pki.certificate(PLACES.get(name, f"chains/{name}"))), pki.key(f"ca/{name}")


def make_leaf(
    pki: Pki, under: str, path: Path, name: str, *, since: datetime | None = None, days: int = 10,
    hosts: Sequence[str] = ("localhost",), client: bool = False,
) -> Path:  # fmt: skip
    """A certificate for the line with its authority's, at ``path`` (.pem and .key)."""
    issuer, signer = authority(pki, under)
    key, start = ec.generate_private_key(ec.SECP256R1()), since or datetime.now(UTC) - timedelta(hours=1)
    usage = {bit: bit == "digital_signature" for bit in (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )}  # fmt: skip
    purpose = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + days * DAY)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False)  # type: ignore[arg-type]
        .sign(signer, hashes.SHA256())
    )
    path.with_suffix(".key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    chain = path.with_suffix(".pem")
    chain.write_bytes(made.public_bytes(Encoding.PEM) + issuer.public_bytes(Encoding.PEM))
    return chain


def make_list(
    pki: Pki, issuer: str, since: datetime, *, days: float = 30, number: int | None = 0,
    revoked: Sequence[bytes] = (), signer: str = "", extra: Sequence[tuple[x509.ExtensionType, bool]] = (),
) -> bytes:  # fmt: skip
    """A list of ``issuer`` (DER), signed by ``signer`` where that is another; ``number`` 0: from its date."""
    certificate, key = authority(pki, issuer)
    if signer:
        key = pki.key(f"ca/{signer}")
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(certificate.subject)
        .last_update(since)
        .next_update(since + days * DAY)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(cast(Any, certificate.public_key())), False)
    )
    if number is not None:
        builder = builder.add_extension(x509.CRLNumber(number or int(since.timestamp())), critical=False)
    for extension, critical in extra:
        builder = builder.add_extension(extension, critical)
    for named in revoked:
        serial = x509.load_der_x509_certificate(named).serial_number
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(since).build()
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)

"""The development PKI as years pass: new lists, new certificates for old names, new authorities, a new root.

What an authority makes after its first day is like what ``certs-dev/make-certs`` made on it: same name, same uses,
another key.  A file takes the place of the one before, as an operator would put it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

SKEW = timedelta(minutes=5)
TWO_YEARS, CARD_DAYS, AUTHORITY_DAYS = 730, 1096, 3650


@dataclass
class Authority:
    """A certificate and its key; ``lists`` says whether tests publish its list (else the concentrator does)."""

    certificate: x509.Certificate
    key: Any
    lists: bool = True


@dataclass
class LaterPki:
    """The directory that ``make-certs`` made, and its authorities by name, the later ones too."""

    folder: Path
    authorities: dict[str, Authority] = field(default_factory=dict)
    _number: int = 0

    def __post_init__(self) -> None:
        for name in ("root", "sante", "oct", "boites"):
            path = self.folder / ("root.pem" if name == "root" else f"chains/{name}.pem")
            key = load_pem_private_key((self.folder / f"ca/{name}.key").read_bytes(), None)
            self.authorities[name] = Authority(x509.load_pem_x509_certificate(path.read_bytes()), key, name != "boites")

    # -- lists

    def publish(self, at: datetime, days: int) -> None:
        """The lists of the day, of every authority that has not ended: into ``crl/all.pem``."""
        alive = (one for one in self.authorities.values() if one.lists and one.certificate.not_valid_after_utc > at)
        made = b"".join(self._list(one, at, days).public_bytes(Encoding.PEM) for one in alive)
        _replace(self.folder / "crl/all.pem", made)

    def hand_list(self, name: str, at: datetime, days: int, path: Path) -> None:
        """One authority's list to who goes on with it."""
        _replace(path, self._list(self.authorities[name], at, days).public_bytes(Encoding.DER))

    def _list(self, authority: Authority, at: datetime, days: int) -> x509.CertificateRevocationList:
        self._number = max(self._number + 1, int(at.timestamp()))
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
        return (
            x509.CertificateRevocationListBuilder(authority.certificate.subject, at - SKEW, at + timedelta(days=days))
            .add_extension(identifier, critical=False)
            .add_extension(x509.CRLNumber(self._number), critical=False)
            .sign(authority.key, hashes.SHA256())
        )

    # -- certificates

    def again(self, name: str, issuer: str, at: datetime, days: int = TWO_YEARS, to: str = "") -> None:
        """Another certificate and key of the same kind as ``name`` (a path without suffix), in its place or ``to``."""
        old = x509.load_pem_x509_certificate((self.folder / f"{name}.pem").read_bytes())
        key = _like(old)
        made = _certify(old, old.subject, key, self.authorities[issuer], at, days)
        (self.folder / f"{to or name}.pem").parent.mkdir(parents=True, exist_ok=True)
        _replace(self.folder / f"{to or name}.key", _private(key))
        _replace(self.folder / f"{to or name}.pem", made.public_bytes(Encoding.PEM))

    def card(self, holder: str, number: int, issuer: str, at: datetime) -> str:
        """The next card of a practitioner, for three years; its name."""
        name = f"{holder}-{number}"
        for use in ("auth", "sig"):
            self.again(f"practitioners/{holder}/{use}", issuer, at, CARD_DAYS, f"practitioners/{name}/{use}")
        return name

    # -- authorities

    def sector(self, name: str, after: str, root: str, at: datetime) -> Path:
        """A sector authority of the same purposes as ``after``, below ``root``; its certificate's file."""
        before = self.authorities[after]
        key = _like(before.certificate)
        subject = _renamed(before.certificate.subject, name)
        made = _certify(before.certificate, subject, key, self.authorities[root], at, AUTHORITY_DAYS)
        self.authorities[name] = Authority(made, key, before.lists)
        _replace(self.folder / f"ca/{name}.key", _private(key))
        return self._put(f"chains/{name}.pem", made)

    def root(self, name: str, after: str, at: datetime) -> Path:
        """A root to follow ``after``, beside it in ``root.pem``; the file of the certificate that links it to that."""
        before = self.authorities[after]
        key, subject = _like(before.certificate), _renamed(before.certificate.subject, name)
        own = _certify(before.certificate, subject, key, None, at, 2 * AUTHORITY_DAYS)
        self.authorities[name] = Authority(own, key)
        roots = (self.folder / "root.pem").read_bytes()
        _replace(self.folder / "root.pem", roots + own.public_bytes(Encoding.PEM))
        left = (before.certificate.not_valid_after_utc - at).days
        return self._put(f"chains/{name}-link.pem", _certify(before.certificate, subject, key, before, at, left))

    def _put(self, name: str, certificate: x509.Certificate) -> Path:
        _replace(self.folder / name, certificate.public_bytes(Encoding.PEM))
        return self.folder / name


def _renamed(subject: x509.Name, name: str) -> x509.Name:
    kept = [one for one in subject if one.oid != NameOID.COMMON_NAME]
    return x509.Name([*kept, x509.NameAttribute(NameOID.COMMON_NAME, f"OCT-GATEWAY TEST {name}")])


def _like(certificate: x509.Certificate) -> Any:
    """A new key of the same kind."""
    old = certificate.public_key()
    if isinstance(old, rsa.RSAPublicKey):
        return rsa.generate_private_key(65537, old.key_size)
    assert isinstance(old, ec.EllipticCurvePublicKey)
    return ec.generate_private_key(old.curve)


def _certify(
    old: x509.Certificate, subject: x509.Name, key: Any, issuer: Authority | None, at: datetime, days: int
) -> x509.Certificate:
    """What ``old`` says, for another key; without an issuer it signs itself."""
    signer, name = (issuer.key, issuer.certificate.subject) if issuer else (key, subject)
    builder = x509.CertificateBuilder(name, subject, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(at - SKEW).not_valid_after(at - SKEW + timedelta(days=days))
    for extension in old.extensions:
        value = extension.value
        if isinstance(value, x509.SubjectKeyIdentifier):
            value = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        if isinstance(value, x509.AuthorityKeyIdentifier):
            value = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        builder = builder.add_extension(value, extension.critical)
    return builder.sign(signer, hashes.SHA256())


def _private(key: Any) -> bytes:
    return bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _replace(path: Path, content: bytes) -> None:
    aside = path.with_suffix(".new")
    aside.write_bytes(content)
    aside.rename(path)

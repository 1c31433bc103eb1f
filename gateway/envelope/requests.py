"""Certificate requests (PKCS #10, RFC 2986) of the keys of a box: made by who holds the key, checked before any
certificate is made.

A request proves that its sender holds the private key; it asks for nothing else but names of hosts.  What a
certificate will say is the table's and the authority's word, never the request's.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from gateway.envelope.algorithms import UNREADABLE, PrivateKey
from gateway.envelope.box_keys import BoxKey
from gateway.errors import Refused, Scope

MARK_LENGTH = 16
"""Hexadecimal digits of a key's mark: 64 bits of SHA-256, enough to tell the keys of one box apart."""

MOST_HOSTS = 16
_LOCAL_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.(local|lan|home\.arpa|internal))?")


def new_key(row: BoxKey) -> PrivateKey:
    """A new private key of that row."""
    return row.kind.make()


def mark(key: CertificatePublicKeyTypes) -> str:
    """A short name of a public key: the beginning of the SHA-256 of its SubjectPublicKeyInfo."""
    encoded = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(encoded).hexdigest()[:MARK_LENGTH]


def make_request(row: BoxKey, key: PrivateKey, hosts: tuple[str, ...] = ()) -> bytes:
    """DER of the request of a key, its subject being its name in the table."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, row.name)])
    )
    if row.hosts and hosts:
        names = x509.SubjectAlternativeName([host_name(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def read_request(row: BoxKey, encoded: bytes) -> x509.CertificateSigningRequest:
    """The request of that row; Refused ENR-020 unreadable or not signed by its own key, ENR-021 another kind of
    key, ENR-022 names of hosts that are not those of a practice's network."""
    try:
        request = x509.load_der_x509_csr(encoded)
        sound = request.is_signature_valid and isinstance(request.signature_hash_algorithm, hashes.SHA256)
        _ = request.subject, request.extensions  # pyca reads them when asked
    except UNREADABLE:
        sound = False
    if not sound:
        raise Refused("ENR-020", f"La demande de certificat de {row.name} n'est pas signée par sa clé.", Scope.BOX)
    if not row.kind.fits(request.public_key()):
        raise Refused("ENR-021", f"La clé de {row.name} n'est pas une clé {row.kind.words}.", Scope.BOX)
    for name in certified_hosts(request):
        if not row.hosts or not is_local(name):
            raise Refused("ENR-022", f"« {name} » n'est pas un nom que {row.name} puisse porter.", Scope.BOX)
    return request


def certified_hosts(holder: x509.CertificateSigningRequest | x509.Certificate) -> tuple[str, ...]:
    """The names of hosts in a request or a certificate; Refused ENR-022 for other kinds of
    names or too many."""
    try:
        found = holder.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    names = [str(name.value) for name in found if isinstance(name, x509.DNSName | x509.IPAddress)]
    if len(names) != len(list(found)) or len(names) > MOST_HOSTS:
        raise Refused("ENR-022", "La demande de certificat porte des noms qui ne sont pas d'hôtes.", Scope.BOX)
    return tuple(names)


def host_name(host: str) -> x509.GeneralName:
    """An address where it is one, else a DNS name."""
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def is_local(host: str) -> bool:
    """Whether a name or address can only mean something inside a practice: no authority of ours vouches for others."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return _LOCAL_NAME.fullmatch(host) is not None

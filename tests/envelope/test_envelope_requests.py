"""Certificate requests: openssl verifies them; what is not signed by its key, or asks for more, is refused."""

from __future__ import annotations

import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from gateway.envelope.box_keys import BY_NAME, KEYS, BoxKey
from gateway.envelope.requests import certified_hosts, is_local, make_request, mark, new_key, read_request
from gateway.errors import Refused

HOSTS = ("localhost", "127.0.0.1", "passerelle.local")


@pytest.mark.parametrize("row", KEYS, ids=lambda row: row.name)
def test_openssl_verifies_each(row: BoxKey) -> None:
    key = new_key(row)
    encoded = make_request(row, key, HOSTS)
    command = ["openssl", "req", "-inform", "DER", "-verify", "-noout", "-subject"]
    done = subprocess.run(command, input=encoded, capture_output=True)
    assert done.returncode == 0
    assert b"verify OK" in done.stderr + done.stdout
    request = read_request(row, encoded)
    assert mark(request.public_key()) == mark(key.public_key())  # type: ignore[arg-type]
    assert certified_hosts(request) == (HOSTS if row.hosts else ())


def test_every_byte_changed_is_refused() -> None:
    """Or is none of what was signed: the count of unused bits after the signature may say one where there is one."""
    row = BY_NAME["box-lan-status"]
    encoded = make_request(row, new_key(row), HOSTS)
    signed, refusals = read_request(row, encoded).tbs_certrequest_bytes, 0
    for place in range(len(encoded)):
        changed = bytearray(encoded)
        changed[place] ^= 1
        try:
            assert read_request(row, bytes(changed)).tbs_certrequest_bytes == signed
        except Refused as refused:
            assert refused.code in ("ENR-020", "ENR-021")
            refusals += 1
    assert refusals >= len(encoded) - 1


def request_of(names: list[x509.GeneralName], curve: ec.EllipticCurve | None = None) -> bytes:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "box-lan-status")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(ec.generate_private_key(curve or ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    ("name", "encoded", "code"),
    [
        ("box-lan-status", request_of([], ec.SECP384R1()), "ENR-021"),
        ("box-lan-status", request_of([x509.DNSName("www.example.org")]), "ENR-022"),
        ("box-lan-status", request_of([x509.DNSName("*.local")]), "ENR-022"),
        ("box-lan-status", request_of([x509.RFC822Name("a@b.fr")]), "ENR-022"),
        ("box-lan-status", request_of([x509.DNSName(f"b{n}") for n in range(17)]), "ENR-022"),
        ("box-seal", request_of([x509.DNSName("localhost")]), "ENR-022"),
        ("box-seal", b"", "ENR-020"),
    ],
)
def test_what_asks_for_more_is_refused(name: str, encoded: bytes, code: str) -> None:
    with pytest.raises(Refused) as refused:
        read_request(BY_NAME[name], encoded)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("host", "local"),
    [("localhost", True), ("boite.local", True), ("192.168.1.5", True), ("fe80::1", True), ("box.home.arpa", True),
     ("8.8.8.8", False), ("example.org", False), ("", False), ("-a", False), ("a.local.org", False)],
)  # fmt: skip
def test_local_names(host: str, local: bool) -> None:
    assert is_local(host) is local

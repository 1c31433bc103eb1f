"""The table of keys agrees with the development PKI, with the users of the box, and with the uses of certificates."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from development_pki import Pki

from gateway.envelope.box_keys import BY_NAME, KEYS, P256, P384, PRACTICE, RSA, SECRETS, BoxKey, owned_by
from gateway.envelope.certificates import USES

REPO = Path(__file__).resolve().parents[2]
OWNERS = {"intake", "keeper", "forward", "status"}


def test_each_key_has_one_owner_and_one_use() -> None:
    assert len(BY_NAME) == len(KEYS)
    assert {row.owner for row in KEYS} == OWNERS | {PRACTICE}
    assert sum(len(owned_by(owner)) for owner in OWNERS) == len(KEYS) - 1
    for row in KEYS:
        assert row.purpose in USES[row.use].purposes
        assert set(row.usage) <= {*USES[row.use].usage}, "a key does what its use needs and nothing more"


def test_a_key_is_of_its_kind_alone() -> None:
    kinds = (P256, P384, RSA)
    for kind in kinds:
        assert [other.fits(kind.make().public_key()) for other in kinds] == [other is kind for other in kinds]
    assert not RSA.fits(rsa.generate_private_key(65537, 2048).public_key())


@pytest.mark.parametrize("row", KEYS, ids=lambda row: row.name)
def test_the_development_pki_makes_the_same(row: BoxKey, pki: Pki) -> None:
    certificate = x509.load_der_x509_certificate(pki.certificate(row.name))
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert row.kind.fits(certificate.public_key()) and list(purposes) == [row.purpose]
    bits = ("digital_signature", "content_commitment", "key_encipherment", "key_agreement", "key_cert_sign")
    assert tuple(bit for bit in bits if getattr(usage, bit)) == row.usage


def test_every_owner_has_its_directory_and_every_declared_box_key_is_in_the_table() -> None:
    made = (REPO / "systemd/tmpfiles.d/gateway.conf").read_text()
    for owner in {row.owner for row in (*KEYS, *SECRETS)} - {PRACTICE}:
        assert f"/etc/gateway/keys/{owner}" in made
        line = next(line for line in made.splitlines() if f"/etc/gateway/keys/{owner} " in line)
        assert line.split()[2:5] == ["0700", f"gw-{owner}", f"gw-{owner}"]
    declared = tomllib.loads((REPO / "certs-dev/pki.toml").read_text())["certificates"]
    assert {row["name"] for row in declared if not row["name"].startswith("oct-")} == set(BY_NAME)

"""The cases of ``limbo.yml`` as questions: Certomancer makes certificates and lists from the declaration."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from asn1crypto import x509
from certomancer.default_plugins import process_general_name
from certomancer.registry import ArchLabel, CertLabel, PKIArchitecture, ServiceLabel
from certomancer.registry.config import CertomancerConfig
from certomancer.registry.plugin_api import ExtensionPlugin, extension_plugin_registry
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from path_judges import Question

from gateway.envelope.certificates import Use

DECLARED: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("limbo.yml").read_text(encoding="utf-8"))
CASES: dict[str, dict[str, Any]] = DECLARED["cases"]
MOMENT = "2060-06-15T00:00:00+00:00"


@extension_plugin_registry.register
class Limits(ExtensionPlugin):
    """Name constraints from general names, ``permitted`` and ``excluded``."""

    schema_label = "limits"
    extension_type = x509.ExtensionId

    def provision(self, extn_id: object, arch: PKIArchitecture, params: dict[str, Any]) -> x509.NameConstraints:
        subtrees = {
            f"{kind}_subtrees": [{"base": process_general_name(arch.entities, one)} for one in names]
            for kind, names in params.items()
        }
        return x509.NameConstraints(subtrees)


def questions(directory: Path) -> Iterator[tuple[str, Question]]:
    """Every case; keys are made in ``directory``."""
    for name in DECLARED["keysets"]["limbo"]["keys"]:
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (directory / f"{name}.pem").write_bytes(pem)
    made = CertomancerConfig(DECLARED, key_search_dir=str(directory))
    for name, case in CASES.items():
        yield name, question(made.get_pki_arch(ArchLabel(case.get("of", name))), case)


def question(arch: PKIArchitecture, case: dict[str, Any]) -> Question:
    at = datetime.fromisoformat(case.get("at", MOMENT)).astimezone(UTC)
    dates = {"root": None, "sector": None, **case.get("lists", {})}
    return Question(
        leaf=certificate(arch, "leaf"),
        chain=[certificate(arch, one) for one in case.get("chain", ["sector"])],
        roots=[certificate(arch, case.get("trusted", "root"))],
        lists=[
            arch.service_registry.get_crl(ServiceLabel(one), datetime.fromisoformat(date) if date else at).dump()
            for one, date in dates.items()
        ],
        use=Use(case.get("use", "seal")),
        at=at,
    )


def certificate(arch: PKIArchitecture, label: str) -> bytes:
    encoded: bytes = arch.get_cert(CertLabel(label)).dump()
    return encoded

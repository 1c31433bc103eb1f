"""Settings: they pass through TOML, passwords stand in them only hashed."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from gateway.concentrator.settings import ConcentratorSettings, PartnerAccess
from gateway.config import read_section, sample, write_toml
from gateway.errors import Refused
from gateway.formats.mandates import Mandate


def test_partners_are_read_from_toml() -> None:
    mandates = [{"holder": "99900000011", "emitter": "991038431", "role": "titulaire", "until": "2027-01-31"}]
    partner = {"identifier": "BOX1", "password_hash": "scrypt$00$00", "box_seal": "/x.pem", "client_name": "box1",
               "mandates": mandates}  # fmt: skip
    text = write_toml({"concentrator": {"name": "OCT9", "partners": [partner], "payer": {"reject": ["000000002"]}}})
    settings = read_section(ConcentratorSettings, tomllib.loads(text)["concentrator"], "[concentrator]")
    assert settings.partners == (
        PartnerAccess(
            "BOX1", "scrypt$00$00", Path("/x.pem"), "box1",
            mandates=(Mandate("99900000011", "991038431", "titulaire", until="2027-01-31"),),
        ),
    )  # fmt: skip
    assert settings.name == "OCT9" and settings.payer.reject == ("000000002",)


def test_the_sample_documents_every_setting() -> None:
    text = sample({"concentrator": ConcentratorSettings})
    document = tomllib.loads(text)["concentrator"]
    assert read_section(ConcentratorSettings, document, "[concentrator]") == ConcentratorSettings()
    assert text.count("# ") >= len(document)


def test_a_rule_that_is_none_is_refused() -> None:
    with pytest.raises(Refused, match="CFG-008"):
        ConcentratorSettings(mandate_rule="sometimes")


@pytest.mark.parametrize("names", [("",), ("box1", ""), ("box1", "box1")])
def test_no_box_may_come_by_the_certificate_of_another(names: tuple[str, ...]) -> None:
    partners = tuple(PartnerAccess(f"BOX{n}", "", Path("/x.pem"), name) for n, name in enumerate(names))
    with pytest.raises(Refused, match="CFG-012"):
        ConcentratorSettings(partners=partners)
    assert ConcentratorSettings(partners=partners, client_certificate=False).partners == partners

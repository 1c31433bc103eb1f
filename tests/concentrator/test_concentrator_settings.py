"""Settings: they pass through TOML, passwords stand in them only hashed."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from gateway.concentrator.settings import ConcentratorSettings, PartnerAccess, password_fits, password_hash
from gateway.config import read_section, sample, write_toml


def test_a_password_fits_its_own_hash_only() -> None:
    hashed = password_hash("secret")
    assert "secret" not in hashed and hashed != password_hash("secret"), "salted"
    assert password_fits("secret", hashed)
    for password, other in (("Secret", hashed), ("", hashed), ("secret", ""), ("secret", "secret"), ("", "scrypt$$")):
        assert not password_fits(password, other)


@pytest.mark.parametrize("broken", ["scrypt$zz$00", "scrypt$00", "md5$00$00", "scrypt$00$é"])
def test_a_hash_of_another_form_fits_nothing(broken: str) -> None:
    assert not password_fits("secret", broken)


def test_partners_are_read_from_toml() -> None:
    partner = {"identifier": "BOX1", "password_hash": "scrypt$00$00", "box_seal": "/x.pem"}
    text = write_toml({"concentrator": {"name": "OCT9", "partners": [partner], "payer": {"reject": ["000000002"]}}})
    settings = read_section(ConcentratorSettings, tomllib.loads(text)["concentrator"], "[concentrator]")
    assert settings.partners == (PartnerAccess("BOX1", "scrypt$00$00", Path("/x.pem")),)
    assert settings.name == "OCT9" and settings.payer.reject == ("000000002",)


def test_the_sample_documents_every_setting() -> None:
    text = sample({"concentrator": ConcentratorSettings})
    document = tomllib.loads(text)["concentrator"]
    assert read_section(ConcentratorSettings, document, "[concentrator]") == ConcentratorSettings()
    assert text.count("# ") >= len(document)

"""What tests of several parts share: one development PKI for the whole run."""

from __future__ import annotations

import pytest
from development_pki import Pki, make_pki
from pin_sweep import Sweep


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return make_pki(tmp_path_factory.mktemp("pki"))


def pytest_configure(config: pytest.Config) -> None:
    """Search what the run left for the codes of its cards."""
    config.pluginmanager.register(Sweep(config), "pin-sweep")

"""What tests of several parts share: one development PKI for the whole run."""

from __future__ import annotations

import pytest
from development_pki import Pki, make_pki


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return make_pki(tmp_path_factory.mktemp("pki"))

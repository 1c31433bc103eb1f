"""What tests of several parts share: one development PKI for the whole run."""

from __future__ import annotations

import pytest
from development_pki import Pki, make_pki
from pin_sweep import Sweep

from gateway.card import memory


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return make_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(autouse=True)
def may_dump(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that a test runs in this process may not take dumps from it for good: what is started later would seem
    to be walled in (tests/systemd), and the search for codes in core files would look for none."""
    monkeypatch.setattr(memory, "seal", lambda: None)


def pytest_configure(config: pytest.Config) -> None:
    """Search what the run left for the codes of its cards; in the process that hears of all workers."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Sweep(config), "pin-sweep")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest begin first, so that no worker is left alone with one at the end; the order of others stays."""
    items.sort(key=lambda item: item.path.parent.name not in ("power", "systemd"))

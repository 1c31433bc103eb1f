"""What an idle service has loaded: nothing that only a rarer act needs, for each MiB is there five times."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gateway.commands.sections import SERVICES

UNWANTED = {
    "intake": ("asn1crypto", "paramiko", "jinja2", "gateway.link", "gateway.pesit", "http.client"),
    "keeper": ("asn1crypto", "paramiko", "jinja2", "h11", "gateway.link.client", "gateway.pesit", "gateway.formats.b2",
               "gateway.formats.noemie", "http.client"),
    "card": ("asn1crypto", "paramiko", "jinja2", "h11", "cryptography", "sqlite3", "gateway.link", "gateway.pesit"),
    "forward": ("asn1crypto", "paramiko", "jinja2", "h11", "http.client"),
    "status": ("asn1crypto", "paramiko", "cryptography", "gateway.link", "gateway.pesit", "http.client"),
}  # fmt: skip


@pytest.mark.parametrize("service", UNWANTED)
def test_an_idle_service_has_loaded_only_what_it_uses(service: str) -> None:
    module = SERVICES[service].partition(":")[0]
    show = f"import sys, gateway.__main__, gateway.commands.run, {module}; print(*sys.modules, sep='\\n')"
    loaded = subprocess.run([sys.executable, "-c", show], capture_output=True, text=True, check=True).stdout.split()
    assert module in loaded
    assert [name for name in UNWANTED[service] if name in loaded] == []

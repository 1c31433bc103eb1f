"""What an idle service has loaded: nothing that only a rarer act needs, for each MiB is there five times.

And what a transfer from a shell has: nothing of the other verbs, for the person waits for it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gateway.commands.sections import SERVICES

UNWANTED = {
    "intake": ("asn1crypto", "paramiko", "jinja2", "gateway.link", "gateway.pesit", "http.client"),
    "keeper": ("asn1crypto", "paramiko", "jinja2", "h11", "gateway.link.client", "gateway.pesit", "gateway.formats.b2",
               "gateway.formats.noemie", "http.client"),
    "card": ("asn1crypto", "paramiko", "jinja2", "h11", "cryptography", "sqlite3", "gateway.link", "gateway.pesit",
             "zoneinfo"),
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


LEFT_ALONE = {
    ("send", __file__): ("gateway.link.directory",),
    ("get", "FILE", "."): (),
}
"""A verb of ``gateway pesit`` to what it has not loaded, beside what only a server needs."""

OF_A_SERVER = ("gateway.commands.pesit_serve", "gateway.link.server", "gateway.link.relay", "gateway.config", "sqlite3",
               "tomllib")  # fmt: skip


@pytest.mark.parametrize("words", LEFT_ALONE, ids=lambda words: words[0])
def test_a_transfer_has_loaded_only_its_own_side(words: tuple[str, ...], tmp_path: Path) -> None:
    """Nobody answers at the address: all has been loaded then, and the exit code is 69."""
    where = ["--context", str(tmp_path), "--from" if words[0] == "get" else "--to", "pesit://A:B@127.0.0.1:1/SRV"]
    line = ["pesit", *words, *where, *(["--as", "FILE"] if words[0] == "send" else [])]
    show = "import sys; from gateway.__main__ import main; code = main(sys.argv[1:]); print(code, *sys.modules)"
    code, *loaded = subprocess.run(
        [sys.executable, "-c", show, *line], capture_output=True, text=True, check=True
    ).stdout.split()
    assert code == "69" and "gateway.link.client" in loaded
    assert [name for name in (*LEFT_ALONE[words], *OF_A_SERVER) if name in loaded] == []

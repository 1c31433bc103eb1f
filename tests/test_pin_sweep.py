"""A run of pytest that leaves a code fails and says where; one that leaves none passes.

Each run is a pytest of its own, with the very plugin that searches this one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pin_scan import CODE

CONFTEST = """
from pin_sweep import Sweep

def pytest_configure(config):
    config.pluginmanager.register(Sweep(config))
"""

PLANTED = {
    "a file of a passing test": ("def test_it(tmp_path): (tmp_path / 'a.log').write_text(PIN)", "a.log"),
    "a file of a fixture of the run": (
        "import pytest\n"
        "@pytest.fixture(scope='session')\n"
        "def late(tmp_path_factory):\n"
        "    yield\n"
        "    (tmp_path_factory.mktemp('late') / 'b.log').write_text(PIN)\n"
        "def test_it(late): pass",
        "b.log",
    ),
    "printed": ("def test_it(): print(PIN)", "Captured stdout call"),
    "printed by another process": (
        "import os\ndef test_it(capfd): pass\ndef test_that(): os.system(f'echo {PIN} >&2')",
        "Captured stderr call",
    ),
    "logged": ("import logging\ndef test_it(): logging.warning('code %s', PIN)", "Captured log call"),
    "dumped where pytest runs": ("def test_it(): open('core.1', 'w').write(PIN)", "core.1"),
    "a card that cannot be told apart": ("def test_it(tmp_path): (tmp_path / 'c.pin').write_text('5731')", "c.pin"),
}


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not below pytest's own directory, which is searched at the end of this run."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def run(folder: Path, test: str) -> subprocess.CompletedProcess[str]:
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_one.py").write_text(f"PIN = {CODE!r}\n{test}\n")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--basetemp", str(folder / "left")]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("how", PLANTED)
def test_a_run_that_leaves_a_code_fails_and_says_where(folder: Path, how: str) -> None:
    test, where = PLANTED[how]
    done = run(folder, test)
    assert done.returncode == 1, done.stdout
    _, _, told = done.stdout.partition("a code porteur was left")
    assert where in told
    assert " passed" in told, "pytest's own line is the last"


def test_a_run_that_leaves_none_passes(folder: Path) -> None:
    done = run(folder, "def test_it(tmp_path): (tmp_path / 'code.pin').write_text(PIN)")
    assert done.returncode == 0, done.stdout
    assert "no code porteur in what the run left" in done.stdout

"""At the end of a run of pytest everything that it left is searched for the codes of its cards.

That is pytest's own temporary directory, with what passing tests wrote, the captured output and log of every test, and
core files where pytest was started.  Directories that tests make elsewhere are searched before they are removed
(``pin_scan.remove``).  A find fails the run and is listed.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from pin_scan import found, in_bytes, strange


class Sweep:
    """A plugin of pytest."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._finds: list[str] = []
        self._seconds = 0.0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """What a test printed and logged."""
        for title, text in report.sections:
            shown = in_bytes(text.encode("utf-8", "surrogateescape"))
            self._finds += [f"{report.nodeid}, {title}: {form}" for form in shown]

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """What the run left, once its fixtures are gone."""
        begin = time.monotonic()
        factory: pytest.TempPathFactory | None = getattr(self._config, "_tmp_path_factory", None)
        if factory is not None and getattr(factory, "_basetemp", None) is not None:
            self._finds += found(factory.getbasetemp()) + strange(factory.getbasetemp())
        for core in Path.cwd().glob("core*"):
            if core.is_file():
                self._finds += [f"{core}: {form}" for form in in_bytes(core.read_bytes())]
        self._seconds = time.monotonic() - begin
        if self._finds:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what was found."""
        if self._finds:
            terminalreporter.section("a code porteur was left", red=True)
            for find in dict.fromkeys(self._finds):
                terminalreporter.write_line(find)
        else:
            terminalreporter.write_line(f"no code porteur in what the run left ({self._seconds:.1f} s)")

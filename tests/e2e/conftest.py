"""One practice with its OCT, running on real parts, for all end-to-end tests of a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import samples
from line import Line
from pin_scan import CODE
from ports import free_port
from stage import Stage
from stage_root import stage_root

REJECTED = samples.lots(3, (3, 2), samples.TODAY)[0].factures[1].number


class Practice(Stage):
    """A stage whose line to the OCT can be cut."""

    line: Line


@pytest.fixture(scope="session")
def short_root() -> Iterator[Path]:
    """A directory whose name leaves room for sockets."""
    with stage_root() as root:
        yield root


@pytest.fixture(scope="session")
def practice(short_root: Path) -> Iterator[Practice]:
    target = free_port()
    line = Line(target, 20e6)
    settings = {"forward": {"port": line.port, "sync_kb": 128}, "concentrator": {"port": target}}
    with Practice(short_root, payer={"reject": [REJECTED]}, settings=settings, pin=CODE) as stage:
        stage.line = line
        stage.prepare()
        stage.start_reader()
        stage.start()
        stage.wait(lambda: stage.ask("/api/v1/status"), "the page")
        yield stage
    line.close()

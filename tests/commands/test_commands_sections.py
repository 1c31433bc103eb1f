"""A command of a box that was never installed says what to do; one that needs no state goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.__main__ import main
from gateway.config import write_toml


@pytest.mark.parametrize("words", [
    ("run", "keeper"), ("run", "forward"), ("run", "intake"), ("dev",), ("backup", "x"),
    ("restore", "x", "--key", "x"),
])  # fmt: skip
def test_a_box_that_was_never_installed(
    words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text(write_toml({"box": {"state": str(tmp_path / "state")}}))
    assert main([*words, "--config", str(config)]) == 65
    assert capsys.readouterr().err.startswith(f"gateway : BOX-007 {tmp_path}/state/doors n'existe pas : ")
    assert list(tmp_path.iterdir()) == [config]

"""A box that was never installed says what to do; what needs no state goes on; the sample agrees with itself."""

from __future__ import annotations

import tomllib
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


def test_a_box_and_a_concentrator_from_the_sample_are_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """What nobody has to change agrees: where one calls and the other listens, and by which name."""
    assert main(["config", "sample"]) == 0
    sample = tomllib.loads(capsys.readouterr().out)
    box, concentrator = sample["forward"], sample["concentrator"]
    assert (box["host"], box["port"], box["server"]) == tuple(concentrator[name] for name in ("host", "port", "name"))
    assert (box["tls"], concentrator["client_certificate"]) == (True, True)
    assert box["sync_kb"] <= concentrator["sync_kb"] and box["window"] <= concentrator["window"]
    assert sample["intake"]["max_bytes"] <= concentrator["limit"]
    ports = [sample[name]["port"] for name in ("intake", "status", "forward")]
    assert len({*ports, concentrator["enrolment"]["port"]}) == 4

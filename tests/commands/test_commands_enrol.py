"""What ``gateway enrol`` writes to the practice's stick is whole, whatever a cut left there."""

from __future__ import annotations

from pathlib import Path

import pytest
from power_cut import last_cut, run_until_cut

from gateway.commands.enrol import write_out
from gateway.errors import Refused

CONTENT = b"-----BEGIN CERTIFICATE-----\n" + b"x" * 500


def test_a_file_that_was_torn_is_made_whole(tmp_path: Path) -> None:
    file = tmp_path / "recours.crt.pem"
    file.write_bytes(CONTENT[:100])
    write_out(file, CONTENT)
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (CONTENT, 0o600)


def test_killed_at_any_change_it_is_whole_or_not_there(tmp_path: Path) -> None:
    file = tmp_path / "recours.key.pem"
    for cut in range(1, 20):
        run_until_cut(cut, lambda: write_out(file, CONTENT))
        assert not file.exists() or file.read_bytes() == CONTENT
        if last_cut():
            break
    assert cut > 1 and file.exists()


def test_a_stick_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="ne peut pas être écrit"):
        write_out(tmp_path / "nowhere/recours.key.pem", CONTENT)

"""Exit codes of the command line, for what the rest cannot bring about."""

from __future__ import annotations

import pytest

from gateway import __main__ as command_line
from gateway.commands import configuration
from gateway.errors import Deferred, Refused, Scope


@pytest.mark.parametrize(("ends", "code", "said"), [
    (Refused("X-1", "Non."), 65, "gateway : X-1 Non.\n"),
    (Deferred("X-2", "Pas là.", Scope.CARD), 69, "gateway : X-2 Pas là.\n"),
    (Deferred("X-3", "Pas là.", Scope.ROUTE), 69, "gateway : X-3 Pas là.\n"),
    (Deferred("X-4", "Plus tard.", Scope.BOX), 75, "gateway : X-4 Plus tard.\n"),
    (KeyboardInterrupt(), 130, ""),
])  # fmt: skip
def test_how_a_command_ends(
    ends: BaseException, code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(ends, monkeypatch) == code
    assert capsys.readouterr().err == said


def test_a_bug_is_70_and_tells_where(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(KeyError("somewhere"), monkeypatch) == 70
    told = capsys.readouterr().err
    assert "KeyError: 'somewhere'" in told and told.endswith("à transmettre.\n")


def ended(ends: BaseException, monkeypatch: pytest.MonkeyPatch) -> int:
    def act(_: object) -> int:
        raise ends

    monkeypatch.setattr(configuration, "show_sample", act)
    return command_line.main(["config", "sample"])

"""The check of a content in its child: a report, or a refusal, and never a process that stays."""

from __future__ import annotations

import pytest
from concentrator_bench import DAY, b2

from gateway.concentrator import content
from gateway.errors import Deferred, Refused
from gateway.process import child
from gateway.process.child import Writable


def feed_b2(pipe: Writable) -> None:
    pipe.write(b2(count=2))


def test_the_report_of_the_child() -> None:
    report = content.check_content(feed_b2, "b2-cp", DAY)
    assert not report.blocked and [len(lot.factures) for lot in report.lots] == [2, 2]


@pytest.mark.parametrize(
    "program", ["import sys; sys.exit(3)", "import os; os.kill(os.getpid(), 9)", "import time; time.sleep(60)"]
)
def test_a_child_that_dies_or_sleeps_refuses_the_fichier(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = child.subprocess.Popen
    started = []

    def other(command: list[str], **options: object) -> object:
        started.append(real([command[0], "-c", program], **options))  # type: ignore[call-overload]
        return started[-1]

    monkeypatch.setattr(child, "DEADLINE_S", 0.5)
    monkeypatch.setattr(child.subprocess, "Popen", other)
    with pytest.raises(Refused) as refused:
        content.check_content(feed_b2, "b2-cp", DAY)
    assert refused.value.code == "OCT-004"
    assert started[0].returncode is not None


def test_trouble_on_our_side_is_what_is_said() -> None:
    def fail(pipe: Writable) -> None:
        pipe.write(b"000" * 1000)
        raise Deferred("BOX-000", "essai")

    with pytest.raises(Deferred):
        content.check_content(fail, "b2-cp", DAY)

"""The child that reads hostile bytes: whatever it does, the parent goes on."""

from __future__ import annotations

import samples

from gateway.formats.findings import Report
from gateway.process.child import Writable, read_in_child


def test_it_answers_with_a_report() -> None:
    answer = read_in_child(lambda pipe: pipe.write(samples.b2(1)), "--today", "2026-11-22")
    assert not Report.from_json(answer).blocked


def test_what_is_fed_after_its_end_is_swallowed() -> None:
    fed = []

    def feed(pipe: Writable) -> None:
        for _ in range(100):
            fed.append(pipe.write(b"x" * 65536))

    assert read_in_child(feed, "--no-such-option") == b""
    assert fed == [65536] * 100


def test_it_inherits_nothing(monkeypatch: object) -> None:
    answer = read_in_child(lambda pipe: pipe.write(b"nonsense"))
    assert Report.from_json(answer).blocked

"""Which test shows which fact about PeSIT: writes docs/conformity.md, or with ``--check`` compares it.

Facts stand in ``facts.toml``; tests carry ``@pytest.mark.fact("F-84")``, vectors and dialogs a ``fact:`` line that
becomes the same mark. It fails when a fact has neither a test nor a reason why it cannot have one, when it has
both, and when a mark names a fact that is not there. It runs no test.
"""

from __future__ import annotations

import contextlib
import io
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
REPO = HERE.parents[1]
PAGE = REPO / "docs" / "conformity.md"
ROOMS = ("pesit", "link", "commands", "services")
"""Where tests about PeSIT are."""

HEAD = """# Conformity to PeSIT E, Hors-SIT profile

Written by `make conformity` from `tests/conformity/facts.toml` and the marks of the tests: what is known about the
protocol and about the products that speak it, and the tests that show how this implementation stands to it.
A name in *italics* is a file: of `tests/dialogs`, or of `tests/vectors/pesit`.

{summary}

| fact | what is known | shown by |
| --- | --- | --- |
"""


class Marks:
    """A pytest plugin that notes the marks of what was collected."""

    def __init__(self) -> None:
        self.shown: dict[str, set[str]] = defaultdict(set)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            for mark in item.iter_markers("fact"):
                for fact in mark.args:
                    self.shown[fact].add(named(item))


def named(item: pytest.Item) -> str:
    """A test as the page names it: its file and function, or the file of its case."""
    values: dict[str, Any] = getattr(getattr(item, "callspec", None), "params", {})
    if "vector" in values:
        return f"*{values['vector'].name}*"
    if "dialog" in values:
        return f"*dialogs/{values['dialog'].name}*"
    path, _, function = item.nodeid.partition("::")
    function = function.partition("[")[0]
    return f"{Path(path).stem.removeprefix('test_')}: {function.removeprefix('test_').replace('_', ' ')}"


def collected() -> dict[str, set[str]]:
    """Fact to the tests that show it."""
    marks = Marks()
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        rooms = [str(REPO / "tests" / room) for room in ROOMS]
        code = pytest.main(["--collect-only", "-m", "", "-p", "no:cacheprovider", *rooms], plugins=[marks])
    if code != pytest.ExitCode.OK:
        raise SystemExit(said.getvalue()[-2000:])
    return marks.shown


def complaints(facts: dict[str, dict[str, str]], shown: dict[str, set[str]]) -> Iterable[str]:
    """What is wrong between facts and tests."""
    for fact, row in facts.items():
        reason = "not_shown" in row
        if not reason and not shown.get(fact):
            yield f"{fact} has neither a test nor a reason: {row['says']}"
        if reason and shown.get(fact):
            yield f"{fact} is said not to be shown, and {sorted(shown[fact])[0]} shows it"
    yield from (f"{fact} is no fact: {sorted(shown[fact])[0]}" for fact in sorted(set(shown) - set(facts)))


def page(facts: dict[str, dict[str, str]], shown: dict[str, set[str]]) -> str:
    """The whole page."""
    open_ = sum("not_shown" in row for row in facts.values())
    proofs = len(set().union(*shown.values()))
    summary = f"{len(facts)} facts; {len(facts) - open_} shown by {proofs} tests and files, {open_} that cannot be."
    rows = (
        f"| {fact} | {row['says']} | {'; '.join(sorted(shown.get(fact, ()))) or 'not shown: ' + row['not_shown']} |\n"
        for fact, row in facts.items()
    )
    return HEAD.format(summary=summary) + "".join(rows)


def main(arguments: list[str]) -> int:
    """Exit 1 when something is amiss."""
    facts = tomllib.loads((HERE / "facts.toml").read_text(encoding="utf-8"))
    shown = collected()
    wrong = list(complaints(facts, shown))
    if wrong:
        print("\n".join(wrong))
        return 1
    written = page(facts, shown)
    if "--check" in arguments:
        if PAGE.read_text(encoding="utf-8") != written:
            print("docs/conformity.md is not what the tests say: make conformity")
            return 1
        return 0
    PAGE.write_text(written, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

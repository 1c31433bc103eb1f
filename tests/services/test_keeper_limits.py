"""Delays that the rules of the trade do not allow are refused with the settings."""

from __future__ import annotations

import pytest
from stage import REPO

from gateway.config import read_section
from gateway.errors import Refused
from gateway.services.intake import IntakeSettings
from gateway.services.keeper.desk import KeeperSettings
from gateway.services.keeper.limits import RetentionSettings, RevealSettings

WRONG = [
    {"retention": {"copies_days": 89}},
    {"retention": {"signatures_days": 89}},
    {"retention": {"digests_days": 1099}},
    {"retention": {"follow_days": 4000}},
    {"retention": {"follow_days": 89}},
    {"retention": {"paid_days": 10}},
    {"retention": {"returns_days": 0}},
    {"retention": {"access_years": 0}},
    {"reveal": {"alarm": 30, "limit": 30}},
    {"reveal": {"alarm": 0}},
]


@pytest.mark.parametrize("table", WRONG)
def test_it_is_refused(table: dict[str, dict[str, int]]) -> None:
    with pytest.raises(Refused) as refusal:
        read_section(KeeperSettings, table, "[keeper]")
    assert refusal.value.code in ("CFG-010", "CFG-011")


def test_the_page_on_delays_has_each_with_its_default() -> None:
    page = (REPO / "docs/conformite/durees.md").read_text(encoding="utf-8")
    for name, value in vars(RetentionSettings()).items():
        assert f"| `{name}` | {value} |" in page
    assert f"`[intake] keep_days` ({IntakeSettings().keep_days})" in page


def test_what_is_not_said_is_the_default() -> None:
    read = read_section(KeeperSettings, {"retention": {"copies_days": 120}, "reveal": {"limit": 60}}, "[keeper]")
    assert (read.retention, read.reveal) == (RetentionSettings(copies_days=120), RevealSettings(limit=60))

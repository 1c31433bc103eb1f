"""The policies, as cases."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from pin_scan import CODE

from gateway.card.pin import Pin
from gateway.card.settings import CardSettings
from gateway.errors import Refused

NOON = datetime(2026, 3, 2, 12, 0).astimezone()


@pytest.mark.parametrize("policy", ["", "always", "until", "until 24:00", "until 12:60", "until 9:00", "until 12:00 "])
def test_unknown_policies_are_refused(policy: str) -> None:
    with pytest.raises(Refused, match="CPS-POLICY"):
        CardSettings(policy)


@pytest.mark.parametrize(
    ("policy", "hours"), [("each", None), ("this-batch", None), ("until 18:30", 6.5), ("until 12:00", None)]
)
def test_ends(policy: str, hours: float | None) -> None:
    ends = CardSettings(policy).policy_of(None).ends(NOON)
    assert ends == (None if hours is None else NOON + timedelta(hours=hours))


@pytest.fixture
def paris(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Europe/Paris")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("paris")
@pytest.mark.parametrize(
    ("given", "end"),
    [
        ("2026-03-29T00:30+01:00", "2026-03-29T12:30+02:00"),
        ("2026-10-25T00:30+02:00", "2026-10-25T12:30+01:00"),
        ("2026-03-29T03:00+02:00", "2026-03-29T12:30+02:00"),
    ],
    ids=["summer time begins", "summer time ends", "began before"],
)
def test_the_hour_is_the_clock_s_on_the_wall(given: str, end: str) -> None:
    """On the night of the change the clock on the wall says 12:30 one hour earlier or later."""
    ends = CardSettings("until 12:30").policy_of(None).ends(datetime.fromisoformat(given).astimezone())
    assert ends == datetime.fromisoformat(end)


def test_pin_is_written_over() -> None:
    pin = Pin(CODE.encode())
    held = pin.digits
    assert CODE not in f"{pin!r} {pin}"
    pin.forget()
    assert held == bytes(4)


def test_each_practitioner_may_have_their_own_policy() -> None:
    settings = CardSettings("this-batch", policies=("99900000011=each", "99900000029=until 18:30"))
    assert [settings.policy_of(holder).words for holder in ("99900000011", "99900000029", "99900000037", None)] == [
        "each",
        "until 18:30",
        "this-batch",
        "this-batch",
    ]


def test_a_member_of_staff_may_have_a_policy_too() -> None:
    settings = CardSettings(policies=("499900000011/CPE0001=each", "ADELI 756012345=until 18:30"))
    assert settings.policy_of("499900000011/CPE0001").each
    assert settings.policy_of("ADELI 756012345").words == "until 18:30"


@pytest.mark.parametrize(
    "wrong",
    [
        {"policies": ("each",)},
        {"policies": ("999=each",)},
        {"card_types": ("CPS", "?")},
        {"policies": ("99900000011=always",)},
        {"hours": "8:00-20:00"},
        {"hours": "20:00-08:00"},
        {"hours": "08:00-25:00"},
        {"idle_minutes": 0},
        {"patience_s": 0.0},
    ],
)
def test_settings_out_of_form_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="CPS-POLICY"):
        CardSettings(**wrong)


@pytest.mark.parametrize(
    ("policy", "hours", "until"),
    [
        ("this-batch", "", None),
        ("each", "", None),
        ("until 18:30", "", "18:30"),
        ("until 12:00", "", None),
        ("until 18:30", "08:00-17:45", "17:45"),
        ("until 18:30", "08:00-20:00", "18:30"),
        ("until 18:30", "13:00-20:00", None),
    ],
)
def test_until_when_a_code_is_kept(policy: str, hours: str, until: str | None) -> None:
    assert CardSettings(policy, hours=hours).keeps_until("99900000011", NOON) == until


@pytest.mark.parametrize(
    ("hours", "at", "closed"),
    [
        ("", "03:00", None),
        ("07:30-20:00", "07:30", None),
        ("07:30-20:00", "19:59", None),
        ("07:30-20:00", "20:00", "20:00"),
        ("07:30-20:00", "07:29", "20:00"),
        ("07:30-20:00", "00:00", "20:00"),
    ],
)
def test_hours(hours: str, at: str, closed: str | None) -> None:
    hour, minute = map(int, at.split(":"))
    assert CardSettings(hours=hours).closed_since(NOON.replace(hour=hour, minute=minute)) == closed

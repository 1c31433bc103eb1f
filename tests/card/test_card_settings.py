"""The policies, as cases."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from gateway.card.pin import Pin
from gateway.card.settings import CardSettings
from gateway.errors import Refused

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=timezone(timedelta(hours=1)))


@pytest.mark.parametrize("policy", ["", "always", "until", "until 24:00", "until 12:60", "until 9:00", "until 12:00 "])
def test_unknown_policies_are_refused(policy: str) -> None:
    with pytest.raises(Refused, match="CPS-POLICY"):
        CardSettings(policy)


@pytest.mark.parametrize(
    ("policy", "hours"), [("each", None), ("this-batch", None), ("until 18:30", 6.5), ("until 12:00", None)]
)
def test_ends(policy: str, hours: float | None) -> None:
    ends = CardSettings(policy).ends(NOON)
    assert ends == (None if hours is None else NOON + timedelta(hours=hours))


def test_pin_is_written_over() -> None:
    pin = Pin(b"1234")
    held = pin.digits
    assert pin.known
    assert "1234" not in f"{pin!r} {pin}"
    pin.forget()
    assert held == bytes(4)
    assert not pin.known

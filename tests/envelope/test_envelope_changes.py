"""A list is made again from the one before, byte for byte, whatever the two have in common."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from development_pki import Pki
from hypothesis import given
from hypothesis import strategies as st
from large_list import LargeList

from gateway.envelope import der
from gateway.envelope.changes import changed, changes
from gateway.errors import Refused

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
ENTRIES = st.lists(st.integers(0, 40), max_size=30)


def lists_of(pki: Pki, size: int, name: str = "sante") -> LargeList:
    return LargeList(pki.certificate(f"chains/{name}"), pki.key(f"ca/{name}"), NOW, size)


def plain(entries: list[int], *, version: bool = True, end: bool = True, more: bytes = b"") -> bytes:
    """A list as RFC 5280 §5.1 lays it out, of which only the layout matters; ``entries`` are of any length."""
    listed = [der.sequence(der.integer(one), der.time(NOW), bytes([one]) * (one * one)) for one in entries]
    body = der.sequence(
        der.integer(1) if version else b"", der.sequence(b"algorithm"), der.sequence(b"issuer"), der.time(NOW),
        der.time(NOW + timedelta(days=1)) if end else b"", der.sequence(*listed) if listed else b"", more,
    )  # fmt: skip
    return der.sequence(body, der.sequence(b"algorithm"), der.tlv(der.BIT_STRING, b"\0", bytes(listed and [1, 2])))


@given(ENTRIES, ENTRIES, st.booleans(), st.booleans())
def test_any_list_is_made_of_any_other(before: list[int], after: list[int], version: bool, end: bool) -> None:
    """Entries that came, went, stand elsewhere or stand twice; none at all; of more than 127 and 255 bytes."""
    one, two = plain(before), plain(after, version=version, end=end)
    assert changed(one, changes(one, two)) == two
    assert changed(two, changes(two, one)) == one


def test_what_is_the_same_is_not_said_again(pki: Pki) -> None:
    made = lists_of(pki, 2000)
    before = made.signed(NOW)
    made.change(3, 2)
    after = made.signed(NOW + timedelta(days=1))
    steps = changes(before, after)
    assert changed(before, steps) == after
    assert len(steps) < 3 * 50 + 5 * 8 + 600  # the new entries, a step for each change; dates, number and signature
    same = changes(before, before)
    assert changed(before, same) == before and len(same) < 10


def test_an_order_that_changed_costs_steps_and_no_entries(pki: Pki) -> None:
    made = lists_of(pki, 2000)
    before, entries = made.signed(NOW), list(made.entries.values())
    random.Random(1).shuffle(entries)
    after = made.of(entries, NOW)
    steps = changes(before, after)
    assert changed(before, steps) == after
    assert len(steps) < len(after) / 4


@pytest.mark.parametrize("data", [b"", b"junk", b"0\x80" + bytes(40), bytes(1000), b"-----BEGIN X509 CRL-----"])
def test_what_is_no_list_is_refused(data: bytes) -> None:
    sound = plain([1, 2, 3])
    with pytest.raises(Refused):
        changes(sound, data)
    with pytest.raises(Refused):
        changes(data, sound)


def test_a_list_that_is_cut_off_is_refused_or_comes_out_as_it_is() -> None:
    """What follows the entries is not looked at."""
    sound, refused = plain([1, 2, 12, 20]), 0
    for end in range(len(sound)):
        try:
            assert changed(sound, changes(sound, sound[:end])) == sound[:end]
        except Refused:
            refused += 1
    assert refused > sum((1, 2, 12 * 12, 20 * 20))


def test_an_entry_that_overflows_is_refused() -> None:
    sound = plain([1, 2, 3])
    at = sound.index(der.integer(3)) - 1
    with pytest.raises(Refused, match="CMS-004"):
        changes(sound, sound[:at] + bytes([sound[at] + 1]) + sound[at + 1 :])

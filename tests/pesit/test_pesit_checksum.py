"""The check bytes against running sums made byte by byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.pesit.checksum import check_bytes, sound

WRITE = bytes.fromhex("0006c0025200")


def by_hand(block: bytes) -> bytes:
    """The definition, word for word."""
    first = second = 0
    for byte in block + b"\0\0":
        first = (first + byte) % 255
        second = (second + first) % 255
    return bytes([(first - second) % 255, (second - 2 * first) % 255])


@pytest.mark.fact("F-95")
def test_recorded_frame() -> None:
    assert check_bytes(WRITE).hex() == "19cb"


@pytest.mark.fact("F-95")
@given(st.binary(min_size=1, max_size=400))
def test_sums_are_those_of_the_definition(block: bytes) -> None:
    assert check_bytes(block) == by_hand(block)
    assert sound(block + check_bytes(block))


@pytest.mark.parametrize("block", [b"\xff" * 65535, bytes(65535), bytes(range(256)) * 200])
def test_the_longest_blocks(block: bytes) -> None:
    assert check_bytes(block) == by_hand(block)


@given(st.binary(min_size=1, max_size=200), st.data())
def test_a_changed_byte_is_found(block: bytes, data: st.DataObject) -> None:
    whole = bytearray(block + check_bytes(block))
    place = data.draw(st.integers(0, len(whole) - 1))
    change = data.draw(st.integers(1, 254))  # 255 is 0 to this sum
    whole[place] = (whole[place] + change) % 256
    changed_by = (whole[place] - (block + check_bytes(block))[place]) % 255
    assert sound(bytes(whole)) is (changed_by == 0)


@given(st.binary(min_size=2, max_size=200), st.integers(0, 200))
def test_neighbours_that_change_places_are_found(block: bytes, place: int) -> None:
    place %= len(block) - 1
    swapped = bytearray(block)
    swapped[place], swapped[place + 1] = swapped[place + 1], swapped[place]
    differ = (block[place] - block[place + 1]) % 255 != 0
    assert sound(bytes(swapped) + check_bytes(block)) is not differ


@pytest.mark.parametrize("block", [b"", b"\0\0", b"\0"])
def test_nothing_is_not_sound(block: bytes) -> None:
    assert not sound(block)

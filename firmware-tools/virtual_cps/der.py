"""DER and BER-TLV written by hand, so that the card does not share its encoder with the client it tries out."""

from __future__ import annotations

from collections.abc import Iterable


def tlv(tag: int, *parts: bytes) -> bytes:
    """The object ``tag`` (its bytes as one number) around ``parts``."""
    value = b"".join(parts)
    size = len(value)
    if size < 0x80:
        length = bytes([size])
    else:
        digits = size.to_bytes((size.bit_length() + 7) // 8, "big")
        length = bytes([0x80 | len(digits)]) + digits
    return tag.to_bytes((tag.bit_length() + 7) // 8, "big") + length + value


def sequence(*parts: bytes) -> bytes:
    return tlv(0x30, *parts)


def octets(value: bytes) -> bytes:
    return tlv(0x04, value)


def text(value: str) -> bytes:
    return tlv(0x0C, value.encode())


def integer(value: int) -> bytes:
    return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def bits(numbers: Iterable[int]) -> bytes:
    """A BIT STRING with these bits set, no longer than the last of them; empty is ``03 01 00``."""
    last = max(numbers, default=-1)
    size = last // 8 + 1
    value = sum(1 << (size * 8 - 1 - number) for number in numbers)
    return tlv(0x03, bytes([size * 8 - 1 - last]) if size else b"\0", value.to_bytes(size, "big"))

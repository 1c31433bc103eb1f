"""The two check bytes behind an FPDU where PI 1 asks for them: the checksum of ISO transport class 4 (F-95).

Rules: running sums modulo 255, the check bytes last, so that a whole block sums to nothing.
It knows no FPDU: any bytes can be checked.

The running sum needs no loop over the bytes. Read as one number, the block is the sum of b · 256^k with k the
place from the end, and modulo 255² 256^k is 1 + 255k: what that leaves beside the plain sum is 255 times the
sum of k · b.
"""

from __future__ import annotations

LENGTH = 2
_SQUARE = 255 * 255


def check_bytes(block: bytes) -> bytes:
    """The two bytes that belong behind ``block``."""
    plain, running = _sums(block)
    # With two zero bytes behind the block, its sum is added to the running one twice more.
    running += 2 * plain
    return bytes(((plain - running) % 255, (running - 2 * plain) % 255))


def sound(block: bytes) -> bool:
    """Whether ``block``, its check bytes included, is as it was sent."""
    return len(block) > LENGTH and not any(_sums(block))


def _sums(block: bytes) -> tuple[int, int]:
    """The sum of the bytes, and the sum of all the sums on the way there; modulo 255."""
    plain = sum(block)
    beside = (int.from_bytes(block, "big") - plain) % _SQUARE
    return plain % 255, (beside // 255 + plain) % 255

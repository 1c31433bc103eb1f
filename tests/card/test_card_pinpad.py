"""A reader with its own keys: what it declares, what it is asked, what it answers; no such reader is at hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from card_bench import bare_card
from development_pki import Pki
from pin_scan import CODE, WRONG
from virtual_cps.card import ATR

from gateway.card.cps import Cps
from gateway.card.pinpad import ANSWERS, VERIFY_DIRECT, features, trouble, verify_order
from gateway.errors import Refused, Scope, Trouble

FEATURES: dict[str, tuple[str, dict[int, int]]] = {
    "nothing": ("", {}),
    "verify and modify": ("06 04 42330006  07 04 42330007", {6: 0x42330006, 7: 0x42330007}),
    "among others": ("0A 04 42330014  12 04 42330012  06 04 42000DB2", {10: 0x42330014, 18: 0x42330012, 6: 0x42000DB2}),
    "cut short": ("06 04 4233", {}),
    "another length": ("06 02 4233 07 04 42330007", {}),
}


@pytest.mark.parametrize("case", FEATURES)
def test_features(case: str) -> None:
    reply, found = FEATURES[case]
    assert features(bytes.fromhex(reply)) == found
    assert (VERIFY_DIRECT in found) == (6 in found)


def test_the_order_field_by_field() -> None:
    """PC/SC part 10, 2.5.2.3: little-endian, packed."""
    order = verify_order(1, 4, 4)
    fields = [
        ("timeouts", "1E 1E"),
        ("whole bytes, from the left, ASCII", "82"),
        ("block of 4 bytes", "04"),
        ("no length in the command", "00"),
        ("4 digits at least and at most", "04 04"),
        ("ends with Enter", "02"),
        ("one message, French, the first", "01 0C 04 00"),
        ("no T=1 prologue", "00 00 00"),
        ("length of the command", "09 00 00 00"),
        ("VERIFY without a code", "00 20 00 01 04 FF FF FF FF"),
    ]
    assert order == bytes.fromhex("".join(value for _, value in fields))
    assert verify_order(2, 4, 8)[5:7] == bytes([8, 4]), "wPINMaxExtraDigit is min in the high byte, max in the low"


@pytest.mark.parametrize("status", ANSWERS)
def test_what_the_reader_itself_says(status: int) -> None:
    kind, code, _ = ANSWERS[status]
    said = trouble(status)
    assert said is not None
    assert (type(said), said.code, said.scope) == (kind, code, Scope.CARD)


@pytest.mark.parametrize("status", [0x9000, 0x63C2, 0x6983])
def test_what_the_card_says_is_left_to_its_table(status: int) -> None:
    assert trouble(status) is None


@pytest.mark.parametrize(
    ("typed", "code", "tries"),
    [(CODE, None, 3), (WRONG, "CPS-63C", 2), (0x6400, "CPS-PAD-TIME", 3), (0x6401, "CPS-PAD-CANCEL", 3)],
)
def test_the_code_goes_from_the_keys_to_the_card(
    pki: Pki, tmp_path: Path, typed: str | int, code: str | None, tries: int
) -> None:
    """The reader's part is played here: it puts the typed digits into the command that it was given."""
    card = bare_card(pki, tmp_path / "codes.json")
    cps = Cps(card.transmit, ATR)
    pin = cps.contents().pin
    seen: list[bytes] = []

    def reader(order: bytes) -> bytes:
        seen.append(order)
        if isinstance(typed, int):
            return typed.to_bytes(2, "big")
        command = order[19:]
        return card.transmit(command[:5] + typed.encode())

    if code is None:
        cps.verify_on_pad(pin, reader)
    else:
        with pytest.raises(Trouble, match=code):
            cps.verify_on_pad(pin, reader)
    assert seen == [verify_order(1, 4, 4)]
    assert cps.pin_tries(pin) == tries


def test_the_last_try_is_kept(pki: Pki, tmp_path: Path) -> None:
    card = bare_card(pki, tmp_path / "codes.json")
    cps = Cps(card.transmit, ATR)
    pin = cps.contents().pin
    for _ in range(2):
        card.codes.offer(1, WRONG.encode())
    with pytest.raises(Refused, match="CPS-LAST-TRY"):
        cps.verify_on_pad(pin, lambda _: b"\x90\x00")

"""The CPS client against the virtual card, without any reader between them."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from card_bench import DOCTOR, bare_card, check_signature
from development_pki import Pki
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pin_scan import CODE, NEW, PUK, WRONG
from virtual_cps.card import ATR, VirtualCps

from gateway.card.cps import Cps, luhn, serial_number
from gateway.card.models import ATRS, Model, model
from gateway.card.proof import digest_info
from gateway.errors import Refused, Scope, Trouble

PUBLISHED_SERIAL = bytes.fromhex("5A0A80250000019921 38450F")


@pytest.mark.parametrize("atr", ATRS, ids=lambda atr: ATRS[atr].name)
def test_only_the_contact_cps3_is_taken(atr: bytes) -> None:
    if ATRS[atr] is Model.CPS3:
        assert model(atr) is Model.CPS3
        return
    with pytest.raises(Refused, match="CPS-MODEL") as caught:
        model(atr)
    assert ATRS[atr].value in caught.value.text


def test_another_card_is_foreign() -> None:
    with pytest.raises(Refused, match="CPS-FOREIGN"):
        model(ATR[:-1] + b"\x01")


def test_published_serial() -> None:
    assert serial_number(PUBLISHED_SERIAL) == "992138450"


@pytest.mark.parametrize(
    ("file", "code"),
    [
        (PUBLISHED_SERIAL[:11], "CPS-SERIAL"),
        (b"\x5b" + PUBLISHED_SERIAL[1:], "CPS-SERIAL"),
        (PUBLISHED_SERIAL[:-1] + b"\x00", "CPS-SERIAL"),
        (PUBLISHED_SERIAL[:8] + b"\xab" + PUBLISHED_SERIAL[9:], "CPS-SERIAL"),
        (bytes.fromhex("5A0A80250000029921 38450F"), "CPS-ISSUER"),
        (bytes.fromhex("5A0A80250000019921 38451F"), "CPS-LUHN"),
        (bytes.fromhex("5A0A80250000019912 38450F"), "CPS-LUHN"),
    ],
)
def test_bad_serial(file: bytes, code: str) -> None:
    with pytest.raises(Refused) as caught:
        serial_number(file)
    assert (caught.value.code, caught.value.scope) == (code, Scope.CARD)


def test_luhn() -> None:
    assert luhn("79927398713")  # the worked example of the standard's annex
    assert not any(luhn(f"7992739871{digit}") for digit in range(10) if digit != 3)


def test_contents_are_the_card_s(cps: Cps, pki: Pki) -> None:
    contents = cps.contents()
    assert contents.serial == cps.serial()
    assert contents.serial.startswith("80")
    assert contents.signature.certificate == pki.certificate(f"practitioners/{DOCTOR}/sig")
    assert contents.authentication.certificate == pki.certificate(f"practitioners/{DOCTOR}/auth")
    assert (contents.signature.key.reference, contents.authentication.key.reference) == (0x81, 0x82)
    assert contents.puk is not None
    assert (contents.pin.reference, contents.pin.longest, contents.puk.reference, contents.puk.longest) == (1, 4, 2, 8)


@pytest.mark.parametrize("size", [1, 55, 56, 63, 64, 65, 119, 120, 127, 128, 129, 300, 1000])
def test_signature_of_any_length(cps: Cps, size: int) -> None:
    contents = cps.contents()
    cps.verify(contents.pin, CODE.encode())
    message = bytes(value & 0xFF for value in range(size))
    check_signature(contents.signature.certificate, cps.sign(contents.signature.key, message), message)


def test_authentication(cps: Cps) -> None:
    contents = cps.contents()
    cps.verify(contents.pin, CODE.encode())
    signature = cps.authenticate(contents.authentication.key, digest_info(b"challenge"))
    check_signature(contents.authentication.certificate, signature, b"challenge")


def test_nothing_is_signed_without_the_code(cps: Cps) -> None:
    contents = cps.contents()
    with pytest.raises(Refused, match="CPS-6982"):
        cps.sign(contents.signature.key, b"x")
    with pytest.raises(Refused, match="CPS-6982"):
        cps.authenticate(contents.authentication.key, digest_info(b"x"))


def verifies(card: VirtualCps) -> tuple[Cps, list[bytes]]:
    """A client, and every VERIFY with data that it sends."""
    sent: list[bytes] = []

    def transmit(tpdu: bytes) -> bytes:
        if tpdu[1] == 0x20 and len(tpdu) > 5:
            sent.append(tpdu)
        return card.transmit(tpdu)

    return Cps(transmit, ATR), sent


def test_a_wrong_code_is_offered_once(bare: VirtualCps) -> None:
    cps, sent = verifies(bare)
    pin = cps.contents().pin
    with pytest.raises(Refused, match="CPS-63C") as caught:
        cps.verify(pin, WRONG.encode())
    assert len(sent) == 1
    assert caught.value.text.endswith("2")
    assert cps.pin_tries(pin) == 2
    assert WRONG not in str(caught.value)


def test_the_last_try_is_kept(bare: VirtualCps) -> None:
    cps, sent = verifies(bare)
    pin = cps.contents().pin
    for _ in range(2):
        with pytest.raises(Refused, match="CPS-63C"):
            cps.verify(pin, WRONG.encode())
    with pytest.raises(Refused, match="CPS-LAST-TRY"):
        cps.verify(pin, CODE.encode())
    assert len(sent) == 2
    cps.verify(pin, CODE.encode(), last_try=True)
    assert cps.pin_tries(pin) == 3


def test_blocked_then_unblocked(bare: VirtualCps, tmp_path: Path) -> None:
    cps, sent = verifies(bare)
    contents = cps.contents()
    assert contents.puk is not None
    for _ in range(3):
        with pytest.raises(Refused):
            cps.verify(contents.pin, WRONG.encode(), last_try=True)
    with pytest.raises(Refused, match="CPS-6983"):
        cps.verify(contents.pin, CODE.encode(), last_try=True)
    assert len(sent) == 3, "a blocked card is not asked"
    assert json.loads((tmp_path / "codes.json").read_text())["tries"]["1"] == 0
    cps.unblock(contents.pin, contents.puk, PUK.encode(), NEW.encode())
    cps.verify(contents.pin, NEW.encode())


def test_change(cps: Cps) -> None:
    pin = cps.contents().pin
    cps.change_pin(pin, CODE.encode(), NEW.encode())
    cps.verify(pin, NEW.encode())
    with pytest.raises(Refused, match="CPS-63C"):
        cps.verify(pin, CODE.encode())


@pytest.mark.parametrize("code", [b"", b"123", b"12345", b"12a4", b"12 4", bytearray(4)])
def test_a_code_out_of_form_costs_no_try(bare: VirtualCps, code: bytes) -> None:
    cps, sent = verifies(bare)
    pin = cps.contents().pin
    with pytest.raises(Refused, match="CPS-PIN-FORM"):
        cps.verify(pin, code)
    assert not sent
    assert cps.pin_tries(pin) == 3


def test_the_pointers_are_followed(pki: Pki, tmp_path: Path) -> None:
    """Certificates and tables elsewhere than usual are found: no identifier is taken for granted."""
    card = bare_card(pki, tmp_path / "codes.json")
    moved = {0x7002: 0x7102, 0x7005: 0x7555, 0x7001: 0x7999, 0xA001: 0xB7B7, 0xA002: 0xB8B8}
    for old, new in moved.items():
        was, now = b"\x04\x02" + old.to_bytes(2, "big"), b"\x04\x02" + new.to_bytes(2, "big")
        card._files = tuple(
            type(file)(
                file.folder,
                moved.get(file.identifier, file.identifier) if file.identifier == old else file.identifier,
                file.content if file.identifier in (0xA001, 0xA002) else file.content.replace(was, now),
                file.short,
                file.read,
            )
            for file in card._files
        )
    contents = Cps(card.transmit, ATR).contents()
    assert contents.signature.certificate == pki.certificate(f"practitioners/{DOCTOR}/sig")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_a_card_that_answers_anything_is_refused_or_deferred(bare: VirtualCps, seed: int) -> None:
    """Flip, cut and stretch answers: whatever comes is a Trouble of scope card, or right by luck; never a bug."""
    chance = random.Random(seed)

    def transmit(tpdu: bytes) -> bytes:
        answer = bytearray(bare.transmit(tpdu))
        if chance.random() < 0.04:
            answer[chance.randrange(len(answer))] ^= 1 << chance.randrange(8)
        if chance.random() < 0.02:
            del answer[: max(0, len(answer) - 2 - chance.randrange(4))]
        return bytes(answer)

    bare.reset()
    cps = Cps(transmit, ATR)
    try:
        contents = cps.contents()
        cps.pin_tries(contents.pin)
    except Trouble as trouble:
        assert trouble.scope is Scope.CARD

"""T=0 as dialogs: what goes out, what comes back, what the caller gets."""

from __future__ import annotations

import pytest

from gateway.card.apdu import LARGEST_ANSWER, STATUS, Apdu, Channel, StatusWord
from gateway.errors import Deferred, Refused, Scope, Trouble

Dialog = list[tuple[str, str]]


class Script:
    """A card that knows one dialog by heart."""

    def __init__(self, dialog: Dialog) -> None:
        self.left = [(bytes.fromhex(asked), bytes.fromhex(answered)) for asked, answered in dialog]

    def transmit(self, tpdu: bytes) -> bytes:
        asked, answered = self.left.pop(0)
        assert tpdu.hex(" ") == asked.hex(" ")
        return answered


LONG = "AB" * 200

DIALOGS: dict[str, tuple[Apdu, Dialog, str, int]] = {
    "case 1 has P3 zero": (Apdu(0, 0x20, 0, 1), [("0020000100", "63C3")], "", 0x63C3),
    "case 2": (Apdu(0, 0xB0, 0, 0, awaited=3), [("00B0000003", "0102039000")], "010203", 0x9000),
    "case 2, 256 bytes is 00": (Apdu(0, 0xB0, 0, 0, awaited=256), [("00B0000000", "019000")], "01", 0x9000),
    "case 3": (Apdu(0, 0x22, 0x41, 0xA4, b"\x80"), [("002241A40180", "9000")], "", 0x9000),
    "case 4 sends no Le": (
        Apdu(0, 0xA4, 9, 4, b"\x3f\x00", 0),
        [("00A40904023F00", "6103"), ("00C0000003", "6201009000")],
        "620100",
        0x9000,
    ),
    "the length that 6C gives": (
        Apdu(0, 0xB0, 0, 0, awaited=0),
        [("00B0000000", "6C02"), ("00B0000002", "AABB9000")],
        "AABB",
        0x9000,
    ),
    "61 after 61": (
        Apdu(0, 0xCB, 0x3F, 0xFF, b"\x4d", 0),
        [("00CB3FFF014D", "6102"), ("00C0000002", "AABB6101"), ("00C0000001", "CC9000")],
        "AABBCC",
        0x9000,
    ),
    "6C in GET RESPONSE": (
        Apdu(0, 0x88, 0, 0, b"\x30", 0),
        [("008800000130", "6100"), ("00C0000000", "6C02"), ("00C0000002", "AABB9000")],
        "AABB",
        0x9000,
    ),
    "an answer that ends badly": (
        Apdu(0, 0x88, 0, 0, b"\x30", 0),
        [("008800000130", "6102"), ("00C0000002", "6985")],
        "",
        0x6985,
    ),
    "more than 255 bytes are a chain": (
        Apdu(0, 0x2A, 0x80, 0x86, bytes.fromhex(LONG + LONG), 0),
        [("102A8086FF" + (LONG * 2)[:510], "9000"), ("002A808691" + (LONG * 2)[510:], "9000")],
        "",
        0x9000,
    ),
    "a wrong length is no reason to send data again": (
        Apdu(0, 0x20, 0, 1, b"\1\2\3\4"),
        [("002000010401020304", "6C10")],
        "",
        0x6C10,
    ),
    "a chain that is refused stops": (
        Apdu(0, 0x2A, 0x80, 0x86, bytes(300)),
        [("102A8086FF" + "00" * 255, "6883")],
        "",
        0x6883,
    ),
}


@pytest.mark.parametrize("name", DIALOGS)
def test_dialog(name: str) -> None:
    command, dialog, data, status = DIALOGS[name]
    script = Script(dialog)
    answer = Channel(script.transmit).send(command)
    assert (answer.data.hex().upper(), answer.status.value) == (data, status)
    assert not script.left


@pytest.mark.parametrize("answer", [b"\xaa" * 255 + b"\x61\xff", b"\x61\x10"])
def test_a_card_that_never_ends_is_refused(answer: bytes) -> None:
    sent = 0

    def transmit(_: bytes) -> bytes:
        nonlocal sent
        sent += 1
        return answer

    with pytest.raises(Refused, match="CPS-LONG"):
        Channel(transmit).send(Apdu(0, 0xCB, 0x3F, 0xFF, b"\x4d", 0))
    assert sent < LARGEST_ANSWER / 255 + 4


MEANINGS: list[tuple[int, type[Trouble], str]] = [
    (0x6282, Deferred, "CPS-6282"),
    (0x63C2, Refused, "CPS-63C"),
    (0x63C0, Refused, "CPS-6983"),
    (0x6700, Refused, "CPS-6700"),
    (0x6982, Refused, "CPS-6982"),
    (0x6983, Refused, "CPS-6983"),
    (0x6985, Refused, "CPS-6985"),
    (0x6986, Refused, "CPS-6986"),
    (0x6A80, Refused, "CPS-6A80"),
    (0x6A82, Refused, "CPS-6A82"),
    (0x6A86, Refused, "CPS-6A86"),
    (0x6A88, Refused, "CPS-6A88"),
    (0x6D00, Refused, "CPS-6D00"),
    (0x6E00, Refused, "CPS-6E00"),
    (0x6F00, Deferred, "CPS-SW"),
    (0x1234, Deferred, "CPS-SW"),
]


@pytest.mark.parametrize(("status", "kind", "code"), MEANINGS, ids=lambda value: str(value))
def test_meaning(status: int, kind: type[Trouble], code: str) -> None:
    trouble = StatusWord(status).trouble("Essai")
    assert (type(trouble), trouble.code, trouble.scope) == (kind, code, Scope.CARD)
    assert trouble.text.startswith("Essai : ")


def test_tries_are_said() -> None:
    assert StatusWord(0x63C2).tries == 2
    assert StatusWord(0x6982).tries is None
    assert "2" in StatusWord(0x63C2).trouble("Code").text


def test_every_row_can_be_reached() -> None:
    reached = {next(row for row in STATUS if word & row.mask == row.value) for word in range(0x10000)}
    assert reached == set(STATUS)


def test_ask_raises_what_the_status_means() -> None:
    with pytest.raises(Refused) as caught:
        Channel(lambda _: b"\x6a\x82").ask(Apdu(0, 0xA4, 2, 4, b"\xa0\x01", 0), "Certificat")
    assert caught.value.text == "Certificat : fichier absent de la carte"

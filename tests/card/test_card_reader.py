"""PC/SC as it really fails: the real pcscd, a card that is pulled, reset, held by another, or absent."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from card_bench import InsertedCard, Pcscd, slots, until
from pin_scan import CODE
from smartcard import scard
from virtual_cps.card import ATR

from gateway.card.apdu import Apdu
from gateway.card.failures import FAILURES, failure
from gateway.card.reader import Connection, Readers
from gateway.errors import Deferred, Scope

Insert = Callable[..., InsertedCard]

SELECT_MF = Apdu(0, 0xA4, 9, 0x0C, b"\x3f\x00").tpdu()
STATUS = Apdu(0, 0x20, 0, 1).tpdu()
VERIFY = Apdu(0, 0x20, 0, 1, CODE.encode()).tpdu()


def connect() -> tuple[Readers, Connection]:
    readers = Readers()
    return readers, readers.connect(readers.look()[0].reader)


@pytest.mark.parametrize("result", FAILURES)
def test_every_failure_has_words(result: int) -> None:
    kind, code, text = FAILURES[result]
    for given in (result, result - (1 << 32)):  # some builds give it as a negative number
        trouble = failure(given)
        assert (type(trouble), trouble.code, trouble.text, trouble.scope) == (kind, code, text, Scope.CARD)
    assert text.endswith(".")


def test_an_unknown_failure_says_its_number() -> None:
    trouble = failure(0x80100042)
    assert (type(trouble), trouble.code) == (Deferred, "CPS-PCSC")
    assert "80100042" in trouble.text


def test_empty_readers(pcscd: Pcscd) -> None:
    first, second = slots()
    assert (first.reader, second.reader) == ("Virtual PCD 00 00", "Virtual PCD 00 01")
    assert first.atr is second.atr is None
    with pytest.raises(Deferred, match="CPS-ABSENT"):
        Readers().connect(first.reader)


def test_a_reader_unplugged_between_two_questions_hides_no_other(pcscd: Pcscd, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = scard.SCardListReaders

    def with_one_gone(context: object, groups: list[str]) -> tuple[int, list[str]]:
        monkeypatch.setattr(scard, "SCardListReaders", listed)
        result, names = listed(context, groups)
        return result, [*names, "Unplugged 00 00"]

    monkeypatch.setattr(scard, "SCardListReaders", with_one_gone)
    assert [slot.reader for slot in Readers().look()] == ["Virtual PCD 00 00", "Virtual PCD 00 01"]


def test_a_card_comes_and_goes(virtual_card: Insert) -> None:
    before = slots()[0].changes
    card = virtual_card()
    there = slots()[0]
    assert there.atr == ATR
    card.pull()
    until(lambda: slots()[0].atr is None, "the card's removal")
    assert slots()[0].changes == before + 2


def test_no_service() -> None:
    probe = (
        "from gateway.card.reader import Readers\ntry: Readers().look()\nexcept Exception as error: print(error.code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], env={"PCSCLITE_CSOCK_NAME": "/nonexistent"}, capture_output=True, text=True
    )
    assert done.stdout == "CPS-NO-SERVICE\n", done.stderr


def test_unknown_reader(pcscd: Pcscd) -> None:
    with pytest.raises(Deferred, match="CPS-NO-READER"):
        Readers().connect("Nobody's reader")


def test_pulled_before_a_command(virtual_card: Insert) -> None:
    card = virtual_card()
    _, connection = connect()
    connection.hold()
    card.pull()
    with pytest.raises(Deferred, match="CPS-REMOVED"):
        connection.transmit(SELECT_MF)
    with pytest.raises(Deferred, match="CPS-REMOVED"):
        connection.transmit(SELECT_MF)
    connection.leave(reset=True)


def test_pulled_during_a_command(virtual_card: Insert, tmp_path: Path) -> None:
    faults = tmp_path / "faults.json"
    faults.write_text(json.dumps([{"apdu": "0020", "do": "pull"}]))
    virtual_card("--faults", str(faults))
    _, connection = connect()
    assert connection.transmit(SELECT_MF) == b"\x90\x00"
    with pytest.raises(Deferred, match="CPS-REMOVED"):
        connection.transmit(STATUS)
    connection.leave(reset=False)


def test_reset_by_another_program(virtual_card: Insert) -> None:
    virtual_card()
    _, mine = connect()
    _, other = connect()
    mine.transmit(SELECT_MF)
    other.leave(reset=True)
    with pytest.raises(Deferred, match="CPS-RESET"):
        mine.transmit(SELECT_MF)
    mine.leave(reset=False)


def test_how_a_card_is_left(virtual_card: Insert) -> None:
    virtual_card()
    _, first = connect()
    assert first.transmit(VERIFY) == b"\x90\x00"
    first.leave(reset=False)
    _, second = connect()
    assert second.transmit(STATUS) == b"\x90\x00", "left as it was, the code is still known"
    second.leave(reset=True)
    _, third = connect()
    assert third.transmit(STATUS) == b"\x63\xc3", "reset, it is not"
    third.leave(reset=False)


def test_held_alone(virtual_card: Insert) -> None:
    virtual_card()
    _, mine = connect()
    _, other = connect()
    mine.hold()
    answered: list[float] = []

    def talk() -> None:
        other.transmit(SELECT_MF)
        answered.append(time.monotonic())

    thread = threading.Thread(target=talk)
    thread.start()
    time.sleep(0.2)
    assert not answered
    left = time.monotonic()
    mine.leave(reset=False)
    thread.join(5)
    assert answered
    assert answered[0] >= left
    other.leave(reset=False)


def test_pcscd_restarted(pcscd: Pcscd, virtual_card: Insert) -> None:
    virtual_card()
    readers, connection = connect()
    pcscd.stop()
    with pytest.raises(Deferred, match="CPS-NO-SERVICE"):
        connection.transmit(SELECT_MF)
    connection.leave(reset=False)
    with pytest.raises(Deferred, match="CPS-NO-SERVICE"):
        readers.look()
    pcscd.start()
    assert [slot.reader for slot in readers.look()] == ["Virtual PCD 00 00", "Virtual PCD 00 01"]
    readers.close()

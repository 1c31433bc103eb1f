"""One session with the card, under the real pcscd: signed, proven, reset; pulled, changed, forgetful."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from card_bench import DOCTOR, NURSE, InsertedCard, Pcscd, check_signature, until
from development_pki import Pki
from pin_scan import CODE, WRONG

from gateway.card.pin import Pin
from gateway.card.proof import Item, batch_root, proof_message
from gateway.card.reader import Readers
from gateway.card.session import Cards, Session
from gateway.envelope.attributes import read_attributes
from gateway.errors import Deferred, Refused

Insert = Callable[..., InsertedCard]

ITEMS = [Item(f"fichier-{number}", bytes([number]) * 32, 41, 231840, 3, "123456789", None) for number in range(3)]
ROOT = batch_root(ITEMS)


@pytest.fixture
def cards() -> Iterator[Cards]:
    cards = Cards(Readers())
    yield cards
    cards.close()


def unlock(cards: Cards, code: bytes = CODE.encode()) -> Session:
    return cards.unlock(cards.look().contents.serial, Pin(code), "box-7", "this-batch", ROOT)


def tries(card: InsertedCard) -> int:
    return int(json.loads(card.state.read_text())["tries"]["1"]) if card.state.exists() else 3


def test_sight(virtual_card: Insert, cards: Cards, pki: Pki) -> None:
    virtual_card()
    sight = cards.look()
    holder = sight.holder
    assert (holder.name, holder.kind, holder.profession, sight.tries, sight.pad) == (
        "CLAIRE ESSAI",
        "CPS",
        "Médecin",
        3,
        False,
    )
    assert sight.contents.signature.certificate == pki.certificate(f"practitioners/{DOCTOR}/sig")
    assert sight.valid_until.year >= 2028
    assert sight.holder.identifier == "99900000011"


@pytest.mark.parametrize("options", [(), ("--pin-each",)])
def test_a_batch(virtual_card: Insert, cards: Cards, options: tuple[str, ...]) -> None:
    virtual_card(*options)
    session = unlock(cards)
    signed = [session.sign(item) for item in ITEMS]
    session.close()
    for item, one in zip(ITEMS, signed, strict=True):
        check_signature(one.certificate, one.signature, one.attributes)
        attributes = read_attributes(one.attributes)
        assert attributes.digest == item.digest
        context = attributes.context
        assert context is not None
        assert (context.fichier, context.count, context.total) == (item.fichier, item.count, item.total)
        assert (context.policy, context.origin, context.challenge) == ("this-batch", "local", one.proof.challenge)
    (proof,) = {one.proof for one in signed}
    check_signature(proof.certificate, proof.signature, proof_message("box-7", proof.challenge, ROOT))
    assert cards.look(reset=False).tries == 3


def test_each_challenge_of_the_oct_is_answered(virtual_card: Insert, cards: Cards) -> None:
    virtual_card()
    session = unlock(cards)
    given = [Item("a", bytes(32), 1, 1, 1, "1", b"12345678"), Item("b", bytes(32), 1, 1, 1, "1", b"87654321")]
    signed = [session.sign(item) for item in given]
    session.close()
    for item, one in zip(given, signed, strict=True):
        assert (one.proof.origin, one.proof.challenge) == ("oct", item.challenge)
        check_signature(one.proof.certificate, one.proof.signature, proof_message("box-7", one.proof.challenge, ROOT))


def test_the_card_is_reset_at_the_end(virtual_card: Insert, cards: Cards) -> None:
    virtual_card()
    unlock(cards).close()
    with cards.card(reset=False) as cps, pytest.raises(Refused, match="CPS-6982"):
        contents = cps.contents()
        cps.sign(contents.signature.key, b"x")


def test_a_wrong_code_costs_one_try(virtual_card: Insert, cards: Cards) -> None:
    card = virtual_card()
    with pytest.raises(Refused, match="CPS-63C"):
        unlock(cards, WRONG.encode())
    assert tries(card) == 2
    assert cards.look().tries == 2


def test_another_card_does_not_get_the_code(virtual_card: Insert, cards: Cards, pcscd: Pcscd) -> None:
    virtual_card()
    serial = cards.look().contents.serial
    pcscd.empty()
    card = virtual_card(name=NURSE)
    with pytest.raises(Refused, match="CPS-CHANGED"):
        cards.unlock(serial, Pin(WRONG.encode()), "box-7", "each", ROOT)
    assert tries(card) == 3


@pytest.mark.parametrize("apdu", ["00200001", "0088", "002A90A0", "002A9E9A"])
def test_pulled_in_the_middle(virtual_card: Insert, cards: Cards, tmp_path: Path, apdu: str) -> None:
    faults = tmp_path / "faults.json"
    faults.write_text(json.dumps([{"apdu": apdu, "do": "pull", "seconds": 0.5}]))
    card = virtual_card("--faults", str(faults))
    with pytest.raises(Deferred, match="CPS-REMOVED"):
        session = unlock(cards)
        try:
            session.sign(ITEMS[0])
        finally:
            session.close()
    until(lambda: _there(cards), "the card's return")
    assert tries(card) == 3
    session = unlock(cards)
    session.sign(ITEMS[0])
    session.close()


def _there(cards: Cards) -> bool:
    try:
        cards.look()
    except Deferred:
        return False
    return True


def test_a_card_that_forgets_its_code_gets_it_once_more(virtual_card: Insert, cards: Cards, tmp_path: Path) -> None:
    faults = tmp_path / "faults.json"
    faults.write_text(json.dumps([{"apdu": "002A9E9A", "nth": 1, "do": "sw", "sw": "6982"}]))
    virtual_card("--faults", str(faults))
    session = unlock(cards)
    one = session.sign(ITEMS[0])
    session.close()
    check_signature(one.certificate, one.signature, one.attributes)


def test_no_card_and_a_foreign_card(virtual_card: Insert, cards: Cards, pcscd: Pcscd) -> None:
    with pytest.raises(Deferred, match="CPS-ABSENT"):
        cards.look()
    virtual_card("--atr", "3B0200FF")
    with pytest.raises(Refused, match="CPS-FOREIGN"):
        cards.look()
    virtual_card(second=True)
    assert cards.look().holder.name == "CLAIRE ESSAI", "a CPS in the other reader is found"


def test_a_card_is_read_once(virtual_card: Insert, cards: Cards) -> None:
    virtual_card()
    first = cards.look().contents
    assert cards.look().contents is first


def test_client_modules_stay_light() -> None:
    """What the keeper and status load of the card brings neither pyscard, asn1crypto nor cryptography."""
    probe = "import gateway.card.client, sys; print(sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert not re.findall("'(smartcard|asn1crypto|cryptography)'", done.stdout)

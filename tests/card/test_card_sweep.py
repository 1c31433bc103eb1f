"""The practice's worst day: the card pulled at every command, pcscd restarted, another program resetting the card.

Each time what stands afterwards is the same: recovered by nobody's hand but the code typed again, every fichier
signed once, no try of the code lost.
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from card_bench import DOCTOR, NURSE, InsertedCard, Pcscd, bare_card
from card_service import ITEMS, Running, check, told
from development_pki import Pki
from pin_scan import CODE
from virtual_cps.card import ATR, VirtualCps

from gateway.card.child import Hand
from gateway.card.cps import MOST_READ
from gateway.card.failures import failure
from gateway.card.pin import Pin
from gateway.card.proof import Item, batch_root
from gateway.card.reader import Readers, Slot
from gateway.card.session import Cards
from gateway.errors import Deferred, Refused, Trouble

Insert = Callable[..., InsertedCard]

NAMES = {DOCTOR: "CLAIRE ESSAI", NURSE: "PAUL EXEMPLE"}


def tries(card: InsertedCard) -> int:
    return int(json.loads(card.state.read_text())["tries"]["1"]) if card.state.exists() else 3


def signatures(journal: Path) -> int:
    return sum(line.split()[2] == "002a9e9a" for line in journal.read_text().splitlines())


# ---------------------------------------------------------------- every command, without a reader between


class Line:
    """A card at the end of a line that breaks at the N-th command, before or after the card has carried it out."""

    def __init__(self, card: VirtualCps, at: int, after: bool) -> None:
        self._card, self._at, self._after = card, at, after
        self.sent = 0

    def transmit(self, tpdu: bytes) -> bytes:
        self.sent += 1
        if self.sent == self._at:
            if self._after:
                self._card.transmit(tpdu)
            raise failure(0)
        return self._card.transmit(tpdu)


class OneReader(Readers):
    """A reader of which every connection is a ``Line``; what PC/SC does is not at stake here."""

    def __init__(self, card: VirtualCps, at: int, after: bool) -> None:
        super().__init__()
        self.line = Line(card, at, after)
        self._card = card

    def look(self) -> tuple[Slot, ...]:
        return (Slot("reader", ATR, 0),)

    def connect(self, reader: str) -> Any:
        self._card.reset()
        return self

    def transmit(self, tpdu: bytes) -> bytes:
        return self.line.transmit(tpdu)

    def pad(self) -> None:
        return None

    def hold(self) -> None:
        pass

    def leave(self, reset: bool) -> None:
        if reset:
            self._card.reset()


def whole(readers: OneReader) -> list[bytes]:
    """Read the card, unlock it, sign two fichiers."""
    cards = Cards(readers)
    session = cards.unlock(cards.look().contents.serial, Pin(CODE.encode()), "box-7", "each", batch_root(ITEMS[:2]))
    try:
        return [session.sign(item).signature for item in ITEMS[:2]]
    finally:
        session.close()


@pytest.mark.parametrize("after", [False, True])
def test_every_command_from_the_first(pki: Pki, tmp_path: Path, after: bool) -> None:
    """Also those that read a card for the first time: each break is Deferred, and the next attempt is whole."""
    card = bare_card(pki, tmp_path / "codes.json")
    at = 0
    while True:
        at += 1
        readers = OneReader(card, at, after)
        try:
            assert len(whole(readers)) == 2
            break
        except Deferred as trouble:
            assert trouble.code == "CPS-REMOVED"
        assert card.codes.tries == {1: 3, 2: 10}
    assert at > 50, "the sweep went through the whole dialogue"


@pytest.mark.parametrize("word", [0x6F00, 0x6985, 0x6700, 0x9000, 0x6105, 0x6C10, 0x6282])
def test_every_command_answered_by_nonsense(pki: Pki, tmp_path: Path, word: int) -> None:
    """A wrong status word at any command: a Trouble or a true signature, never a false one, never a lost try."""
    card = bare_card(pki, tmp_path / "codes.json")
    for at in range(1, 60):
        readers = OneReader(card, at, after=False)
        readers.line.transmit = nonsense(readers.line, card, at, word)  # type: ignore[method-assign]
        with suppress(Trouble):
            whole(readers)
        assert card.codes.tries == {1: 3, 2: 10}


@pytest.mark.parametrize(("place", "code"), [(6, "CPS-CERT"), (400, "CPS-COPY")], ids=["its structure", "its key"])
@pytest.mark.parametrize("use", ["sig", "auth"])
def test_a_certificate_disturbed_on_its_way_is_not_kept(
    pki: Pki, tmp_path: Path, use: str, place: int, code: str
) -> None:
    """One wrong bit in it bars the card until it is read again, not until the service is started again."""
    card = bare_card(pki, tmp_path / "codes.json")
    readers = OneReader(card, 0, after=False)
    hand = Hand(Cards(readers))
    certificate = pki.certificate(f"practitioners/{DOCTOR}/{use}")
    begin = place // MOST_READ * MOST_READ

    def disturbed(tpdu: bytes) -> bytes:
        answer = bytearray(card.transmit(tpdu))
        if bytes(answer[:-2]) == certificate[begin : begin + MOST_READ]:
            answer[place - begin] ^= 0x10
            readers.line.transmit = card.transmit  # type: ignore[method-assign]
        return bytes(answer)

    def session() -> dict[str, Any]:
        serial = hand.look("reader", False)["serial"]
        hand.unlock("reader", serial, CODE, "box-7", "each", batch_root(ITEMS[:1]).hex(), False)
        try:
            return hand.sign(ITEMS[0].plain())
        finally:
            hand.close(False)

    readers.line.transmit = disturbed  # type: ignore[method-assign]
    with pytest.raises(Refused, match=code):
        session()
    check({"signed": [session()]}, ITEMS[:1])


def nonsense(line: Line, card: VirtualCps, at: int, word: int) -> Callable[[bytes], bytes]:
    def transmit(tpdu: bytes) -> bytes:
        line.sent += 1
        return word.to_bytes(2) if line.sent == at else card.transmit(tpdu)

    return transmit


# ---------------------------------------------------------------- every command of a session, under the real pcscd


PULLED = {"do": "pull", "growing": True, "seconds": 0.5}


async def insist(service: Running, items: list[Item]) -> None:
    """The two people at their pages: each types the code whenever it is asked for, and nothing else."""
    async with asyncio.timeout(50):
        while True:
            for view in (await service.unlock.pending())["cards"]:
                if view["card"]["state"] == "locked" and view["items"]:
                    await service.unlock.unlock(CODE, view["root"])
            if len((await service.card.offer(items, 0.05))["signed"]) == len(items):
                return


def faulty(path: Path, fault: dict[str, Any]) -> tuple[str, ...]:
    path.write_text(json.dumps([fault]))
    return "--faults", str(path), "--journal", f"{path}.journal"


def test_pulled_at_every_command(
    virtual_card: Insert, pcscd: Pcscd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pki: Pki
) -> None:
    """Two readers at once; in one the command struck is lost, in the other only its answer.

    Each card was read before, so that what is struck is the session: the serial number, the counter, the code, the
    proof, the signature.  Its first reading is struck above.
    """
    monkeypatch.setattr("gateway.card.signer.LOOK_EVERY", 0.05)
    hers, his = replace(ITEMS[0], holders=(DOCTOR,)), replace(ITEMS[1], holders=(NURSE,))
    cards: list[InsertedCard] = []

    async def story(service: Running) -> None:
        for name, second in ((DOCTOR, False), (NURSE, True)):
            read = virtual_card(name=name, second=second)
            await service.card_state(NAMES[name], "locked")
            read.pull()
            options = faulty(tmp_path / name, {**PULLED, "after": second})
            cards.append(virtual_card(*options, name=name, second=second))
        await insist(service, [hers, his])
        answer = await service.offered([hers, his], "fichier-0", "fichier-1")
        check(answer, [hers, his])
        doctor, nurse = (pki.certificate(f"practitioners/{name}/sig") for name in (DOCTOR, NURSE))
        by = {signed["fichier"]: base64.b64decode(signed["certificate"]) for signed in answer["signed"]}
        assert by == {"fichier-0": doctor, "fichier-1": nurse}, "nobody signed what is another's"

    told(tmp_path, story)
    for card, name, lost in zip(cards, (DOCTOR, NURSE), (0, 3), strict=True):
        pulls = pulled(card)
        assert pulls > 20, "the sweep went through the whole session"
        assert tries(card) == 3
        made = signatures(tmp_path / f"{name}.journal")
        assert 1 <= made <= 1 + lost, "made once; once more only where the answer never came back"


def pulled(card: InsertedCard) -> int:
    card.process.terminate()
    out, _ = card.process.communicate(timeout=10)
    return str(out).count("pulled")


def test_pcscd_restarted_and_the_card_reset_at_random(
    virtual_card: Insert, pcscd: Pcscd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For some seconds nothing holds; then everything is signed, each once, with all tries left."""
    monkeypatch.setattr("gateway.card.signer.LOOK_EVERY", 0.05)
    card = virtual_card("--delay-ms", "4", "--journal", str(tmp_path / "journal"))
    many = [replace(ITEMS[0], fichier=f"many-{number}") for number in range(120)]
    chance = random.Random(20261123)

    async def story(service: Running) -> None:
        await service.card.offer(many, 0.0)
        people = asyncio.create_task(insist(service, many))
        for _ in range(10):
            await asyncio.sleep(chance.uniform(0.1, 1.5))
            await asyncio.to_thread(chance.choice((Pcscd.crash, reset)), pcscd)
        await people
        check(await service.offered(many, *(item.fichier for item in many)), many)

    told(tmp_path, story)
    assert tries(card) == 3
    assert len(many) <= signatures(tmp_path / "journal") <= len(many) + 10, "one more at most for each disturbance"


def reset(pcscd: Pcscd) -> None:
    """Another program resets the card as soon as it gets at it."""
    subprocess.run([sys.executable, "-c", RESET], env=pcscd.environment, timeout=20)


RESET = """
from gateway.card.reader import Readers
from gateway.errors import Trouble
try:
    Readers().connect("Virtual PCD 00 00").leave(reset=True)
except Trouble:
    pass
"""

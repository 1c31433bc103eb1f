"""The child that speaks to the reader: bounded, killed, started again; and what its death leaves on the card."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from card_bench import InsertedCard, Pcscd, slots, until
from pin_scan import CODE

from gateway.card.child import answer
from gateway.card.guard import Guard
from gateway.card.pin import Pin
from gateway.card.proof import Item, batch_root
from gateway.card.reader import Readers
from gateway.card.session import Cards
from gateway.errors import Deferred, Refused, Scope

Insert = Callable[..., InsertedCard]

READER = "Virtual PCD 00 00"
ITEM = Item("fichier-0", bytes(32), 41, 231840, 3, "123456789", None)
UNLOCK = {"reader": READER, "code": CODE, "box": "box-7", "policy": "each", "last_try": False}


def with_guard(story: Callable[[Guard], Awaitable[None]], part: str = "sign", patience: float = 10.0) -> None:
    async def tell() -> None:
        guard = Guard(part, patience)
        try:
            await story(guard)
        finally:
            guard.end()

    asyncio.run(tell())


def pid_of(guard: Guard) -> int:
    assert guard._process
    return guard._process.pid


async def unlocked(guard: Guard) -> dict[str, Any]:
    sight: dict[str, Any] = await guard.ask("look", reader=READER, reset=False)
    root = batch_root([ITEM]).hex()
    await guard.ask("unlock", serial=sight["serial"], root=root, **UNLOCK)
    return sight


def test_the_readers(virtual_card: Insert) -> None:
    async def story(guard: Guard) -> None:
        assert not guard.running
        empty = await guard.ask("slots")
        assert [slot[:2] for slot in empty] == [[READER, None], ["Virtual PCD 00 01", None]]
        virtual_card()
        (_, atr, _), _ = await guard.ask("slots")
        assert atr == "3bac00402a001225006480000310009000"

    with_guard(story, "look")


def test_a_session_in_a_child(virtual_card: Insert) -> None:
    virtual_card()

    async def story(guard: Guard) -> None:
        sight = await unlocked(guard)
        assert (sight["name"], sight["identifier"], sight["kind"], sight["pad"]) == (
            "CLAIRE ESSAI",
            "99900000011",
            "CPS",
            False,
        )
        signed = await guard.ask("sign", item=ITEM.plain())
        assert signed["fichier"] == "fichier-0"
        await guard.ask("close", keep=False)
        with pytest.raises(Refused, match="CPS-6982"):
            await guard.ask("unlock", serial=sight["serial"], root="00" * 32, **UNLOCK | {"code": None})

    with_guard(story)


def test_its_own_troubles_come_as_they_are(pcscd: Pcscd) -> None:
    async def story(guard: Guard) -> None:
        with pytest.raises(Deferred, match="CPS-ABSENT") as caught:
            await guard.ask("look", reader=READER, reset=False)
        assert caught.value.scope is Scope.CARD
        assert guard.running, "a Trouble is no reason to die"

    with_guard(story)


def test_a_card_that_never_answers(virtual_card: Insert, tmp_path: Path) -> None:
    """The call is given up in its time, the child is gone, another answers; the card pulled, the reader is well."""
    faults = tmp_path / "faults.json"
    faults.write_text(json.dumps([{"do": "hang"}]))
    card = virtual_card("--faults", str(faults))

    async def story(guard: Guard) -> None:
        begun = time.monotonic()
        with pytest.raises(Deferred, match="CPS-HUNG"):
            await guard.ask("look", reader=READER, reset=False)
        assert time.monotonic() - begun < 5
        assert not guard.running
        lookout = Guard("look", 5.0)
        assert len(await lookout.ask("slots")) == 2, "the other child is not held up"
        lookout.end()
        card.pull()
        until(lambda: slots()[0].atr is None, "the card's removal")
        virtual_card()
        assert (await guard.ask("look", reader=READER, reset=False))["tries"] == 3

    with_guard(story, patience=2.0)


def test_a_slow_card_has_its_time_for_each_command(virtual_card: Insert) -> None:
    """All of the reading takes longer than the patience, no command does."""
    virtual_card("--delay-ms", "100")

    async def story(guard: Guard) -> None:
        begun = time.monotonic()
        assert (await guard.ask("look", reader=READER, reset=False))["tries"] == 3
        assert time.monotonic() - begun > 2.0
        assert (await unlocked(guard))["tries"] == 3
        assert (await guard.ask("sign", item=ITEM.plain()))["fichier"] == "fichier-0"
        await guard.ask("close", keep=False)

    with_guard(story, patience=2.0)


def test_a_card_that_answers_without_end_is_given_up(virtual_card: Insert, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.card.guard.MOST_PATIENCE", 1)
    virtual_card("--delay-ms", "200")

    async def story(guard: Guard) -> None:
        with pytest.raises(Deferred, match="CPS-HUNG"):
            await guard.ask("look", reader=READER, reset=False)
        assert not guard.running

    with_guard(story, patience=2.0)


def test_the_card_of_a_killed_child_knows_no_code(virtual_card: Insert) -> None:
    """Killed in mid-session, its transaction ends and pcscd resets the card: nobody finds it unlocked."""
    virtual_card()

    async def story(guard: Guard) -> None:
        await unlocked(guard)
        os.kill(pid_of(guard), signal.SIGKILL)
        with pytest.raises(Deferred, match="CPS-CHILD"):
            await guard.ask("sign", item=ITEM.plain())

    with_guard(story)
    cards = Cards(Readers())
    with cards.card(reset=False) as cps, pytest.raises(Refused, match="CPS-6982"):
        cps.sign(cps.contents().signature.key, b"x")
    cards.close()


def test_another_program_keeps_the_card_for_itself(virtual_card: Insert) -> None:
    """A transaction that does not end is waited for no longer than the patience; then it is our turn again."""
    virtual_card()
    cards = Cards(Readers())
    other = cards.unlock(cards.look().contents.serial, Pin(CODE.encode()), "box", "each", bytes(32))

    async def story(guard: Guard) -> None:
        with pytest.raises(Deferred, match="CPS-HUNG"):
            await guard.ask("look", reader=READER, reset=False)
        other.close()
        assert (await guard.ask("look", reader=READER, reset=False))["tries"] == 3

    with_guard(story, patience=2.0)
    cards.close()


def test_a_cancelled_question_leaves_no_answer_for_the_next(virtual_card: Insert) -> None:
    virtual_card("--delay-ms", "30")

    async def story(guard: Guard) -> None:
        asked = asyncio.create_task(guard.ask("look", reader=READER, reset=False))
        await asyncio.sleep(0.6)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert not guard.running
        with pytest.raises(Deferred, match=r"CPS-NO-READER|CPS-ABSENT"):
            await guard.ask("look", reader="Nobody's reader", reset=False)

    with_guard(story)


def test_a_bug_in_the_child_is_said_and_survived(pcscd: Pcscd, capfd: pytest.CaptureFixture[str]) -> None:
    async def story(guard: Guard) -> None:
        with pytest.raises(Deferred, match="CPS-CHILD"):
            await guard.ask("no-such-act", code="0739")
        with pytest.raises(Deferred, match="CPS-ABSENT"):
            await guard.ask("look", reader=READER, reset=False)

    with_guard(story)
    said = capfd.readouterr().err
    assert "KeyError" in said
    assert "0739" not in said


def test_ended_for_good_it_starts_no_other_child(pcscd: Pcscd) -> None:
    async def story(guard: Guard) -> None:
        await guard.ask("slots")
        guard.end(for_good=True)
        with pytest.raises(Deferred, match="CPS-CHILD"):
            await guard.ask("slots")
        assert not guard.running

    with_guard(story, "look")


def test_a_child_inherits_nothing(pcscd: Pcscd) -> None:
    """Neither variables nor descriptors: its line, pyscard's socket, and the two outputs."""

    async def story(guard: Guard) -> None:
        await guard.ask("slots")
        folder = Path(f"/proc/{pid_of(guard)}")
        names = {one.partition(b"=")[0] for one in (folder / "environ").read_bytes().split(b"\0") if one}
        assert names <= {b"PCSCLITE_CSOCK_NAME", b"LC_CTYPE"}
        kinds = [str(one.readlink()).partition(":")[0] for one in (folder / "fd").iterdir()]
        assert kinds.count("socket") <= 3
        assert len(kinds) <= 6

    with_guard(story, "look")


def test_answers_are_lines_of_two_kinds() -> None:
    def refuse() -> None:
        raise Refused("CPS-X", "Non.", Scope.CARD)

    acts = {"well": lambda number: number + 1, "not": refuse}
    assert answer(acts, {"act": "well", "number": 1}) == {"done": 2}
    assert answer(acts, {"act": "not"}) == {"trouble": ["Refused", "CPS-X", "Non."]}

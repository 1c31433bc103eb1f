"""One reader each: two practitioners, cards that must not sign, cards that are bad, readers that hang, closing time."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from card_bench import DOCTOR, NURSE, InsertedCard, Pcscd
from card_service import ITEMS, Running, check, told
from development_pki import Pki
from pin_scan import CODE, WRONG
from smartcard import scard

from gateway.card.client import UnlockClient

Insert = Callable[..., InsertedCard]

CLAIRE, PAUL = "CLAIRE ESSAI", "PAUL EXEMPLE"
NOON = datetime(2026, 3, 2, 12, 0).astimezone()
HERS = [replace(ITEMS[0], holders=(DOCTOR,)), replace(ITEMS[1], holders=(DOCTOR,))]
HIS = [replace(ITEMS[2], holders=(NURSE,))]


def faulty(tmp_path: Path, *faults: dict[str, Any]) -> tuple[str, str]:
    path = tmp_path / "faults.json"
    path.write_text(json.dumps(faults))
    return "--faults", str(path)


def signers(answer: dict[str, Any]) -> dict[str, bytes]:
    return {signed["fichier"]: base64.b64decode(signed["certificate"]) for signed in answer["signed"]}


def names(view: dict[str, Any]) -> list[str]:
    return [item["fichier"] for item in view["items"]]


def test_two_practitioners_each_sign_their_own(virtual_card: Insert, tmp_path: Path, pki: Pki) -> None:
    virtual_card()
    virtual_card(name=NURSE, second=True)

    async def story(service: Running) -> None:
        await service.card.offer([*HERS, *HIS], 0.0)
        hers, his = await service.card_state(CLAIRE, "locked"), await service.card_state(PAUL, "locked")
        assert (names(hers), names(his)) == (["fichier-0", "fichier-1"], ["fichier-2"])
        assert (hers["policy"], his["policy"]) == ("this-batch", "each")
        assert await service.unlock.unlock(CODE, his["root"]) == {"ok": True}
        assert await service.unlock.unlock(CODE, hers["root"]) == {"ok": True}
        answer = await service.offered([*HERS, *HIS], *(item.fichier for item in ITEMS))
        check(answer, ITEMS)
        doctor, nurse = (pki.certificate(f"practitioners/{name}/sig") for name in (DOCTOR, NURSE))
        assert signers(answer) == {"fichier-0": doctor, "fichier-1": doctor, "fichier-2": nurse}

    told(tmp_path, story, policies=(f"{NURSE}=each",))


def test_whose_turn_it_is_must_be_said(virtual_card: Insert, tmp_path: Path) -> None:
    virtual_card()
    virtual_card(name=NURSE, second=True)

    async def story(service: Running) -> None:
        await service.card.offer(ITEMS, 0.0)
        hers, his = await service.card_state(CLAIRE, "locked"), await service.card_state(PAUL, "locked")
        assert hers["root"] == his["root"]
        assert (await service.unlock.unlock(CODE, hers["root"]))["code"] == "CPS-WHICH"
        assert await service.unlock.unlock(CODE, his["root"], card=his["card"]["serial"]) == {"ok": True}
        answer = await service.offered(ITEMS, *(item.fichier for item in ITEMS))
        assert len({signed["certificate"] for signed in answer["signed"]}) == 1

    told(tmp_path, story)


def test_both_cards_at_once_sign_each_fichier_once(virtual_card: Insert, tmp_path: Path) -> None:
    journals = [tmp_path / "first", tmp_path / "second"]
    virtual_card("--journal", str(journals[0]), "--delay-ms", "5")
    virtual_card("--journal", str(journals[1]), "--delay-ms", "5", name=NURSE, second=True)
    many = [replace(ITEMS[0], fichier=f"many-{number}") for number in range(12)]

    async def story(service: Running) -> None:
        await service.card.offer(many, 0.0)
        views = [await service.card_state(name, "locked") for name in (CLAIRE, PAUL)]
        answers = [service.unlock.unlock(CODE, view["root"], card=view["card"]["serial"]) for view in views]
        assert [await answer for answer in answers] == [{"ok": True}, {"ok": True}]
        answer = await service.offered(many, *(item.fichier for item in many))
        check(answer, many)
        assert len({signed["certificate"] for signed in answer["signed"]}) == 2

    told(tmp_path, story)
    made = sum(line.split()[2] == "002a9e9a" for journal in journals for line in journal.read_text().splitlines())
    assert made == len(many)


def test_the_wrong_practitioner_s_card(virtual_card: Insert, tmp_path: Path) -> None:
    card = virtual_card(name=NURSE)

    async def story(service: Running) -> None:
        await service.state("locked")
        await service.card.offer(HERS, 0.0)
        shown = await service.unlock.pending()
        assert shown["items"] == []
        assert shown["card"]["identifier"] == NURSE
        assert (await service.unlock.unlock(CODE, shown["root"]))["code"] == "CPS-EMPTY"
        card.pull()
        await service.state("absent")
        virtual_card()
        await service.state("locked")
        hers = (await service.unlock.pending())["root"]
        await service.card.offer(HERS, 0.0)
        assert await service.open() == {"ok": True}
        await service.offered(HERS, "fichier-0", "fichier-1")
        await service.state("locked")
        assert (await service.unlock.unlock(CODE, hers))["code"] == "CPS-ROOT", "signed by now"

    told(tmp_path, story)


def test_her_page_does_not_unlock_his_card(virtual_card: Insert, tmp_path: Path) -> None:
    """Her batch was shown, then his card was put in for hers: the code does not reach it."""
    card = virtual_card()

    async def story(service: Running) -> None:
        await service.card.offer(HERS, 0.0)
        await service.state("locked")
        shown = await service.unlock.pending()
        card.pull()
        await service.state("absent")
        his = virtual_card("--pin", WRONG, name=NURSE)
        await service.state("locked")
        answer = await service.unlock.unlock(CODE, shown["root"])
        assert (answer["code"], answer["tries"]) == ("CPS-HOLDER", 3)
        assert not his.state.exists(), "no try was spent"

    told(tmp_path, story)


def test_a_type_of_card_that_does_not_sign(virtual_card: Insert, tmp_path: Path) -> None:
    virtual_card()

    async def story(service: Running) -> None:
        await service.card.offer(ITEMS, 0.0)
        card = await service.state("foreign")
        assert card["code"] == "CPS-TYPE"
        assert CLAIRE in card["text"]
        assert (await service.open())["code"] == "CPS-TYPE"

    told(tmp_path, story, card_types=("CPE",))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--atr", "3BAC00402A001225006480820212009000"), "CPS2ter"),
        (("--atr", "3BDC18FF00001225006480000401009000"), "CPS4"),
        (("--contactless",), "CPS3 sans contact"),
    ],
)
def test_other_cards_of_the_family_are_named(
    virtual_card: Insert, tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    virtual_card(*options)

    async def story(service: Running) -> None:
        card = await service.state("foreign")
        assert card["code"] == "CPS-MODEL"
        assert words in card["text"]

    told(tmp_path, story)


def test_a_copied_card_is_refused(virtual_card: Insert, tmp_path: Path) -> None:
    """Her certificates with other keys: nothing that it signs is taken, and no second code is given to it."""
    card = virtual_card("--clone")

    async def story(service: Running) -> None:
        await service.card.offer(ITEMS, 0.0)
        await service.state("locked")
        assert await service.open() == {"ok": True}
        said = await service.state("foreign")
        assert said["code"] == "CPS-COPY"
        assert (await service.open())["code"] == "CPS-COPY"
        assert (await service.card.offer(ITEMS, 0.0))["signed"] == []
        card.pull()
        await service.state("absent")
        virtual_card()
        await service.state("locked")
        assert await service.open() == {"ok": True}
        check(await service.offered(ITEMS, *(item.fichier for item in ITEMS)), ITEMS)

    told(tmp_path, story)


@pytest.mark.parametrize("clone", [False, True])
def test_swapped_between_two_signatures(virtual_card: Insert, tmp_path: Path, clone: bool) -> None:
    """Another card comes back in the middle of a batch: what is left waits for a code given to that card."""
    swap = {"do": "swap", "apdu": "002A9E9A", "nth": 2, "seconds": 0.7, "card": NURSE, "clone": clone}
    virtual_card(*faulty(tmp_path, swap))

    async def story(service: Running) -> None:
        await service.card.offer(ITEMS, 0.0)
        await service.state("locked")
        assert await service.open() == {"ok": True}
        await service.offered(ITEMS, "fichier-0")
        await service.card_state(PAUL, "locked")
        assert {signed["fichier"] for signed in (await service.card.offer(ITEMS, 0.0))["signed"]} == {"fichier-0"}
        assert await service.open() == {"ok": True}
        if clone:
            assert (await service.state("foreign"))["code"] == "CPS-COPY"
            return
        answer = await service.offered(ITEMS, *(item.fichier for item in ITEMS))
        assert len({signed["certificate"] for signed in answer["signed"]}) == 2

    told(tmp_path, story)


def test_blocked_behind_our_back(virtual_card: Insert, tmp_path: Path) -> None:
    virtual_card(*faulty(tmp_path, {"do": "block", "apdu": "002A9E9A", "nth": 1}))

    async def story(service: Running) -> None:
        await service.card.offer(ITEMS, 0.0)
        await service.state("locked")
        assert await service.open() == {"ok": True}
        card = await service.state("blocked")
        assert (card["code"], card["tries"]) == ("CPS-6983", 0)

    told(tmp_path, story)


def test_a_reader_that_hangs_holds_up_no_other(virtual_card: Insert, tmp_path: Path) -> None:
    """The service goes on answering, its watchdog is fed, the other practitioner signs; the hung one is said."""
    hung = virtual_card(*faulty(tmp_path, {"do": "hang", "apdu": "002A9E9A"}))
    virtual_card(name=NURSE, second=True)

    async def story(service: Running) -> None:
        await service.card.offer([*HERS, *HIS], 0.0)
        hers, his = await service.card_state(CLAIRE, "locked"), await service.card_state(PAUL, "locked")
        assert await service.unlock.unlock(CODE, hers["root"]) == {"ok": True}
        begun = time.monotonic()
        assert await service.unlock.unlock(CODE, his["root"]) == {"ok": True}
        await service.offered([*HERS, *HIS], "fichier-2")
        assert time.monotonic() - begun < 2, "not held up"
        await service.cards(lambda cards: "CPS-HUNG" in {card["code"] for card in cards})
        (stuck,) = [card for card in await service.cards(bool) if card["code"] == "CPS-HUNG"]
        assert (stuck["state"], stuck["holder"]) == ("trouble", CLAIRE)
        serial = stuck["serial"]
        assert (await service.unlock.unlock(CODE, hers["root"], card=serial))["code"] == "CPS-HUNG", "no code for it"
        gaps = [after - before for before, after in zip(service.beats, service.beats[1:], strict=False)]
        assert max(gaps) < 2, "the watchdog was fed all the while"
        hung.pull()
        await service.cards(lambda cards: len(cards) == 1)
        virtual_card()
        again = await service.card_state(CLAIRE, "locked")
        assert await service.unlock.unlock(CODE, again["root"]) == {"ok": True}
        check(await service.offered([*HERS, *HIS], *(item.fichier for item in ITEMS)), ITEMS)

    told(tmp_path, story, patience_s=3.0)


GARBAGE = [
    {"do": "sw", "sw": sw, "nth": nth}
    for nth, sw in enumerate(("6F00", "6400", "6A82", "6281", "9100", "6D00", "61FF", "6C00"), 2)
]


@pytest.mark.parametrize("fault", [*GARBAGE, {"do": "garbage", "nth": 12}, {"do": "garbage", "nth": 40}])
def test_a_disturbed_answer_does_not_last(
    virtual_card: Insert, tmp_path: Path, fault: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A status word out of nowhere while the card is read: it is asked again, by nobody's hand."""
    monkeypatch.setattr("gateway.card.place.REFUSED_REST_S", 0.2)
    virtual_card(*faulty(tmp_path, fault))

    async def story(service: Running) -> None:
        assert (await service.state("locked"))["tries"] == 3

    told(tmp_path, story)


def test_a_card_that_another_program_keeps_is_not_said_to_be_missing(virtual_card: Insert, tmp_path: Path) -> None:
    virtual_card()
    _, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)
    _, handle, _ = scard.SCardConnect(
        context, "Virtual PCD 00 00", scard.SCARD_SHARE_EXCLUSIVE, scard.SCARD_PROTOCOL_T0
    )

    async def story(service: Running) -> None:
        card = await service.state("busy")
        assert card["code"] == "CPS-BUSY"
        assert (await service.open())["code"] in ("CPS-BUSY", "CPS-EMPTY")
        scard.SCardDisconnect(handle, scard.SCARD_LEAVE_CARD)
        assert (await service.state("locked"))["tries"] == 3

    told(tmp_path, story)
    scard.SCardReleaseContext(context)


def test_a_card_that_is_being_read_is_not_said_to_be_missing(virtual_card: Insert, tmp_path: Path) -> None:
    async def story(service: Running) -> None:
        await service.state("absent")
        await asyncio.to_thread(virtual_card, "--delay-ms", "20")
        await service.state("reading")
        states = set()
        while "locked" not in states:
            states.add((await service.unlock.pending())["card"]["state"])
        assert states == {"reading", "locked"}

    told(tmp_path, story)


def test_a_reader_that_answers_again_is_taken_back(virtual_card: Insert, tmp_path: Path) -> None:
    """One command takes longer than the patience; the card is not touched, and is asked again by itself."""
    virtual_card(*faulty(tmp_path, {"do": "delay", "ms": 3000, "apdu": "002A9E9A"}))

    async def story(service: Running) -> None:
        await service.card.offer(ITEMS[:1], 0.0)
        await service.state("locked")
        assert await service.open() == {"ok": True}
        assert (await service.state("trouble"))["code"] == "CPS-HUNG"
        assert (await service.state("locked"))["code"] == "CPS-LOCKED"
        assert await service.open() == {"ok": True}
        check(await service.offered(ITEMS[:1], "fichier-0"), ITEMS[:1])

    told(tmp_path, story, patience_s=1.5)


def test_left_after_hours(virtual_card: Insert, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside the practice's hours the card is said to lie there, unless there is something for it to sign."""
    monkeypatch.setattr("gateway.card.place._now", lambda: NOON)
    virtual_card()

    async def story(service: Running) -> None:
        card = await service.state("left")
        assert card["code"] == "CPS-LEFT"
        assert CLAIRE in card["text"]
        assert "11:30" in card["text"]
        await service.card.offer(ITEMS, 0.0)
        await service.state("locked")
        assert await service.open() == {"ok": True}
        await service.offered(ITEMS, "fichier-0")

    told(tmp_path, story, hours="08:00-11:30")


@pytest.mark.parametrize(
    ("later", "chosen"),
    [
        (timedelta(minutes=31), {}),
        (timedelta(minutes=6), {"idle_minutes": 5}),
        (timedelta(minutes=11), {"hours": "08:00-12:10"}),
        (timedelta(days=-1), {}),
    ],
    ids=["its hour", "not used", "closing", "the clock was set back"],
)
def test_when_a_kept_code_is_forgotten(
    virtual_card: Insert, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, later: timedelta, chosen: dict[str, Any]
) -> None:
    clock = [NOON]
    monkeypatch.setattr("gateway.card.place._now", lambda: clock[0])
    virtual_card()

    async def story(service: Running) -> None:
        await service.card.offer(ITEMS[:1], 0.0)
        await service.state("locked")
        assert (await service.unlock.pending())["until"] == min("12:30", chosen.get("hours", "12:30")[-5:])
        assert await service.open() == {"ok": True}
        await service.offered(ITEMS[:1], "fichier-0")
        await service.state("ready")
        check(await service.offered(ITEMS[:2], "fichier-0", "fichier-1"), ITEMS[:2])
        await service.state("ready")
        clock[0] += later
        await service.state("locked", "left")
        await service.card.offer(ITEMS, 0.0)
        await service.state("locked")
        assert len((await service.card.offer(ITEMS, 1.0))["signed"]) == 2, "the third waits for a code"

    told(tmp_path, story, "until 12:30", **chosen)


def test_the_readers_keys_are_asked_for_where_there_are_none(virtual_card: Insert, tmp_path: Path) -> None:
    virtual_card()

    async def story(service: Running) -> None:
        await service.card.offer(ITEMS, 0.0)
        assert (await service.state("locked"))["pad"] is False
        answer = await service.open("")
        assert (answer["code"], answer["tries"]) == ("CPS-NO-PAD", 3)

    told(tmp_path, story)


def test_forget_stops_a_batch(virtual_card: Insert, pcscd: Pcscd, tmp_path: Path) -> None:
    virtual_card("--delay-ms", "10")
    many = [replace(ITEMS[0], fichier=f"many-{number}") for number in range(100)]

    async def story(service: Running) -> None:
        await service.card.offer(many, 0.0)
        await service.state("locked")
        assert await service.open() == {"ok": True}
        await service.offered(many, "many-0")
        await service.unlock.forget()
        await service.state("locked")
        assert 1 <= len((await service.card.offer(many, 0.0))["signed"]) < 20

    told(tmp_path, story)


def test_forget_while_the_card_takes_the_code(virtual_card: Insert, tmp_path: Path) -> None:
    """Whoever wants the code dropped just then gets what they want: nothing is signed by it, and it is not kept."""
    card = virtual_card("--delay-ms", "40", "--journal", str(tmp_path / "journal"))

    async def story(service: Running) -> None:
        await service.card.offer(ITEMS, 0.0)
        await service.state("locked")
        read = len((tmp_path / "journal").read_text().splitlines())
        given = asyncio.create_task(service.open())
        while len((tmp_path / "journal").read_text().splitlines()) < read + 2:  # noqa: ASYNC110 -- another process
            await asyncio.sleep(0.01)
        page = UnlockClient(service.folder / "unlock.sock")
        await page.forget()
        await page.close()
        assert await given == {"ok": True}, "the card took it"
        await service.state("locked")
        assert (await service.card.offer(ITEMS, 0.5))["signed"] == []
        assert card.state.exists()

    told(tmp_path, story, "until 23:59")

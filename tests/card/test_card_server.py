"""The card service whole: sockets, policies, the real pcscd, a card that is pulled and put in."""

from __future__ import annotations

import asyncio
import base64
import json
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from card_bench import DOCTOR, InsertedCard, Pcscd
from card_service import ITEMS, Running, check, told
from development_pki import Pki
from pin_scan import CODE, WRONG

from gateway.card.client import LONGEST_LINE, CardClient
from gateway.card.pending import Pending
from gateway.card.proof import batch_root
from gateway.card.reader import Readers
from gateway.card.session import Cards
from gateway.errors import Deferred, Refused

Insert = Callable[..., InsertedCard]


def test_the_usual_day(virtual_card: Insert, tmp_path: Path, pki: Pki) -> None:
    virtual_card()

    async def story(service: Running) -> None:
        card = await service.state("locked")
        assert (card["holder"], card["tries"], len(card["serial"])) == ("CLAIRE ESSAI", 3, 4)
        answer = await service.card.offer(ITEMS, 0.0)
        assert (answer["signed"], answer["refused"]) == ([], [])
        assert answer["root"] == batch_root(ITEMS).hex()
        shown = await service.unlock.pending()
        assert shown["root"] == answer["root"]
        assert shown["policy"] == "this-batch"
        assert shown["items"][0] == {
            "fichier": "fichier-0",
            "count": 41,
            "total": 231840,
            "lots": 3,
            "emitter": "123456789",
            "holders": [],
        }
        assert await service.open() == {"ok": True}
        names = [item.fichier for item in ITEMS]
        answer = await service.offered(ITEMS, *names)
        check(answer, ITEMS)
        assert base64.b64decode(answer["signed"][0]["certificate"]) == pki.certificate(f"practitioners/{DOCTOR}/sig")
        again = await service.offered(ITEMS, *names)
        assert again["signed"] == answer["signed"], "the same answer until it is confirmed"
        await service.card.confirm(names)
        assert (await service.card.offer([], 0.0))["signed"] == []
        assert (await service.state("locked"))["tries"] == 3

    told(tmp_path, story)


def test_a_wrong_code_then_the_last_try(virtual_card: Insert, tmp_path: Path) -> None:
    card = virtual_card()

    async def story(service: Running) -> None:
        await service.state("locked")
        await service.card.offer(ITEMS[:1], 0.0)
        for left in (2, 1):
            answer = await service.open(WRONG)
            assert (answer["ok"], answer["code"], answer["tries"]) == (False, "CPS-63C", left)
            assert WRONG not in json.dumps(answer)
        answer = await service.open(CODE)
        assert (answer["code"], answer["tries"]) == ("CPS-LAST-TRY", 1)
        assert json.loads(card.state.read_text())["tries"]["1"] == 1
        assert await service.open(CODE, last_try=True) == {"ok": True}
        check(await service.offered(ITEMS[:1], "fichier-0"), ITEMS[:1])

    told(tmp_path, story)


def test_blocked(virtual_card: Insert, tmp_path: Path) -> None:
    virtual_card()

    async def story(service: Running) -> None:
        await service.state("locked")
        await service.card.offer(ITEMS[:1], 0.0)
        for _ in range(3):
            answer = await service.open(WRONG, last_try=True)
        assert (answer["code"], answer["tries"]) == ("CPS-6983", 0)
        assert (await service.state("blocked"))["tries"] == 0

    told(tmp_path, story)


def test_only_what_was_shown_is_signed(virtual_card: Insert, tmp_path: Path) -> None:
    virtual_card()

    async def story(service: Running) -> None:
        await service.state("locked")
        await service.card.offer(ITEMS[:1], 0.0)
        shown = await service.unlock.pending()
        await service.card.offer([replace(ITEMS[0], total=1)], 0.0)
        other = batch_root(ITEMS[1:2]).hex()
        assert (await service.unlock.unlock(CODE, other))["code"] == "CPS-ROOT"
        await service.card.offer(ITEMS, 0.0)
        assert await service.unlock.unlock(CODE, shown["root"]) == {"ok": True}
        answer = await service.offered(ITEMS, "fichier-0")
        await service.state("locked")
        check(answer, ITEMS[:1])
        assert (await service.unlock.pending())["root"] == batch_root(ITEMS[1:]).hex()

    told(tmp_path, story)


def test_each(virtual_card: Insert, tmp_path: Path) -> None:
    virtual_card()

    async def story(service: Running) -> None:
        await service.state("locked")
        await service.card.offer(ITEMS, 0.0)
        for done in range(1, 4):
            assert len((await service.unlock.pending())["items"]) == 1
            assert await service.open() == {"ok": True}
            answer = await service.offered(ITEMS, ITEMS[done - 1].fichier)
            check(answer, ITEMS[:done])
            await service.state("locked")

    told(tmp_path, story, "each")


def test_until(virtual_card: Insert, tmp_path: Path) -> None:
    card = virtual_card()
    if f"{datetime.now():%H:%M}" > "23:56":
        pytest.skip("the policy ends within the day")

    async def story(service: Running) -> None:
        await service.state("locked")
        await service.card.offer(ITEMS[:1], 0.0)
        await service.open()
        await service.offered(ITEMS[:1], "fichier-0")
        await service.state("ready")
        check(await service.offered(ITEMS, *(item.fichier for item in ITEMS)), ITEMS)
        await service.state("ready")
        await service.unlock.forget()
        assert (await service.unlock.pending())["card"]["state"] == "locked", "said at once"
        more = [replace(ITEMS[0], fichier="more")]
        assert (await service.card.offer(more, 1.0))["signed"] == []
        await service.open()
        await service.offered(more, "more")
        card.pull()
        assert (await service.state("absent"))["code"] in ("CPS-ABSENT", "CPS-REMOVED")
        virtual_card()
        await service.state("locked")

    told(tmp_path, story, "until 23:59")


def test_pulled_in_the_middle_of_a_batch(virtual_card: Insert, tmp_path: Path) -> None:
    faults = tmp_path / "faults.json"
    faults.write_text(json.dumps([{"apdu": "002A9E9A", "nth": 2, "do": "pull", "seconds": 1.0}]))
    virtual_card("--faults", str(faults))

    async def story(service: Running) -> None:
        await service.state("locked")
        await service.card.offer(ITEMS, 0.0)
        assert await service.open() == {"ok": True}
        answer = await service.offered(ITEMS, "fichier-0")
        first = answer["signed"][0]
        await service.state("absent")
        await service.state("locked")
        assert (await service.unlock.pending())["root"] == batch_root(ITEMS[1:]).hex()
        assert await service.open() == {"ok": True}
        answer = await service.offered(ITEMS, *(item.fichier for item in ITEMS))
        check(answer, ITEMS)
        assert first in answer["signed"], "what was signed stays signed, once"

    told(tmp_path, story)


def test_why_signing_failed_is_said(virtual_card: Insert, tmp_path: Path) -> None:
    faults = tmp_path / "faults.json"
    faults.write_text(json.dumps([{"apdu": "002A9E9A", "do": "sw", "sw": "6985"}]))
    virtual_card("--faults", str(faults))

    async def story(service: Running) -> None:
        await service.state("locked")
        await service.card.offer(ITEMS[:1], 0.0)
        assert await service.open() == {"ok": True}
        assert (await service.state("locked"))["code"] == "CPS-6985"
        assert await service.open() == {"ok": True}
        check(await service.offered(ITEMS[:1], "fichier-0"), ITEMS[:1])

    told(tmp_path, story)


def test_pcscd_goes_and_comes_back(pcscd: Pcscd, virtual_card: Insert, tmp_path: Path) -> None:
    virtual_card()

    async def story(service: Running) -> None:
        await service.state("locked")
        pcscd.stop()
        assert (await service.state("no-service"))["code"] == "CPS-NO-SERVICE"
        pcscd.start()
        assert (await service.state("absent"))["code"] in ("CPS-ABSENT", "CPS-REMOVED")
        virtual_card()
        await service.card.offer(ITEMS[:1], 0.0)
        await service.state("locked")
        assert await service.open() == {"ok": True}
        check(await service.offered(ITEMS[:1], "fichier-0"), ITEMS[:1])

    told(tmp_path, story)


def test_long_poll(virtual_card: Insert, pcscd: Pcscd, tmp_path: Path) -> None:
    async def story(service: Running) -> None:
        await service.state("absent")
        begun = time.monotonic()
        await service.card.offer([], 5.0)
        assert time.monotonic() - begun < 1, "the first answer on a connection comes at once"
        begun = time.monotonic()
        await service.card.offer([], 0.6)
        assert time.monotonic() - begun >= 0.6, "without news it waits"
        waiting = asyncio.create_task(service.card.offer([], 10.0))
        virtual_card()
        assert (await asyncio.wait_for(waiting, 5))["card"]["state"] == "reading"
        assert (await asyncio.wait_for(service.card.offer([], 10.0), 5))["card"]["state"] == "locked"

    told(tmp_path, story)


def test_another_content_under_a_signed_name(virtual_card: Insert, tmp_path: Path) -> None:
    virtual_card()

    async def story(service: Running) -> None:
        await service.state("locked")
        await service.card.offer(ITEMS[:1], 0.0)
        await service.open()
        await service.offered(ITEMS[:1], "fichier-0")
        answer = await service.card.offer([replace(ITEMS[0], digest=bytes([9]) * 32)], 0.0)
        assert (answer["signed"], answer["refused"][0]["code"]) == ([], "CPS-TWICE")

    told(tmp_path, story)


def test_many_signatures_come_in_several_answers(pcscd: Pcscd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A keeper that was away while a large batch was signed gets all of it, and each only once."""
    many = [replace(ITEMS[0], fichier=f"many-{number}") for number in range(600)]
    pending = Pending()
    for item in many:
        pending.record(item, {"fichier": item.fichier, "signature": "x" * 8000})
    monkeypatch.setattr("gateway.card.signer.Pending", lambda: pending)

    async def story(service: Running) -> None:
        given: dict[str, None] = {}
        while len(given) < len(many):
            begun = time.monotonic()
            answer = await service.card.offer(many, 60.0)
            assert time.monotonic() - begun < 30, "more is told at once"
            given |= dict.fromkeys(signed["fichier"] for signed in answer["signed"])
        assert list(given) == [item.fichier for item in many]
        await service.card.confirm(given)
        assert (await service.card.offer([], 0.0))["signed"] == []

    told(tmp_path, story)


def test_thousands_that_wait_can_be_offered_and_shown(virtual_card: Insert, tmp_path: Path) -> None:
    virtual_card()
    many = [replace(ITEMS[0], fichier=f"{number:064d}") for number in range(5000)]

    async def story(service: Running) -> None:
        await service.state("locked")
        assert (await service.card.offer(many, 0.0))["signed"] == []
        assert len((await service.unlock.pending())["items"]) == len(many)

    told(tmp_path, story)


def test_an_answer_without_end_is_none(tmp_path: Path) -> None:
    async def ask() -> None:
        async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"x" * (LONGEST_LINE + 2))
            await writer.drain()
            writer.close()

        async with await asyncio.start_unix_server(flood, tmp_path / "flood.sock"):
            with pytest.raises(Deferred, match="CPS-SERVICE"):
                await CardClient(tmp_path / "flood.sock").offer([], 0.0)

    asyncio.run(ask())


def test_while_a_card_takes_its_time_the_service_answers_and_says_that_it_lives(
    virtual_card: Insert, tmp_path: Path
) -> None:
    slow = virtual_card().process

    async def story(service: Running) -> None:
        await service.state("locked")
        await service.card.offer(ITEMS[:1], 0.0)
        slow.send_signal(signal.SIGSTOP)
        try:
            begun, busy = len(service.beats), asyncio.create_task(service.open())
            async with asyncio.timeout(15):
                while len(service.beats) < begun + 2:
                    assert (await service.card.offer(ITEMS[:1], 0.0))["signed"] == []
            assert not busy.done()
        finally:
            slow.send_signal(signal.SIGCONT)
        assert await busy == {"ok": True}
        check(await service.offered(ITEMS[:1], "fichier-0"), ITEMS[:1])

    told(tmp_path, story)


SIGN_REQUESTS = [
    b"",
    b"{}",
    b"[]",
    b"nothing",
    b'{"op":"unlock","pin":"0872","root":"00"}',
    b'{"op":["offer"]}',
    b'{"op":"offer","items":[]}',
    b'{"op":"offer","items":[],"wait":-1.0}',
    b'{"op":"offer","items":[],"wait":NaN}',
    b'{"op":"offer","items":[],"wait":1e400}',
    b'{"op":"offer","items":[],"wait":true}',
    b'{"op":"offer","items":[],"wait":0.0,"more":1}',
    b'{"op":"offer","items":[{}],"wait":0.0}',
    b'{"op":"confirm","fichiers":"a"}',
    b'{"op":"confirm","fichiers":[1]}',
    b'{"op":"confirm","fichiers":["\\ud800"]}',
    b"[" * 5000,
    b"\xff\xfe",
]
GOOD = {"fichier": "f", "digest": "00" * 32, "count": 1, "total": 1, "lots": 1, "emitter": "1", "challenge": None,
        "holders": []}  # fmt: skip
BAD_ITEMS = [
    {"digest": "00" * 31},
    {"digest": "ZZ" * 32},
    {"count": -1},
    {"count": True},
    {"count": 1.0},
    {"total": 10**16},
    {"lots": "1"},
    {"fichier": ""},
    {"fichier": "a b"},
    {"fichier": "é"},
    {"fichier": "x" * 129},
    {"emitter": "a\nb"},
    {"challenge": "00"},
    {"challenge": "00" * 65},
    {"holders": ["9990000001"]},
]
UNLOCK_REQUESTS = [
    b'{"op":"offer","items":[],"wait":0.0}',
    b'{"op":"pending","more":1}',
    b'{"op":"unlock","pin":"0872"}',
    b'{"op":"unlock","pin":1234,"root":"' + b"00" * 32 + b'"}',
    b'{"op":"unlock","pin":"12a4","root":"' + b"00" * 32 + b'"}',
    b'{"op":"unlock","pin":"0872","root":"00"}',
]


def test_bad_requests_are_answered_and_change_nothing(pcscd: Pcscd, tmp_path: Path) -> None:
    bad_items = [json.dumps({"op": "offer", "items": [GOOD | item], "wait": 0.0}).encode() for item in BAD_ITEMS]

    async def ask(path: Path, request: bytes) -> dict[str, Any]:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(request + b"\n")
        answer: dict[str, Any] = json.loads(await asyncio.wait_for(reader.readline(), 5))
        writer.close()
        return answer

    async def story(service: Running) -> None:
        await service.card.offer(ITEMS[:1], 0.0)
        for name, requests in (("sign", SIGN_REQUESTS + bad_items), ("unlock", UNLOCK_REQUESTS)):
            for request in requests:
                answer = await ask(service.folder / f"{name}.sock", request)
                assert (answer["ok"], answer["code"]) == (False, "CPS-REQUEST"), request
                assert CODE not in answer["text"]
                assert "12a4" not in answer["text"]
        long = await ask(service.folder / "sign.sock", b'{"op":"' + b"x" * LONGEST_LINE + b'"}')
        assert long["code"] == "CPS-REQUEST"
        good = await ask(
            service.folder / "sign.sock", json.dumps({"op": "offer", "items": [GOOD], "wait": 0.0}).encode()
        )
        assert good["signed"] == []
        assert [item["fichier"] for item in (await service.unlock.pending())["items"]] == ["f"]

    told(tmp_path, story)


def test_unlock_without_a_card(pcscd: Pcscd, tmp_path: Path) -> None:
    async def story(service: Running) -> None:
        await service.state("absent")
        await service.card.offer(ITEMS[:1], 0.0)
        answer = await service.open()
        assert (answer["ok"], answer["code"]) == (False, "CPS-ABSENT")

    told(tmp_path, story)


def test_a_stop_in_the_middle_of_a_batch(virtual_card: Insert, tmp_path: Path) -> None:
    """The signature under way is finished, the rest is not begun, the card is reset."""
    virtual_card("--delay-ms", "15")
    many = [replace(ITEMS[0], fichier=f"many-{number}") for number in range(200)]
    begun = 0.0

    async def story(service: Running) -> None:
        nonlocal begun
        await service.state("locked")
        await service.card.offer(many, 0.0)
        assert await service.open() == {"ok": True}
        await service.state("signing")
        begun = time.monotonic()

    told(tmp_path, story)
    assert time.monotonic() - begun < 5
    with Cards(Readers()).card(reset=False) as cps, pytest.raises(Refused, match="CPS-6982"):
        cps.sign(cps.contents().signature.key, b"x")


def test_no_service_at_the_other_end(tmp_path: Path) -> None:
    async def ask() -> None:
        with pytest.raises(Deferred, match="CPS-SERVICE"):
            await CardClient(tmp_path / "nobody.sock").offer([], 0.0)

    asyncio.run(ask())

"""The whole receiving end as a process, spoken to over TLS by the real client: nothing lost, nothing doubled."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace

import pytest
from concentrator_bench import HASH, Bench, b2, make_bench
from concentrator_process import Box, Process, Sink, running
from development_pki import Pki

from gateway.concentrator.schema import open_reading
from gateway.concentrator.settings import PartnerAccess, PayerSettings
from gateway.errors import Deferred, Refused, Trouble
from gateway.formats.arl import Arl
from gateway.formats.noemie import read
from gateway.formats.receipt import Receipt
from gateway.pesit.transfer import Identity, SyncPoint

PDF = b"%PDF-1.4\n" + os.urandom(600_000) + b"\n%%EOF\n"


def rows(bench: Bench, query: str) -> list[sqlite3.Row]:
    with closing(open_reading(bench.settings.database)) as connection:
        return connection.execute(query).fetchall()


def until(bench: Bench, query: str, count: int) -> list[sqlite3.Row]:
    """The rows, once there are so many."""
    deadline = time.monotonic() + 60
    while len(found := rows(bench, query)) < count:
        assert time.monotonic() < deadline, f"{len(found)} rows of {count}: {query}"
        time.sleep(0.05)
    return found


def receipts(bench: Bench, pulled: list[bytes]) -> list[Receipt]:
    returns = [bench.unseal(one) for one in pulled]
    return [Receipt.from_bytes(one.body) for one in returns if one.header.kind == "receipt"]


class Stopped(Exception):
    """The box stops in mid-transfer."""


def stop_at(number: int, points: list[SyncPoint]) -> Callable[[SyncPoint], None]:
    def acknowledged(point: SyncPoint) -> None:
        points.append(point)
        if point.number >= number:
            raise Stopped

    return acknowledged


def test_a_fichier_goes_all_the_way_and_its_returns_come_back(bench: Bench) -> None:
    with running(bench) as process:
        box = Box(bench, process.port)
        sealed = bench.sign_and_seal(b2(), "f1")
        assert asyncio.run(box.send(sealed, "f1.1.s1", 1)) == len(sealed)
        until(bench, "SELECT * FROM verdicts", 1)
        pulled = asyncio.run(box.pull_all())
        assert [bench.unseal(one).header.kind for one in pulled] == ["receipt", "arl", "rsp"]
        assert receipts(bench, pulled)[0].verdict == "integrated"
        assert all(row["delivered"] for row in rows(bench, "SELECT delivered FROM mailbox"))
        assert process.end(signal.SIGTERM) == 0


def test_a_broken_transfer_goes_on_from_its_point_even_through_kill_9(bench: Bench) -> None:
    sealed = bench.sign_and_seal(PDF, "f1")
    points: list[SyncPoint] = []
    with running(bench) as process:
        with suppress(Stopped):
            asyncio.run(Box(bench, process.port).send(sealed, "f1.1.s1", 1, acknowledged=stop_at(4, points)))
        process.end(signal.SIGKILL)
        (row,) = rows(bench, "SELECT * FROM transfers")
        assert row["received"] == "" and row["point"] >= 4
        process.start()
        moved = asyncio.run(Box(bench, process.port).send(sealed, "f1.1.s1", 1, points[-1]))
        assert moved == len(sealed) - row["offset"], "what was on disk is not sent again"
        until(bench, "SELECT * FROM verdicts WHERE verdict = 'integrated'", 1)
        assert len(rows(bench, "SELECT * FROM transfers")) == 1


@pytest.mark.timeout(400)  # nine times the start of a process, however busy the machine
def test_killed_again_and_again_a_fichier_is_integrated_once(bench: Bench) -> None:
    """SIGKILL when points 0, 3, 7 … are acknowledged, then at rising delays after the whole was sent."""
    sealed = bench.sign_and_seal(PDF, "f1")
    known: list[SyncPoint] = []
    moved: list[int] = []

    def send(process: Process, kill_at: int) -> None:
        def acknowledged(point: SyncPoint) -> None:
            known.append(point)
            if point.number >= kill_at and process.running:  # another point may be acknowledged already
                process.end(signal.SIGKILL)

        box, restart = Box(bench, process.port), known[-1] if known else None
        moved.append(asyncio.run(box.send(sealed, "f1.1.s1", 1, restart, acknowledged)))

    with running(bench) as process:
        for point in (0, 3, 7, 12, 16):
            with pytest.raises(Deferred):
                send(process, point)
            process.start()
        reached = rows(bench, "SELECT * FROM transfers")[0]["offset"]
        assert reached >= 16 * 32768
        send(process, 10**6)
        assert moved == [len(sealed) - reached], "only what was not on disk went the last time"
        for delay in (0.0, 0.05, 0.15):
            time.sleep(delay)
            process.end(signal.SIGKILL)
            process.start()
        until(bench, "SELECT * FROM verdicts", 1)
        pulled = asyncio.run(Box(bench, process.port).pull_all())
        assert [one.verdict for one in receipts(bench, pulled)] == ["integrated"]
        assert len(rows(bench, "SELECT * FROM transfers")) == len(rows(bench, "SELECT * FROM verdicts")) == 1
        assert until(bench, "SELECT * FROM mailbox", 1)[0]["delivered"]


def test_the_tail_of_a_complete_transfer_may_come_again(bench: Bench) -> None:
    sealed = bench.sign_and_seal(PDF, "f1")
    points: list[SyncPoint] = []
    with running(bench) as process:
        box = Box(bench, process.port)
        asyncio.run(box.send(sealed, "f1.1.s1", 1, acknowledged=points.append))
        until(bench, "SELECT * FROM verdicts", 1)
        asyncio.run(box.send(sealed, "f1.1.s1", 1, points[2]))
        asyncio.run(box.send(sealed, "f1.1.s1", 1))
        other = bytearray(sealed)
        other[-1] ^= 1
        with pytest.raises(Trouble) as refused:
            asyncio.run(box.send(bytes(other), "f1.1.s1", 1))
        assert refused.value.code == "PES-2.229"
        assert len(rows(bench, "SELECT * FROM transfers")) == 1
        assert len(asyncio.run(box.pull_all())) == 1


def test_a_double_gets_the_first_word_again(bench: Bench) -> None:
    with running(bench) as process:
        box = Box(bench, process.port)
        content = b2()
        for number in (1, 2):
            asyncio.run(box.send(bench.sign_and_seal(content, "f1"), f"f1.1.s{number}", number))
        until(bench, "SELECT * FROM transfers WHERE outcome = 'double'", 1)
        first, again = receipts(bench, asyncio.run(box.pull_all()))
        assert again == replace(first, original=False, seal="s2")
        assert len(rows(bench, "SELECT * FROM verdicts")) == 1


@pytest.mark.parametrize(("signer", "code"), [("zoo/revoked/sig", "CMS-036"), ("zoo/foreign/sig", "CMS-031")])
def test_a_signature_that_may_not_be_is_refused_with_words(signer: str, code: str, bench: Bench) -> None:
    with running(bench) as process:
        box = Box(bench, process.port)
        asyncio.run(box.send(bench.sign_and_seal(b2(), "f1", signer=signer), "f1.1.s1", 1))
        until(bench, "SELECT * FROM verdicts", 1)
        (said,) = receipts(bench, asyncio.run(box.pull_all()))
        assert (said.verdict, said.code) == ("refused", code)


def test_a_return_is_delivered_by_the_message_and_by_nothing_else(bench: Bench) -> None:
    with running(bench) as process:
        box = Box(bench, process.port)
        asyncio.run(box.send(bench.sign_and_seal(PDF, "f1"), "f1.1.s1", 1))
        until(bench, "SELECT * FROM verdicts", 1)
        first = asyncio.run(box.pull(message=False))
        second = asyncio.run(box.pull(by_name=False))
        assert first is not None and first == second, "not said to be here, it comes again"
        assert asyncio.run(box.pull()) is None

        async def say_again() -> str | None:
            async with box.connect() as connection:
                return await connection.message(first[0].answering(), first[0].label, answer=True)

        assert asyncio.run(say_again()) == first[0].label


def test_messages_about_what_is_not_ones_own_are_refused(bench: Bench) -> None:
    async def say(box: Box, identity: Identity, text: str) -> None:
        async with box.connect() as connection:
            await connection.message(identity, text)

    with running(bench) as process:
        box = Box(bench, process.port)
        for identity, text, code in (
            (Identity("RETOURS", 5), "receipt_00000005", "PES-2.205"),
            (Identity("FICHIER", 5), "bonjour", "PES-2.209"),
            (Identity("RETOURS", 5, file_type=0xFFFF), "", "PES-2.209"),
        ):
            with pytest.raises(Refused) as refused:
                asyncio.run(say(box, identity, text))
            assert refused.value.code == code


def test_a_broken_pull_goes_on_where_it_was(pki: Pki, bench: Bench) -> None:
    many = b2(factures=800)
    with running(bench) as process:
        box = Box(bench, process.port)
        box.partner = replace(box.partner, sync_kb=16, window=1)
        asyncio.run(box.send(bench.sign_and_seal(many, "f1"), "f1.1.s1", 1))
        until(bench, "SELECT * FROM verdicts", 1)
        for _ in range(2):
            assert asyncio.run(box.pull()) is not None
        sinks: list[Sink] = []

        async def pull(restart: bool) -> int:
            def selected(identity: Identity) -> Sink:
                if not restart:
                    sinks.append(Sink(identity, stop_after=3))
                return sinks[0]

            async with box.connect() as connection:
                request = sinks[0].identity if restart else Identity("RETOURS")
                outcome = await connection.pull(request, selected, restart=restart)
            assert outcome is not None
            return outcome.moved

        with pytest.raises(ConnectionAbortedError):
            asyncio.run(pull(False))
        sinks[0].stop_after = 10**6
        process.end(signal.SIGKILL)
        process.start()
        box.partner = replace(box.partner, port=process.port)
        moved = asyncio.run(pull(True))
        content = sinks[0].content.getvalue()
        assert bench.unseal(content).header.kind == "rsp"
        assert 0 < moved <= len(content) - 2 * 16384
        assert rows(bench, "SELECT offered FROM mailbox WHERE kind = 'rsp'")[0]["offered"] == 1


def test_who_is_not_known_does_not_come_in(bench: Bench) -> None:
    with running(bench) as process:
        for box in (Box(bench, process.port, "wrong"), Box(bench, process.port)):
            if box.partner.password != "wrong":
                box.partner = replace(box.partner, requester="NOBODY")
            with pytest.raises(Refused) as refused:
                asyncio.run(box.pull())
            assert refused.value.code == "PES-3.304"
        with pytest.raises(Deferred):
            asyncio.run(Box(bench, process.port, client=None).pull())
        assert asyncio.run(Box(bench, process.port).pull()) is None


def test_the_name_in_the_certificate_counts_where_it_is_asked_for(pki: Pki, bench: Bench) -> None:
    seal = pki.directory / "box-seal.pem"
    partners = (PartnerAccess("BOX00001", HASH, seal, "another name"),)
    with running(bench.having(partners=partners)) as process, pytest.raises(Refused) as refused:
        asyncio.run(Box(bench, process.port).pull())
    assert refused.value.code == "PES-3.304"


def test_what_is_not_a_fichier_is_refused_at_the_door(bench: Bench) -> None:
    with running(bench) as process:
        box = Box(bench, process.port)
        for name, code in (("f1", "PES-2.200"), ("../../x.1.s", "PES-2.200"), ("f1.0.s1", "PES-2.200")):
            with pytest.raises(Refused) as refused:
                asyncio.run(box.send(b"x", name, 1))
            assert refused.value.code == code
        with pytest.raises(Deferred) as deferred:
            asyncio.run(box.send(b"x", "f1.1.s1", 1, SyncPoint(1, 16384, 1, 16384)))
        assert deferred.value.code == "PES-2.233", "a restart of what was never begun"
        asyncio.run(box.send(b"x", "f1.1.s1", 1))
        with pytest.raises(Deferred) as deferred:
            asyncio.run(box.send(b"y", "f2.1.s1", 1))
        assert deferred.value.code == "PES-2.231"


def test_rejects_and_negative_arls_follow_the_settings(pki: Pki, bench: Bench) -> None:
    told = make_bench(pki, bench.settings.directory, PayerSettings(reject=("000000002",), negative_arl=("002",)))
    with running(told) as process:
        box = Box(told, process.port)
        asyncio.run(box.send(told.sign_and_seal(b2(count=2), "f1"), "f1.1.s1", 1))
        until(told, "SELECT * FROM mailbox", 4)
        returns = [told.unseal(one) for one in asyncio.run(box.pull_all())]
    assert [Arl.from_bytes(one.body).verdict for one in returns if one.header.kind == "arl"] == ["positive", "negative"]
    paid = read(returns[-1].body)
    assert [(one.number, one.amo.state if one.amo else "") for one in paid.factures] == [
        ("000000001", "P"),
        ("000000002", "R"),
    ]

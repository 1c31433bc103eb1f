"""The day's checkpoint is time-stamped by way of forward; an authority that is down, or lies, delays nothing."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from asn1crypto import tsp
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from development_pki import Pki
from keeper_bench import KeeperBench
from local_tsa import LocalTsa

from gateway.book.doors import Door
from gateway.book.inspection import Authority, inspect
from gateway.errors import Deferred, Refused
from gateway.process.runtime import Runtime
from gateway.services.forward import stamping as forward
from gateway.services.forward.settings import ForwardSettings
from gateway.services.keeper import returns
from gateway.services.keeper.archive import Archiving


@pytest.fixture
def bench(pki: Pki, tmp_path: Path) -> KeeperBench:
    return KeeperBench(tmp_path / "s", pki)


@pytest.fixture
def tsa(bench: KeeperBench, tmp_path: Path) -> Iterator[LocalTsa]:
    with LocalTsa(tmp_path / "tsa").serving() as made:
        trust(bench, made)
        yield made


def trust(bench: KeeperBench, *authorities: LocalTsa) -> None:
    pem = (x509.load_der_x509_certificate(one.authority).public_bytes(Encoding.PEM) for one in authorities)
    (bench.desk.paths.trust / "tsa.pem").write_bytes(b"".join(pem))


def act(bench: KeeperBench) -> None:
    with bench.desk.commit():
        bench.desk.book.record("", {"verb": "act"})


def notices(bench: KeeperBench) -> list[str]:
    return Door(bench.desk.paths.door("notices")).names()


def run_forward(bench: KeeperBench, url: str, seconds: float = 0.4) -> None:
    async def main() -> None:
        runtime = Runtime("forward", {})
        settings = ForwardSettings(tsa_url=url, poll_s=0.05, retry_s=0.05, retry_max_s=0.1)
        running = asyncio.create_task(forward.run(runtime, bench.desk.paths, settings))
        await asyncio.sleep(seconds)
        runtime.stop.set()
        await running

    asyncio.run(main())


def take(bench: KeeperBench) -> None:
    asyncio.run(returns.take_arrived(bench.desk))


def stamps(bench: KeeperBench) -> list[dict[str, Any]]:
    rows = bench.desk.book.connection.execute("SELECT * FROM proofs WHERE kind = 'stamp' ORDER BY id")
    return [dict(row) for row in rows]


def stamped(bench: KeeperBench, archiving: Archiving, url: str) -> None:
    """A day goes by."""
    act(bench)
    archiving.look()
    run_forward(bench, url)
    take(bench)


def test_the_checkpoint_of_the_day_is_stamped(bench: KeeperBench, tsa: LocalTsa) -> None:
    archiving = Archiving(bench.desk)
    archiving.start()
    stamped(bench, archiving, tsa.url)
    (stamp,) = stamps(bench)
    assert tsa.verifies(stamp["der"], bytes.fromhex(stamp["about"])), "openssl ts -verify"
    checkpoint = bench.desk.book.connection.execute("SELECT * FROM proofs WHERE kind = 'checkpoint'").fetchone()
    assert (stamp["about"], stamp["size"]) == (checkpoint["digest"], checkpoint["size"])
    assert bench.told("", "stamp")[0]["signed"] == stamp["digest"]
    assert notices(bench) == [] and bench.desk.arrived.names() == [] and tsa.asked == 1


def looked_over(bench: KeeperBench, archiving: Archiving, days: int, *tsas: LocalTsa) -> Any:
    while archiving._archive.append():
        pass
    pki, paths = bench.pki, bench.desk.paths
    authority = Authority((pki.root,), tuple(pki.chain), tsa=tuple(one.authority for one in tsas))
    return inspect(paths.journal, authority, bench.now + timedelta(days=days), paths.book / "book.db")


def test_later_stamps_renew_earlier_ones(bench: KeeperBench, tsa: LocalTsa, tmp_path: Path) -> None:
    archiving = Archiving(bench.desk)
    archiving.start()
    stamped(bench, archiving, tsa.url)
    found = looked_over(bench, archiving, 0, tsa)
    assert (found.findings, found.stamps) == ([], 1)
    assert not any("échue" in note for note in found.notes)
    late = looked_over(bench, archiving, 400, tsa)
    assert any("échue" in note for note in late.notes), "the authority's certificate has ended"
    with LocalTsa(tmp_path / "next", days=900).serving() as following:
        trust(bench, tsa, following)
        bench.now += timedelta(days=1)
        stamped(bench, archiving, following.url)
        renewed = looked_over(bench, archiving, 400, tsa, following)
        assert (renewed.findings, renewed.stamps) == ([], 2)
        assert not any("échue" in note for note in renewed.notes), "the later one covers the row of the earlier"
        touched = dataclasses.asdict(looked_over(bench, archiving, 0, following))
        assert [one["kind"] for one in touched["findings"]] == ["forged"], "an authority that is not trusted"


def test_an_authority_that_is_down_delays_nothing_and_is_asked_again(bench: KeeperBench, tsa: LocalTsa) -> None:
    archiving = Archiving(bench.desk)
    archiving.start()
    tsa.down = True
    stamped(bench, archiving, tsa.url)
    assert stamps(bench) == [] and len(notices(bench)) == 1 and tsa.asked > 1
    first = notices(bench)
    bench.now += timedelta(days=1)
    stamped(bench, archiving, tsa.url)
    assert len(notices(bench)) == 1 and notices(bench) != first, "only the newest waits: it covers all before"
    tsa.down = False
    run_forward(bench, tsa.url)
    take(bench)
    assert len(stamps(bench)) == 1 and notices(bench) == []


def test_what_was_asked_before_a_crash_is_asked_again(bench: KeeperBench, tsa: LocalTsa) -> None:
    archiving = Archiving(bench.desk)
    archiving.start()
    act(bench)
    archiving.look()
    (name,) = notices(bench)
    (bench.desk.paths.door("notices") / name).unlink()
    bench.open()
    Archiving(bench.desk).start()
    assert notices(bench) == [name]


def test_no_authority_no_request(bench: KeeperBench) -> None:
    archiving = Archiving(bench.desk)
    archiving.start()
    act(bench)
    archiving.look()
    assert notices(bench) == []


def test_an_answer_that_is_not_good_is_said_and_kept_out(bench: KeeperBench, tsa: LocalTsa, tmp_path: Path) -> None:
    stranger = LocalTsa(tmp_path / "stranger")
    archiving = Archiving(bench.desk)
    archiving.start()
    for days, spoil in enumerate((
        lambda asked: b"not a response",
        lambda asked: stranger.answer(asked),
        lambda asked: tsa.answer(another_nonce(asked)),
        lambda asked: b"",
    )):  # fmt: skip
        bench.now += timedelta(days=days + 1)
        act(bench)
        archiving.look()
        (name,) = notices(bench)
        asked = Door(bench.desk.paths.door("notices")).read(name, 1 << 16)
        bench.desk.arrived.put(name, spoil(asked))
        Door(bench.desk.paths.door("notices")).remove(name)
        take(bench)
        assert stamps(bench) == []
        assert bench.condition("stamp")["code"].startswith("TSA-"), days
    bench.now += timedelta(days=9)
    stamped(bench, archiving, tsa.url)
    assert bench.condition("stamp")["code"] == "" and len(stamps(bench)) == 1
    unasked = "stamp." + "0" * 64
    bench.desk.arrived.put(unasked, tsa.answer(another_nonce(asked)))
    take(bench)
    assert len(stamps(bench)) == 1, "nobody waits for it"


def another_nonce(asked: bytes) -> bytes:
    request = tsp.TimeStampReq.load(asked)
    request["nonce"] = 1
    encoded: bytes = request.dump(force=True)
    return encoded


@pytest.mark.parametrize(
    ("url", "kind"), [("ftp://x/", Refused), ("http://", Refused), ("http://127.0.0.1:1/", Deferred)]
)
def test_addresses_that_do_not_answer(url: str, kind: type[Exception]) -> None:
    with pytest.raises(kind, match="TSA-01"):
        forward.post(url, b"")

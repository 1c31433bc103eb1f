"""Returns as the keeper takes them: nothing is dropped, nothing malformed stops it, what must wait waits."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import samples
from development_pki import Pki
from keeper_bench import KeeperBench
from theft_scan import in_files, nir_secret

from gateway.book import exhibits
from gateway.book.proofs import Proofs
from gateway.envelope.seal import Sealer
from gateway.envelope.signed import sign_with_key, signed_size, write_signed
from gateway.fichier import Verb
from gateway.formats.arl import Arl, ArlLot
from gateway.formats.receipt import Receipt
from gateway.formats.returns import ReturnKind, pack
from gateway.services.keeper import returns

AT = "2026-11-22T08:00:00Z"


@pytest.fixture
def bench(pki: Pki, tmp_path: Path) -> KeeperBench:
    return KeeperBench(tmp_path / "s", pki)


def bring(bench: KeeperBench, kind: ReturnKind, body: bytes, seals: int = 1, about: str | None = None) -> str:
    """A return as the OCT makes it and forward brings it, in ``seals`` seals one after another; the last entry."""
    pki, content = bench.pki, pack(kind, f"{kind}_1", about, AT, body)
    made = sign_with_key(hashlib.sha256(content).digest(), bench.now, pki.certificate("oct-sign"), pki.key("oct-sign"))
    for _ in range(seals):
        out = io.BytesIO()
        recipients = [pki.certificate(name) for name in ("box-seal", "oct-seal")]
        sealer = Sealer(out, recipients, signed_size(len(content), made, pki.chain))
        write_signed(io.BytesIO(content), len(content), sealer, made, pki.chain)
        sealer.close()
        name = f"return.{hashlib.sha256(out.getvalue()).hexdigest()}"
        bench.desk.arrived.put(name, out.getvalue())
    return name


def look(bench: KeeperBench) -> None:
    asyncio.run(returns.take_arrived(bench.desk))


NO_FACTS = {
    "no JSON": b"{",
    "no object": b'["name"]',
    "nested": b'{"a":' + 20_000 * b"[" + 20_000 * b"]" + b"}",
    "what UTF-8 cannot write": rb'{"name":"pesit","code":"","text":"\ud800"}',
    "too large": b"{" + bytes(1 << 20),
}


@pytest.mark.parametrize("name", ["sent", "route", "stamp"])
@pytest.mark.parametrize("content", NO_FACTS.values(), ids=NO_FACTS)
def test_what_is_no_fact_is_said_and_stops_no_keeper(bench: KeeperBench, name: str, content: bytes) -> None:
    """Whoever has taken ``forward`` over has not the keeper."""
    entry = {"sent": f"sent.{bench.sealed('a')}.1.1", "route": "route.7", "stamp": f"stamp.{'ab' * 32}"}[name]
    bench.desk.arrived.put(entry, content)
    look(bench)
    if name != "stamp" or content == NO_FACTS["too large"]:
        assert bench.condition("door")["code"] == "RET-004" and list(bench.desk.arrived.names()) == [entry]
    bring(bench, "rsp", b"what comes after it is taken")
    look(bench)
    assert kinds(bench) == ["rsp"]


@pytest.mark.parametrize("told", [{}, {"name": "pesit", "code": 1, "text": ""}, {"name": "pesit", "code": ""}])
def test_a_route_that_says_too_little_is_no_fact(bench: KeeperBench, told: dict[str, object]) -> None:
    bench.desk.arrived.put("route.7", json.dumps(told).encode())
    look(bench)
    assert bench.condition("door")["code"] == "RET-004"


def kinds(bench: KeeperBench) -> list[str]:
    return [row["kind"] for row in bench.desk.book.connection.execute("SELECT kind FROM returns ORDER BY arrived")]


def sealed(bench: KeeperBench) -> str:
    key = bench.checked("a")
    with bench.desk.commit():
        bench.desk.book.move(key, Verb.SIGN, {})
        bench.desk.book.move(key, Verb.SEAL, {}, seal="1", seals=1)
        bench.desk.book.move(key, Verb.SEND, {})
    return key


def receipt(bench: KeeperBench, key: str, verdict: str) -> bytes:
    integrated, digest = (AT, bench.row(key)["digest"]) if verdict == "integrated" else (None, None)
    made = Receipt(
        key, 1, "1", "BOX", verdict, "" if integrated else "CMS-020", "", AT, integrated, 0, digest, (), True, None,  # type: ignore[arg-type]
    )  # fmt: skip
    return made.to_bytes()


def test_a_return_that_cannot_be_checked_now_waits_at_the_door(
    bench: KeeperBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = sealed(bench)
    name = bring(bench, "receipt", receipt(bench, key, "integrated"))
    bench.now += timedelta(days=45)  # the revocation lists are stale by then
    look(bench)
    assert bench.desk.arrived.names() == [name]
    assert (kinds(bench), bench.row(key)["state"]) == ([], "SENT")
    assert bench.condition("returns")["code"]
    bench.now -= timedelta(days=45)
    look(bench)
    assert bench.desk.arrived.names() == [name]  # not at every turn
    bench.desk.put_off.clear()
    look(bench)
    assert bench.desk.arrived.names() == []
    assert (kinds(bench), bench.row(key)["state"]) == (["receipt"], "INTEGRATED")
    assert bench.condition("returns")["code"] == ""


@pytest.mark.parametrize("kind", ["receipt", "arl"])
def test_a_word_of_another_version_is_kept_and_said(bench: KeeperBench, kind: ReturnKind) -> None:
    bring(bench, kind, b'{"version":9}')
    look(bench)
    assert kinds(bench) == ["unread"]
    assert bench.condition("returns")["code"]
    assert bench.desk.arrived.names() == []


def test_bytes_that_nobody_sealed_are_kept_and_said(bench: KeeperBench) -> None:
    bench.desk.arrived.put("return." + "0" * 64, b"not an envelope")
    look(bench)
    assert kinds(bench) == ["unread"]


def test_a_payers_return_that_cannot_be_read_is_delivered(bench: KeeperBench) -> None:
    bring(bench, "rsp", b"\xff\xfe nothing of NOEMIE")
    look(bench)
    assert kinds(bench) == ["rsp"]
    assert any(name.startswith("return.") for name in bench.desk.counter.names())


def test_a_return_is_the_same_under_another_seal(bench: KeeperBench) -> None:
    """The OCT seals again what waits for a box with new keys; the box may have taken it under the old seal."""
    bring(bench, "rsp", b"\xff\xfe nothing of NOEMIE", seals=2)
    assert len(bench.desk.arrived.names()) == 2
    look(bench)
    assert (kinds(bench), bench.desk.arrived.names()) == (["rsp"], [])
    assert len([name for name in bench.desk.counter.names() if name.startswith("return.")]) == 1
    assert len(bench.told("", "return")) == 1
    (row,) = bench.desk.book.connection.execute("SELECT id, delivery FROM returns").fetchall()
    assert {path.name for path in bench.desk.parts.path.iterdir()} == {row["id"], row["delivery"]}
    bring(bench, "rsp", b"\xff\xfe another")
    look(bench)
    assert kinds(bench) == ["rsp", "rsp"]


def test_a_seal_that_the_oct_cannot_open_is_made_again_later_and_said(bench: KeeperBench) -> None:
    key = sealed(bench)
    bring(bench, "receipt", receipt(bench, key, "unopened"))
    look(bench)
    row = bench.row(key)
    assert row["state"] == "SIGNED"
    assert row["not_before"] > 0
    assert bench.condition("seal")["code"] == "CMS-020"


NIR = samples.nir(42)
WORDS = {"a NIR": f"ASSURE {NIR} INCONNU", "nobody": "LOT INCONNU"}


def arl(key: str, text: str) -> bytes:
    return Arl(key, ArlLot("1", "2", "3", "4"), "negative", "R1", text, AT, "PAYEUR").to_bytes()


def refusal(key: str, text: str) -> bytes:
    return Receipt(key, 1, "1", "BOX", "refused", "X-1", text, AT, None, 0, None, (), True, None).to_bytes()


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize(("kind", "make"), [("arl", arl), ("receipt", refusal)])
def test_what_repeats_a_nir_is_kept_sealed_and_never_in_clear(
    bench: KeeperBench, kind: ReturnKind, make: Callable[[str, str], bytes], words: str
) -> None:
    key = sealed(bench)
    name = bring(bench, kind, make(key, WORDS[words]), about=key)
    look(bench)
    assert in_files(bench.stage.paths.state, [nir_secret(NIR)]) == []
    assert bench.desk.parts.file(name.removeprefix("return.")).exists(), "sealed, it is there"
    kept = [bytes(row["der"]) for row in Proofs(bench.desk.book.connection).about("receipt", key)]
    kept += exhibits.exhibits(bench.desk.book, key, exhibits.ARL)
    assert bool(kept) is (words == "nobody")
    assert (bench.row(key)["state"] == "REFUSED") is (kind == "receipt")

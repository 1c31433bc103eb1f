"""Returns as the keeper takes them: nothing is dropped, nothing malformed stops it, what must wait waits."""

from __future__ import annotations

import asyncio
import hashlib
import io
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


def bring(bench: KeeperBench, kind: ReturnKind, body: bytes, about: str | None = None) -> str:
    """A return as the OCT makes it and forward brings it."""
    pki, content = bench.pki, pack(kind, f"{kind}_1", about, AT, body)
    made = sign_with_key(hashlib.sha256(content).digest(), bench.now, pki.certificate("oct-sign"), pki.key("oct-sign"))
    out = io.BytesIO()
    sealer = Sealer(out, [pki.certificate("box-seal")], signed_size(len(content), made, pki.chain))
    write_signed(io.BytesIO(content), len(content), sealer, made, pki.chain)
    sealer.close()
    name = f"return.{hashlib.sha256(out.getvalue()).hexdigest()}"
    bench.desk.arrived.put(name, out.getvalue())
    return name


def look(bench: KeeperBench) -> None:
    asyncio.run(returns.take_arrived(bench.desk))


def kinds(bench: KeeperBench) -> list[str]:
    return [row["kind"] for row in bench.desk.book.connection.execute("SELECT kind FROM returns ORDER BY arrived")]


def sealed(bench: KeeperBench) -> str:
    key = bench.checked("a")
    with bench.desk.commit():
        bench.desk.book.move(key, Verb.SIGN, {})
        bench.desk.book.move(key, Verb.SEAL, {}, seal="1", seals=1)
        bench.desk.book.move(key, Verb.SEND, {})
    return key


def receipt(key: str, verdict: str) -> bytes:
    integrated = AT if verdict == "integrated" else None
    made = Receipt(
        key, 1, "1", "BOX", verdict, "" if integrated else "CMS-020", "", AT, integrated, 0, None, (), True, None,  # type: ignore[arg-type]
    )  # fmt: skip
    return made.to_bytes()


def test_a_return_that_cannot_be_checked_now_waits_at_the_door(
    bench: KeeperBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = sealed(bench)
    name = bring(bench, "receipt", receipt(key, "integrated"))
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


def test_a_seal_that_the_oct_cannot_open_is_made_again_later_and_said(bench: KeeperBench) -> None:
    key = sealed(bench)
    bring(bench, "receipt", receipt(key, "unopened"))
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
    name = bring(bench, kind, make(key, WORDS[words]), key)
    look(bench)
    assert in_files(bench.stage.paths.state, [nir_secret(NIR)]) == []
    assert bench.desk.parts.file(name.removeprefix("return.")).exists(), "sealed, it is there"
    kept = [bytes(row["der"]) for row in Proofs(bench.desk.book.connection).about("receipt", key)]
    kept += exhibits.exhibits(bench.desk.book, key, exhibits.ARL)
    assert bool(kept) is (words == "nobody")
    assert (bench.row(key)["state"] == "REFUSED") is (kind == "receipt")

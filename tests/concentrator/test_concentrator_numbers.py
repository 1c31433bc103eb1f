"""Revocation lists at the receiving end: an older one that is put back serves nobody, after a restart neither."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from concentrator_bench import BOX, PASSWORD, SIGNER, Bench, b2
from concentrator_process import Box, running
from line_certificates import make_list

from gateway.concentrator.keys import Trust, TrustFiles
from gateway.concentrator.lists import LISTS, offer_lists
from gateway.concentrator.numbers import Numbers
from gateway.concentrator.store import Store
from gateway.envelope.certificates import Use
from gateway.errors import Deferred, Refused, Trouble
from gateway.pesit.transfer import Identity

SECTORS = ("root", "sante", "oct", "boites")


class Lists:
    """The files that the settings name, as others renew them, and the concentrator that reads them."""

    def __init__(self, bench: Bench, folder: Path) -> None:
        self.files = {name: folder / f"{name}.crl" for name in SECTORS}
        self.bench = bench.having(crls=tuple(self.files.values()))
        for name in SECTORS:
            self.put(name, 7)

    def put(self, name: str, number: int | None, *revoked: bytes, **how: str) -> None:
        made = make_list(self.bench.pki, name, self.bench.now, number=number, revoked=revoked, **how)  # type: ignore[arg-type]
        self.files[name].write_bytes(made)

    def trust(self, store: Store) -> Callable[[], Trust]:
        return TrustFiles(self.bench.settings, Numbers(store))

    def judged(self, trust: Trust, name: str = SIGNER, use: Use = Use.SIGN_FICHIER) -> str:
        try:
            trust.check(self.bench.pki.certificate(name), (), self.bench.now, use)
        except Trouble as trouble:
            return trouble.code
        return ""


@pytest.fixture
def lists(bench: Bench, tmp_path: Path) -> Lists:
    return Lists(bench, tmp_path)


def test_a_number_only_grows_over_restarts_too(lists: Lists, opened: Store) -> None:
    trust = lists.trust(opened)
    assert lists.judged(trust()) == ""
    lists.put("sante", 8, lists.bench.pki.certificate(SIGNER))
    assert lists.judged(trust()) == "CMS-036"
    lists.put("sante", 7)
    assert lists.judged(trust()) == "CMS-039", "the one before would call it good"
    with closing(lists.bench.open()) as again:
        assert lists.judged(lists.trust(again)()) == "CMS-039"
        assert lists.judged(lists.trust(again)(), "oct-sign", Use.SIGN_RETURN) == "", "of others nothing changes"
    lists.put("sante", 9)
    assert lists.judged(trust()) == ""


def test_files_are_read_when_they_change_and_offered_as_one_bundle(lists: Lists, opened: Store) -> None:
    trust, asked = lists.trust(opened), Identity(LISTS)
    now = trust()
    assert trust() is now
    offers = [offer_lists(trust().crls, asked, lists.bench.now) for _ in range(2)]
    assert offers[0] and offers[1] and offers[0].content is offers[1].content
    lists.put("sante", 8)
    later = offer_lists(trust().crls, asked, lists.bench.now)
    assert later and later.content != offers[0].content and later.identity.label != offers[0].identity.label
    lists.files["sante"].unlink()
    for _ in range(2):
        with pytest.raises(Refused, match="OCT-001"):
            trust()
    lists.put("sante", 9)
    assert len(trust().crls) == 4 and 9 in trust().seen.values()


@pytest.mark.parametrize(
    ("number", "how"), [(99, {"signer": "boites"}), (None, {}), (1 << 150, {})], ids=["another's", "none", "huge"]
)
def test_only_a_sound_list_moves_the_number(
    number: int | None, how: dict[str, str], lists: Lists, opened: Store
) -> None:
    trust = lists.trust(opened)
    trust()
    lists.put("sante", number, **how)
    trust()
    known = opened.list_numbers()
    assert sorted(known.values()) == [7, 7, 7, number if number and not how else 7]
    lists.put("sante", 7)
    assert lists.judged(trust()) == ("CMS-039" if number and not how else "")


def test_nobody_comes_in_and_nothing_is_integrated_by_an_old_list(lists: Lists, opened: Store) -> None:
    bench, trust = lists.bench, lists.trust(opened)
    reception, worker = bench.reception(opened, trust), bench.integration(opened, trust)
    line = bench.pki.certificate("box-transport")
    reception.connect(BOX, "OCT", PASSWORD, line)
    for name, revoked in (("boites", "box-transport"), ("sante", SIGNER)):
        lists.put(name, 8, bench.pki.certificate(revoked))
    with pytest.raises(Refused, match="CMS-036"):
        reception.connect(BOX, "OCT", PASSWORD, line)
    for name in ("boites", "sante"):
        lists.put(name, 7)
    with pytest.raises(Deferred, match=r"3\.322"):
        reception.connect(BOX, "OCT", PASSWORD, line)
    bench.receive(opened, bench.sign_and_seal(b2(), "f1"))
    worker.work()
    row = opened.connection.execute("SELECT outcome, reason_code, reason_text FROM transfers").fetchone()
    assert (row["outcome"], row["reason_code"]) == ("", "CMS-039")
    assert "n° 7" in row["reason_text"] and "n° 8" in row["reason_text"]


def test_the_service_remembers(lists: Lists) -> None:
    with running(lists.bench) as process:
        assert asyncio.run(Box(lists.bench, process.port).pull()) is None
        lists.put("boites", 8)
        assert asyncio.run(Box(lists.bench, process.port).pull()) is None
        lists.put("boites", 7)
        process.end(signal.SIGKILL)
        process.start()
        with pytest.raises(Deferred, match=r"n 7.*n 8"):
            asyncio.run(Box(lists.bench, process.port).pull())

"""Lists that came by the line: what is kept, what is refused and said, and from when on the ladder warns."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from development_pki import Pki
from keeper_bench import KeeperBench
from line_certificates import make_list
from samples import EMITTER
from stage import DOCTOR

from gateway.envelope.certificates import Use
from gateway.envelope.lists import bundle
from gateway.errors import Deferred, Refused
from gateway.services.keeper import lists as keeper_lists
from gateway.services.keeper.lists import Lists
from gateway.services.keeper.returns import take_arrived

SECTORS = ("root", "sante", "oct", "boites")


@pytest.fixture
def bench(pki: Pki, tmp_path: Path) -> KeeperBench:
    made = KeeperBench(tmp_path / "s", pki)
    for file in (made.stage.paths.trust / "crl").iterdir():
        file.unlink()
    return made


def bring(bench: KeeperBench, *lists: bytes, data: bytes = b"") -> None:
    """A bundle comes by the line, and is taken."""
    data = data or bundle(lists)
    bench.desk.arrived.put(f"lists.{hashlib.sha256(data).hexdigest()}", data)
    asyncio.run(take_arrived(bench.desk))
    assert bench.desk.arrived.names() == []


def fresh(bench: KeeperBench, since: datetime | None = None, **how: float) -> list[bytes]:
    return [make_list(bench.pki, name, since or bench.now, **how) for name in SECTORS]  # type: ignore[arg-type]


def said(bench: KeeperBench) -> dict[str, str]:
    return {name: bench.condition(name)["code"] for name in ("lists-refused", "lists", "lists-over")}


def judged(bench: KeeperBench, name: str = f"practitioners/{DOCTOR}/sig") -> str:
    """What the keeper says of a signer now."""
    try:
        bench.desk.trust.check_practitioner(bench.pki.certificate(name), Use.SIGN_FICHIER, bench.now)
    except (Refused, Deferred) as trouble:
        return trouble.code
    return ""


def test_what_came_by_the_line_is_what_certificates_are_judged_by(bench: KeeperBench) -> None:
    assert judged(bench) == "CMS-037"
    bring(bench, *fresh(bench))
    assert judged(bench) == ""
    assert said(bench)["lists-refused"] == ""
    key = bench.checked("a", EMITTER)
    bench.sign(key)
    bench.turn()
    assert bench.row(key)["state"] == "SIGNED"
    revoked = [bench.pki.certificate(f"practitioners/{DOCTOR}/sig")]
    bring(bench, make_list(bench.pki, "sante", bench.now, number=1 << 40, revoked=revoked))
    assert judged(bench) == "CMS-036"
    bench.review.look()
    assert bench.row(key)["state"] == "CHECKED", "signed, and not gone yet"
    assert [row["authority"] for row in bench.told("", "list")][-1] == "OCT-GATEWAY TEST AC Professionnels"


def test_lists_outlive_the_keeper(bench: KeeperBench) -> None:
    lists = fresh(bench)
    bring(bench, *lists)
    bench.open()
    assert judged(bench) == ""
    for file in bench.desk.paths.lists.glob("*.crl"):
        file.unlink()
    bring(bench, *lists)
    assert judged(bench) == "", "what was lost is written again"


def test_a_list_that_is_kept_is_not_read_again(bench: KeeperBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes every six hours, and may have megabytes; unless its file was lost."""
    lists = fresh(bench)
    bring(bench, *lists)
    read: list[bytes] = []
    real = keeper_lists.read_listing
    monkeypatch.setattr(keeper_lists, "read_listing", lambda der, known: read.append(der) or real(der, known))
    bring(bench, *lists)
    assert (read, said(bench)["lists-refused"]) == ([], "")
    next(bench.desk.paths.lists.glob("*.crl")).unlink()
    newer = make_list(bench.pki, "oct", bench.now, number=1 << 40)
    bring(bench, *lists, newer)
    assert len(read) == 2 and newer in read
    assert len(list(bench.desk.paths.lists.glob("*.crl"))) == len(lists)
    Lists(bench.desk).look()
    assert len(read) == 2 + len(lists), "each once at a look"


def test_an_older_list_never_comes_back(bench: KeeperBench) -> None:
    revoked = [bench.pki.certificate(f"practitioners/{DOCTOR}/sig")]
    bring(bench, *fresh(bench, number=7))
    bring(bench, make_list(bench.pki, "sante", bench.now, number=8, revoked=revoked))
    again = make_list(bench.pki, "sante", bench.now + timedelta(minutes=1), number=7)
    bring(bench, again)
    assert said(bench)["lists-refused"] == "LST-005"
    assert judged(bench) == "CMS-036"
    bench.open()
    bring(bench, again)
    assert judged(bench) == "CMS-036", "after a restart neither"


def test_an_older_list_serves_nobody_even_where_the_newest_is_gone(bench: KeeperBench) -> None:
    """The number in the book counts wherever a certificate is judged: of a signer, of the OCT, of our own."""
    bring(bench, *fresh(bench, number=8))
    assert judged(bench) == ""
    for file in bench.stage.paths.lists.glob("*.crl"):
        file.unlink()
    for name, der in zip(SECTORS, fresh(bench, number=7), strict=True):
        (bench.stage.paths.trust / "crl" / f"{name}.crl").write_bytes(der)
    assert judged(bench) == "CMS-039"
    bench.open()
    assert judged(bench) == "CMS-039", "after a restart too"
    with pytest.raises(Deferred, match=r"n° 7.*n° 8"):
        bench.desk.trust.check_oct(bench.pki.certificate("oct-sign"), (), bench.now)
    bring(bench, *fresh(bench, number=9))
    assert judged(bench) == ""


def test_a_list_out_of_date_gives_way_to_no_older_one(bench: KeeperBench) -> None:
    """Else whoever keeps new lists out could bring back one that lasts longer and names fewer."""
    lists = fresh(bench, number=7, days=60)
    bring(bench, *lists)
    bring(bench, make_list(bench.pki, "sante", bench.now, number=8, days=2))
    for name, der in zip(SECTORS, lists, strict=True):
        (bench.stage.paths.trust / "crl" / f"{name}.crl").write_bytes(der)
    assert judged(bench) == ""
    bench.now += timedelta(days=4)
    assert judged(bench) == "CMS-038"


def refused(pki: Pki, now: datetime) -> dict[str, tuple[str, bytes]]:
    """What is wrong with a list, the code, and the list."""
    part = x509.IssuingDistributionPoint(None, None, False, False, None, True, False)
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.25.1"), b"\x05\x00")
    genuine = make_list(pki, "sante", now)
    return {
        "another signs it": ("LST-003", make_list(pki, "sante", now, signer="boites")),
        "one bit": ("LST-003", genuine[:-1] + bytes([genuine[-1] ^ 1])),
        "a delta": ("LST-003", make_list(pki, "sante", now, extra=[(x509.DeltaCRLIndicator(1), True)])),
        "indirect": ("LST-003", make_list(pki, "sante", now, extra=[(part, True)])),
        "critical": ("LST-003", make_list(pki, "sante", now, extra=[(odd, True)])),
        "no number": ("LST-003", make_list(pki, "sante", now, number=None)),
        "no list": ("LST-002", b"\x30\x03\x02\x01\x00"),
    }


@pytest.mark.parametrize(
    "wrong", ["another signs it", "one bit", "a delta", "indirect", "critical", "no number", "no list"]
)
def test_a_bad_list_is_said_and_changes_nothing(bench: KeeperBench, wrong: str) -> None:
    bring(bench, *fresh(bench, number=7))
    code, der = refused(bench.pki, bench.now)[wrong]
    good = make_list(bench.pki, "oct", bench.now, number=9)
    bring(bench, der, good)
    assert said(bench)["lists-refused"] == code
    assert judged(bench) == ""
    numbers = {row["number"] for row in bench.desk.book.connection.execute("SELECT number FROM lists")}
    assert numbers == {"7", "9"}, "a bad one keeps no good one out"
    bring(bench, good)
    assert said(bench)["lists-refused"] == ""


@pytest.mark.parametrize("make", [
    lambda lists: b"", lambda lists: b"".join(reversed([bundle([one]) for one in sorted(lists)])),
    lambda lists: bundle(lists) + b"\n", lambda lists: bundle(lists)[:-40], lambda lists: lists[0],
])  # fmt: skip
def test_a_bundle_of_another_form_is_said(bench: KeeperBench, make: Callable[[list[bytes]], bytes]) -> None:
    bring(bench, data=make(fresh(bench)) or b"nothing")
    assert said(bench)["lists-refused"] == "LST-001"
    assert judged(bench) == "CMS-037"


def test_a_strangers_list_is_passed_over(bench: KeeperBench) -> None:
    bring(bench, *fresh(bench), make_list(bench.pki, "etrangere", bench.now))
    assert said(bench)["lists-refused"] == ""
    assert len(list(bench.desk.paths.lists.glob("*.crl"))) == len(SECTORS)


def test_a_list_that_is_out_of_date_is_taken_where_it_is_the_newest(bench: KeeperBench) -> None:
    bring(bench, *fresh(bench, bench.now - timedelta(days=50), days=10))
    assert (said(bench)["lists-refused"], judged(bench)) == ("", "CMS-038")
    bring(bench, *fresh(bench))
    assert judged(bench) == ""


def test_lists_put_by_hand_count_with_the_rest(bench: KeeperBench) -> None:
    lists = Lists(bench.desk)
    lists.look()
    assert said(bench)["lists-over"] == "LST-012"
    assert bench.condition("lists-over")["text"].startswith("Il manque la liste de révocation de «")
    for name, der in zip(SECTORS, fresh(bench, number=8), strict=True):
        (bench.desk.paths.trust / "crl" / f"{name}.crl").write_bytes(der)
    lists.look()
    assert said(bench) == {"lists-refused": "", "lists": "", "lists-over": ""}
    bring(bench, *fresh(bench, bench.now - timedelta(hours=1), number=7))
    assert said(bench)["lists-refused"] == "LST-005"


def test_an_older_list_made_for_longer_hides_nothing(bench: KeeperBench) -> None:
    """It lies there by hand, of a later day and until next year: the number decides what is said, and what is done."""
    bring(bench, *fresh(bench, bench.now - timedelta(days=12), days=10, number=8))
    for name, der in zip(SECTORS, fresh(bench, days=300, number=7), strict=True):
        (bench.desk.paths.trust / "crl" / f"{name}.crl").write_bytes(der)
    Lists(bench.desk).look()
    assert (judged(bench), said(bench)["lists-over"]) == ("CMS-038", "LST-012")


WARNINGS = [(30, 0, "", ""), (30, 24, "", ""), (30, 26, "LST-011", ""), (30, 30.9, "LST-011", ""),
            (30, 31.1, "", "LST-012"), (3, 1.5, "", ""), (3, 2.5, "LST-011", "")]  # fmt: skip


@pytest.mark.parametrize(("life", "age", "soon", "over"), WARNINGS)
def test_it_is_said_until_when_the_lists_serve(
    bench: KeeperBench, life: float, age: float, soon: str, over: str
) -> None:
    bring(bench, *fresh(bench, days=life))
    bench.now += timedelta(days=age)
    Lists(bench.desk).look()
    assert (said(bench)["lists"], said(bench)["lists-over"]) == (soon, over)
    assert (bench.desk.paths.lists / "wanted").exists() == bool(soon or over)
    assert (judged(bench) == "CMS-038") == bool(over), "what is said is what happens"
    if soon:
        assert "rétablissez" in bench.condition("lists")["text"]
    bring(bench, *fresh(bench, number=1 << 41))
    Lists(bench.desk).look()
    assert said(bench) == {"lists-refused": "", "lists": "", "lists-over": ""}
    assert not (bench.desk.paths.lists / "wanted").exists()


def test_a_file_that_is_no_list_is_named_and_stops_no_keeper(bench: KeeperBench) -> None:
    bring(bench, *fresh(bench))
    key = bench.checked("a", EMITTER)
    bench.sign(key)
    bench.turn()
    odd = bench.desk.paths.trust / "crl" / "odd.crl"
    odd.write_bytes(b"no list")
    lists = Lists(bench.desk)
    lists.look()
    condition = bench.condition("lists-over")
    assert condition["code"] == "LST-012" and condition["text"].startswith("odd.crl : ")
    bench.review.look()
    assert (bench.row(key)["state"], bench.row(key)["held_since"]) == ("SIGNED", "")
    odd.unlink()
    lists.look()
    assert said(bench)["lists-over"] == ""

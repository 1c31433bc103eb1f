"""Reveal: one facture, journaled before it is shown, by whom and why, and not many in an hour."""

from __future__ import annotations

import getpass
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import samples
from chain_check import first_break
from development_pki import Pki
from keeper_bench import KeeperBench
from personal_bench import ask, raw, received

from gateway.formats.b2 import check
from gateway.journal.chain import ACCESS
from gateway.services.keeper import reveal as revealing
from gateway.services.keeper.personal import PERSONAL_ADMIN, PERSONAL_STATUS

CONTENT = samples.b2(7)
FACTURE = check(CONTENT).lots[1].factures[0]
WHY = "appel de la caisse au sujet d'un rejet"


@pytest.fixture
def bench(pki: Pki, tmp_path: Path) -> KeeperBench:
    return KeeperBench(tmp_path / "s", pki)


def question(fichier: str, **changes: Any) -> dict[str, Any]:
    return {"op": "reveal", "id": fichier, "lot": 2, "facture": 1, "why": WHY, **changes}


def accesses(bench: KeeperBench) -> list[dict[str, Any]]:
    return [json.loads(row.text) for row in bench.desk.book.journal(chain=ACCESS)]


def test_it_shows_the_fields_of_that_facture(bench: KeeperBench) -> None:
    fichier = received(bench, CONTENT)
    told = ask(bench, PERSONAL_ADMIN, question(fichier[:8]))
    zones = {(zone["kind"], zone["name"]): zone["value"] for zone in told["zones"]}
    assert (told["ok"], told["number"]) == (True, FACTURE.number)
    assert zones["2", "nir"] + zones["2", "nir_key"] == FACTURE.nir
    assert int(zones["5", "total_hosp"]) == FACTURE.spent_cents


def test_the_access_is_journaled_and_names_nobody_without_its_key(bench: KeeperBench) -> None:
    fichier = received(bench, CONTENT)
    ask(bench, PERSONAL_ADMIN, question(fichier, account="somebody else"))
    (row,) = accesses(bench)
    assert (row["verb"], row["about"], row["lot"], row["facture"]) == ("reveal", fichier, 2, 1)
    assert row["patient"] not in ("", bench.desk.keys.pseudonym_of(FACTURE.nir))
    assert bench.desk.persons.words(row) == {"account": getpass.getuser(), "why": WHY}
    assert getpass.getuser() not in row.values()
    bench.desk.persons.destroy(int(row["at"][:4]))
    assert bench.desk.persons.words(row) == {}
    assert first_break(bench.desk.book.journal(chain=ACCESS), ACCESS) is None


def test_the_page_names_its_account_itself(bench: KeeperBench) -> None:
    fichier = received(bench, CONTENT)
    for account in ({}, {"account": ""}, {"account": "x" * 65}, {"account": "a\x1b[2J"}, {"account": "\ud800"}):
        assert ask(bench, PERSONAL_STATUS, question(fichier, **account))["code"] == "RVL-001"
    assert ask(bench, PERSONAL_STATUS, question(fichier, account="claire", peer="root"))["ok"]
    assert bench.desk.persons.words(accesses(bench)[0])["account"] == "claire"
    assert set(PERSONAL_STATUS) == {"reveal"}


def test_it_is_committed_before_anything_is_opened(bench: KeeperBench, monkeypatch: pytest.MonkeyPatch) -> None:
    fichier = received(bench, CONTENT)
    rows: list[int] = []

    def look(*_: object) -> object:
        with_own_eyes = KeeperBook(bench.desk.paths.book / "book.db")
        rows.append(with_own_eyes.accesses())
        raise SystemError("killed")

    monkeypatch.setattr(revealing, "open_content", look)
    with pytest.raises((SystemError, json.JSONDecodeError, ExceptionGroup)):
        ask(bench, PERSONAL_ADMIN, question(fichier))
    assert rows == [1]


class KeeperBook:
    """The book as another process reads it: only what is committed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def accesses(self) -> int:
        import sqlite3

        with sqlite3.connect(f"file:{self._path}?mode=ro", uri=True) as connection:
            return int(connection.execute("SELECT count(*) FROM journal WHERE chain = 'access'").fetchone()[0])


def test_a_reason_says_nothing_to_a_terminal_and_no_nir(bench: KeeperBench) -> None:
    """Whoever took over the page writes what root reads in its list of accesses."""
    fichier = received(bench, CONTENT)
    why = f"appel\x1b]0;x\x07 de {'-'.join((FACTURE.nir[0], FACTURE.nir[1:3], FACTURE.nir[3:5], FACTURE.nir[5:7]))}"
    why += f"-{FACTURE.nir[7:10]}-{FACTURE.nir[10:13]}\ud800"
    assert ask(bench, PERSONAL_STATUS, question(fichier, account="claire", why=why))["ok"]
    told = bench.desk.persons.words(accesses(bench)[0])["why"]
    assert told.isprintable()
    assert told.startswith("appel?]0;x? de")
    assert FACTURE.nir[10:13] not in told


def test_a_question_of_any_depth_is_answered(bench: KeeperBench) -> None:
    assert raw(bench, PERSONAL_STATUS, b"[" * 60_000)["code"] == "CMD-005"


CASES: dict[str, tuple[dict[str, Any], str]] = {
    "no reason": ({"why": "  "}, "CMD-002"),
    "a reason without end": ({"why": "x" * 501}, "RVL-001"),
    "no such lot": ({"lot": 9}, "RVL-002"),
    "no such facture": ({"facture": 99}, "RVL-002"),
    "ranks that are none": ({"lot": "1"}, "CMD-010"),
    "ranks that no facture has": ({"facture": 10**30}, "CMD-010"),
    "a rank of truth": ({"facture": True}, "CMD-010"),
    "no such fichier": ({"id": "ffff"}, "CMD-001"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_refused_shows_and_journals_nothing(bench: KeeperBench, case: str) -> None:
    changes, code = CASES[case]
    fichier = received(bench, CONTENT)
    told = ask(bench, PERSONAL_ADMIN, question(fichier, **changes))
    assert (told["ok"], told["code"]) == (False, code)
    assert FACTURE.nir[:13] not in json.dumps(told)
    assert accesses(bench) == []


def test_a_copy_that_shows_another_facture_is_not_shown(bench: KeeperBench) -> None:
    fichier = received(bench, CONTENT)
    bench.desk.book.connection.execute("UPDATE factures SET patient = 'another' WHERE lot = 2")
    told = ask(bench, PERSONAL_ADMIN, question(fichier))
    assert told["code"] == "RVL-005"
    assert len(accesses(bench)) == 1


def test_many_raise_an_alarm_then_are_refused_until_the_hour_is_over(bench: KeeperBench) -> None:
    bench.open(reveal={"alarm": 3, "limit": 5})
    fichier = received(bench, CONTENT)
    codes = []
    for _ in range(7):
        told = ask(bench, PERSONAL_STATUS, question(fichier, account="claire"))
        codes.append((told.get("code", ""), bench.condition("reveal")["code"]))
    assert codes == [
        ("", ""), ("", ""), ("", "RVL-ALARM"), ("", "RVL-ALARM"), ("", "RVL-ALARM"),
        ("RVL-004", "RVL-LIMIT"), ("RVL-004", "RVL-LIMIT"),
    ]  # fmt: skip
    assert len(accesses(bench)) == 5
    assert {row["name"] for row in bench.stage.board.conditions() if row["code"]} >= {"reveal"}
    bench.now += timedelta(minutes=61)
    assert ask(bench, PERSONAL_STATUS, question(fichier, account="claire"))["ok"]
    assert bench.condition("reveal")["code"] == "RVL-LIMIT"  # stands until a person has seen it
    assert ask(bench, PERSONAL_STATUS, {"op": "alarm seen", "why": "vu"})["code"] == "CMD-004"
    assert ask(bench, PERSONAL_ADMIN, {"op": "alarm seen", "why": "vu"})["ok"]
    assert bench.condition("reveal")["code"] == ""
    assert [row["verb"] for row in accesses(bench)][-1] == "alarm seen"


def test_an_export_of_a_person_counts_as_one(bench: KeeperBench) -> None:
    """Else one list of NIR and a loop would tell who comes to the practice and what it costs."""
    bench.open(reveal={"alarm": 2, "limit": 3})
    fichier = received(bench, CONTENT)
    export = {"op": "export", "nir": samples.nir(1), "why": WHY}
    assert ask(bench, PERSONAL_ADMIN, export)["ok"] and bench.condition("reveal")["code"] == ""
    assert ask(bench, PERSONAL_ADMIN, question(fichier))["ok"] and bench.condition("reveal")["code"] == "RVL-ALARM"
    assert ask(bench, PERSONAL_ADMIN, {"op": "export", "holder": "99900000011", "why": WHY})["ok"]
    for one in (export, question(fichier)):
        assert ask(bench, PERSONAL_ADMIN, one)["code"] == "RVL-004"
    assert [row["verb"] for row in accesses(bench)] == ["export", "reveal", "export"]


def test_a_clock_set_back_frees_no_more_of_them(bench: KeeperBench) -> None:
    bench.open(reveal={"alarm": 1, "limit": 2})
    fichier = received(bench, CONTENT)
    for _ in range(2):
        assert ask(bench, PERSONAL_ADMIN, question(fichier))["ok"]
    bench.now -= timedelta(days=30)
    assert ask(bench, PERSONAL_ADMIN, question(fichier))["code"] == "RVL-004"

"""Who may sign, changed at run time: only by the card of a titulaire, for this change, on this box, once, in time."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import tomllib
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from chain_check import first_break
from development_pki import Pki
from keeper_bench import KeeperBench
from samples import EMITTER
from stage import DOCTOR, MANDATES, NURSE, PRACTITIONERS, STAFF

from gateway.book.mandates import read_register
from gateway.card.proof import change_message, proof_message
from gateway.envelope import algorithms
from gateway.errors import Refused
from gateway.formats.days import PARIS
from gateway.formats.mandate_changes import digest
from gateway.services.keeper import declarations, declared
from gateway.services.keeper.declarations import Declarations
from gateway.services.keeper.declared import store, stored

SECOND = "991038449"
LOCUM = {"holder": NURSE, "emitter": EMITTER, "role": "remplaçant"}
CHANGE = {"mandates": [*MANDATES, LOCUM]}
FOLDERS = {DOCTOR: f"practitioners/{DOCTOR}", NURSE: f"practitioners/{NURSE}", STAFF: "practitioners/secretariat"}


class Desk(KeeperBench):
    """A keeper's desk and what the command line asks of it."""

    def __post_init__(self) -> None:
        self.declarations = Declarations()
        super().__post_init__()

    def propose(self, tables: object = CHANGE) -> dict[str, Any]:
        return json.loads(json.dumps(self.declarations.propose(self.desk, {"tables": tables})))

    def answer(self, told: dict[str, Any], card: str = DOCTOR, **other: str) -> dict[str, Any]:
        """What a card answers to ``told``, with ``other`` words in it."""
        words = {**told, **other}
        message = change_message(
            words["box"], *(bytes.fromhex(words[name]) for name in ("challenge", "before", "after"))
        )
        folder = FOLDERS.get(card, card)
        signature = algorithms.sign("rsa-pkcs1-sha256", self.pki.key(f"{folder}/auth"), message)
        certificate = self.pki.certificate(f"{folder}/auth")
        return {"challenge": told["challenge"], "signature": text(signature), "certificate": text(certificate)}

    def prove(self, ask: dict[str, Any]) -> dict[str, Any]:
        return self.declarations.prove(self.desk, ask)

    def refused(self, code: str, act: Callable[[], object]) -> str:
        """The sentence of a refusal that leaves everything as it was."""
        before = (self.desk.register, read_register(self.desk.book), self.rows(), self.file())
        with pytest.raises(Refused) as refused:
            act()
        assert refused.value.code == code, refused.value
        assert before == (self.desk.register, read_register(self.desk.book), self.rows(), self.file())
        assert refused.value.text.endswith(".")
        return refused.value.text

    def rows(self) -> list[str]:
        return [row.text for row in self.desk.book.journal()]

    def file(self) -> bytes | None:
        path = self.desk.paths.settings
        return path.read_bytes() if path.exists() else None


def text(value: bytes) -> str:
    return b64encode(value).decode()


@pytest.fixture
def bench(pki: Pki, tmp_path: Path) -> Desk:
    return Desk(tmp_path / "s", pki)


def test_what_waited_goes_on_at_once_and_the_change_survives_a_restart(bench: Desk) -> None:
    bench.open(emitters=[{"number": number, "holder": DOCTOR} for number in (EMITTER, SECOND)])
    key = bench.checked("a", SECOND)
    bench.turn()
    assert bench.row(key)["held_by"] == "mandate"
    his = {"holder": NURSE, "emitter": SECOND, "role": "titulaire"}
    told = bench.propose({"mandates": [*MANDATES, LOCUM, his]})
    assert told["changes"] == [
        f"Ajouté – mandat : Paul EXEMPLE, remplaçant pour l'émetteur {EMITTER}",
        f"Ajouté – mandat : Paul EXEMPLE, titulaire pour l'émetteur {SECOND}",
    ]
    assert (told["provers"], told["last"]) == (["Claire ESSAI"], False)
    done = bench.prove(bench.answer(told))
    assert (done["name"], done["holder"]) == ("Claire ESSAI", DOCTOR)
    bench.review.look()
    bench.turn()
    assert [item.holders for item in bench.offered] == [(NURSE,)]
    bench.open()
    assert bench.desk.register.holders((EMITTER,), bench.today) == (DOCTOR, NURSE)
    assert read_register(bench.desk.book).holders((EMITTER,), bench.today) == (DOCTOR, NURSE)


def test_what_was_offered_is_held_anew_when_its_mandate_goes(bench: Desk) -> None:
    key = bench.checked("a", EMITTER)
    bench.turn()
    assert len(bench.offered) == 1
    told = bench.propose({"mandates": []})
    assert told["last"], "nobody could make another change"
    bench.prove(bench.answer(told))
    bench.turn()
    assert (bench.offered, bench.row(key)["held_by"]) == ([], "mandate")


def test_who_and_both_digests_are_journaled_before_the_rows_and_nobody_is_named(bench: Desk) -> None:
    before = digest(bench.desk.register).hex()
    told = bench.propose()
    answer = bench.answer(told)
    bench.prove(answer)
    authorised, declared_row = (json.loads(row) for row in bench.rows()[-2:])
    assert (authorised["verb"], declared_row["verb"]) == ("authorise", "declare")
    assert (authorised["holder"], authorised["before"]) == (DOCTOR, before)
    assert authorised["after"] == told["after"] == digest(bench.desk.register).hex()
    assert authorised["challenge"] == told["challenge"]
    message = change_message(
        told["box"], *(bytes.fromhex(authorised[name]) for name in ("challenge", "before", "after"))
    )
    algorithms.check(
        "rsa-pkcs1-sha256",
        bench.pki.certificate(f"{FOLDERS[DOCTOR]}/auth"),
        bytes.fromhex(authorised["signature"]),
        message,
    )
    assert not any("ESSAI" in row or "EXEMPLE" in row for row in bench.rows())
    assert first_break(bench.desk.book.journal()) is None


def test_a_table_that_is_not_named_stays_as_it_is(bench: Desk) -> None:
    before = bench.desk.register
    bench.prove(bench.answer(bench.propose({"absences": [{"holder": NURSE, "since": bench.day(1)}]})))
    assert bench.desk.register == replace(before, absences=bench.desk.register.absences)
    assert bench.declarations.declared(bench.desk, {})["tables"]["absences"] == [
        {"since": bench.day(1), "until": "", "holder": NURSE}
    ]


def test_a_challenge_serves_once(bench: Desk) -> None:
    first = bench.answer(bench.propose())
    bench.prove(first)
    assert "a déjà servi" in bench.refused("MND-010", lambda: bench.prove(first))
    again = bench.answer(bench.propose({"mandates": MANDATES}), STAFF)
    bench.refused("MND-014", lambda: bench.prove(again))
    bench.refused("MND-010", lambda: bench.prove(again))  # a failed attempt uses it up too
    bench.refused("MND-010", lambda: bench.prove({}))


def test_a_challenge_is_forgotten_by_a_restart_and_after_many_others(bench: Desk) -> None:
    answer = bench.answer(bench.propose())
    for _ in range(declarations._MOST):
        newest = bench.propose()
    bench.refused("MND-010", lambda: bench.prove(answer))
    bench.prove(bench.answer(newest))
    answer = bench.answer(bench.propose({"mandates": MANDATES}))
    bench.declarations = Declarations()
    assert "redémarré" in bench.refused("MND-010", lambda: bench.prove(answer))


def test_a_challenge_has_ten_minutes(bench: Desk) -> None:
    answer = bench.answer(bench.propose())
    bench.now += timedelta(minutes=10)
    assert "dix minutes" in bench.refused("MND-011", lambda: bench.prove(answer))
    answer = bench.answer(bench.propose())
    bench.now += timedelta(minutes=9, seconds=59)
    bench.prove(answer)


def test_what_was_shown_must_still_be_what_is_changed(bench: Desk) -> None:
    late = bench.answer(bench.propose({"absences": [{"holder": NURSE}]}))
    bench.prove(bench.answer(bench.propose()))
    assert "depuis l'affichage" in bench.refused("MND-012", lambda: bench.prove(late))


WRONG: dict[str, Callable[[Desk, dict[str, Any]], dict[str, Any]]] = {
    "another box's": lambda bench, told: bench.answer(told, box="box-0002"),
    "other tables": lambda bench, told: bench.answer(told, after="00" * 32),
    "instead of other tables": lambda bench, told: bench.answer(told, before="00" * 32),
    "another challenge": lambda bench, told: {
        **bench.answer(told, challenge="00" * 32), "challenge": told["challenge"],
    },
    "the certificate of another card": lambda bench, told: {
        **bench.answer(told, NURSE), "certificate": bench.answer(told)["certificate"],
    },
    "what the card signs for a batch": lambda bench, told: {
        **bench.answer(told), "signature": text(algorithms.sign(
            "rsa-pkcs1-sha256", bench.pki.key(f"{FOLDERS[DOCTOR]}/auth"),
            proof_message(told["box"], bytes.fromhex(told["challenge"]), bytes.fromhex(told["after"])),
        )),
    },
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_proof_of_something_else_is_none(case: str, bench: Desk) -> None:
    told = bench.propose()
    assert "rien n'a changé" in bench.refused("MND-013", lambda: bench.prove(WRONG[case](bench, told)))


CARDS = {
    NURSE: "MND-014",
    STAFF: "MND-014",
    "zoo/revoked": "CMS-036",
    "zoo/expired": "CMS-032",
    "zoo/foreign": "CMS-031",
}


@pytest.mark.parametrize("card", CARDS)
def test_another_card_proves_nothing(card: str, bench: Desk) -> None:
    """Neither a locum's nor the secretary's, nor a titulaire's that is revoked, past, or somebody's own making."""
    bench.open(practitioners=[*PRACTITIONERS, {"holder": STAFF, "name": "Mme S"}],
               mandates=[*MANDATES, LOCUM, {"holder": STAFF, "emitter": EMITTER, "role": "secrétariat"}])  # fmt: skip
    told = bench.propose({"absences": [{"holder": NURSE}]})
    said = bench.refused(CARDS[card], lambda: bench.prove(bench.answer(told, card)))
    if card in FOLDERS:
        assert said.endswith("il faut celle de Claire ESSAI.")


def test_the_signature_key_does_not_do_for_the_authentication_key(bench: Desk) -> None:
    told = bench.propose()
    message = change_message(told["box"], *(bytes.fromhex(told[name]) for name in ("challenge", "before", "after")))
    folder = FOLDERS[DOCTOR]
    signature = text(algorithms.sign("rsa-pkcs1-sha256", bench.pki.key(f"{folder}/sig"), message))
    ask = {
        "challenge": told["challenge"],
        "signature": signature,
        "certificate": text(bench.pki.certificate(f"{folder}/sig")),
    }
    bench.refused("CMS-034", lambda: bench.prove(ask))


def test_revoked_between_the_challenge_and_the_proof(bench: Desk) -> None:
    answer = bench.answer(bench.propose())
    bench.revoke(f"{FOLDERS[DOCTOR]}/auth")
    bench.refused("CMS-036", lambda: bench.prove(answer))


@pytest.mark.parametrize(
    ("tables", "code", "named"),
    [
        (None, "CFG-004", "[keeper]"),
        ([], "CFG-004", "[keeper]"),
        ({"mandate_rule": "open"}, "CFG-005", "mandate_rule"),
        ({"mandates": [{"holder": "nobody", "emitter": EMITTER, "role": "titulaire"}]}, "MND-006", "nobody"),
        ({"mandates": [{**LOCUM, "emitter": "999999999"}]}, "MND-006", "999999999"),
        ({"practitioners": [{"holder": DOCTOR, "name": "a\nb"}]}, "MND-006", "une ligne"),
        ({"practitioners": [{"holder": DOCTOR, "name": "\ud800"}]}, "MND-006", "une ligne"),
        ({"mandates": [{**LOCUM, "since": 2026}]}, "CFG-007", "since"),
        ({}, "MND-015", "rien à changer"),
        ({"mandates": MANDATES}, "MND-015", "rien à changer"),
    ],
)
def test_tables_that_do_not_hold_get_no_challenge(tables: object, code: str, named: str, bench: Desk) -> None:
    assert named in bench.refused(code, lambda: bench.propose(tables))


def test_the_first_declaration_is_not_made_here(bench: Desk) -> None:
    bench.open(mandates=[], emitters=[], practitioners=[])
    tables = {"practitioners": PRACTITIONERS, "emitters": [{"number": EMITTER, "holder": DOCTOR}], **CHANGE}
    assert "gateway.toml" in bench.refused("MND-014", lambda: bench.propose(tables))


def test_who_is_absent_proves_nothing(bench: Desk) -> None:
    tomorrow = (bench.now.astimezone(PARIS) + timedelta(days=1)).date()
    bench.now = datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=PARIS) - timedelta(minutes=5)
    bench.open(absences=[{"holder": DOCTOR, "since": tomorrow.isoformat()}])
    answer = bench.answer(bench.propose())
    bench.now += timedelta(minutes=6)
    bench.refused("MND-014", lambda: bench.prove(answer))
    assert "fin de l'absence" in bench.refused("MND-014", lambda: bench.propose({"absences": []}))


@pytest.mark.parametrize("name", ["certificate", "signature"])
def test_what_is_not_base64_is_named(name: str, bench: Desk) -> None:
    ask = {**bench.answer(bench.propose()), name: "é"}
    assert name in bench.refused("MND-017", lambda: bench.prove(ask))
    bench.refused("CMS-030", lambda: bench.prove({**bench.answer(bench.propose()), "certificate": text(b"junk")}))


# -- the file


def test_the_file_is_read_back_and_says_what_it_is(bench: Desk) -> None:
    names = [{"holder": DOCTOR, "name": 'Dr "É" \\ # = ]'}, PRACTITIONERS[1]]
    bench.prove(bench.answer(bench.propose({"practitioners": names, **CHANGE})))
    path = bench.desk.paths.settings
    assert stored(path) == bench.desk.register
    assert set(tomllib.loads(path.read_text(encoding="utf-8"))["keeper"]) == {
        "practitioners", "emitters", "cards", "mandates", "absences",
    }  # fmt: skip
    assert [one.name for one in path.parent.glob(".settings*")] == []


def test_a_damaged_file_stops_the_keeper_by_name(bench: Desk) -> None:
    """Mandates that were withdrawn would come back, if the configuration file took its place."""
    bench.desk.paths.settings.write_text("[keeper", encoding="utf-8")
    with pytest.raises(Refused, match=r"CFG-002 .*settings\.toml"):
        bench.open()


def test_a_disk_that_takes_nothing_changes_nothing(bench: Desk) -> None:
    answer = bench.answer(bench.propose())
    (bench.desk.paths.book / ".settings.toml.part").mkdir()
    before = bench.desk.register
    with pytest.raises(Refused, match=r"MND-018 Rien n'a changé : .* ne peut pas être écrit"):
        bench.prove(answer)
    assert (bench.desk.register, read_register(bench.desk.book), bench.file()) == (before, before, None)


KILLS = {
    "before the file": (declarations, "store", False),
    "with the file half made": (declared.os, "fsync", False),
    "before the file is in its place": (declared, "stored", False),
    "after the file": (declared, "sync_directory", True),
    "before the book": (declarations, "declare", True),
}


@pytest.mark.parametrize("instant", KILLS)
def test_a_kill_leaves_one_of_the_two_states_whole(instant: str, bench: Desk) -> None:
    """SIGKILL of a process that works on this book, at each instant between the journal and the book."""
    module, name, changed = KILLS[instant]
    before = bench.desk.register
    bench.desk.board.close()
    bench.desk.book.close()

    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def work() -> None:
        bench.declarations = Declarations()
        del bench.desk  # its handles are closed
        bench.open()
        answer = bench.answer(bench.propose())
        setattr(module, name, die)
        bench.prove(answer)

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(30)
    assert process.exitcode == -signal.SIGKILL
    del bench.desk
    bench.open()
    assert (bench.desk.register != before) is changed
    assert bench.desk.register.holders((EMITTER,), bench.today) == ((DOCTOR, NURSE) if changed else (DOCTOR,))
    found = read_register(bench.desk.book)
    assert {table: set(rows) for table, rows in vars(found).items()} == {
        table: set(rows) for table, rows in vars(bench.desk.register).items()
    }
    assert [json.loads(row)["verb"] for row in bench.rows()].count("authorise") == 1
    if not changed:
        bench.prove(bench.answer(bench.propose()))
    assert bench.desk.register.holders((EMITTER,), bench.today) == (DOCTOR, NURSE)


def test_stored_is_nothing_before_the_first_change(tmp_path: Path, bench: Desk) -> None:
    assert stored(tmp_path / "settings.toml") is None
    store(tmp_path / "settings.toml", bench.desk.register)
    assert stored(tmp_path / "settings.toml") == bench.desk.register

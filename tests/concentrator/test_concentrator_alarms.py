"""The alarms of the receiving end: when each is over, what the store tells of it, and what a person types."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from concentrator_bench import BOX, Bench

from gateway.__main__ import main
from gateway.concentrator.alarms import ENDS, RULES, SETTLED, alarms, settle, settle_ends
from gateway.concentrator.store import Store
from gateway.errors import Refused

AT, LATER, TOMORROW = "2026-08-01T12:00:00Z", "2026-08-01T18:00:00Z", "2026-08-02T06:00:00Z"
NOW = datetime(2026, 8, 2, 7, tzinfo=UTC)
KEY, SEAL = "ab" * 16, "cd" * 32
LANDED = f"{BOX} {KEY}.1.5.{SEAL}"


def transfer(number: int, received: str, sealed: str = "00" * 32) -> str:
    return (
        "INSERT INTO transfers (id, sender, server, file_type, file_name, transfer_id, created, initial_sender,"
        " final_receiver, label, free_text, fichier, transmission, seal, began, received, sealed)"
        f" VALUES ({number}, '{BOX}', 'OCT', 0, 'F', {number}, '', '', '', '', '', '{KEY}', 1, '5', '', '{received}',"
        f" '{sealed}')"
    )


def verdict(word: str, at: str, fichier: str = KEY) -> str:
    return (
        f"{transfer(1, at)}; INSERT INTO verdicts VALUES (1, '{BOX}', NULL, 1, '{fichier}', '{word}', '', '', '', 0,"
        f" x'', '{at}', 0)"
    )


def a_return(name: str, delivered: str = "", sender: str = BOX, made: str = AT) -> str:
    return (
        "INSERT INTO mailbox (sender, kind, name, about, file, size, made, not_before, delivered)"
        f" VALUES ('{sender}', 'arl', '{name}', '', '', 0, '{made}', 0, '{delivered}')"
    )


def head(at: str, seen: str, sender: str = BOX) -> str:
    return f"INSERT INTO heads VALUES ('{sender}', 20, x'', '{at}', x'', '{seen}')"


def accepted(at: str, sender: str = BOX) -> str:
    return f"INSERT INTO alarms VALUES ('{sender} journal {at}', 'OCT-016', '', '{at}')"


def renewal(table: str, at: str, partner: str = BOX) -> str:
    columns = {
        "renewals": f"'r', '{partner}', '{at}', x''",
        "enrolments": f"'r', '{partner}', 'b', '1', 'h', '{at}', '', '', x'', x''",
    }
    return f"INSERT INTO {table} VALUES ({columns[table]})"


ENDED = [
    ("OCT-006", f"{BOX} r1", a_return("r1", AT)),
    ("OCT-009", LANDED, verdict("integrated", LATER)),
    ("OCT-010", LANDED, verdict("refused", LATER)),
    ("OCT-013", f"{BOX} journal 20", accepted(LATER)),
    ("OCT-014", f"{BOX} journal 20", accepted(LATER)),
    ("OCT-015", f"{BOX} journal {KEY}", head(LATER, LATER)),
    ("OCT-015", f"{BOX} journal {KEY}", accepted(LATER)),
    ("OCT-016", f"{BOX} journal {AT}", ""),
    ("OCT-017", f"{BOX} journal 20", head(LATER, LATER)),
    ("OCT-019", f"{BOX} r1", a_return("r1", AT)),
    ("OCT-020", "disque 2026-08-01", transfer(1, TOMORROW)),
    ("OCT-020", LANDED, transfer(1, LATER, SEAL)),
    ("OCT-021", f"{BOX} retours 2026-08-01", a_return("r1", LATER) + ";" + a_return("r2", made=LATER)),
    ("ENR-014", f"{BOX} {KEY}", renewal("renewals", LATER)),
    ("CMS-036", f"{BOX} {KEY}", renewal("enrolments", LATER)),
]
"""(code, about, what happens that ends it)."""

GOES_ON = [
    ("OCT-006", f"{BOX} r1", a_return("r1")),
    ("OCT-009", LANDED, verdict("unopened", LATER)),
    ("OCT-009", LANDED, verdict("integrated", "2026-07-01T12:00:00Z")),
    ("OCT-010", LANDED, verdict("integrated", LATER, "ef" * 16)),
    ("OCT-013", f"{BOX} journal 20", head(LATER, LATER)),
    ("OCT-014", f"{BOX} journal 20", accepted("2026-07-01T12:00:00Z")),
    ("OCT-014", f"{BOX} journal 20", accepted(LATER, f"{BOX}2")),
    ("OCT-015", f"{BOX} journal {KEY}", head(AT, AT)),
    ("OCT-017", f"{BOX} journal 20", head("", LATER)),
    ("OCT-017", f"{BOX} journal 20", head(LATER, LATER, "OTHER")),
    ("OCT-019", f"{BOX} r1", a_return("r1") + ";" + a_return("r1", AT, "OTHER")),
    ("OCT-020", "disque 2026-08-01", transfer(1, LATER)),
    ("OCT-020", LANDED, transfer(1, TOMORROW)),
    ("OCT-021", f"{BOX} retours 2026-08-01", a_return("r1")),
    (ENDS, "oct-seal 2026-09-01", ""),
    ("ENR-014", f"{BOX} {KEY}", renewal("renewals", "2026-07-01T12:00:00Z")),
    ("ENR-014", f"{BOX} {KEY}", renewal("enrolments", LATER, "OTHER")),
]


def is_open(store: Store, code: str, about: str) -> bool:
    (row,) = (row for row in alarms(store.connection) if (row["code"], row["about"]) == (code, about))
    return bool(row["open"])


@pytest.mark.parametrize(("code", "about", "script"), [*ENDED, *GOES_ON])
def test_it_is_over_when_the_store_shows_so(opened: Store, code: str, about: str, script: str) -> None:
    opened.connection.execute("PRAGMA foreign_keys=OFF")
    opened.alarm(about, code, "Une phrase.", AT)
    opened.connection.executescript(script)
    assert is_open(opened, code, about) == ((code, about, script) in GOES_ON)


def test_every_rule_is_tried_both_ways() -> None:
    ended, goes_on = {code for code, _, _ in ENDED}, {code for code, _, _ in GOES_ON}
    assert ended & goes_on | {"OCT-016", ENDS, "CMS-036"} == ended | goes_on
    assert set(RULES) <= ended | goes_on


def test_a_persons_word_ends_one_alarm_and_is_kept(opened: Store) -> None:
    for about in ("A journal 20", "B journal 20"):
        opened.alarm(about, "OCT-014", "Une phrase.", AT)
    settle(opened.connection, "OCT-014", "A journal 20", "vu avec le cabinet", NOW)
    assert not is_open(opened, "OCT-014", "A journal 20") and is_open(opened, "OCT-014", "B journal 20")
    (row,) = (row for row in alarms(opened.connection) if row["settled"])
    assert (row["settled"], row["word"]) == ("2026-08-02T07:00:00Z", "vu avec le cabinet")
    for about in ("A journal 20", "C journal 20"):
        with pytest.raises(Refused, match="OCT-024"):
            settle(opened.connection, "OCT-014", about, "encore", NOW)


def test_a_certificate_that_is_replaced_is_over_and_one_that_is_back_is_not(opened: Store) -> None:
    old = "oct-seal 2026-09-01"
    opened.alarm(old, ENDS, "Une phrase.", AT)
    for current, word in ((old,), True), ((), False), ((), False), ((old,), True):
        settle_ends(opened.connection, current, NOW)
        assert is_open(opened, ENDS, old) == word
    settle(opened.connection, ENDS, old, "le suivant est commandé", NOW)
    settle_ends(opened.connection, (old,), NOW)
    assert not is_open(opened, ENDS, old), "a person's word stands"


# ---------------------------------------------------------------- the command

Typed = Callable[..., tuple[int, str]]


@pytest.fixture
def typed(bench: Bench, capsys: pytest.CaptureFixture[str]) -> Typed:
    """``gateway concentrator`` with these words, on the bench's store: its exit code and what it printed."""

    def run(*words: str) -> tuple[int, str]:
        code = main(["concentrator", *words, "--directory", str(bench.settings.directory)])
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


def test_the_command_tells_what_is_open_and_what_to_do(opened: Store, typed: Typed) -> None:
    assert typed("alarms") == (0, "Aucune alarme ouverte.\n")
    opened.alarm("A journal 20", "OCT-014", "Le journal \x1b[2J ne continue pas.", AT)
    opened.alarm("A r1", "OCT-006", "Retour présenté 3 fois sans être remis.", AT)
    code, said = typed("alarms")
    assert code == 1 and said.splitlines() == [
        "depuis le 01/08/2026 14:00:00 +02:00  OCT-014  A journal 20",
        "    Le journal ?[2J ne continue pas.",
        f"    À faire : {RULES['OCT-014'].advice}",
    ], "the return is not in the mailbox any more"
    code, said = typed("alarms", "--all")
    assert code == 1 and said.count("depuis le") == 2 and "    Finie.\n" in said
    (row,) = json.loads(typed("alarms", "--json")[1])
    assert (row["at"], row["code"], row["about"], row["open"], row["settled"]) == (
        AT, "OCT-014", "A journal 20", True, "",
    )  # fmt: skip


def test_the_command_takes_a_persons_word(opened: Store, typed: Typed) -> None:
    opened.alarm("A journal 20", "OCT-014", "Une phrase.", AT)
    words = ("alarm-seen", "OCT-014", "A", "journal", "20", "--why", "boîtier remplacé")
    assert typed(*words) == (0, "OCT-014 A journal 20 : traitée.\n")
    assert typed("alarms") == (0, "Aucune alarme ouverte.\n")
    code, said = typed("alarms", "--all")
    assert code == 0 and re.search(r"    Finie le \d\d/\d\d/\d{4} [\d:]{8} \+0\d:00 : boîtier remplacé\n", said)
    assert SETTLED not in said
    assert typed(*words)[0] == 65


def test_who_may_not_look_is_told(typed: Typed, bench: Bench) -> None:
    assert typed("alarms")[0] == 75, "none has run"
    bench.settings.directory.mkdir(mode=0o000, exist_ok=True)
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        code, said = typed("alarms")
    finally:
        os.seteuid(before)
    assert code == 65 and "OCT-025" in said and "root" in said

"""Who may sign, as the keeper enforces it: offered, held, released, verified after the fact, and said."""

from __future__ import annotations

import hashlib
import json
import tomllib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from development_pki import Pki
from keeper_bench import KeeperBench
from samples import EMITTER
from stage import DOCTOR, MANDATES, NURSE, REPO

from gateway.config import read_section
from gateway.errors import Refused, Scope
from gateway.formats.days import day_of
from gateway.services.keeper.commands import mandates
from gateway.services.keeper.desk import KeeperSettings

SECOND = "991038449"
EMITTERS = [{"number": EMITTER, "holder": DOCTOR}, {"number": SECOND, "holder": NURSE}]


@pytest.fixture
def bench(pki: Pki, tmp_path: Path) -> KeeperBench:
    return KeeperBench(tmp_path / "s", pki)


def locum(bench: KeeperBench, since: int, until: int) -> dict[str, str]:
    return {
        "holder": NURSE,
        "emitter": EMITTER,
        "role": "remplaçant",
        "since": bench.day(since),
        "until": bench.day(until),
    }


def test_each_fichier_is_offered_with_those_who_may_sign_it(bench: KeeperBench) -> None:
    bench.open(
        emitters=EMITTERS,
        mandates=[*MANDATES, locum(bench, -1, 1), {"holder": NURSE, "emitter": SECOND, "role": "titulaire"}],
    )
    keys = [bench.checked("a", EMITTER), bench.checked("b", EMITTER, SECOND), bench.checked("c")]
    bench.turn()
    assert {item.fichier: item.holders for item in bench.offered} == dict(
        zip(keys, [(DOCTOR, NURSE), (NURSE,), (DOCTOR, NURSE)], strict=True)
    )


def test_what_nobody_may_sign_is_held_with_words_and_goes_on_by_itself(bench: KeeperBench) -> None:
    key = bench.checked("a", EMITTER, SECOND)
    bench.turn()
    assert bench.offered == []
    row = bench.row(key)
    assert (row["state"], row["held_by"]) == ("CHECKED", "mandate")
    assert row["held_reason"] == f"Personne n'a de mandat pour signer pour les émetteurs {EMITTER} et {SECOND}."
    bench.turn()
    said = bench.condition("mandate")
    assert (said["code"], json.loads(said["detail"])) == ("MND-001", {"held": 1})
    bench.open(emitters=EMITTERS, mandates=[*MANDATES, {"holder": DOCTOR, "emitter": SECOND, "role": "titulaire"}])
    assert bench.row(key)["held_since"] == ""
    bench.turn()
    assert [item.holders for item in bench.offered] == [(DOCTOR,)]
    assert bench.condition("mandate")["code"] == ""
    assert [row["by"] for row in bench.told(key, "release")] == ["mandate"]
    assert [row["row"]["emitter"] for row in bench.told("", "declare") if row["table"] == "mandates"] == [
        EMITTER, SECOND,
    ]  # fmt: skip


def test_nothing_declared_holds_everything_unless_the_rule_is_open(bench: KeeperBench) -> None:
    bench.open(practitioners=[], emitters=[], mandates=[])
    key = bench.checked("a", EMITTER)
    bench.turn()
    assert bench.row(key)["held_by"] == "mandate"
    bench.open(mandate_rule="open")
    bench.turn()
    assert [item.holders for item in bench.offered] == [()]
    bench.sign(key, NURSE)
    bench.turn()
    assert bench.row(key)["state"] == "SIGNED"


def test_a_mandate_begins_with_its_day(bench: KeeperBench) -> None:
    bench.open(mandates=[locum(bench, 1, 5)])
    key = bench.checked("a", EMITTER)
    bench.turn()
    assert bench.row(key)["held_by"] == "mandate"
    bench.now += timedelta(days=1)
    bench.review.look()
    assert bench.row(key)["held_by"] == ""


def test_while_the_holder_is_away_only_the_locum_may(bench: KeeperBench) -> None:
    away = [{"holder": DOCTOR, "since": bench.day(0), "until": bench.day(9)}]
    bench.open(absences=away)
    key = bench.checked("a", EMITTER)
    bench.turn()
    assert "en absence déclarée" in bench.row(key)["held_reason"]
    bench.open(mandates=[*MANDATES, locum(bench, 0, 9)])
    bench.turn()
    assert [item.holders for item in bench.offered] == [(NURSE,)]


def test_the_signature_is_journaled_with_role_and_mandate(bench: KeeperBench) -> None:
    key = bench.checked("a", EMITTER)
    bench.sign(key)
    bench.turn()
    assert bench.row(key)["state"] == "SIGNED"
    (fact,) = bench.told(key, "sign")
    assert (fact["holder"], fact["role"]) == (DOCTOR, "titulaire")
    assert fact["mandates"] == [{"holder": DOCTOR, "emitter": EMITTER, "role": "titulaire", "since": "", "until": ""}]
    assert bench.confirmed == [key]
    certificate = hashlib.sha256(bench.pki.certificate(f"practitioners/{DOCTOR}/sig")).hexdigest()
    assert bench.row(key)["signer"] == fact["certificate"] == certificate
    told = mandates(bench.desk, {})
    assert [(row["holder"], row["in_force"]) for row in told["mandates"]] == [(DOCTOR, True)]
    assert [(row["name"], row["certificate"]) for row in told["signers"]] == [("CLAIRE ESSAI", certificate)]
    json.dumps(told)


@pytest.mark.parametrize("case", ["no mandate", "absent", "another card", "revoked", "other totals"])
def test_a_signature_that_may_not_be_is_declined_and_another_takes_its_place(case: str, bench: KeeperBench) -> None:
    """The card service signs what it should not: nothing is committed, and it is told to forget the signature."""
    key = bench.checked("a", EMITTER)
    signer, code = DOCTOR, {"absent": "MND-003", "another card": "MND-004"}.get(case, "")
    if case == "no mandate":
        signer, code = NURSE, "MND-002"
    elif case == "absent":
        bench.open(mandates=[*MANDATES, locum(bench, 0, 9)], absences=[{"holder": DOCTOR}])
    elif case == "another card":
        bench.open(cards=[{"certificate": "a" * 64, "holder": DOCTOR}])
    elif case == "revoked":
        signer, code = "zoo/revoked", "CMS-036"
    bench.sign(key, signer)
    if case == "other totals":
        bench.desk.book.connection.execute("UPDATE fichiers SET total = 1")
        code = "SIG-002"
    bench.turn()
    assert (bench.row(key)["state"], bench.row(key)["signer"]) == ("CHECKED", "")
    assert [row["code"] for row in bench.told(key, "decline")] == [code]
    assert bench.condition("signature")["code"] == bench.row(key)["reason_code"] == code
    assert (bench.confirmed, bench.told(key, "sign")) == ([key], [])
    if case == "absent":
        assert bench.condition("absence")["code"] == "MND-003"
        bench.sign(key, NURSE)
        bench.turn()
        assert bench.row(key)["state"] == "SIGNED"
        assert bench.condition("signature")["code"] == ""
        bench.review.look()
        assert bench.condition("absence")["code"] == "MND-003", "an alarm lasts until the absence is over"
        bench.open(absences=[])
        assert bench.condition("absence")["code"] == ""


def test_the_page_is_told_which_card_is_needed(bench: KeeperBench) -> None:
    bench.checked("a", EMITTER)
    bench.insert(NURSE)
    bench.turn()
    said = bench.condition("card")
    told = json.loads(said["detail"])
    assert (said["code"], told["state"], told["wanted"]) == ("MND-005", "wrong-card", ["Claire ESSAI"])
    assert "PAUL EXEMPLE" in said["text"]
    bench.insert(DOCTOR)
    bench.turn()
    said = bench.condition("card")
    assert (said["code"], json.loads(said["detail"])["state"]) == ("CPS-LOCKED", "locked")


def test_of_two_cards_the_one_that_is_needed_is_spoken_of(bench: KeeperBench) -> None:
    bench.checked("a", EMITTER)
    bench.insert(DOCTOR)
    bench.others = [bench.card]
    bench.insert(NURSE, "ready")
    bench.turn()
    said = json.loads(bench.condition("card")["detail"])
    assert (said["state"], said["holder"]) == ("locked", "CLAIRE ESSAI")


def test_a_declined_signature_is_forgotten_with_its_card(bench: KeeperBench) -> None:
    key = bench.checked("a", EMITTER)
    bench.insert(NURSE)
    bench.sign(key, NURSE)
    bench.turn()
    bench.turn()
    assert bench.condition("signature")["code"] == "MND-002"
    bench.card["state"] = "absent"
    bench.turn()
    assert bench.condition("signature")["code"] == ""


ENDS = [(91, ""), (90, "MND-CERT-90"), (31, "MND-CERT-60"), (30, "MND-CERT-30"), (14, "MND-CERT-14"),
        (7, "MND-CERT-7"), (0, "MND-CERT-7"), (-1, "MND-CERT-0")]  # fmt: skip


@pytest.mark.parametrize(("left", "code"), ENDS)
def test_the_end_of_a_certificate_is_said_with_the_card_away(left: int, code: str, bench: KeeperBench) -> None:
    key = bench.checked("a", EMITTER)
    bench.sign(key)
    bench.turn()
    certificate = x509.load_der_x509_certificate(bench.pki.certificate(f"practitioners/{DOCTOR}/sig"))
    end = date.fromisoformat(day_of(certificate.not_valid_after_utc))
    bench.now = datetime(end.year, end.month, end.day, 12, tzinfo=UTC) - timedelta(days=left)
    bench.turn()
    said = bench.condition("certificate")
    assert said["code"] == code
    assert ("CLAIRE ESSAI" in said["text"]) == bool(code)


def test_the_card_in_the_reader_counts_even_if_it_never_signed(bench: KeeperBench) -> None:
    bench.insert(DOCTOR)
    bench.card["valid_until"] = (bench.now + timedelta(days=20)).isoformat()
    bench.turn()
    assert bench.condition("certificate")["code"] == "MND-CERT-30"
    bench.insert(NURSE)
    bench.card["valid_until"] = (bench.now + timedelta(days=20)).isoformat()
    bench.turn()
    assert bench.condition("certificate")["code"] == "", "who signs nothing here is not warned"


def test_an_alarm_of_the_version_before_ends_too(bench: KeeperBench) -> None:
    bench.open(absences=[{"holder": DOCTOR}])
    bench.desk.condition(Scope.CARD, "absence", "MND-003", "…", {"rpps": DOCTOR})
    bench.open()
    assert bench.condition("absence")["code"] == "MND-003"
    bench.open(absences=[])
    assert bench.condition("absence")["code"] == ""


def test_settings_of_the_version_before_are_read(bench: KeeperBench) -> None:
    """They say rpps where it is holder now."""
    rows = {table: json.loads(json.dumps(bench.settings[table])) for table in ("practitioners", "emitters", "mandates")}
    for row in [row for table in rows.values() for row in table]:
        row["rpps"] = row.pop("holder")
    before = bench.desk.register
    bench.open(**rows)
    assert bench.desk.register == before
    assert len(bench.told("", "declare")) == 4, "nothing was declared anew"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"mandate_rule": "maybe"}, "CFG-008"),
        ({"mandates": [{"holder": DOCTOR, "emitter": SECOND, "role": "titulaire"}]}, "MND-006"),
        ({"mandates": [{"holder": DOCTOR, "role": "titulaire"}]}, "CFG-009"),
    ],
)
def test_a_mistake_in_the_settings_is_named(changes: dict[str, object], code: str, bench: KeeperBench) -> None:
    with pytest.raises(Refused) as refused:
        bench.open(**changes)
    assert refused.value.code == code


def test_the_documented_example_holds_together() -> None:
    text = (REPO / "docs/mandats.md").read_text(encoding="utf-8")
    example = tomllib.loads(text.partition("```toml\n")[2].partition("```")[0])["keeper"]
    register = read_section(KeeperSettings, example, "[keeper]").register()
    days = ("2026-07-31", "2026-08-01", "2026-08-31", "2026-09-01")
    assert [register.holders(("991038431",), day) for day in days] == [
        ("10001234567",), ("10007654321",), ("10007654321",), ("10001234567",),
    ]  # fmt: skip

"""Boxes are told of other certificates, once and only who is in force; what ends soon is an alarm at the OCT."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import timedelta

import pytest
from enrolment_bench import PARTNER
from renewal_bench import RenewalBench

from gateway.concentrator.alarms import alarms as all_alarms
from gateway.concentrator.announcing import Announcing
from gateway.concentrator.boxes import Boxes
from gateway.concentrator.keys import load_keys, load_trust
from gateway.envelope.ring import open_by
from gateway.envelope.signed import read_signed
from gateway.formats.announcement import Announcement
from gateway.formats.enrolment import from_base64
from gateway.formats.returns import unpack


def look(enrolled: RenewalBench) -> bool:
    """The look of a service that was started now."""
    settings, one = enrolled.bench.settings, enrolled.bench
    mailbox, keys = one.mailbox(enrolled.store), load_keys(settings)
    return Announcing(settings, enrolled.store, mailbox, keys, lambda: load_trust(settings), one.clock).work()


def told(enrolled: RenewalBench) -> list[Announcement]:
    """What lies in the mailbox of the box, as the box opens it."""
    found = []
    for row in enrolled.store.connection.execute(
        "SELECT file, kind FROM mailbox WHERE sender = ? ORDER BY id", (PARTNER,)
    ):
        with (enrolled.bench.settings.returns / row["file"]).open("rb") as file:
            out = io.BytesIO()
            read_signed(open_by([enrolled.key("box-seal")], file), out, 1 << 20)
        found += [Announcement.from_bytes(unpack(out.getvalue()).body)] if row["kind"] == "trust" else []
    return found


def test_a_box_is_told_once_and_again_when_something_changes(enrolled: RenewalBench) -> None:
    assert [look(enrolled), look(enrolled)] == [True, False]
    (first,) = told(enrolled)
    pki, settings = enrolled.bench.pki, enrolled.bench.settings
    assert from_base64(first.oct_seal) == pki.certificate("oct-seal")
    assert set(map(from_base64, first.chain)) >= set(pki.chain)
    enrolled.bench.settings = replace(settings, chain=settings.chain[:-1])
    assert [look(enrolled), look(enrolled)] == [True, False]
    assert len(told(enrolled)[-1].chain) == len(first.chain) - 1


def test_who_is_out_of_force_is_told_when_he_is_back(enrolled: RenewalBench) -> None:
    Boxes(enrolled.store).revoke(PARTNER, enrolled.bench.now)
    assert not look(enrolled)
    enrolled.enrol()
    assert look(enrolled)


def test_what_cannot_be_said_now_is_said_later(enrolled: RenewalBench) -> None:
    settings, one = enrolled.bench.settings, enrolled.bench
    enrolled.bench.settings = replace(settings, crls=(), enrolment=replace(settings.enrolment, enabled=False))
    mailbox, keys, now = one.mailbox(enrolled.store), load_keys(settings), enrolled.bench.settings
    announcing = Announcing(settings, enrolled.store, mailbox, keys, lambda: load_trust(now), one.clock)
    assert not announcing.work()
    now = settings
    assert not announcing.work(), "not at once"
    one.now += timedelta(seconds=settings.retry_s)
    assert announcing.work()
    one.now += timedelta(hours=23)
    assert not announcing.work()


@pytest.mark.parametrize(("days", "names"), [(0, set()), (660, {"oct-seal", "oct-sign", "oct-transport"})])
def test_own_certificates_that_end_soon_are_an_alarm(enrolled: RenewalBench, days: int, names: set[str]) -> None:
    enrolled.bench.now += timedelta(days=days)
    look(enrolled)
    assert alarms(enrolled) == names


def test_an_alarm_on_a_certificate_is_over_with_the_next_one(enrolled: RenewalBench) -> None:
    now = enrolled.bench.now
    for enrolled.bench.now, is_open in ((now + timedelta(days=660), True), (now, False)):
        look(enrolled)
        told = [row["open"] for row in all_alarms(enrolled.store.connection) if row["code"] == "OCT-022"]
        assert told == [is_open] * 3


def test_an_authority_is_an_alarm_two_years_before_its_end(enrolled: RenewalBench) -> None:
    """What it certifies would last no longer than itself."""
    enrolled.bench.now += timedelta(days=2650 - 821)
    look(enrolled)
    assert {one for one in alarms(enrolled) if "AC " in one} == set()
    enrolled.bench.now += timedelta(days=2)
    look(enrolled)
    assert any("AC Boîtiers" in one for one in alarms(enrolled))


def alarms(enrolled: RenewalBench) -> set[str]:
    """Of what the OCT-022 speak."""
    rows = enrolled.store.connection.execute("SELECT about FROM alarms WHERE code = 'OCT-022'").fetchall()
    return {row["about"].rpartition(" ")[0] for row in rows}

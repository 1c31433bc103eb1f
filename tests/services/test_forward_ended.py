"""A box whose own certificates have ended comes back: the line, the page and the one command that helps."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from development_pki import Pki

from gateway.follow.headline import Facts, Level, headline
from tests.services.test_forward_authorities import Away

YEARS = timedelta(days=3 * 365)


@pytest.fixture
def box(pki: Pki, tmp_path: Path) -> Iterator[Away]:
    """It lay in a drawer for three years, with a fichier that waited."""
    made = Away(tmp_path / "s", Pki(shutil.copytree(pki.directory, tmp_path / "pki")))
    made.begin()
    made.now -= YEARS
    made.enrol(days=729)
    made.now += YEARS
    made.open()
    with made.stage:
        yield made


def told(box: Away) -> tuple[Level, str]:
    """The headline, from the ladder as it stands."""
    rows = box.desk.book.connection.execute("SELECT * FROM conditions").fetchall()
    found = headline(Facts(waiting={"SEALED": 1}, conditions=[dict(row) for row in rows]), box.now)
    return found.level, found.sentence


def test_the_line_says_that_it_is_our_certificate(box: Away) -> None:
    box.line_below("oct")
    key = box.offer_one()
    assert {box.turn_line()["oct"] for _ in range(2)} == {"KEY-CERT-0"}
    assert "certificat de ligne de la passerelle a expiré" in box.condition("oct")["text"]
    level, sentence = told(box)
    assert (level, "Rien à faire" in sentence, "Prévenez" in sentence) == (Level.FAULT, False, True)
    assert (box.row(key)["state"], box.known("transfers")) == ("SEALED", 0)


def test_the_box_names_the_command(box: Away) -> None:
    box.start().look()
    assert box.condition("certificates")["code"] == "KEY-CERT-0"
    level, sentence = told(box)
    assert level is Level.FAULT
    assert "gateway enrol … --again" in sentence and "rien de ce qui attend n'est perdu" in sentence


@pytest.mark.parametrize(("days", "named"), [(700, True), (50, False)])
def test_a_clock_that_nothing_vouches_for_names_it_too(box: Away, days: int, named: bool) -> None:
    """Nothing came for so long that the clock may be wrong; if it is right, there is one thing to do."""
    box.enrol(days=100)
    box.open(clock_ahead_days=30.0)
    with box.desk.commit():
        box.desk.watch.witness(box.now, "un retour du concentrateur")
    box.now += timedelta(days=days)
    assert not box.desk.clock_holds()
    assert box.condition("clock")["code"] == "CLK-003"
    assert ("gateway enrol … --again" in box.condition("clock")["text"]) is named

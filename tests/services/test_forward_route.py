"""When a route is tried again, since when it carries nothing, and what is said of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from gateway.errors import Deferred, Refused, Scope, Trouble
from gateway.services.forward import route as module
from gateway.services.forward.route import Route
from gateway.services.forward.settings import ForwardSettings

SETTINGS = ForwardSettings(retry_s=5.0, retry_max_s=60.0, refused_s=3600.0)
CUT = Deferred("PES-CUT", "La liaison avec 192.0.2.1 est coupée.", Scope.ROUTE)
WRONG = Refused("PES-3.304", "demandeur non autorisé", Scope.ROUTE)
LARGE = Refused("PES-2.206", "quota de disque dépassé", Scope.FICHIER)


class Bench:
    """A route, a clock that is set by hand, and what was told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.told: list[dict[str, Any]] = []
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: self.now, time=lambda: self.now))
        monkeypatch.setattr(module, "random", SimpleNamespace(uniform=lambda low, high: 1.0))
        self.route = Route("oct", SETTINGS, self.told.append)

    def attempt(self, trouble: Trouble | None = None) -> None:
        with self.route.attempt():
            if trouble is not None:
                raise trouble

    def waits(self) -> float:
        """Seconds until it is due."""
        began = self.now
        while not self.route.due():
            self.now += 1
        return self.now - began

    @property
    def last(self) -> tuple[str, str]:
        return self.told[-1]["code"], self.told[-1]["text"]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def test_the_first_word_is_told_even_if_it_is_well(bench: Bench) -> None:
    """The book may still hold the trouble of before a restart."""
    bench.attempt()
    assert bench.told == [{"name": "oct", "code": "", "text": "", "next": ""}]
    bench.attempt()
    assert len(bench.told) == 1, "nothing is said twice"


def test_a_line_is_tried_again_later_each_time_and_without_address(bench: Bench) -> None:
    waits = []
    for _ in range(6):
        bench.attempt(CUT)
        waits.append(bench.waits())
    assert waits == [5, 10, 20, 40, 60, 60]
    assert bench.last == ("PES-CUT", "La liaison avec le concentrateur est coupée")
    assert bench.told[0]["next"] == "1970-01-01T00:16:45Z"
    bench.attempt()
    assert bench.last == ("", "")
    bench.attempt(CUT)
    assert bench.waits() == 5


def test_down_is_counted_from_the_first_trouble_until_something_moves(bench: Bench) -> None:
    assert bench.route.down_for() == 0
    bench.attempt(CUT)
    bench.now += 30
    bench.attempt(CUT)
    assert bench.route.down_for() == 30
    bench.route.moved()
    assert bench.route.down_for() == 0
    bench.attempt(CUT)
    bench.now += 7
    assert bench.route.down_for() == 7
    bench.attempt()
    assert bench.route.down_for() == 0


def test_a_refusal_is_tried_rarely_and_is_no_line_that_is_down(bench: Bench) -> None:
    bench.attempt(CUT)
    bench.attempt(WRONG)
    assert bench.route.down_for() == 0
    assert bench.last[1].startswith("Le concentrateur refuse notre mot de passe")
    assert bench.waits() == 3600


def test_a_fichier_that_is_refused_is_no_line_that_is_down(bench: Bench) -> None:
    bench.attempt(LARGE)
    bench.now += 3600
    assert bench.route.down_for() == 0
    assert bench.last == ("PES-2.206", "quota de disque dépassé")


def test_a_detour_is_told_beside_the_trouble(bench: Bench) -> None:
    bench.route.detour = "les fichiers passent par la voie de secours."
    bench.attempt(CUT)
    assert bench.last[1] == (
        "La liaison avec le concentrateur est coupée ; les fichiers passent par la voie de secours."
    )


@pytest.mark.parametrize(("trouble", "code"), [(CUT, ""), (WRONG, "PES-3.304")])
def test_what_is_not_needed_any_more_is_forgotten_but_for_a_refusal(bench: Bench, trouble: Trouble, code: str) -> None:
    bench.attempt(trouble)
    bench.route.forget()
    assert bench.last[0] == code
    assert bench.route.well is (code == "")
    assert bench.route.due() is (code == "")


def test_what_is_no_trouble_is_not_caught(bench: Bench) -> None:
    with pytest.raises(ZeroDivisionError), bench.route.attempt():
        raise ZeroDivisionError
    assert bench.told == []

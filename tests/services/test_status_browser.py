"""The status page in a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from chromium import Chromium
from pin_scan import CODE
from status_bench import OTHER_ROOT, PAGES, ROOT, Service

from gateway.errors import Scope
from gateway.fichier import State


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("chromium is not installed")
    with Chromium(program, tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture
def chromium(service: Service, browser: Chromium) -> Iterator[Chromium]:
    """The browser, with no page of another test's service."""
    browser.events.clear()
    yield browser
    browser.call("Page.navigate", url="about:blank")


def test_a_browser_keeps_the_page_fresh_and_the_code_that_is_typed(
    service: Service, day: dict[State, str], chromium: Chromium
) -> None:
    service.card.wait_for(day[State.CHECKED])
    chromium.open(f"http://127.0.0.1:{service.port}/")
    chromium.evaluate("document.getElementById('code').value = '12'")
    service.made.fichier("live", State.RECEIVED, name="LIVE.b2")
    chromium.wait("document.getElementById('recent').textContent.includes('LIVE.b2')")
    service.card.views[0]["items"][0]["count"] = 42
    service.made.condition(Scope.BOX, "disk", "BOX-002", "Le disque est plein.")
    chromium.wait("document.getElementById('headline').classList.contains('fault')")
    assert chromium.evaluate("document.getElementById('code').value") == "12"
    chromium.evaluate("document.getElementById('code').value = ''")
    service.made.fichier("live2", State.RECEIVED)
    chromium.wait("document.getElementById('signature').textContent.includes('42 factures')")
    assert chromium.picture().startswith(b"\x89PNG")
    assert chromium.complaints() == []


def test_a_browser_submits_the_code(service: Service, day: dict[State, str], chromium: Chromium) -> None:
    service.card.wait_for(day[State.CHECKED])
    chromium.open(f"http://127.0.0.1:{service.port}/")
    chromium.evaluate(
        f"document.getElementById('code').value = '{CODE}'; document.querySelector('button.primary').click()"
    )
    chromium.wait("document.body.textContent.includes('Code accepté')")
    assert service.card.unlocks == [{"op": "unlock", "pin": CODE, "root": ROOT, "card": "4321"}]
    assert chromium.complaints() == []


def test_a_browser_signs_with_the_second_card_and_the_reader_s_keys(
    service: Service, day: dict[State, str], chromium: Chromium
) -> None:
    service.card.wait_for(day[State.CHECKED])
    service.card.and_for(day[State.RECEIVED], pad=True)
    chromium.open(f"http://127.0.0.1:{service.port}/")
    assert chromium.evaluate("document.querySelectorAll('.signature input[type=password]').length") == 1
    chromium.evaluate("document.querySelectorAll('button.primary')[1].click()")
    service.eventually(lambda: bool(service.card.unlocks))
    service.card.typed.set()
    chromium.wait("document.body.textContent.includes('Code accepté')")
    assert service.card.unlocks == [{"op": "unlock", "pin": "", "root": OTHER_ROOT, "card": "8765"}]
    assert chromium.complaints() == []


def test_a_browser_has_a_kept_code_dropped(service: Service, day: dict[State, str], chromium: Chromium) -> None:
    service.card.wait_for(day[State.CHECKED])
    service.card.keep()
    chromium.open(f"http://127.0.0.1:{service.port}/")
    chromium.evaluate("document.querySelector('form[action=\"/oubli\"] button').click()")
    chromium.wait("document.body.textContent.includes('Code oublié')")
    assert service.card.unlocks == [{"op": "forget"}]
    assert chromium.complaints() == []


@pytest.mark.parametrize("width", [390, 1180])
def test_pages_fit_a_phone_and_a_desk(service: Service, day: dict[State, str], chromium: Chromium, width: int) -> None:
    chromium.call("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=False)
    for path in (*PAGES, f"/fichiers/{day[State.INTEGRATED]}", f"/fichiers/{day[State.REFUSED]}"):
        chromium.open(f"http://127.0.0.1:{service.port}{path}")
        assert chromium.evaluate("document.documentElement.scrollWidth") <= width, path
        assert chromium.evaluate("getComputedStyle(document.body).marginTop") == "0px"  # the style sheet applies
    assert chromium.complaints() == []

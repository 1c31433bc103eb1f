"""The status service: pages, JSON, lamps and signature."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ports import free_port
from status_bench import API, PAGES, Service

from gateway.errors import Scope
from gateway.fichier import State
from gateway.leds import GREEN, LAMPS, ORANGE

# -- pages


def test_pages_of_an_empty_box(service: Service) -> None:
    assert "La passerelle est prête" in service.page("/")
    for path in PAGES:
        assert "<h1>" in service.page(path)


def test_the_first_page_says_how_things_stand(service: Service, day: dict[State, str]) -> None:
    text = service.page("/")
    assert "1 fichier refusé : à corriger et à remettre." in text
    assert re.search(r'<section id="headline" class="headline attention"', text)
    assert 'href="/factures?part=R">1 facture rejetée à traiter' in text
    assert text.count("<li class=") == 7
    assert f'href="/fichiers/{day[State.SENT]}"' in text
    assert "Transmis, attend l'accusé du concentrateur." in text


@pytest.mark.parametrize("path", [*PAGES, "/nothing"])
def test_pages_are_accessible_and_need_no_script(service: Service, day: dict[State, str], path: str) -> None:
    service.card.wait_for(day[State.CHECKED], tries=1)
    service.card.and_for(day[State.RECEIVED], tries=1)
    service.card.and_for(day[State.RECEIVED], pad=True)
    service.card.and_for(day[State.RECEIVED])
    service.card.keep(3)
    response, text = service.ask(path)
    assert '<html lang="fr">' in text
    assert text.count("<h1>") == 1
    assert all(f"<{landmark}" in text for landmark in ("header", "nav", "main", "footer"))
    assert "<script>" not in text
    assert " style=" not in text
    assert " onclick" not in text
    assert text.count("<table>") == text.count("<caption>")
    assert all('scope="' in head for head in re.findall(r"<th\b[^>]*>", text))
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:for|aria-labelledby|aria-describedby)="([^"]+)"', text)) <= set(ids)
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', text)
    assert response.getheader("content-type") == "text/html; charset=utf-8"


def test_the_life_of_a_fichier(service: Service, day: dict[State, str]) -> None:
    text = service.page(f"/fichiers/{day[State.INTEGRATED]}")
    happened = ["Reçu du logiciel", "Contrôlé", "Signé par la carte", "Scellé", "Transmis", "Pris en charge par"]
    places = [text.index(f"<span>{words}") for words in happened]
    assert places == sorted(places)
    assert "ARL positif" in text
    assert "45 Droits fermés" in text
    assert "18,55 €" in text


def test_a_refused_fichier_shows_why(service: Service, day: dict[State, str]) -> None:
    text = service.page(f"/fichiers/{day[State.REFUSED][:10]}")
    assert "Refusé : Le total de la facture 3 est faux." in text
    assert re.search(r'12</td><td class="number">55</td><th scope="row">B2-017</th>', text)
    assert "bloque" in text


@pytest.mark.parametrize("key", ["ffff", "%2e%2e", "' OR 1=1 --", "<script>"])
def test_no_such_fichier(service: Service, day: dict[State, str], key: str) -> None:
    response, text = service.ask("/fichiers/" + key.replace(" ", "%20").replace("<", "%3C").replace(">", "%3E"))
    assert response.status == 404
    assert "<script>" not in text
    assert "Aucun fichier" in text


def test_names_given_by_the_practice_are_not_html(service: Service) -> None:
    service.made.fichier("x", State.SENT, name="<script>alert(1)</script>.b2")
    _, text = service.ask("/")
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text


def test_lists_are_narrowed_by_plain_forms(service: Service, day: dict[State, str]) -> None:
    assert service.page("/fichiers").count('<th scope="row">') == 10
    assert service.page("/fichiers?etat=REFUSED").count('<th scope="row">') == 1
    assert "Droits fermés" in service.page("/factures?part=R")
    assert service.page("/factures?part=R").count('<th scope="row">') == 1
    assert service.page("/lots?arl=positive").count('<th scope="row">') == 1
    assert "Aucun lot." in service.page("/lots?arl=negative")
    assert 'value="R" selected' in service.page("/factures?part=R")
    assert "RSP_0001.noe" in service.page("/retours")


def test_no_pseudonym_is_shown(service: Service, day: dict[State, str]) -> None:
    asked = [f"/api/v1/{name}" for name in (*API, f"fichiers/{day[State.INTEGRATED]}")]
    for path in (*PAGES, f"/fichiers/{day[State.INTEGRATED]}", *asked):
        assert "pseudonym" not in service.ask(path)[1]


def test_the_transfer_under_way(service: Service, day: dict[State, str]) -> None:
    service.paths.progress.parent.mkdir()
    service.paths.progress.write_text(json.dumps({"fichier": day[State.SEALED], "sent": 3, "size": 4}))
    assert "B2_asealed.b2 : 75 % transmis" in service.page("/")
    assert service.api("status")["progress"] == {"fichier": day[State.SEALED], "sent": 3, "size": 4}
    service.paths.progress.write_text("{")
    assert "% transmis" not in service.page("/")


PROGRESS: dict[str, Callable[[Path], object]] = {
    "a pipe": os.mkfifo,
    "no end": lambda place: place.symlink_to("/dev/zero"),
    "a folder": lambda place: place.mkdir(),
    "depth": lambda place: place.write_bytes(b"[" * 4000),
    "infinity": lambda place: place.write_bytes(b'{"fichier": "a", "sent": 1e999, "size": 1}'),
    "too long": lambda place: place.write_bytes(b"1" * 5000),
}


@pytest.mark.parametrize("case", PROGRESS)
def test_whatever_stands_for_a_progress_stops_no_page(service: Service, case: str) -> None:
    """It is written by the service that has the line."""
    service.paths.progress.parent.mkdir()
    PROGRESS[case](service.paths.progress)
    assert "% transmis" not in service.page("/")
    assert service.api("status")["progress"] is None


@pytest.mark.parametrize("name", ["style.css", "live.js", "icon.svg"])
def test_static_files(service: Service, name: str) -> None:
    response, text = service.ask(f"/static/{name}")
    assert response.status == 200
    assert text
    assert response.getheader("x-content-type-options") == "nosniff"


@pytest.mark.parametrize("path", ["/static/home.html", "/static/..%2Fview.py", "/static/"])
def test_nothing_else_is_static(service: Service, path: str) -> None:
    assert service.ask(path)[0].status == 404


# -- JSON, lamps and page say the same


SITUATIONS: list[tuple[tuple[State, ...], tuple[Any, ...] | None, str, set[str]]] = [
    ((State.INTEGRATED,), None, "ok", {LAMPS[0]}),
    ((State.CHECKED,), (Scope.CARD, "card", "CPS-ABSENT", "Absente."), "attention", {LAMPS[1]}),
    ((State.CHECKED,), (Scope.BOX, "disk", "BOX-002", "Le disque est plein."), "fault", {LAMPS[2]}),
]


@pytest.mark.parametrize(("states", "condition", "level", "lamps"), SITUATIONS)
def test_lamp_page_and_api_are_one_state(
    service: Service, states: tuple[State, ...], condition: tuple[Any, ...] | None, level: str, lamps: set[str]
) -> None:
    for state in states:
        service.made.fichier(state, state)
    if condition is not None:
        service.made.condition(*condition)
    told = service.api("status")
    assert told["level"] == level
    text = service.page("/")
    assert f'class="headline {level}"' in text
    assert told["sentence"].replace("\u00a0", " ") in text
    for rung in told["rungs"]:
        assert rung["text"].replace("\u00a0", " ") in text
    service.eventually(lambda: service.burning() == lamps)


def test_the_lamp_blinks_while_a_signature_is_awaited(service: Service) -> None:
    service.made.fichier("x", State.CHECKED)
    service.made.condition(Scope.CARD, "card", "CPS-LOCKED", "Le code porteur est attendu.")
    service.eventually(lambda: (service.leds / ORANGE / "trigger").read_text() == "timer")
    assert service.api("status")["signature"] is True


def test_the_api_lists(service: Service, day: dict[State, str]) -> None:
    assert len(service.api("fichiers")["fichiers"]) == 10
    assert service.api("fichiers?state=REFUSED")["fichiers"][0]["text"].startswith("Refusé : ")
    assert [lot["text"] for lot in service.api("lots?arl=positive")["lots"]] == ["ARL positif"]
    assert service.api("factures?part=R")["factures"][0]["amc_text"] == "rejetée"
    assert service.api("factures")["sums"]["factures"] == 26
    assert service.api("returns")["returns"][0]["name"] == "RSP_0001.noe"
    one = service.api(f"fichiers/{day[State.REFUSED]}")
    assert [found["code"] for found in one["findings"]] == ["B2-017"]
    assert [event["verb"] for event in one["events"]] == ["receive", "refuse"]
    assert service.api("fichiers/ffff", 404)["code"] == "HTTP-404"
    assert service.api("status")["counts"] == {
        "CHECKED": 1, "INTEGRATED": 4, "RECEIVED": 1, "REFUSED": 1, "SEALED": 1, "SENT": 1, "SIGNED": 1, "held": 0,
    }  # fmt: skip


def test_without_a_board_the_page_says_that_the_gateway_restarts(service: Service) -> None:
    service.eventually(lambda: service.burning() == {GREEN})
    service.made.board.close()
    service.paths.board.unlink()
    assert "La passerelle redémarre." in service.page("/")
    for path in PAGES[1:]:
        assert "La passerelle redémarre." in service.page(path, 503)
    assert service.api("status", 503)["sentence"] == "La passerelle redémarre."
    assert service.api("fichiers", 503) == {
        "code": "STA-001", "text": "La passerelle redémarre. Réessayez dans un instant.",
    }  # fmt: skip
    service.eventually(lambda: service.burning() == {ORANGE})
    service.made.show()
    service.eventually(lambda: service.burning() == {GREEN})
    assert "La passerelle est prête" in service.page("/")


def test_events_tell_of_each_change(service: Service) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as peer:
        peer.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        received = b""
        while b"event: hello" not in received:
            received += peer.recv(4096)
        time.sleep(0.2)
        service.made.fichier("x", State.RECEIVED)
        while b"event: change" not in received:
            received += peer.recv(4096)


def test_the_service_is_small(tmp_path: Path) -> None:
    """In a process of its own: no cryptography, no card library, and little memory after a page was served."""
    program = """
import asyncio, sys
from pathlib import Path
from gateway.config import Paths
from gateway.process.runtime import Runtime
from gateway.services.status import StatusSettings, run
folder = Path(sys.argv[1])
async def main():
    runtime = Runtime("status")
    ready = asyncio.Event()
    runtime.ready = ready.set
    paths = Paths(state=folder, runtime=folder)
    task = asyncio.create_task(run(runtime, paths, StatusSettings(port=int(sys.argv[2]), leds=folder)))
    await ready.wait()
    reader, writer = await asyncio.open_connection("127.0.0.1", int(sys.argv[2]))
    writer.write(b"GET / HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n")
    assert b"redemarre" in (await reader.read()).replace("é".encode(), b"e")
    runtime.stop.set()
    await task
asyncio.run(main())
heavy = {"cryptography", "asn1crypto", "smartcard", "gateway.envelope"} & set(sys.modules)
memory = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS")]
print(sorted(heavy), int(memory[0].split()[1]))
"""
    told = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), str(free_port())], capture_output=True, text=True, timeout=60
    )
    assert told.returncode == 0, told.stderr
    heavy, memory = told.stdout.strip().rsplit(" ", 1)
    assert heavy == "[]"
    assert int(memory) < 45_000

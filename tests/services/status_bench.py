"""A status service on a real loopback socket, over a board of the real book, and the card it asks.

The card service at the other end of ``unlock.sock`` is a script: what it is asked is what matters here.
"""

from __future__ import annotations

import asyncio
import html
import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from made_up_board import MadeUp, made_up_day
from pin_scan import CODE

from gateway.book.moves import utc_now
from gateway.card.condition import Condition
from gateway.config import Paths
from gateway.fichier import State
from gateway.leds import LAMPS, make_folder
from gateway.process.runtime import Runtime
from gateway.services import status
from gateway.services.status import StatusSettings, run

ROOT, OTHER_ROOT = "ab" * 32, "cd" * 32
PAGES = ("/", "/fichiers", "/lots", "/factures", "/retours")
API = ("status", "fichiers", "lots", "factures", "returns")


@dataclass
class Card:
    """The script of a card service: what it says of each card, and what it was asked.

    A code that is to be typed on the reader is typed once ``typed`` is set.
    """

    views: list[dict[str, Any]] = field(default_factory=list)
    typed: threading.Event = field(default_factory=threading.Event)
    answer: dict[str, Any] = field(default_factory=lambda: {"ok": True})
    asked: list[dict[str, Any]] = field(default_factory=list)
    gone: bool = False

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (line := await reader.readline()) and not self.gone:
            ask = json.loads(line)
            self.asked.append(ask)
            if ask.get("pin") == "":
                await asyncio.to_thread(self.typed.wait, 10)
            first = self.views[0] if self.views else NOBODY
            pending = {**first, "cards": self.views}
            writer.write(json.dumps(pending if ask["op"] == "pending" else self.answer).encode() + b"\n")
            await writer.drain()
        writer.close()

    def wait_for(self, fichier: str, tries: int = 3, pad: bool = False) -> None:
        """A card in the reader, and one fichier to sign."""
        item = {"fichier": fichier, "count": 41, "total": 231840, "lots": 3, "emitter": "751012345", "holders": []}
        self.views = [_view("Dr Élise Martin", "4321", ROOT, [item], tries, pad)]

    def and_for(self, fichier: str, tries: int = 3, pad: bool = False) -> None:
        """A second card in a reader of its own, and one fichier that is hers to sign."""
        item = {"fichier": fichier, "count": 7, "total": 9900, "lots": 1, "emitter": "751012345", "holders": []}
        self.views.append(_view("Dr Paul Durand", "8765", OTHER_ROOT, [item], tries, pad))

    def keep(self, which: int = 0, until: str = "23:30") -> None:
        """The code of a card is kept, and it has nothing left to sign."""
        self.views[which] |= {"items": [], "policy": f"until {until}", "until": until}
        self.views[which]["card"] |= {"state": "ready", "code": "", "text": "Carte prête."}

    @property
    def unlocks(self) -> list[dict[str, Any]]:
        return [ask for ask in self.asked if ask["op"] != "pending"]


def _view(holder: str, serial: str, root: str, items: list[dict[str, Any]], tries: int, pad: bool) -> dict[str, Any]:
    locked = Condition(
        "locked", "CPS-LOCKED", "Carte insérée : le code porteur est attendu.", holder, serial, tries, "2028-01-01",
        pad=pad,
    )  # fmt: skip
    return {"card": asdict(locked), "root": root, "items": items, "policy": "this-batch", "until": None}


NOBODY: dict[str, Any] = {
    "card": asdict(Condition("absent", "CPS-ABSENT", "Aucune carte dans le lecteur : insérez la carte CPS.")),
    "root": ROOT, "items": [], "policy": "this-batch", "until": None,
}  # fmt: skip


@dataclass
class Service:
    """The running service and all around it."""

    port: int
    paths: Paths
    made: MadeUp
    card: Card
    leds: Path

    def ask(
        self, path: str, method: str = "GET", body: bytes | None = None, **headers: str
    ) -> tuple[http.client.HTTPResponse, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response, response.read().decode()

    def page(self, path: str, status: int = 200) -> str:
        response, text = self.ask(path)
        assert response.status == status, text
        return html.unescape(text).replace("\u00a0", " ")

    def api(self, name: str, status: int = 200) -> Any:
        response, text = self.ask(f"/api/v1/{name}")
        assert response.status == status, text
        return json.loads(text)

    def forms(self) -> list[dict[str, str]]:
        """What each form of the first page sends unasked; the code is empty where there is one to type."""
        found = re.findall(r'<form method="post".*?</form>', self.ask("/")[1], re.DOTALL)
        hidden = r'type="hidden" name="(\w+)" value="([^"]*)"'
        return [dict(re.findall(hidden, form)) | ({"code": ""} if 'name="code"' in form else {}) for form in found]

    def sign(self, origin: str | None = "same", which: int = 0, **fields: str) -> tuple[http.client.HTTPResponse, str]:
        """Submit a form of the first page, as a browser would, with changed fields."""
        form = self.forms()[which]
        typed = {"code": CODE} if "code" in form else {}
        return self.submit("/signature", {**form, **typed, **fields}, origin)

    def submit(
        self, path: str, form: dict[str, str], origin: str | None = "same"
    ) -> tuple[http.client.HTTPResponse, str]:
        """Send a form as a browser would, from a page of ours or of another ``origin``."""
        headers = {"content_type": "application/x-www-form-urlencoded"}
        if origin is not None:
            headers["origin"] = f"http://127.0.0.1:{self.port}" if origin == "same" else origin
        return self.ask(path, "POST", urlencode(form).encode(), **headers)

    def burning(self) -> set[str]:
        return {name for name in LAMPS if (self.leds / name / "brightness").read_text() == "1"}

    def eventually(self, check: Callable[[], bool]) -> None:
        end = time.monotonic() + 10
        while not check():
            assert time.monotonic() < end
            time.sleep(0.05)


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setattr(status, "POLL", 0.05)
    paths = Paths(state=tmp_path, runtime=tmp_path / "run")
    made, card, leds = MadeUp(tmp_path, paths.board), Card(), tmp_path / "leds"
    make_folder(leds)
    paths.socket("unlock").parent.mkdir(parents=True)
    listener = socket.create_server(("127.0.0.1", 0))
    ready = threading.Event()
    running: list[tuple[asyncio.AbstractEventLoop, Runtime]] = []

    async def main() -> None:
        runtime = Runtime("status", {"status": listener})
        runtime.ready = ready.set  # type: ignore[method-assign]
        running.append((asyncio.get_running_loop(), runtime))
        server = await asyncio.start_unix_server(card.converse, paths.socket("unlock"))
        await run(runtime, paths, StatusSettings(leds=leds))
        server.close()  # not waiting for its connections, which the service keeps

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    assert ready.wait(10)
    made.now = utc_now()
    yield Service(listener.getsockname()[1], paths, made, card, leds)
    loop, runtime = running[0]
    loop.call_soon_threadsafe(runtime.stop.set)
    thread.join(10)
    assert not thread.is_alive()
    made.close()


@pytest.fixture
def day(service: Service, monkeypatch: pytest.MonkeyPatch) -> dict[State, str]:
    """A made-up day, seen at its own hour."""
    monkeypatch.setattr("made_up_board.NOW", utc_now())
    return made_up_day(service.made)

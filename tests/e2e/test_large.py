"""A quarter of a gigabyte all the way, from the outbox to the receipt: no process grows with it."""

from __future__ import annotations

import hashlib
import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import samples
from pin_scan import CODE
from stage import BOX, Stage
from stage_root import stage_root

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

SIZE = 256 << 20
MEMORY = 100 << 20
NAME = "imagerie.pdf"
PATIENCE = 120.0


class Watch:
    """The peak resident memory of each service's processes, short-lived children too, looked at until told to end."""

    def __init__(self, stage: Stage) -> None:
        self._stage, self._ended = stage, threading.Event()
        self.peaks: dict[str, int] = {}

    def run(self) -> None:
        while not self._ended.wait(0.02):
            for name in (*BOX, "concentrator"):
                for place, pid in enumerate(family(self._stage.processes[name].pid)):
                    key = f"{name}{' (child)' if place else ''}"
                    self.peaks[key] = max(self.peaks.get(key, 0), peak(pid))

    @contextmanager
    def looking(self) -> Iterator[None]:
        thread = threading.Thread(target=self.run)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()


def family(pid: int) -> Iterator[int]:
    """A process, then its descendants that are there now."""
    yield pid
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                yield from family(int(child))


def peak(pid: int) -> int:
    """Bytes; 0 when the process is gone."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    return 0


def opened_by_openssl(stage: Stage, directory: Path) -> str:
    """SHA-256 of what the concentrator got, opened and verified by openssl alone."""
    pki, signed, content = stage.pki, directory / "signed", directory / "content"
    (sealed,) = (stage.oct / "received").iterdir()
    anchors = directory / "anchors.pem"
    anchors.write_bytes((pki / "root.pem").read_bytes() + (pki / "crl/all.pem").read_bytes())
    for words in (
        ["-decrypt", "-in", sealed, "-out", signed, "-recip", pki / "oct-seal.pem", "-inkey", pki / "oct-seal.key"],
        ["-verify", "-binary", "-in", signed, "-out", content, "-CAfile", anchors, "-purpose", "any", "-crl_check_all"],
    ):
        subprocess.run(["openssl", "cms", "-inform", "DER", *words], check=True, capture_output=True)
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def test_no_process_grows_with_a_fichier(tmp_path: Path) -> None:
    content = samples.scanned(SIZE)
    expected = hashlib.sha256(content).hexdigest()
    with stage_root() as root, Stage(root, settings={"intake": {"max_bytes": SIZE}}, pin=CODE) as stage:
        stage.prepare()
        stage.start_reader()
        stage.insert_card()
        stage.start()
        stage.wait(lambda: stage.ask("/api/v1/status"), "the page")
        watch = Watch(stage)
        with watch.looking():
            stage.hand_over(NAME, content)
            stage.wait(lambda: stage.pending()["items"], "the card to be asked", PATIENCE)
            stage.wait(lambda: stage.pending()["card"]["state"] == "locked", "the card")
            assert stage.unlock()["ok"]
            stage.await_states({NAME: "INTEGRATED"}, PATIENCE)
            receipts = stage.paths.practice / "receipts"
            stage.wait(lambda: any(told(path) == "INTEGRATED" for path in receipts.glob("*.json")), "its receipt")
        assert {"card (child)", "keeper (child)", "concentrator (child)"} <= watch.peaks.keys()
        print({name: f"{size >> 20} MiB" for name, size in watch.peaks.items()})
        assert {name: size for name, size in watch.peaks.items() if size > MEMORY} == {}
        assert opened_by_openssl(stage, tmp_path) == expected


def told(receipt: Path) -> str:
    state: str = json.loads(receipt.read_text(encoding="utf-8"))["state"]
    return state

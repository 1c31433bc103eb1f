"""A practice at work while its services die by SIGKILL, and the count of what came of it."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.error import HTTPError, URLError

import samples
from stage import BOX, SERVICES, Stage
from stage_root import CODE

from gateway.book.inspection import Authority, inspect
from gateway.concentrator.schema import open_reading
from gateway.process.keyring import read_certificates
from tests.power.mortal import INSTANTS

MORTAL = Path(__file__).with_name("mortal.py")


@dataclass
class Outcome:
    """What was found at both ends."""

    kills: Counter[str] = field(default_factory=Counter)
    integrated: Counter[str] = field(default_factory=Counter)
    """At the concentrator: how often each fichier was integrated."""
    states: dict[str, str] = field(default_factory=dict)
    """At the box, by name."""
    signatures: Counter[str] = field(default_factory=Counter)
    """Committed, by fichier."""
    inbox: list[bytes] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)
    """What the box's journal, or the OCT's witness of it, found wrong."""
    unwanted: list[str] = field(default_factory=list)
    """Instants that were wanted and never reached."""


def wanted_lines(times: int) -> Iterable[str]:
    """Every instant, before and after, ``times`` times."""
    for service, instants in INSTANTS.items():
        for instant in instants:
            for side in ("before", "after"):
                yield f"{service}:{instant}:{side} {times}\n"


def run_kills(root: Path, fichiers: int, times: int, seconds: float, large: int = 1) -> Outcome:
    """Send ``fichiers`` B2 files (every eighth faulty) and ``large`` documents through dying services."""
    wanted, kills = root / "wanted", root / "kills"
    root.mkdir(parents=True, exist_ok=True)
    wanted.write_text("".join(wanted_lines(times)))

    def mortal(name: str, command: list[str]) -> list[str]:
        return [sys.executable, str(MORTAL), str(wanted), str(kills), *command[command.index("gateway") + 1 :]]

    contents = {f"b2-{n}": samples.faulty_b2(n) if n % 8 == 7 else samples.b2(n, (2,)) for n in range(1, fichiers + 1)}
    contents |= {f"doc-{n}.pdf": samples.scanned(3 << 20, n) for n in range(large)}
    settings = {"forward": {"sync_kb": 64, "window": 2}}
    with Stage(root, settings=settings, wrap=mortal, pin=CODE) as stage:
        stage.prepare()
        stage.start_reader()
        stage.insert_card()
        stage.start()
        over = threading.Event()
        crew = [threading.Thread(target=work, args=(stage, over)) for work in (_restart, _type_pin)]
        for thread in crew:
            thread.start()
        try:
            _feed(stage, contents, wanted, seconds)
            _settle(stage, contents, seconds)
        finally:
            over.set()
            for thread in crew:
                thread.join()
        return _count(stage, wanted, kills)


def _restart(stage: Stage, over: threading.Event) -> None:
    """systemd's part: whatever died is started again."""
    while not over.is_set():
        for name in SERVICES:
            if not stage.alive(name):
                stage.processes.pop(name, None)
                stage.start(name)
        time.sleep(0.02)


def _type_pin(stage: Stage, over: threading.Event) -> None:
    """The practitioner's part: the PIN for whatever is shown."""
    while not over.is_set():
        with suppress(OSError, HTTPError, URLError, KeyError, ValueError):
            told = stage.pending()
            if told["items"] and told["card"]["state"] == "locked":
                stage.unlock()
        time.sleep(0.2)


def _feed(stage: Stage, contents: dict[str, bytes], wanted: Path, seconds: float) -> None:
    """Hand over a little at a time, so that deaths are spread over fichiers."""
    end = time.monotonic() + seconds
    for number, (name, content) in enumerate(contents.items()):
        stage.hand_over(name, content)
        while number - _done(stage) > 4 and time.monotonic() < end:
            time.sleep(0.1)


def _done(stage: Stage) -> int:
    with suppress(FileNotFoundError):
        return sum(state in ("INTEGRATED", "REFUSED") for state in stage.states().values())
    return 0


def _settle(stage: Stage, contents: dict[str, bytes], seconds: float) -> None:
    expected = {name: "REFUSED" if _faulty(name) else "INTEGRATED" for name in contents}
    stage.await_states(expected, seconds)
    returns = 2 * sum(name.startswith("b2-") and not _faulty(name) for name in contents)
    stage.wait(lambda: len(_inbox(stage)) >= returns, f"{returns} returns in the inbox", seconds)
    stage.wait(lambda: all(row["picked"] for row in stage.board.returns(10_000)), "the pick-ups", seconds)


def _faulty(name: str) -> bool:
    return name.startswith("b2-") and int(name.removeprefix("b2-")) % 8 == 7


def _inbox(stage: Stage) -> list[Path]:
    return [path for path in (stage.paths.practice / "inbox").iterdir() if path.is_file()]


def _altered(stage: Stage) -> list[str]:
    """The journal is whole, was signed and countersigned, and the OCT never saw it cut or rewritten."""
    trust = stage.paths.trust
    authority = Authority(*(read_certificates(trust / name) for name in ("root.pem", "chain.pem")))
    found = inspect(stage.paths.journal, authority, datetime.now(UTC), stage.paths.book / "book.db")
    with closing(open_reading(stage.oct / "concentrator.db")) as connection:
        alarms = [row["code"] for row in connection.execute("SELECT code FROM alarms WHERE code > 'OCT-012'")]
    unsigned = [] if found.receipts and found.signed_to["evidence"] else ["nothing was countersigned"]
    return [*(finding.text for finding in found.findings), *alarms, *unsigned]


def _count(stage: Stage, wanted: Path, kills: Path) -> Outcome:
    for name in BOX:
        if stage.alive(name):
            stage.end(name)
    outcome = Outcome(states=stage.states())
    outcome.kills = Counter(line.split()[0] for line in kills.read_text().splitlines())
    outcome.integrated = Counter(row["fichier"] for row in stage.integrated() if row["verdict"] == "integrated")
    for row in stage.board.rows("SELECT fichier, text FROM events"):
        if json.loads(row["text"])["verb"] == "sign":
            outcome.signatures[row["fichier"]] += 1
    outcome.altered = _altered(stage)
    outcome.inbox = [path.read_bytes() for path in _inbox(stage)]
    outcome.unwanted = wanted.read_text().splitlines()
    return outcome

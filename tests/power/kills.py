"""A practice at work while its services die by SIGKILL, and the count of what came of it."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

import samples
from pin_scan import CODE
from stage import BOX, SERVICES, Stage

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
    """In force, by fichier."""
    doubled: list[str] = field(default_factory=list)
    """Signed while a signature was in force."""
    void: Counter[str] = field(default_factory=Counter)
    """Signatures no longer in force, by fichier."""
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


@dataclass
class Dying:
    """A practice whose services die when an instant of the file ``wanted`` is reached, and are started again."""

    stage: Stage
    wanted: Path
    kills: Path
    services: set[str] = field(default_factory=lambda: set(SERVICES))
    """Those that are started again."""
    crew: list[threading.Thread] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def begin(self) -> None:
        """Start the services, and somebody who types the code for whatever is shown."""
        self.crew = [threading.Thread(target=work, args=(self,)) for work in (_restart, _type_pin)]
        for thread in self.crew:
            thread.start()

    def rest(self) -> None:
        """Nothing is started or typed any more."""
        self.over.set()
        for thread in self.crew:
            thread.join()


@contextmanager
def dying(root: Path, lines: Iterable[str], settings: Mapping[str, Mapping[str, Any]]) -> Iterator[Dying]:
    """A stage with a card in its reader, whose services will die as ``lines`` say."""
    root.mkdir(parents=True, exist_ok=True)
    wanted, kills = root / "wanted", root / "kills"
    wanted.write_text("".join(lines))
    kills.touch()

    def mortal(name: str, command: list[str]) -> list[str]:
        return [sys.executable, str(MORTAL), str(wanted), str(kills), *command[command.index("gateway") + 1 :]]

    with Stage(root, settings=settings, wrap=mortal, pin=CODE) as stage:
        stage.prepare()
        stage.start_reader()
        stage.insert_card()
        at_work = Dying(stage, wanted, kills)
        try:
            yield at_work
        finally:
            at_work.rest()


def run_kills(root: Path, fichiers: int, times: int, seconds: float, large: int = 1) -> Outcome:
    """Send ``fichiers`` B2 files (every eighth faulty) and ``large`` documents through dying services."""
    contents = {f"b2-{n}": samples.faulty_b2(n) if n % 8 == 7 else samples.b2(n, (2,)) for n in range(1, fichiers + 1)}
    contents |= {f"doc-{n}.pdf": samples.scanned(3 << 20, n) for n in range(large)}
    with dying(root, wanted_lines(times), {"forward": {"sync_kb": 64, "window": 2}}) as at_work:
        at_work.begin()
        _feed(at_work.stage, contents, at_work.wanted, seconds)
        _settle(at_work.stage, contents, seconds)
        at_work.rest()
        return count(at_work)


def _restart(at_work: Dying) -> None:
    """systemd's part: whatever died is started again."""
    stage = at_work.stage
    while not at_work.over.is_set():
        for name in (each for each in SERVICES if each in at_work.services):
            if not stage.alive(name):
                stage.processes.pop(name, None)
                stage.start(name)
        time.sleep(0.02)


def _type_pin(at_work: Dying) -> None:
    """The practitioner's part: the PIN for whatever is shown."""
    stage = at_work.stage
    while not at_work.over.is_set():
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


def count(at_work: Dying) -> Outcome:
    """What was found at both ends; the services end."""
    stage = at_work.stage
    for name in BOX:
        if stage.alive(name):
            stage.end(name)
    outcome = Outcome(states=stage.states())
    outcome.kills = Counter(line.split()[0] for line in at_work.kills.read_text().splitlines())
    outcome.integrated = Counter(row["fichier"] for row in stage.integrated() if row["verdict"] == "integrated")
    for row in stage.board.rows("SELECT fichier, text FROM events ORDER BY fichier, seq"):
        _count_signature(outcome, row["fichier"], json.loads(row["text"]))
    outcome.altered = _altered(stage)
    outcome.inbox = [path.read_bytes() for path in _inbox(stage)]
    outcome.unwanted = at_work.wanted.read_text().splitlines()
    return outcome


def _count_signature(outcome: Outcome, fichier: str, fact: dict[str, Any]) -> None:
    """A fichier that has a signature is given no other before that one is void."""
    if fact["verb"] == "sign":
        outcome.doubled += [fichier] * outcome.signatures[fichier]
        outcome.signatures[fichier] += 1
    elif "signature" in fact:  # withdrawn, or refused by the OCT and resent
        outcome.signatures[fichier] -= 1
        outcome.void[fichier] += 1

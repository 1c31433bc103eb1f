"""Ten years of a practice with its OCT, on real parts and a clock that jumps: what happens when, and what was seen.

A ``Decade`` is a stage whose services go by a ``FakedClock``; ``live`` lets time pass in steps of some weeks, and in
each of them a fichier goes all the way: handed over, signed, sent, receipted, acknowledged, paid.  What the OCT, the
authorities, the time stamping authority and the issuer of cards do in ten years is in ``EVENTS``.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import samples
from cryptography import x509
from faked_clock import FakedClock, clear_after
from later_pki import TWO_YEARS, LaterPki
from local_tsa import LocalTsa
from stage import BOX, DOCTOR, Stage

from gateway.config import write_toml
from gateway.envelope.box_keys import KEYS
from gateway.process.keyring import read_certificates

DAYS = 3653
STEP = timedelta(days=40)
LISTS_DAYS = 45
PATIENCE = 90.0


class Decade(Stage):
    """The practice, the OCT and everybody whose certificates they live by."""

    def begin(self) -> None:
        """Enrolled, with a card in the reader and a time stamping authority."""
        self.clock = FakedClock(self.root / "clock")
        self.born = self.clock.now()
        self.wrap = lambda name, command: self.clock.command(command)
        self.steps: list[float] = []
        self.left: dict[str, float] = {}
        self.sizes: dict[int, dict[str, int]] = {}
        self.contents: dict[str, bytes] = {}
        self.tsa = LocalTsa(self.root / "tsa", days=400, now=self.clock.now, command=self.clock.command)
        self.card, self.number = DOCTOR, 0
        self.events, self.reached = calendar(self.born), 0

    def enter(self) -> None:
        """The first day."""
        self.prepare()
        self.later = LaterPki(self.pki)
        self.later.publish(self.clock.now(), LISTS_DAYS)
        self.start_reader()
        self.start_oct(enrolment={"crl_days": LISTS_DAYS})
        self.wait(lambda: (self.oct / "enrolment-port").exists(), "the listener of enrolments")
        self.insert_card()
        self.await_card()
        done = self.enrol()
        assert done.returncode == 0, done.stderr
        shutil.copy(self.tsa.folder / "ca.pem", self.paths.trust / "tsa.pem")
        self.switch_on()

    # -- machines

    def switch_on(self) -> None:
        """The box, in the morning or after a power cut."""
        self.start(*BOX)
        self.wait(lambda: self.ask("/api/v1/status"), "the page")

    def cut(self) -> None:
        """The power goes."""
        for name in BOX:
            pid = self.processes[name].pid
            self.kill(name)
            clear_after(pid)

    def start_oct(self, **changes: Any) -> None:
        """The OCT begins again with other settings; ``enrolment`` is changed, not replaced."""
        document = tomllib.loads(self.config.read_text(encoding="utf-8"))
        section = document["concentrator"]
        section["enrolment"] |= changes.pop("enrolment", {})
        section |= changes
        self.config.write_text(write_toml(document), encoding="utf-8")
        self.start("concentrator")

    def chain(self, *later: Path) -> list[str]:
        """The settings' intermediates with later ones."""
        known: list[str] = tomllib.loads(self.config.read_text(encoding="utf-8"))["concentrator"]["chain"]
        return [*known, *map(str, later)]

    def change_card(self, issuer: str) -> None:
        """The practitioner's next card lies in the reader."""
        self.number += 1
        self.card = self.later.card(DOCTOR, self.number, issuer, self.clock.now())
        self.pull_card()
        self.await_card(False)
        self.insert_card(self.card)
        self.await_card()

    # -- time

    def pass_(self, time_: timedelta, *, lists: bool = True) -> None:
        """So much time passes; the authorities publish meanwhile, unless they do not."""
        self.clock.pass_(time_)
        if lists:
            self.later.publish(self.clock.now(), LISTS_DAYS)

    @property
    def day(self) -> int:
        """Days since the first."""
        return (self.clock.now() - self.born).days

    @property
    def year(self) -> int:
        """Years since the first day, begun."""
        return self.day * 4 // 1461 + 1

    # -- work

    def hand_in(self) -> str:
        """A fichier of the day, checked; its name."""
        name = self.put_in(self.clock.now())
        self.await_states({name: "CHECKED"}, PATIENCE)
        return name

    def put_in(self, day: datetime) -> str:
        """A fichier of that day lies in the outbox; its name."""
        serial = len(self.contents) + 1
        name = f"f{serial:04d}.b2"
        self.contents[name] = samples.b2(serial, (2, 1), day.date())
        self.hand_over(name, self.contents[name])
        return name

    def type_pin(self) -> None:
        """All the practitioner does."""
        self.wait(lambda: (told := self.pending())["items"] and told["card"]["state"] == "locked", "card", PATIENCE)
        assert self.unlock()["ok"]

    def follow(self, name: str) -> None:
        """Until it is paid."""
        self.await_states({name: "INTEGRATED"}, PATIENCE)
        self.wait(lambda: self._paid(name), f"the payment of {name}", PATIENCE)

    def _paid(self, name: str) -> bool:
        query = "SELECT amo_state FROM factures JOIN fichiers ON id = fichier WHERE fichiers.name = ?"
        states = [row["amo_state"] for row in self.board.rows(query, name)]
        lots = [lot for lot in self.board.lots() if lot["fichier"] == self.row(name)["id"]]
        return bool(states) and set(states) == {"P"} and all(lot["arl"] == "positive" for lot in lots)

    def row(self, name: str) -> dict[str, Any]:
        """A fichier as the board shows it."""
        (found,) = self.board.rows("SELECT * FROM fichiers WHERE name = ?", name)
        return dict(found)

    def work(self) -> str:
        """One fichier all the way."""
        began = time.monotonic()
        name = self.hand_in()
        self.type_pin()
        self.follow(name)
        self.steps.append(time.monotonic() - began)
        self.look()
        return name

    def look(self) -> frozenset[str]:
        """What the ladder says now; what lies there, and how long certificates last, is noted."""
        for name in (*(row.name for row in KEYS), "oct-seal", "oct-sign"):
            end = x509.load_der_x509_certificate(self.trusts(name)[0]).not_valid_after_utc
            days = (end - self.clock.now()) / timedelta(days=1)
            self.left[name] = min(days, self.left.get(name, days))
        self.sizes[self.year] = self.measure()
        return frozenset(code for code in self.conditions().values() if code)

    def conditions(self) -> dict[str, str]:
        """The codes of the ladder by name."""
        return {row["name"]: row["code"] for row in self.board.rows("SELECT name, code FROM conditions")}

    # -- what lies there

    def measure(self) -> dict[str, int]:
        """Bytes by directory."""
        state = self.paths.state
        places = {path.name: path for path in sorted(state.iterdir())} | {"trust": self.paths.trust}
        places |= {"keys": self.paths.keys, "cabinet": self.paths.practice, "OCT": self.oct}
        return {name: weigh(path) for name, path in places.items()}

    @contextmanager
    def book(self) -> Iterator[sqlite3.Connection]:
        """The book, to be read."""
        with closing(sqlite3.connect(f"file:{self.paths.book / 'book.db'}?mode=ro", uri=True, timeout=30)) as opened:
            opened.row_factory = sqlite3.Row
            yield opened

    def count(self, query: str) -> int:
        """One number out of the book."""
        with self.book() as book:
            return int(book.execute(query).fetchone()[0])

    def journal(self, verb: str) -> list[dict[str, Any]]:
        """The evidence rows of a verb."""
        with self.book() as book:
            rows = [json.loads(row[0]) for row in book.execute("SELECT text FROM journal ORDER BY seq")]
        return [row for row in rows if row["verb"] == verb]

    # -- what others do in ten years

    def live(self, until: int) -> None:
        """Let time pass up to a day, with a fichier in each step and all that happens on its day."""
        while self.day < until:
            due = min(day for day in (*self.events, DAYS * 2) if day > self.reached)
            self.pass_(min(STEP, timedelta(days=max(0, min(until, due) - self.day))))
            if self.day >= due:
                self.reached = due
                for act in self.events[due]:
                    act(self)
            self.work()

    def renew_oct(self, issuer: str) -> None:
        """The OCT gets new certificates and keys while a fichier that is sealed to the old one waits for it."""
        self.end("concentrator")
        name = self.hand_in()
        self.type_pin()
        self.await_states({name: "SEALED"}, PATIENCE)
        self.replace_oct(issuer)
        self.follow(name)
        self.wait(lambda: self.trusts("oct-seal") == self.trusted(self.pki / "oct-seal.pem"), "the OCT's certificate")

    def replace_oct(self, issuer: str, days: int = TWO_YEARS) -> None:
        """The OCT, which was ended, begins again with new certificates and keys; the seal key before them is kept."""
        former = {kind: str(self.pki / f"oct-seal-before.{kind}") for kind in ("pem", "key")}
        for kind, path in former.items():
            shutil.copy(self.pki / f"oct-seal.{kind}", path)
        for one in ("oct-seal", "oct-sign", "oct-transport"):
            self.later.again(one, issuer, self.clock.now(), days)
        self.start_oct(former_seals=[{"certificate": former["pem"], "key": former["key"]}])

    def announce_sectors(self, number: int, root: str) -> None:
        """New sector authorities, below a root; nothing under them is used yet."""
        names = ("sante", "oct", "boites")
        before = [name if number == 2 else f"{name}-{number - 1}" for name in names]
        files = [self.later.sector(f"{name}-{number}", old, root, self.clock.now())
                 for name, old in zip(names, before, strict=True)]  # fmt: skip
        self.later.authorities[f"boites-{number}"].lists = True
        self.announce(*files)

    def announce_root(self) -> None:
        """A new root, which the old one signed, and new sector authorities below it."""
        self.announce(self.later.root("root-2", "root", self.clock.now()))
        self.announce_sectors(3, "root-2")

    def announce(self, *files: Path) -> None:
        """The OCT begins again and tells of authorities; the box puts them in force."""
        self.later.publish(self.clock.now(), LISTS_DAYS)
        self.end("concentrator")
        self.start_oct(chain=self.chain(*files))
        self.await_authorities(*files)

    def await_authorities(self, *files: Path) -> None:
        """Until the box knows them, and has their lists."""
        known = [one for path in (self.pki / "root.pem", *files) if "link" not in path.name
                 for one in self.trusted(path)]  # fmt: skip
        self.wait(lambda: {*known} <= {*self.trusts("root"), *self.trusts("chain")}, "the authorities", PATIENCE)
        self.wait(lambda: not self.conditions()["lists-over"], "their lists", PATIENCE)

    def change_boxes_authority(self, number: int) -> None:
        """Boxes are certified by the next authority; the list of the one before goes on."""
        old, new = ("boites" if number == 2 else f"boites-{number - 1}"), f"boites-{number}"
        self.later.authorities[new].lists = False
        self.later.hand_list(new, self.clock.now(), LISTS_DAYS, self.oct / f"{new}.crl")
        former = {"certificate": self._certificate(old), "key": str(self.pki / f"ca/{old}.key"),
                  "crl": str(self.oct / f"{old}.crl")}  # fmt: skip
        now = {"authority_certificate": self._certificate(new), "authority_key": str(self.pki / f"ca/{new}.key"),
               "crl": str(self.oct / f"{new}.crl")}  # fmt: skip
        self.end("concentrator")
        self.start_oct(enrolment={**now, "former": [former]})

    def _certificate(self, name: str) -> str:
        return str(self.pki / f"chains/{name}.pem")

    def withhold_lists(self) -> None:
        """No authority publishes for 52 days: it is said, nothing is signed, and all goes on afterwards."""
        self.pass_(timedelta(days=42), lists=False)
        self.work()
        self.wait(lambda: "LST-011" in self.conditions().values(), "the warning", PATIENCE)
        self.pass_(timedelta(days=10), lists=False)
        self.wait(lambda: "LST-012" in self.conditions().values(), "the lists to be over", PATIENCE)
        name = self.hand_in()
        self.type_pin()
        time.sleep(3)
        assert self.states()[name] == "CHECKED"
        self.later.publish(self.clock.now(), LISTS_DAYS)
        self.follow(name)

    def lose_clock(self) -> None:
        """A power cut, and the clock's battery is dead: 1970, until somebody sets it."""
        self.cut()
        right, signed = self.clock.now(), len(self.journal("sign"))
        self.clock.set(datetime(1970, 1, 1, 0, 5, tzinfo=UTC))
        self.switch_on()
        name = self.put_in(right)
        self.await_states({name: "RECEIVED"}, PATIENCE)
        self.wait(lambda: "CLK-001" in self.conditions().values(), "the word on the clock", PATIENCE)
        time.sleep(3)
        assert self.states()[name] == "RECEIVED" and not self.pending()["items"]
        self.clock.set(right + timedelta(minutes=10))
        self.await_states({name: "CHECKED"}, PATIENCE)
        self.type_pin()
        self.follow(name)
        assert len(self.journal("sign")) == signed + 1

    def close_for_a_season(self) -> None:
        """The box is switched off for 75 days: longer than anything that it knows vouches for its clock."""
        for name in BOX:
            self.end(name)
        self.pass_(timedelta(days=75))
        self.switch_on()

    def live_at(self, moment: datetime, step: timedelta) -> None:
        """A fichier at that moment, and another a step later."""
        for time_ in (moment - self.clock.now(), step):
            self.pass_(time_)
            self.work()

    # -- what is in force

    def trusts(self, name: str) -> list[bytes]:
        """The certificates in a file of the box's trust."""
        return self.trusted(self.paths.trust / f"{name}.pem")

    @staticmethod
    def trusted(path: Path) -> list[bytes]:
        """The certificates of a file, DER."""
        return list(read_certificates(path))


EVENTS: dict[int, tuple[Callable[[Decade], object], ...]] = {
    560: (lambda life: life.renew_oct("oct"),),
    620: (lambda life: life.change_card("sante"),),
    1000: (Decade.withhold_lists,),
    1160: (lambda life: life.renew_oct("oct"),),
    1620: (lambda life: life.change_card("sante"),),
    1650: (Decade.lose_clock,),
    1700: (lambda life: life.announce_sectors(2, "root"),),
    1760: (lambda life: life.renew_oct("oct-2"),),
    1800: (lambda life: life.change_boxes_authority(2),),
    2100: (Decade.close_for_a_season,),
    2360: (lambda life: life.renew_oct("oct-2"),),
    2560: (lambda life: life.change_card("sante-2"),),
    2900: (Decade.announce_root,),
    2960: (lambda life: life.renew_oct("oct-3"),),
    3000: (lambda life: life.change_boxes_authority(3),),
    3500: (lambda life: life.change_card("sante-3"), lambda life: life.renew_oct("oct-3")),
    **{day: (lambda life: life.tsa.renew(),) for day in range(365, 3700, 365)},
}
"""What happens on which day.  The sector authorities of the first day end on day 2650."""


def calendar(born: datetime) -> dict[int, tuple[Callable[[Decade], object], ...]]:
    """``EVENTS``, and the days that the calendar of the years after ``born`` has: the clocks of Paris go back and
    forward, and a 29 February."""
    found = dict(EVENTS)
    days = [born.replace(hour=0, minute=30) + timedelta(days=n) for n in range(200, 3000)]
    back, forward = (next(day for day in days if turns(day) == hours) for hours in (-1, 1))
    leaps = (day for day in days if (day.month, day.day) == (2, 29))
    leap = next(day for day in leaps if not any(0 <= (day - born).days - one <= 100 for one in (990, 2090)))
    for moment, step in ((back, timedelta(hours=1)), (forward, timedelta(hours=1)), (leap, timedelta(days=1))):
        number = (moment - born).days
        found[number] = (*found.get(number, ()), partial(Decade.live_at, moment=moment, step=step))
    return found


def turns(day: datetime) -> int:
    """By how many hours the clocks of Paris go forward on that day."""
    paris = [day.replace(hour=hour, minute=0).astimezone(ZoneInfo("Europe/Paris")) for hour in (0, 12)]
    before, after = (one.utcoffset() or timedelta(0) for one in paris)
    return round((after - before) / timedelta(hours=1))


def weigh(path: Path) -> int:
    """Bytes of all files below."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with suppress(FileNotFoundError):  # taken meanwhile
                total += (Path(folder) / name).stat().st_size
    return total

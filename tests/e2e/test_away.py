"""A box that was away for a year, and then for more than its own certificates last; nobody told it anything meanwhile.

In the first year the OCT goes on to other sector authorities and then to another root, each announced while the box was
off.  What can mend itself does so when the line is back; what cannot is said, and one enrolment mends it.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from decade import PATIENCE, Decade
from faked_clock import LIBRARY
from pin_scan import CODE
from stage import BOX
from stage_root import stage_root

from gateway.concentrator.schema import open_reading

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

PAYER_S = 120.0
OCT_DAYS = 300
"""What the OCT signed with in the beginning has ended when the box is back."""
NOTICE, QUIET = timedelta(days=65), timedelta(days=150)


class Away(Decade):
    """A practice with its OCT; what the OCT announces while the box is off waits for it."""

    told = 0
    """How many announcements wait."""

    @property
    def root_mark(self) -> str:
        """The fingerprint of the first root, as the OCT prints it with a code."""
        return hashlib.sha256(self.trusted(self.pki / "root.pem")[0]).hexdigest()

    def await_authorities(self, *files: Path) -> None:
        """Nobody is there to hear of them; the OCT has said it."""
        self.await_oct()

    def await_oct(self) -> None:
        """Until the OCT has announced what is new, and made anew what waits."""
        sign = hashlib.sha256(self.trusted(self.pki / "oct-sign.pem")[0]).hexdigest()

        def done() -> bool:
            with closing(open_reading(self.oct / "concentrator.db")) as store:
                rows = store.execute("SELECT signer, kind FROM mailbox WHERE delivered = ''").fetchall()
            told = sum(row["kind"] == "trust" for row in rows)
            return told > self.told and {row["signer"] for row in rows} == {sign}

        self.wait(done, "the OCT's word", PATIENCE)
        self.told += 1

    def sign(self, name: str, state: str) -> None:
        """The practitioner signs; the fichier comes to a state."""
        self.type_pin()
        self.await_states({name: state}, PATIENCE)

    def settle(self, *names: str) -> None:
        """Until all are paid; hours may pass, in which the box tries what it put off."""
        end = time.monotonic() + PATIENCE
        while not all(self.row(name)["state"] == "INTEGRATED" and self._paid(name) for name in names):
            assert time.monotonic() < end, ([self.row(name) for name in names], self.conditions())
            time.sleep(5)
            self.pass_(timedelta(hours=1), lists=False)

    def leave(self) -> None:
        """The box is switched off."""
        for name in {*BOX} & {*self.processes}:
            self.end(name)

    def go_on(self, issuer: str) -> None:
        """After the time of notice the OCT uses what it announced."""
        self.pass_(NOTICE)
        self.end("concentrator")
        self.replace_oct(issuer)
        self.await_oct()


@pytest.fixture(scope="module")
def box() -> Iterator[Away]:
    """It is back after a year, with a fichier that was sealed before, and returns that it had not fetched."""
    assert LIBRARY.exists(), "apt install faketime"
    settings = {"forward": {"lists_s": 5.0, "lists_soon_s": 1.0}}
    with (
        stage_root() as root,
        Away(root, enrolled=True, settings=settings, pin=CODE, payer={"delay_s": PAYER_S}) as made,
    ):
        made.begin()
        made.enter()
        made.end("concentrator")
        made.replace_oct("oct", OCT_DAYS)
        made.sign(first := made.hand_in(), "INTEGRATED")
        made.settle(first)
        made.sign(made.hand_in(), "INTEGRATED")
        made.end("forward")
        made.sign(made.hand_in(), "SEALED")
        made.leave()
        made.pass_(QUIET)
        made.announce_sectors(2, "root")
        made.go_on("oct-2")
        made.change_boxes_authority(2)
        made.pass_(QUIET)
        made.announce_root()
        made.go_on("oct-3")
        made.switch_on()
        yield made


def taken(box: Away) -> Counter[str]:
    """What the OCT integrated, by digest."""
    with closing(open_reading(box.oct / "concentrator.db")) as store:
        rows = store.execute("SELECT digest FROM verdicts WHERE verdict = 'integrated'").fetchall()
        assert store.execute("SELECT sum(doubles) FROM verdicts").fetchone()[0] == 0
    return Counter(row["digest"] for row in rows)


def test_after_a_year_everything_mends_itself(box: Away) -> None:
    waiting = [name for name in box.contents if name != "f0001.b2"]
    assert box.conditions()["clock"] in ("", "CLK-003")
    box.settle(*waiting)
    with closing(open_reading(box.oct / "concentrator.db")) as store:
        told = store.execute("SELECT count(*) FROM mailbox WHERE kind = 'trust' AND delivered <> ''").fetchone()[0]
    assert told == 1 + box.told == 6, "one when it was enrolled and five while it was away, none left out"
    box.wait(lambda: box.trusts("oct-seal") == box.trusted(box.pki / "oct-seal.pem"), "the certificate", PATIENCE)
    assert len(box.trusts("root")) == 2
    assert box.journal("learn authorities") and box.journal("refuse announcement") == []
    assert taken(box) == {hashlib.sha256(one).hexdigest(): 1 for one in box.contents.values()}
    assert box.count("SELECT count(*) FROM returns WHERE kind = 'unread'") == 0
    kinds = box.count("SELECT count(*) FROM returns WHERE kind IN ('arl', 'rsp')")
    box.wait(lambda: len(list((box.paths.practice / "inbox").glob("[!.]*"))) == kinds, "the inbox")
    names = [path.name for path in (box.paths.practice / "inbox").glob("[!.]*")]
    assert not [name for name in names if name.endswith(".1")], "nothing came twice"


def test_and_it_works_on(box: Away) -> None:
    box.pass_(timedelta(days=1))
    box.sign(name := box.hand_in(), "INTEGRATED")
    box.settle(name)
    assert {code for code in box.conditions().values() if code} <= {"CPS-LOCKED", "KEY-CERT-90"}


def test_after_its_certificates_have_ended_it_says_what_to_do_and_one_command_mends_it(box: Away) -> None:
    box.leave()
    box.pass_(timedelta(days=400))
    box.end("concentrator")
    box.replace_oct("oct-3")
    box.pass_(timedelta(days=400))
    box.switch_on()
    name = box.put_in(box.clock.now())
    box.wait(lambda: box.conditions()["clock"] == "CLK-003" and box.conditions()["oct"] == "KEY-CERT-0", "the words")
    rows = {row["name"]: row["text"] for row in box.board.rows("SELECT name, text FROM conditions")}
    assert "gateway enrol … --again" in rows["clock"] and "a expiré" in rows["oct"]
    told = box.ask("/api/v1/status")
    assert told["level"] == "fault" and "gateway enrol … --again" in json.dumps(told, ensure_ascii=False)
    box.change_card("sante-3")
    done = box.enrol("--again")
    assert done.returncode == 0, done.stderr
    box.await_states({name: "CHECKED"}, PATIENCE)
    box.sign(name, "INTEGRATED")
    box.settle(name)
    assert taken(box) == {hashlib.sha256(one).hexdigest(): 1 for one in box.contents.values()}
    assert {code for code in box.conditions().values() if code} <= {"CPS-LOCKED"}

"""A line below an authority that the box does not know, on real parts: what proves itself is learned by itself.

The concentrator is a process that shows its new certificates; nothing is said to it before the box knows who made them.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import ssl
import tomllib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from development_pki import Pki
from later_pki import LaterPki
from line_certificates import DAY, make_list

from gateway.envelope.box_keys import LINE
from gateway.process import keyring
from gateway.process.enrolment import pem
from gateway.services.keeper.returns import take_arrived
from tests.services.test_forward_lists import Box, gone, start
from tests.services.test_keeper_renewals import KeyBench

AGO = timedelta(days=90)
IDENTIFIER, OF_AUTHORITY = b"\x06\x03\x55\x1d\x0e", b"\x06\x03\x55\x1d\x23"
"""OIDs of two extensions: a certificate that has the second twice is none."""


class Away(KeyBench, Box):
    """An enrolled box that comes back to an OCT which went on without it."""

    def begin(self) -> None:
        self.later = LaterPki(self.pki.directory)
        self.was = self.now - AGO
        self.enrol()
        self.open()
        for file in (self.stage.paths.trust / "crl").iterdir():
            file.unlink()

    def line_below(self, authority: str, *announced: Path) -> None:
        """The OCT's line is below that authority since, its lists are on offer, and it runs."""
        self.later.again("oct-transport", authority, self.was)
        self.later.publish(self.now, 30)
        self.later.hand_list("boites", self.now, 30, self.root / "boites.crl")
        chain = [*sorted((self.pki.directory / "chains").glob("*.pem")), *announced]
        (partner,) = tomllib.loads(self.stage.config.read_text(encoding="utf-8"))["concentrator"]["partners"]
        partner |= {"client_name": f"CABINET1 {LINE}"}
        lists = [self.pki.directory / "crl/all.pem", self.root / "boites.crl"]
        self.configure(crls=list(map(str, lists)), chain=list(map(str, dict.fromkeys(chain))), partners=[partner])
        start(self.stage)

    def trusts(self, name: str) -> tuple[bytes, ...]:
        return keyring.read_certificates(self.stage.paths.trust / f"{name}.pem")

    def der(self, name: str) -> bytes:
        return self.later.authorities[name].certificate.public_bytes(Encoding.DER)


@pytest.fixture
def box(pki: Pki, tmp_path: Path) -> Iterator[Away]:
    made = Away(tmp_path / "s", Pki(shutil.copytree(pki.directory, tmp_path / "pki")))
    made.begin()
    with made.stage:
        yield made


def test_an_authority_that_our_root_made_is_learned_and_then_its_list(box: Away) -> None:
    box.line_below("oct-2", box.later.sector("oct-2", "oct", "root", box.was))
    key = box.offer_one()
    assert box.turn_line()["oct"] == "CMS-031"
    assert box.der("oct-2") in box.trusts("chain")
    assert len(box.told("", "learn authorities")) == 1
    assert box.turn_line()["oct"] == "CMS-037", "known, and no list of it yet: lists alone are fetched"
    assert (box.row(key)["state"], box.known("transfers")) == ("SEALED", 0)
    assert box.turn_line()["oct"] == ""
    assert gone(box, key)


def test_roots_that_were_missed_are_believed_one_after_the_other(box: Away) -> None:
    links = [box.later.root(f"root-{n}", before, box.was) for n, before in ((2, "root"), (3, "root-2"))]
    box.line_below("oct-3", box.later.sector("oct-3", "oct", "root-3", box.was), *links)
    key = box.offer_one()
    codes = [box.turn_line()["oct"] for _ in range(4)]
    assert codes[0] in ("PES-TLS", "CMS-031")
    assert box.trusts("root") == tuple(box.der(name) for name in ("root", "root-2", "root-3"))
    assert box.der("oct-3") in box.trusts("chain")
    assert (codes[1], codes[-1], gone(box, key)) == ("CMS-037", "", True)
    assert len(box.told("", "learn authorities")) == 1


def test_a_root_that_nobody_vouches_for_is_told_nothing(box: Away) -> None:
    box.later.root("root-2", "root", box.was).unlink()
    box.line_below("oct-2", box.later.sector("oct-2", "oct", "root-2", box.was))
    key, before = box.offer_one(), keyring.generation(box.stage.paths)
    assert {box.turn_line()["oct"] for _ in range(3)} == {"PES-TLS"}
    assert (keyring.generation(box.stage.paths), box.desk.arrived.names()) == (before, [])
    assert (box.row(key)["state"], box.known("transfers")) == ("SEALED", 0)
    assert box.told("", "learn authorities") == []


def test_an_authority_that_the_root_revoked_meanwhile_is_told_nothing_more(box: Away) -> None:
    """It is known by its root, and by the root's list."""
    box.line_below("oct-2", box.later.sector("oct-2", "oct", "root", box.was))
    crl = make_list(box.pki, "root", box.now, number=1 << 40, revoked=[box.der("oct-2")])
    (box.stage.paths.trust / "crl/root.crl").write_bytes(crl)
    key = box.offer_one()
    assert [box.turn_line()["oct"] for _ in range(3)] == ["CMS-031", "CMS-036", "CMS-036"]
    assert (box.row(key)["state"], box.known("transfers")) == ("SEALED", 0)


def test_only_what_follows_an_authority_of_ours_is_learned_from_a_stranger(box: Away) -> None:
    """Another sector of the same root would owe us lists that nobody brings."""
    below = box.later.sector("oct-2", "oct", "root", box.was)
    other = box.later.sector("sante-2", "sante", "root", box.was)
    names = ("oct", "boites")  # it knows no authority of practitioners
    (box.stage.paths.trust / "chain.pem").resolve().write_bytes(pem(*map(box.der, names)))
    box.open()
    content = b"".join(path.read_bytes() for path in (below, other)) + b"-----BEGIN CERTIFICATE-----\nAAAA\n"
    twice = box.der("oct-2").replace(IDENTIFIER, OF_AUTHORITY, 1)  # of what OpenSSL lets through
    broken = ssl.DER_cert_to_PEM_cert(twice).encode()
    for shown in (content, b"", b"\0" * 100, broken + below.read_bytes() + other.read_bytes()):
        box.desk.arrived.put(f"authorities.{hashlib.sha256(shown).hexdigest()}", shown)
        asyncio.run(take_arrived(box.desk))
    assert box.desk.arrived.names() == []
    assert box.der("oct-2") in box.trusts("chain") and box.der("sante-2") not in box.trusts("chain")


def test_a_clock_that_is_behind_learns_nothing(box: Away) -> None:
    below, now = box.later.sector("oct-2", "oct", "root", box.was), box.now
    for shown_at, learned in ((now - 30 * 365 * DAY, False), (now, True)):
        box.now = shown_at
        box.desk.arrived.put(f"authorities.{'0' * 64}", below.read_bytes())
        asyncio.run(take_arrived(box.desk))
        assert (box.der("oct-2") in box.trusts("chain")) is learned

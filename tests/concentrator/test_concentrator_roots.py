"""Enrolment while one root follows another: by which root, and what the box believes after it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from development_pki import Pki
from enrolment_bench import PARTNER, EnrolmentBench, make_enrolment_bench
from later_pki import LaterPki
from renewal_bench import RenewalBench

from gateway.concentrator.boxes import Boxes, note_told
from gateway.envelope.certificates import load_certificates
from gateway.errors import Refused
from gateway.process.enrolment import Accepted, accept

OCT, BOXES = ("oct-seal", "oct-sign", "oct-transport"), "boites-2"


class Following:
    """A concentrator whose settings know a second root, and authorities below it that are not in use yet."""

    def __init__(self, pki: Pki, folder: Path) -> None:
        self.pki = Pki(shutil.copytree(pki.directory, folder / "pki"))
        self.enrolment: EnrolmentBench = make_enrolment_bench(self.pki, folder)
        self.later, self.now = LaterPki(self.pki.directory), self.enrolment.bench.now
        self.link = self.later.root("root-2", "root", self.now)
        files = [self.link, *(self.later.sector(f"{name}-2", name, "root-2", self.now) for name in ("oct", "boites"))]
        self.change(chain=(*self.enrolment.bench.settings.chain, *files))
        self.later.publish(self.now, 30)

    def change(self, **settings: object) -> None:
        bench = self.enrolment.bench
        bench.settings = replace(bench.settings, **settings)  # type: ignore[arg-type]

    def move_oct(self) -> None:
        """The OCT's own certificates stand below the new root now."""
        for name in OCT:
            self.later.again(name, "oct-2", self.now)

    def move_boxes(self) -> None:
        """So do those that boxes get."""
        self.later.hand_list(BOXES, self.now, 30, self.enrolment.folder / "boites-2.crl")
        own = {"authority_certificate": self.pki.directory / f"chains/{BOXES}.pem",
               "authority_key": self.pki.directory / f"ca/{BOXES}.key",
               "crl": self.enrolment.folder / "boites-2.crl"}  # fmt: skip
        settings = self.enrolment.bench.settings
        listed = (*settings.crls, settings.enrolment.crl)
        self.change(enrolment=replace(settings.enrolment, **own), crls=listed)  # type: ignore[arg-type]

    def root(self, name: str) -> bytes:
        return self.later.authorities[name].certificate.public_bytes(Encoding.DER)

    def enrol(self) -> Accepted:
        """As the box does it with the root that the OCT names."""
        self.enrolment.add_code()
        signed = self.enrolment.sign(self.enrolment.request())
        server = self.pki.certificate("oct-transport")
        return accept(signed, self.enrolment.desk.answer(signed), self.root("root"), server, self.now)


@pytest.fixture
def following(pki: Pki, tmp_path: Path) -> Iterator[Following]:
    made = Following(pki, tmp_path)
    yield made
    made.enrolment.store.close()


def test_at_each_step_a_box_is_enrolled_and_believes_what_is_in_use(following: Following) -> None:
    """The OCT first, then the authority of the boxes; the practitioners' own stays where it is."""
    both = [following.root(name) for name in ("root", "root-2")]
    for move in (lambda: None, following.move_oct, following.move_boxes):
        move()
        files = following.enrol().files
        assert load_certificates(files["root.pem"]) == both
        chain = load_certificates(files["chain.pem"])
        assert load_certificates(following.link.read_bytes())[0] not in chain and not {*both} & {*chain}
        assert following.root("oct-2") in chain


def test_the_authority_of_the_boxes_may_go_first(following: Following) -> None:
    following.move_boxes()
    assert len(load_certificates(following.enrol().files["root.pem"])) == 2


def test_without_the_link_nothing_of_the_new_root_is_believed(following: Following) -> None:
    settings = following.enrolment.bench.settings
    following.change(chain=tuple(path for path in settings.chain if path != following.link))
    assert load_certificates(following.enrol().files["root.pem"]) == [following.root("root")]
    following.move_oct()
    with pytest.raises(Refused, match="CMS-031"):
        following.enrol()


def test_who_is_enrolled_again_is_told_again(enrolled: RenewalBench) -> None:
    """On another machine it has nothing of what was announced to the first one."""
    boxes = Boxes(enrolled.store)
    note_told(enrolled.store.connection, PARTNER, "0" * 64)
    assert boxes.told(PARTNER)
    enrolled.enrol()
    assert not boxes.told(PARTNER)

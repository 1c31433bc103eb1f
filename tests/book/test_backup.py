"""Backup and restore on real files: what is sealed, what comes back, what is refused."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from development_pki import Pki

from gateway.book.backup import (
    MANIFEST,
    Manifest,
    Member,
    member,
    member_file,
    read_backup,
    read_manifest,
    write_backup,
)
from gateway.book.doors import Door
from gateway.book.moves import Book
from gateway.book.parts import Parts
from gateway.book.restore import JUMP, Place, restore
from gateway.envelope.algorithms import PrivateKey
from gateway.envelope.box_keys import BY_NAME
from gateway.envelope.issuing import Asked, authority_of, issue
from gateway.envelope.seal import Opened, seal
from gateway.errors import Refused
from gateway.fichier import State, Verb

MANIFESTED = Manifest("box-0001", "2026-11-23T08:00:00Z", 17)


def sealed(content: bytes, *recipients: bytes) -> bytes:
    out = io.BytesIO()
    seal(io.BytesIO(content), len(content), out, recipients)
    return out.getvalue()


def opened(pki: Pki, content: bytes, name: str) -> bytes:
    return Opened(io.BytesIO(content), pki.certificate(name), pki.key(name)).read(1 << 20)


def written(recovery: bytes, *members: Member) -> bytes:
    out = io.BytesIO()
    write_backup(members, out, recovery)
    return out.getvalue()


@dataclass
class Lost:
    """A box as it was, and where the new one will be."""

    root: Path
    pki: Pki

    def __post_init__(self) -> None:
        for name in ("old/parts", "book", "parts", "new", "keys"):
            (self.root / name).mkdir(parents=True)
        self.old = Parts(self.root / "old/parts")
        self.book = Book(self.root / "old/book.db")
        self.sealed_to(self.pki.certificate("recovery"))

    def sealed_to(self, recovery: bytes) -> None:
        """From now on the box seals to this recovery certificate."""
        self.recovery_certificate = recovery

    def to(self, *names: str) -> list[bytes]:
        others = [self.pki.certificate(name) for name in names if name != "recovery"]
        return [*others, *([self.recovery_certificate] if "recovery" in names else [])]

    def fichier(self, name: str, *verbs: Verb) -> None:
        columns = {"name": f"{name}.b2", "channel": "folder", "received": name, "size": 7, "digest": ""}
        part = self.old.add_bytes(sealed(f"content of {name}".encode(), *self.to("box-seal", "recovery")))
        with self.book.transaction():
            self.book.receive(name, columns, part)
            for verb in verbs:
                self.book.move(name, verb, {}, **({"seal": "3", "seals": 3} if verb is Verb.SEAL else {}))

    def returned(self, *recipients: str) -> None:
        part = self.old.add_bytes(sealed(b"an RSP", *self.to(*recipients)))
        self.book.connection.execute(
            "INSERT INTO returns (id, kind, name, about, at, arrived, delivery, size)"
            " VALUES (?, 'rsp', 'r', '', '', '', ?, 6)", (f"id {recipients}", part.digest),
        )  # fmt: skip

    def saved(self) -> bytes:
        return written(
            self.recovery_certificate,
            member(MANIFEST, MANIFESTED.to_bytes()),
            member_file("book.db", self.root / "old/book.db"),
            member("settings.toml", b"[keeper]"),
            member("years/2026.salt", b"salt"),
            member("secrets/fichier-ids.key", b"00ff"),
            member("new/fichier." + "a" * 32, sealed(b"at the door", *self.to("box-seal", "recovery"))),
            member("new/picked." + "b" * 64 + ".1", b"{}"),
            *(member_file(f"parts/{path.name}", path) for path in self.old.path.iterdir()),
        )

    @property
    def recovery(self) -> list[PrivateKey]:
        return [self.pki.key("recovery")]

    @property
    def place(self) -> Place:
        """The new box's keys are others: here oct-seal for fichiers and box-delivery for returns."""
        fichiers = [self.pki.certificate(name) for name in ("oct-seal", "recovery")]
        returns = [self.pki.certificate(name) for name in ("box-delivery", "recovery")]
        root = self.root
        return Place(root / "book", root / "parts", root / "new", lambda name: root / "keys" / name, fichiers, returns)


@pytest.fixture
def lost(tmp_path: Path, pki: Pki) -> Lost:
    return Lost(tmp_path, pki)


TO_SEALED = (Verb.CHECK, Verb.SIGN, Verb.SEAL)
LIVES = {
    "checked": (Verb.CHECK,), "sealed": TO_SEALED, "sent": (*TO_SEALED, Verb.SEND),
    "taken": (*TO_SEALED, Verb.SEND, Verb.INTEGRATE),
}  # fmt: skip


def test_everything_comes_back_sealed_to_the_new_box_and_what_was_on_its_way_goes_again(lost: Lost, pki: Pki) -> None:
    for name, verbs in LIVES.items():
        lost.fichier(name, *verbs)
    lost.book.close()
    restored = restore(io.BytesIO(lost.saved()), lost.recovery, lost.place)
    assert (restored.fichiers, set(restored.again), restored.lost) == (4, {"sealed", "sent"}, 0)
    assert restored.manifest == MANIFESTED
    book, parts = Book(lost.root / "book/book.db"), Parts(lost.root / "parts")
    states = {row["id"]: (row["state"], row["seals"]) for row in book.connection.execute("SELECT * FROM fichiers")}
    assert states == {
        "checked": (State.CHECKED, JUMP), "sealed": (State.SIGNED, 3 + JUMP), "sent": (State.SIGNED, 3 + JUMP),
        "taken": (State.INTEGRATED, 3 + JUMP),
    }  # fmt: skip
    for name in LIVES:
        bytes_ = parts.open(book.part(name, "received").digest).read()
        assert opened(pki, bytes_, "oct-seal") == opened(pki, bytes_, "recovery") == f"content of {name}".encode()
    door = Door(lost.root / "new")
    assert opened(pki, door.read("fichier." + "a" * 32, 9999), "oct-seal") == b"at the door"
    assert door.read("picked." + "b" * 64 + ".1", 9) == b"{}"
    assert (lost.root / "keys/fichier-ids.key").read_bytes() == b"00ff"
    book.close()
    assert {path.name for path in (lost.root / "book").iterdir()} == {"book.db", "settings.toml", "years"}
    assert (lost.root / "book/years/2026.salt").read_bytes() == b"salt"


def test_returns_come_back_for_the_practice_and_those_that_cannot_be_opened_are_counted(lost: Lost, pki: Pki) -> None:
    lost.returned("box-delivery", "recovery")
    lost.returned("box-delivery")
    lost.book.close()
    assert restore(io.BytesIO(lost.saved()), lost.recovery, lost.place).lost == 1
    book = Book(lost.root / "book/book.db")
    (digest,) = book.connection.execute("SELECT delivery FROM returns ORDER BY length(id) DESC").fetchone()
    assert opened(pki, (lost.root / "parts" / digest).read_bytes(), "box-delivery") == b"an RSP"
    book.close()


def again(pki: Pki, key: ec.EllipticCurvePrivateKey) -> bytes:
    """Another certificate (DER) for a recovery key, as a renewal gives it, or for another key."""
    now, sector = (
        datetime(2026, 11, 1, tzinfo=UTC),
        authority_of(pki.certificate("chains/boites"), pki.key("ca/boites")),
    )
    return issue(sector, BY_NAME["recovery"], Asked(key.public_key(), ()), "CABINET1", "box-0001", now)


def test_a_recovery_key_opens_what_was_sealed_to_any_certificate_that_it_had(lost: Lost, pki: Pki) -> None:
    """The certificate was renewed between two fichiers, and the box that knew the new one is lost."""
    key = pki.key("recovery")
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    lost.fichier("before", Verb.CHECK)
    lost.sealed_to(again(pki, key))
    lost.fichier("after", Verb.CHECK)
    lost.returned("box-delivery", "recovery")
    lost.book.close()
    restored = restore(io.BytesIO(lost.saved()), [key], lost.place)
    assert (restored.fichiers, restored.lost) == (2, 0)
    book, parts = Book(lost.root / "book/book.db"), Parts(lost.root / "parts")
    for name in ("before", "after"):
        copy = parts.open(book.part(name, "received").digest).read()
        assert opened(pki, copy, "oct-seal") == f"content of {name}".encode()
    book.close()


def test_after_an_enrolment_anew_both_recovery_keys_are_needed_and_it_says_so(lost: Lost, pki: Pki) -> None:
    new = ec.generate_private_key(ec.SECP384R1())
    lost.fichier("before", Verb.CHECK)
    lost.sealed_to(again(pki, new))
    lost.fichier("after", Verb.CHECK)
    lost.book.close()
    saved = lost.saved()
    with pytest.raises(Refused, match="autre clé de recours") as caught:
        restore(io.BytesIO(saved), [new], lost.place)
    assert caught.value.code == "BAK-007"
    assert not list((lost.root / "book").glob("book.db"))
    assert restore(io.BytesIO(saved), [new, pki.key("recovery")], lost.place).fichiers == 2


def test_a_box_that_has_fichiers_is_left_as_it_is(lost: Lost) -> None:
    lost.fichier("one")
    lost.book.close()
    saved = lost.saved()
    restore(io.BytesIO(saved), lost.recovery, lost.place)
    before = (lost.root / "book/book.db").read_bytes()
    with pytest.raises(Refused, match="déjà un livre") as caught:
        restore(io.BytesIO(saved), lost.recovery, lost.place)
    assert caught.value.code == "BAK-004"
    assert (lost.root / "book/book.db").read_bytes() == before


def test_another_key_and_a_flipped_byte_restore_nothing(lost: Lost, pki: Pki) -> None:
    lost.fichier("one")
    lost.book.close()
    saved = bytearray(lost.saved())
    with pytest.raises(Refused):
        restore(io.BytesIO(saved), [pki.key("box-seal")], lost.place)
    saved[len(saved) // 2] ^= 1
    with pytest.raises(Refused, match="altéré"):
        restore(io.BytesIO(saved), lost.recovery, lost.place)
    assert not list((lost.root / "book").iterdir())
    assert not list((lost.root / "keys").iterdir())


STRANGE = {
    "not a backup": [member("new/x.1", b"")],
    "no book": [member(MANIFEST, MANIFESTED.to_bytes())],
    "a part before the book": [member(MANIFEST, MANIFESTED.to_bytes()), member("parts/" + "0" * 64, b"x")],
    "a path of its own": [member(MANIFEST, MANIFESTED.to_bytes()), member("../../etc/passwd", b"x")],
    "another version": [member(MANIFEST, replace(MANIFESTED, v=2).to_bytes())],
}


@pytest.mark.parametrize("members", STRANGE.values(), ids=STRANGE)
def test_what_is_sealed_to_the_practice_but_is_no_backup_is_refused(lost: Lost, members: list[Member]) -> None:
    with pytest.raises(Refused) as caught:
        restore(io.BytesIO(written(lost.recovery_certificate, *members)), lost.recovery, lost.place)
    assert caught.value.code == "BAK-001"
    assert not list((lost.root / "book").iterdir())


def test_any_tar_reads_what_is_sealed(pki: Pki, tmp_path: Path) -> None:
    """The practice needs our program to open nothing: openssl and tar do."""
    backup = written(
        pki.certificate("recovery"), member(MANIFEST, MANIFESTED.to_bytes()), member("parts/" + "1" * 64, b"x" * 1000)
    )
    (tmp_path / "backup.tar").write_bytes(opened(pki, backup, "recovery"))
    with tarfile.open(tmp_path / "backup.tar") as tar:
        assert {info.name: info.size for info in tar} == {
            MANIFEST: len(MANIFESTED.to_bytes()), "parts/" + "1" * 64: 1000,
        }  # fmt: skip
    members = read_backup(io.BytesIO(backup), [pki.key("recovery")])
    name, file = next(members)
    assert (name, read_manifest(file.read())) == (MANIFEST, MANIFESTED)


def test_a_file_that_changes_meanwhile_is_said(pki: Pki) -> None:
    with pytest.raises(Refused, match="recommencez"):
        written(pki.certificate("recovery"), Member("parts/" + "1" * 64, 10, lambda: io.BytesIO(b"nine byte")))

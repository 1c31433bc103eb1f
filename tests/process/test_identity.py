"""The identity on disk: killed before any change of a file, a box has one generation whole, and can go on."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat
from cryptography.hazmat.primitives.serialization import NoEncryption as Clear
from development_pki import Pki
from power_cut import last_cut, run_until_cut

from gateway.config import Paths
from gateway.envelope.box_keys import BY_NAME, KEYS, SECRETS
from gateway.envelope.requests import mark, new_key
from gateway.errors import Refused
from gateway.process.identity import Identity, destroy, put_private
from gateway.process.keyring import key_file, password_file, read_ring

NAMES = [f"{row.name}.pem" for row in KEYS]


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    made = Paths(keys=tmp_path / "keys", trust=tmp_path / "trust")
    for owner in ("intake", "keeper", "forward", "status"):
        (made.keys / owner).mkdir(parents=True)
    made.trust.mkdir()
    return made


def generation(pki: Pki, suffix: str) -> dict[str, bytes]:
    """Files of a generation; the suffix tells it from another, certificates are what they are."""
    return {name: (pki.directory / name).read_bytes() + suffix.encode() for name in NAMES}


def in_force(paths: Paths) -> set[str]:
    """The suffixes of what services would read now."""
    found = [paths.trust / name for name in NAMES]
    return {path.read_bytes().rpartition(b"-----")[2].decode().strip() for path in found if path.exists()}


def cuts(first: int = 1) -> Iterator[int]:
    number = first
    while number <= 400:
        yield number
        number += 1


def test_killed_at_any_change_a_new_generation_is_whole_or_not_there(paths: Paths, pki: Pki) -> None:
    identity = Identity(paths)
    identity.install("first", generation(pki, "first"), {"a.crl": b"1"})
    assert in_force(paths) == {"first"}
    names = ["first"]
    for cut in cuts():
        new = f"new{cut}"

        def install(new: str = new) -> None:
            Identity(paths).install(new, generation(pki, new), {"a.crl": new.encode()})

        run_until_cut(cut, install)
        found = in_force(paths)
        assert found in ({names[-1]}, {new}), "one generation and no other"
        install()
        assert in_force(paths) == {new}
        names.append(new)
        if last_cut():
            break
    assert 20 < cut < 400, "every change was cut before"


def test_what_was_placed_by_hand_stays_whole_until_the_first_generation_is(paths: Paths, pki: Pki) -> None:
    for cut in cuts():
        for name, content in generation(pki, "placed").items():
            (paths.trust / name).unlink(missing_ok=True)
            (paths.trust / name).write_bytes(content)
        for link in (paths.trust / "current", paths.trust / "generations/new", paths.trust / "generations/placed"):
            link.unlink() if link.is_symlink() else [file.unlink() for file in link.glob("*")]
            link.rmdir() if link.exists() else None
        run_until_cut(cut, lambda: Identity(paths).install("new", generation(pki, "new"), {}))
        assert in_force(paths) in ({"placed"}, {"new"})
        Identity(paths).install("new", generation(pki, "new"), {})
        assert in_force(paths) == {"new"}
        if last_cut():
            break
    assert cut > 20


def test_keys_are_their_owners_alone_and_found_by_their_certificate(paths: Paths, pki: Pki) -> None:
    identity = Identity(paths)
    key = pki.key("box-seal")
    identity.keep_key(BY_NAME["box-seal"], key)  # type: ignore[arg-type]
    identity.keep_password(mark(pki.key("box-transport").public_key()), "secret78")
    identity.make_secrets()
    identity.install("one", generation(pki, ""), {})
    file = key_file(paths, "keeper", "box-seal")
    assert file.name == f"box-seal.{mark(key.public_key())}.key"
    assert password_file(paths).read_text() == "secret78"
    assert {path.stat().st_mode & 0o777 for path in paths.keys.rglob("*.*")} == {0o400}
    assert read_ring(paths, "keeper", "box-seal").pairs[0][0] == pki.certificate("box-seal")


def test_secrets_are_made_once(paths: Paths) -> None:
    Identity(paths).make_secrets()
    before = {secret.name: paths.key(secret.owner, secret.name).read_bytes() for secret in SECRETS}
    Identity(paths).make_secrets()
    assert before == {secret.name: paths.key(secret.owner, secret.name).read_bytes() for secret in SECRETS}
    assert all(len(bytes.fromhex(value.decode())) == 32 for value in before.values())


def test_a_ring_holds_the_keys_of_former_generations(paths: Paths, pki: Pki) -> None:
    """One that was placed by hand first, then one that the box made."""
    clear = pki.key("box-delivery").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, Clear())
    (paths.keys / "keeper/box-seal.key").write_bytes(clear)
    identity = Identity(paths)
    identity.keep_key(BY_NAME["box-seal"], pki.key("box-seal"))  # type: ignore[arg-type]
    (paths.trust / "box-seal.pem").write_bytes((pki.directory / "box-delivery.pem").read_bytes())
    identity.install("new", {"box-seal.pem": (pki.directory / "box-seal.pem").read_bytes()}, {})
    ring = read_ring(paths, "keeper", "box-seal")
    assert [certificate for certificate, _ in ring.pairs] == [
        pki.certificate("box-seal"), pki.certificate("box-delivery")
    ]  # fmt: skip


def made(identity: Identity, pki: Pki) -> dict[str, str]:
    """A key in force, one that its owner made to renew it, one of the enrolment under way: their marks."""
    row, keys = BY_NAME["box-transport"], {"in force": pki.key("box-transport")}
    keys |= {what: new_key(row) for what in ("renewal", "enrolment")}
    marks = {what: mark(key.public_key()) for what, key in keys.items()}
    identity.begin([marks["enrolment"]])
    for what, key in keys.items():
        identity.keep_key(row, key)  # type: ignore[arg-type]
        identity.keep_password(marks[what], "password")
    identity.install("one", generation(pki, ""), {})
    return marks


def left(paths: Paths) -> set[str]:
    return {path.name for path in (paths.keys / "forward").iterdir()}


def files(*marks: str) -> set[str]:
    return {name for one in marks for name in (f"box-transport.{one}.key", f"oct-password.{one}")}


def test_an_enrolment_that_is_given_up_destroys_its_own_keys_and_no_renewal(paths: Paths, pki: Pki) -> None:
    """The certificates of a renewal that was asked for may be on their way: without its key the box would be dead."""
    identity = Identity(paths)
    marks = made(identity, pki)
    (paths.keys / "forward/box-transport.key").write_text("placed by hand")
    identity.await_answer(b"signed")
    identity.give_up()
    assert left(paths) == files(marks["in force"], marks["renewal"]) | {"box-transport.key"}
    assert not (paths.keys / "enrolment").exists()
    identity.give_up()
    assert left(paths) == files(marks["in force"], marks["renewal"]) | {"box-transport.key"}


def test_an_enrolment_in_force_leaves_no_key_of_a_renewal(paths: Paths, pki: Pki) -> None:
    """What lay on the box before may be known to whoever was the reason to enrol it again."""
    identity = Identity(paths)
    marks = made(identity, pki)
    identity.settle()
    assert left(paths) == files(marks["in force"])


def test_given_up_and_killed_at_any_change_no_request_outlives_its_keys(paths: Paths, pki: Pki) -> None:
    identity = Identity(paths)
    for cut in cuts():
        marks = made(identity, pki)
        identity.await_answer(b"signed")
        run_until_cut(cut, identity.give_up)
        assert Identity(paths).pending is None or files(marks["enrolment"]) <= left(paths)
        if last_cut():
            break
        Identity(paths).give_up()
        assert not files(marks["enrolment"]) & left(paths)
    assert cut > 5


def test_nothing_is_destroyed_through_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("not ours")
    link.symlink_to(target)
    with pytest.raises(OSError, match="symbolic"):
        destroy(link)
    assert target.read_text() == "not ours"
    put_private(tmp_path / "secret", b"x" * 100)
    destroy(tmp_path / "secret")
    assert not (tmp_path / "secret").exists()


def test_a_request_under_way_is_kept_until_it_is_settled(paths: Paths) -> None:
    identity = Identity(paths)
    assert identity.pending is None
    identity.await_answer(b"signed")
    assert Identity(paths).pending == b"signed"
    assert (paths.keys / "enrolment").stat().st_mode & 0o777 == 0o700
    identity.settle()
    assert identity.pending is None


def test_without_the_directories_of_owners_nothing_is_begun(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="BOX-008"):
        Identity(Paths(keys=tmp_path, trust=tmp_path)).check_owners()


def test_the_cut_is_a_real_kill(tmp_path: Path) -> None:
    assert run_until_cut(1, lambda: (tmp_path / "never").write_text("x")) == -signal.SIGKILL
    assert not (tmp_path / "never").exists()
    assert os.getpid()

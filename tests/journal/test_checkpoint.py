"""Checkpoints: OpenSSL verifies them alone and inside a fichier's signature; only what is proven is believed."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import subprocess
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from development_pki import Pki

from gateway.envelope import der, oids
from gateway.envelope.signed import read_signed, sign_with_key, signed_size, write_signed
from gateway.errors import Refused
from gateway.journal.checkpoint import (
    MOST_STEPS,
    Carried,
    Checkpoint,
    Step,
    check_steps,
    pack_carried,
    read_carried,
    read_checkpoint,
    sign_checkpoint,
)
from gateway.journal.merkle import Frontier, complete_root, consistency, leaf_hash

AT = datetime(2026, 11, 23, 6, 45, 12, tzinfo=UTC)
ROWS = [hashlib.sha256(bytes([n])).digest() for n in range(40)]


def node(level: int, number: int) -> bytes:
    return complete_root([leaf_hash(row) for row in ROWS[number << level : (number + 1) << level]])


def root(size: int) -> bytes:
    frontier = Frontier()
    for row in ROWS[:size]:
        frontier.add(row)
    return frontier.root()


def checkpoint(size: int) -> Checkpoint:
    return Checkpoint(
        "box-0001", "evidence", 3, size, root(size).hex(), ROWS[size - 1].hex(), "2026-11-23T06:45:12Z", "ab" * 32
    )


def steps(*sizes: int) -> tuple[Step, ...]:
    return tuple(Step(size, root(size), tuple(consistency(size, after, node))) for size, after in pairwise(sizes))


@pytest.fixture
def signed(pki: Pki) -> bytes:
    chain = [pki.certificate("chains/boites")]
    return sign_checkpoint(checkpoint(40), AT, pki.certificate("box-sign"), pki.key("box-sign"), chain)


def openssl_verify(pki: Pki, cms: bytes, folder: Path) -> bytes:
    path, trusted = folder / "signed.der", folder / "trusted.pem"
    path.write_bytes(cms)
    trusted.write_bytes(b"".join((pki.directory / name).read_bytes() for name in ("root.pem", "crl/all.pem")))
    command = ["openssl", "cms", "-verify", "-inform", "DER", "-in", path, "-binary", "-purpose", "any"]
    return subprocess.run([*command, "-CAfile", trusted, "-crl_check_all"], check=True, capture_output=True).stdout


def test_openssl_verifies_a_checkpoint(pki: Pki, signed: bytes, tmp_path: Path) -> None:
    assert openssl_verify(pki, signed, tmp_path) == checkpoint(40).to_bytes()
    told, content = read_checkpoint(signed)
    assert told == checkpoint(40) and content.signature.certificate == pki.certificate("box-sign")
    assert told.digest == hashlib.sha256(told.to_bytes()).hexdigest()


def test_a_touched_checkpoint_is_refused(pki: Pki) -> None:
    signed = sign_checkpoint(checkpoint(40), AT, pki.certificate("box-sign"), pki.key("box-sign"), [])
    for at in range(len(signed)):
        with pytest.raises(Refused):
            read_checkpoint(signed[:at] + bytes([signed[at] ^ 1]) + signed[at + 1 :])


def test_another_text_is_refused(pki: Pki) -> None:
    text, out = b'{"version":9}', io.BytesIO()
    made = sign_with_key(hashlib.sha256(text).digest(), AT, pki.certificate("box-sign"), pki.key("box-sign"))
    write_signed(io.BytesIO(text), len(text), out, made, [])
    with pytest.raises(Refused, match="JRN-010"):
        read_checkpoint(out.getvalue())


def carry(pki: Pki, value: bytes, content: bytes = b"fichier") -> bytes:
    made = sign_with_key(hashlib.sha256(content).digest(), AT, pki.certificate("oct-sign"), pki.key("oct-sign"))
    made, out = dataclasses.replace(made, checkpoint=value), io.BytesIO()
    write_signed(io.BytesIO(content), len(content), out, made, pki.chain)
    assert len(out.getvalue()) == signed_size(len(content), made, pki.chain), "the size is known beforehand"
    return out.getvalue()


def test_it_travels_in_a_signature_that_openssl_verifies_still(pki: Pki, signed: bytes, tmp_path: Path) -> None:
    value = pack_carried(Carried(signed, steps(3, 7, 30, 40)))
    envelope = carry(pki, value)
    assert openssl_verify(pki, envelope, tmp_path) == b"fichier"
    read = read_signed(io.BytesIO(envelope), None, 100)
    assert read.signature.checkpoint == value
    assert read_carried(value) == Carried(signed, steps(3, 7, 30, 40))


def test_the_largest_that_may_be_carried_is_read(pki: Pki, signed: bytes) -> None:
    path = tuple(bytes([n]) * 32 for n in range(24))
    many = tuple(Step(1 << 40 | n, bytes(32), path) for n in range(MOST_STEPS))
    value = pack_carried(Carried(signed, many))
    assert read_signed(io.BytesIO(carry(pki, value)), None, 100).signature.checkpoint == value


def test_any_other_unsigned_attribute_is_refused_still(pki: Pki, signed: bytes) -> None:
    value = pack_carried(Carried(signed, ()))
    envelope = carry(pki, value)
    assert envelope.count(der.oid(oids.CARRIED_CHECKPOINT)) == 1
    other = der.oid(f"{oids.ARC}.1.3")
    with pytest.raises(Refused, match="CMS-006"):
        read_signed(io.BytesIO(envelope.replace(der.oid(oids.CARRIED_CHECKPOINT), other)), None, 100)


def test_steps_that_follow_are_believed() -> None:
    assert check_steps(checkpoint(40), ()) == {40: root(40)}
    sizes = (1, 2, 3, 8, 21, 39, 40)
    assert check_steps(checkpoint(40), steps(*sizes)) == {size: root(size) for size in sizes}


@pytest.mark.parametrize(
    "wrong",
    [
        lambda good: (dataclasses.replace(good[0], root=bytes(32)), *good[1:]),
        lambda good: (dataclasses.replace(good[0], size=4), *good[1:]),
        lambda good: (dataclasses.replace(good[0], path=good[0].path[:-1]), *good[1:]),
        lambda good: (good[1], good[0]),
        lambda good: (good[0], good[0]),
        lambda good: good[:1],
        lambda good: good * 20,
    ],
    ids=["root", "size", "path", "order", "twice", "gap", "many"],
)
def test_steps_that_do_not_follow_are_refused(wrong: object) -> None:
    with pytest.raises(Refused, match="JRN-012"):
        check_steps(checkpoint(40), wrong(steps(3, 30, 40)))  # type: ignore[operator]


STEP = der.sequence(der.integer(0), der.octets(b""), der.octets(b""))


@pytest.mark.parametrize(
    "value",
    [
        b"",
        der.sequence(der.integer(2), der.octets(b""), der.sequence()),
        der.sequence(der.integer(1), der.octets(b""), der.sequence(STEP)),
        der.sequence(der.integer(1), der.octets(bytes(17 << 10)), der.sequence()),
        der.sequence(der.integer(1), der.octets(b""), der.sequence()) + b"\0",
    ],
    ids=["empty", "version", "step", "large", "more"],
)  # fmt: skip
def test_a_malformed_attribute_is_refused(value: bytes) -> None:
    with pytest.raises(Refused):
        read_carried(value)

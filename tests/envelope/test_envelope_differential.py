"""Mutants of seals and signatures, ours and openssl's: what we take, openssl takes, with the same content.

Whatever is not refused by us is given to ``openssl cms``.  Where it disagrees, the reason is a stated one
(``Case.excused``), and openssl itself shows it true of that mutant.  And nothing but ``Refused`` comes out of any.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property

import pytest
from cms_bench import (
    GCM,
    PSS,
    Owner,
    openssl_open,
    openssl_seal,
    openssl_sign,
    openssl_verify,
    sealed,
    signed,
)
from der_mutation import Node, mutant, read

from gateway.envelope import der, oids
from gateway.envelope.algorithms import PrivateKey
from gateway.envelope.seal import Opened
from gateway.envelope.signed import read_signed, sign_with_key, write_signed
from gateway.errors import Refused

CONTENT = b"contenu d'un fichier\n" * 4
MANY = 60_000


@dataclass(frozen=True)
class Message:
    """What somebody sealed to an owner, or what he signed."""

    owner: Owner
    encoded: bytes

    @cached_property
    def tree(self) -> Node:
        return read(self.encoded)


# ---------------------------------------------------------------- seals


def open_by_us(envelope: bytes, owner: Owner) -> bytes:
    """The content; when it is refused, nothing of it came out, nor for the key whose certificate is not at hand."""
    with suppress(Refused):
        assert _open(envelope, None, owner.key) == CONTENT
    return _open(envelope, owner.certificate, owner.key)


def _open(envelope: bytes, certificate: bytes | None, key: PrivateKey) -> bytes:
    out = io.BytesIO()
    try:
        content = Opened(io.BytesIO(envelope), certificate, key)
        while block := content.read():
            out.write(block)
    except Refused:
        assert out.tell() == 0
        raise
    return out.getvalue()


def taken_by(judge: Callable[[bytes, Owner], bytes], envelope: bytes, owner: Owner) -> bytes | None:
    """What openssl reads out of it; None when it refuses."""
    try:
        return judge(envelope, owner)
    except subprocess.CalledProcessError:
        return None


def alone(envelope: bytes) -> Iterator[bytes]:
    """The same seal for each of its recipients alone."""
    reader = der.parse(envelope)
    reader.enter(der.SEQUENCE)
    reader.element(der.OID)
    reader.enter(der.context(0))
    reader.enter(der.SEQUENCE)
    version, infos, content, tag = (reader.element() for _ in range(4))
    for info in der.read_set_of(infos):
        for one in _recipients(info):
            body = der.sequence(version, der.set_of([one]), content, tag)
            yield der.sequence(der.oid(oids.AUTH_ENVELOPED_DATA), der.tlv(der.context(0), body))


def _recipients(info: bytes) -> Iterator[bytes]:
    """One RecipientInfo, or one for each of those to whom it gives a key by agreement."""
    node = read(info)
    keys = node.children[-1].children if node.tag == der.context(1) and node.children else []
    for one in keys:
        node.children[-1].children = [one]
        yield node.encode()
    if not keys:
        yield info


def for_others(envelope: bytes, owner: Owner) -> bool:
    """What is written for others is not looked into (``recipients``, rule 3): without it openssl opens the same."""
    for one in alone(envelope):
        try:
            open_by_us(one, owner)
        except Refused:
            continue
        return taken_by(openssl_open, one, owner) == CONTENT
    return False


def seals(owners: dict[str, Owner]) -> list[Message]:
    """Of each kind of key; by us and by openssl; to one and to all."""
    made = []
    everybody = [word for owner in owners.values() for word in owner.recipient]
    for kind in ("RSA 3072", "P-256", "P-384"):
        owner = owners[kind]
        made += [Message(owner, one) for one in (
            sealed(CONTENT, owner), openssl_seal(CONTENT, GCM, *owner.recipient),
            openssl_seal(CONTENT, GCM, "-keyid", *owner.recipient),
            sealed(CONTENT, *owners.values()), openssl_seal(CONTENT, GCM, *everybody),
        )]  # fmt: skip
    return made


# ---------------------------------------------------------------- signatures


def read_by_us(envelope: bytes, owner: Owner) -> bytes:
    out = io.BytesIO()
    found = read_signed(io.BytesIO(envelope), out, 1 << 20)
    assert found.size == out.tell()
    if found.signature.certificate != owner.certificate:  # all of it was grafted, and is another's
        raise Refused("CMS-017", "C'est un autre qui l'a signé.")
    return out.getvalue()


def beside_it(envelope: bytes, owner: Owner) -> bool:
    """Certificates beside the signer's are looked at where a path is sought, a checkpoint that is joined where the
    journals are witnessed: without them openssl takes the rest."""
    root = read(envelope)
    data = root.children[1].children[0]
    certificates = next(one for one in data.children if one.tag == der.context(0))
    certificates.children = [read(owner.certificate)]
    signer = data.children[-1].children[0]
    signer.children = [one for one in signer.children if one.tag != der.context(1)]
    return taken_by(openssl_verify, root.encode(), owner) == CONTENT == read_by_us(root.encode(), owner)


SIGNERS: tuple[tuple[str, bool, Sequence[str]], ...] = (
    ("RSA 2048", True, ()), ("RSA 3072", False, PSS), ("P-256", False, ()), ("P-384", False, ()),
)  # fmt: skip


def signatures(owners: dict[str, Owner]) -> list[Message]:
    """Of each algorithm; by us and by openssl; with a companion, with a checkpoint."""
    made = []
    for kind, pkcs1, options in SIGNERS:
        owner = owners[kind]
        made += [Message(owner, one) for one in (
            signed(CONTENT, owner, pkcs1=pkcs1), with_checkpoint(owner),
            openssl_sign(CONTENT, "-cades", *owner.signer, *options),
            openssl_sign(CONTENT, "-cades", "-keyid", *owner.signer, *options),
            openssl_sign(CONTENT, "-cades", *owner.signer, *options, "-certfile", owners["RSA 4096"].pem),
        )]  # fmt: skip
    return made


def with_checkpoint(owner: Owner) -> bytes:
    """Signed by us, with an unsigned attribute."""
    digest, at, out = hashlib.sha256(CONTENT).digest(), datetime(2026, 11, 23, tzinfo=UTC), io.BytesIO()
    signature = sign_with_key(digest, at, owner.certificate, owner.key)
    made = replace(signature, checkpoint=der.sequence(der.integer(1), der.octets(b"told")))
    write_signed(io.BytesIO(CONTENT), len(CONTENT), out, made, [])
    return out.getvalue()


# ---------------------------------------------------------------- both


Judge = Callable[[bytes, Owner], bytes]


@dataclass(frozen=True)
class Case:
    """Messages, how we and openssl read them, and why openssl may refuse what we take: shown of each mutant."""

    messages: Callable[[dict[str, Owner]], list[Message]]
    ours: Judge
    theirs: Judge
    excused: Callable[[bytes, Owner], bool]


CASES = {
    "seals": Case(seals, open_by_us, openssl_open, for_others),
    "signatures": Case(signatures, read_by_us, openssl_verify, beside_it),
}


def compare(case: Case, owners: dict[str, Owner], count: int) -> Counter[str]:
    """What became of so many mutants; each that we take has the content, and openssl takes it or it is excused."""
    messages, became = case.messages(owners), Counter[str]()
    trees = [message.tree for message in messages]
    for number in range(count):
        message = messages[number % len(messages)]
        made = mutant(number, message.tree, trees)
        try:
            content = case.ours(made, message.owner)
        except Refused as refusal:
            became[refusal.code] += 1
            continue
        assert content == CONTENT, number
        if made == message.encoded:
            became["as it was"] += 1
        elif taken_by(case.theirs, made, message.owner) == CONTENT:
            became["taken by both"] += 1
        else:
            assert case.excused(made, message.owner), number
            became["excused"] += 1
    return became


@pytest.mark.filterwarnings("ignore")  # pyca's, of certificates that are odd
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_we_take_openssl_takes(owners: dict[str, Owner], case: Case) -> None:
    became = compare(case, owners, 3000)
    assert len(became) > 12 and became["taken by both"] > 20, became


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_we_take_of_very_many_openssl_takes(owners: dict[str, Owner], case: Case) -> None:
    became = compare(case, owners, MANY)
    assert len(became) > 15, became


def test_the_comparison_finds_a_reader_that_is_too_kind(owners: dict[str, Owner]) -> None:
    """One that takes whatever holds the content, and one that gives another content."""
    for ours in (lambda made, owner: CONTENT, lambda made, owner: CONTENT + b"."):
        for case in CASES.values():
            with pytest.raises((AssertionError, Refused)):
                compare(replace(case, ours=ours), owners, 300)

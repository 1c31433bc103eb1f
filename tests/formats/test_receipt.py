"""The OCT's receipt: one writing, every other refused, unknown versions by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.errors import Refused
from gateway.formats.receipt import JournalHead, Receipt, ReceiptLot

RECEIPT = Receipt(
    fichier="0f3c",
    transmission=1,
    seal="1",
    sender="CABINET1",
    verdict="integrated",
    code="",
    text="",
    received_at="2026-08-01T12:00:00Z",
    integrated_at="2026-08-01T12:00:01Z",
    size=2304,
    digest="ab" * 32,
    lots=(ReceiptLot("991038431", "00000001025996", "001", "2025-11-22", 2),),
    original=True,
    journal_head=None,
)
WRITTEN = (
    b'{"code":"","digest":"' + b"ab" * 32 + b'","fichier":"0f3c","integrated_at":"2026-08-01T12:00:01Z",'
    b'"journal_head":null,"lots":[{"date":"2025-11-22","destination":"00000001025996","emitter":"991038431",'
    b'"factures":2,"number":"001"}],"original":true,"received_at":"2026-08-01T12:00:00Z","seal":"1",'
    b'"sender":"CABINET1","size":2304,"text":"","transmission":1,"verdict":"integrated","version":1}'
)


def test_its_one_writing() -> None:
    assert RECEIPT.to_bytes() == WRITTEN
    assert Receipt.from_bytes(WRITTEN) == RECEIPT


def test_a_head_of_the_journal_that_is_countersigned() -> None:
    countersigned = replace(RECEIPT, journal_head=JournalHead(41, "cd" * 32, "2026-08-01T11:59:00Z", "consistent"))
    written = countersigned.to_bytes()
    assert (
        b'"journal_head":{"at":"2026-08-01T11:59:00Z","root":"' + b"cd" * 32 + b'","size":41,"word":"consistent"}'
        in written
    )
    assert Receipt.from_bytes(written) == countersigned
    with pytest.raises(Refused, match="journal_head"):
        Receipt.from_bytes(written.replace(b"consistent", b"whatever"))


@pytest.mark.parametrize("size", [0, -1, 1 << 63])
def test_a_head_of_no_rows_is_refused(size: int) -> None:
    """No tree has such a root, and nobody could compare it."""
    head = JournalHead(size, "cd" * 32, "2026-08-01T11:59:00Z", "first")
    with pytest.raises(Refused, match="RCT-001"):
        Receipt.from_bytes(replace(RECEIPT, journal_head=head).to_bytes())


@pytest.mark.parametrize(
    ("word", "good"),
    [("first", True), ("consistent", True), ("known", True), ("backwards", False), ("inconsistent", False)],
)
def test_a_word_countersigns_or_is_an_alarm(word: Any, good: bool) -> None:
    assert JournalHead(1, "cd" * 32, "2026-08-01T11:59:00Z", word).good is good


def test_a_seal_that_could_not_be_opened() -> None:
    unopened = replace(RECEIPT, verdict="unopened", code="CMS-004", text="é", integrated_at=None, digest=None, lots=())
    assert Receipt.from_bytes(unopened.to_bytes()) == unopened


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        (b'"version":1', b'"version":2', "version 2 inconnue"),
        (b'"verdict":"integrated"', b'"verdict":"lost"', "verdict"),
        (b'"digest":"ab', b'"digest":"AB', "digest"),
        (b'"size":2304', b'"size":"2304"', "size"),
        (b'"original":true', b'"original":1', "original"),
        (b'"factures":2', b'"factures":null', "lots[0].factures"),
        (b'12:00:00Z"', b'12:00"', "received_at"),
        (b'"seal":"1",', b"", "seal"),
        (b'{"code"', b'{ "code"', "canonique"),
    ],
)
def test_anything_else_is_refused(old: bytes, new: bytes, word: str) -> None:
    assert old in WRITTEN
    with pytest.raises(Refused) as refused:
        Receipt.from_bytes(WRITTEN.replace(old, new))
    assert refused.value.code == "RCT-001"
    assert word in refused.value.text

"""What awaits a code: told as short stories."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gateway.card.pending import Pending
from gateway.card.proof import Item, batch_root
from gateway.card.session import Proof, Signed
from gateway.errors import Refused

A, B, C = (Item(name, name.encode() * 32, 1, 100, 1, "123456789", None) for name in "abc")
PROOF = Proof(b"", "local", b"", b"", b"", datetime.now(UTC))


def signed(item: Item) -> Signed:
    return Signed(item.fichier, b"attributes", b"signature", b"certificate", PROOF)


@pytest.fixture
def pending() -> Pending:
    return Pending(one_by_one=False)


def test_what_is_shown_is_what_is_signed(pending: Pending) -> None:
    pending.offer([B, A])
    root, items = pending.show()
    assert items == (B, A)
    assert root == batch_root([A, B]) == pending.root()
    assert pending.members(root) == (B, A)


def test_later_items_are_not_members(pending: Pending) -> None:
    pending.offer([A])
    root, _ = pending.show()
    pending.offer([A, B])
    assert pending.members(root) == (A,)


@pytest.mark.parametrize("now", [[], [B], [replace(A, digest=b"x" * 32)]])
def test_a_root_whose_members_are_gone_is_refused(pending: Pending, now: list[Item]) -> None:
    pending.offer([A])
    root, _ = pending.show()
    pending.offer(now)
    with pytest.raises(Refused, match="CPS-ROOT"):
        pending.members(root)


def test_a_root_that_was_never_shown_is_refused(pending: Pending) -> None:
    pending.offer([A])
    with pytest.raises(Refused, match="CPS-ROOT"):
        pending.members(pending.root())


def test_nothing_shown_is_nothing_to_sign(pending: Pending) -> None:
    root, _ = pending.show()
    with pytest.raises(Refused, match="CPS-EMPTY"):
        pending.members(root)


def test_an_old_page_is_forgotten(pending: Pending) -> None:
    pending.offer([A])
    root, _ = pending.show()
    for number in range(20):
        pending.offer([A, replace(B, count=number)])
        pending.show()
    with pytest.raises(Refused, match="CPS-ROOT"):
        pending.members(root)


def test_an_answer_is_given_until_it_is_confirmed(pending: Pending) -> None:
    pending.offer([A, B])
    pending.record(A, signed(A))
    assert pending.answers() == (signed(A),)
    assert pending.waiting() == (B,)
    pending.offer([B])
    assert pending.answers() == ()
    pending.offer([A, B])
    assert pending.answers() == (signed(A),)
    pending.confirm(["a"])
    assert pending.answers() == ()
    assert pending.waiting() == (B,)


def test_no_second_signature_while_one_is_not_committed(pending: Pending) -> None:
    pending.offer([A])
    pending.record(A, signed(A))
    pending.offer([replace(A, digest=b"x" * 32)])
    assert pending.answers() == ()
    assert pending.waiting() == ()
    assert pending.refusals()["a"].code == "CPS-TWICE"


def test_one_by_one() -> None:
    pending = Pending(one_by_one=True)
    pending.offer([B, A])
    root, items = pending.show()
    assert items == (B,)
    pending.record(B, signed(B))
    assert pending.show()[1] == (A,)
    with pytest.raises(Refused, match="CPS-ROOT"):
        pending.members(root)

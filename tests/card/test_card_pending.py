"""What awaits a code: told as short stories."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.card.pending import Pending, Signed, may_sign
from gateway.card.proof import Item, batch_root
from gateway.errors import Refused

A, B, C = (Item(name, name.encode() * 32, 1, 100, 1, "123456789", None) for name in "abc")
DOCTOR, LOCUM = "99900000011", "99900000029"


def signed(item: Item) -> Signed:
    return {"fichier": item.fichier, "signature": "c2lnbmF0dXJl"}


def show(pending: Pending, holder: str | None = None, one_by_one: bool = False) -> tuple[bytes, tuple[Item, ...]]:
    items = pending.waiting(holder, one_by_one)
    return pending.show(items), items


@pytest.fixture
def pending() -> Pending:
    return Pending()


def test_what_is_shown_is_what_is_signed(pending: Pending) -> None:
    pending.offer([B, A])
    root, items = show(pending)
    assert items == (B, A)
    assert root == batch_root([A, B])
    assert pending.members(root) == (B, A)


def test_later_items_are_not_members(pending: Pending) -> None:
    pending.offer([A])
    root, _ = show(pending)
    pending.offer([A, B])
    assert pending.members(root) == (A,)


@pytest.mark.parametrize(
    "now", [[], [B], [replace(A, digest=b"x" * 32)], [replace(A, total=1)], [replace(A, holders=(LOCUM,))]]
)
def test_a_root_whose_members_are_gone_or_changed_is_refused(pending: Pending, now: list[Item]) -> None:
    pending.offer([A])
    root, _ = show(pending)
    pending.offer(now)
    with pytest.raises(Refused, match="CPS-ROOT"):
        pending.members(root)


def test_a_root_that_was_never_shown_is_refused(pending: Pending) -> None:
    pending.offer([A])
    with pytest.raises(Refused, match="CPS-ROOT"):
        pending.members(batch_root([A]))


def test_nothing_shown_is_nothing_to_sign(pending: Pending) -> None:
    root, _ = show(pending)
    with pytest.raises(Refused, match="CPS-EMPTY"):
        pending.members(root)


def test_an_old_page_is_forgotten(pending: Pending) -> None:
    pending.offer([A])
    root, _ = show(pending)
    for number in range(40):
        pending.offer([A, replace(B, count=number)])
        show(pending)
    with pytest.raises(Refused, match="CPS-ROOT"):
        pending.members(root)


def test_an_answer_is_given_until_it_is_confirmed(pending: Pending) -> None:
    pending.offer([A, B])
    pending.record(A, signed(A))
    assert pending.answers() == (signed(A),)
    assert pending.unsigned() == (B,)
    pending.offer([B])
    assert pending.answers() == ()
    pending.offer([A, B])
    assert pending.answers() == (signed(A),)
    pending.confirm(["a"])
    assert pending.answers() == ()
    assert pending.unsigned() == (B,)


def test_no_second_signature_while_one_is_not_committed(pending: Pending) -> None:
    pending.offer([A])
    pending.record(A, signed(A))
    pending.offer([replace(A, digest=b"x" * 32)])
    assert pending.answers() == ()
    assert pending.unsigned() == ()
    assert pending.refusals()["a"].code == "CPS-TWICE"


def test_one_by_one(pending: Pending) -> None:
    pending.offer([B, A])
    root, items = show(pending, one_by_one=True)
    assert items == (B,)
    pending.record(B, signed(B))
    assert show(pending, one_by_one=True)[1] == (A,)
    with pytest.raises(Refused, match="CPS-ROOT"):
        pending.members(root)


def test_each_holder_is_shown_their_own(pending: Pending) -> None:
    own, other = replace(B, holders=(DOCTOR,)), replace(C, holders=(LOCUM, "99900000037"))
    pending.offer([A, own, other])
    assert pending.waiting(DOCTOR, False) == (A, own)
    assert pending.waiting(LOCUM, False) == (A, other)
    assert pending.waiting(None, False) == (A,)
    assert may_sign(DOCTOR, (A, own))
    assert not may_sign(DOCTOR, (own, other))


def test_two_cards_do_not_sign_the_same(pending: Pending) -> None:
    pending.offer([A])
    with pending.claim(A) as first, pending.claim(A) as second:
        assert (first, second) == (True, False)
    with pending.claim(A) as again:
        assert again, "a signature that failed may be tried again"
        pending.record(A, signed(A))
    with pending.claim(A) as late:
        assert not late

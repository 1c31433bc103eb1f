"""The root of a batch and the message by which the card proves itself."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from gateway.card.proof import Item, batch_root, digest_info, proof_message

ONE = Item("f1", bytes(32), 3, 231840, 2, "123456789", None)
items = st.builds(
    Item,
    st.text("abc0", min_size=1, max_size=3),
    st.binary(min_size=32, max_size=32),
    st.integers(0, 5),
    st.integers(-5, 5),
    st.integers(0, 5),
    st.text("09", max_size=2),
    st.none() | st.binary(min_size=8, max_size=8),
)


def test_root_is_as_documented() -> None:
    leaf = (
        b'{"challenge":null,"count":3,"digest":"' + b"00" * 32 + b'","emitter":"123456789","fichier":"f1",'
        b'"holders":[],"lots":2,"total":231840}'
    )
    assert batch_root([ONE]) == hashlib.sha256(b"oct-gateway/batch/1" + hashlib.sha256(leaf).digest()).digest()


@given(st.lists(items, max_size=4), st.randoms())
def test_order_does_not_matter(batch: list[Item], chance: object) -> None:
    shuffled = list(batch)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert batch_root(shuffled) == batch_root(batch)


def test_every_field_matters() -> None:
    others = [
        replace(ONE, fichier="f2"),
        replace(ONE, digest=b"\x01" * 32),
        replace(ONE, count=4),
        replace(ONE, total=0),
        replace(ONE, lots=1),
        replace(ONE, emitter=""),
        replace(ONE, challenge=bytes(8)),
        replace(ONE, holders=("99900000011",)),
    ]
    assert len({batch_root([item]) for item in [ONE, *others]} | {batch_root([]), batch_root([ONE, ONE])}) == 11


def test_proof_message() -> None:
    assert proof_message("box", b"challenge", b"root") == b"oct-gateway/card-auth/1boxchallengeroot"


def test_digest_info_is_51_bytes() -> None:
    assert len(digest_info(b"")) == 51
    assert digest_info(b"x").endswith(hashlib.sha256(b"x").digest())

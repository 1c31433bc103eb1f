"""The tree: the published vectors, the definition of the RFC taken literally, and what no proof may get through."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.journal import merkle
from gateway.journal.merkle import EMPTY, Frontier, complete_root, consistency, extends, includes, inclusion, leaf_hash

INPUTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""The tree of the reference implementations of Certificate Transparency (leaves, and the root after each)."""


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def defined(leaves: list[bytes]) -> bytes:
    """MTH of RFC 9162 §2.1.1, word for word."""
    if not leaves:
        return sha(b"")
    if len(leaves) == 1:
        return sha(b"\0" + leaves[0])
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha(b"\1" + defined(leaves[:k]) + defined(leaves[k:]))


def rows(count: int) -> list[bytes]:
    return [sha(str(n).encode()) for n in range(count)]


def nodes(leaves: list[bytes]) -> merkle.Node:
    def node(level: int, number: int) -> bytes:
        within = leaves[number << level : (number + 1) << level]
        assert len(within) == 1 << level, "only complete subtrees are asked for"
        return complete_root([leaf_hash(one) for one in within])

    return node


def test_the_published_tree() -> None:
    frontier, leaves = Frontier(), [bytes.fromhex(text) for text in INPUTS]
    for size, (leaf, expected) in enumerate(zip(leaves, ROOTS, strict=True), start=1):
        frontier.add(leaf)
        assert frontier.root().hex() == merkle.root(size, nodes(leaves)).hex() == expected


def test_published_proofs() -> None:
    node = nodes([bytes.fromhex(text) for text in INPUTS])
    assert [step.hex()[:8] for step in inclusion(5, 8, node)] == ["bc1a0643", "ca854ea1", "d37ee418"]
    assert [step.hex()[:8] for step in consistency(6, 8, node)] == ["0ebc5d34", "ca854ea1", "d37ee418"]


@pytest.mark.parametrize("size", range(40))
def test_the_definition(size: int) -> None:
    leaves, frontier = rows(size), Frontier()
    for leaf in leaves:
        frontier.add(leaf)
    assert frontier.root() == merkle.root(size, nodes(leaves)) == defined(leaves)
    assert Frontier(frontier.peaks, size).root() == defined(leaves)


def test_every_leaf_and_no_other_is_included() -> None:
    for size in range(1, 34):
        leaves = rows(size)
        node, root = nodes(leaves), defined(leaves)
        for leaf in range(size):
            path = inclusion(leaf, size, node)
            assert includes(leaf_hash(leaves[leaf]), leaf, size, path, root)
            for other in range(size):
                assert other == leaf or not includes(leaf_hash(leaves[leaf]), other, size, path, root)
            assert not includes(leaf_hash(b"x"), leaf, size, path, root)
            assert not includes(leaf_hash(leaves[leaf]), leaf, size, [*path, EMPTY], root)
            assert not path or not includes(leaf_hash(leaves[leaf]), leaf, size, path[:-1], root)


def test_every_older_tree_and_no_other_is_extended() -> None:
    leaves = rows(33)
    node, roots = nodes(leaves), [defined(leaves[:size]) for size in range(34)]
    for size in range(34):
        for old in range(size + 1):
            path = consistency(old, size, node)
            assert extends(old, roots[old], size, roots[size], path)
            assert not extends(old, sha(b"x"), size, roots[size], path)
            assert not old or not extends(old, roots[old], size, sha(b"x"), path)
            assert not extends(old, roots[old], size, roots[size], [*path, EMPTY])
            for other in range(1, size):
                assert other == old or not extends(other, roots[old], size, roots[size], path) or old == 0
            for at in range(len(path)):
                assert not extends(old, roots[old], size, roots[size], path[:at] + path[at + 1 :])
                assert not extends(old, roots[old], size, roots[size], [*path[:at], sha(b"y"), *path[at + 1 :]])


@given(st.integers(0, 200), st.integers(0, 200))
def test_a_frontier_goes_on_where_it_was_left(first: int, more: int) -> None:
    leaves = rows(first + more)
    whole, half = Frontier(), Frontier()
    for leaf in leaves:
        whole.add(leaf)
    for leaf in leaves[:first]:
        half.add(leaf)
    again = Frontier(half.peaks, first)
    for leaf in leaves[first:]:
        again.add(leaf)
    assert (again.root(), again.peaks, again.size) == (whole.root(), whole.peaks, first + more)


def test_peaks_that_do_not_fit_the_size() -> None:
    with pytest.raises(ValueError, match="peaks"):
        Frontier([EMPTY], 3)


@pytest.mark.parametrize("proof", [lambda node: inclusion(3, 3, node), lambda node: consistency(4, 3, node)])
def test_what_is_not_there_is_not_proven(proof: object) -> None:
    with pytest.raises(ValueError, match=r"no such|shrink"):
        proof(nodes(rows(3)))  # type: ignore[operator]

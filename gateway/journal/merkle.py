"""The Merkle tree over the rows of a chain (RFC 9162 §2.1, RFC 6962 §2.1): root, inclusion, consistency.  Pure.

A leaf is the hash of a journal row.  Rule 1: what a proof needs are roots of complete subtrees, asked of a
``Node`` by level and number, so that nobody must hold the whole tree.  Rule 2: what comes from elsewhere is
checked by ``includes`` and ``extends``, which believe nothing and answer yes or no.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256

Node = Callable[[int, int], bytes]
"""(level, number) → root of the 2**level leaves that begin at leaf number * 2**level."""

EMPTY = sha256(b"").digest()
"""The root of no leaves (RFC 9162 §2.1.1)."""


def leaf_hash(row_hash: bytes) -> bytes:
    """The leaf of a row; the prefix keeps leaves and nodes apart."""
    return sha256(b"\0" + row_hash).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The node above two."""
    return sha256(b"\1" + left + right).digest()


def complete_root(leaves: Sequence[bytes]) -> bytes:
    """The root of 2**n leaves."""
    while len(leaves) > 1:
        leaves = [node_hash(leaves[n], leaves[n + 1]) for n in range(0, len(leaves), 2)]
    return leaves[0]


# ---------------------------------------------------------------- reading in order


class Frontier:
    """The complete subtrees at the right edge of a growing tree: all that is needed to go on and to name its root."""

    def __init__(self, peaks: Iterable[bytes] = (), size: int = 0) -> None:
        """``peaks`` as ``peaks`` gives them, for a tree of ``size`` leaves; ValueError when their number is wrong."""
        given = list(peaks)
        if len(given) != size.bit_count():
            raise ValueError("as many peaks as the size has bits set")
        self.size = size
        self._levels: list[bytes | None] = []
        for level in range(size.bit_length()):
            self._levels.append(given.pop() if size >> level & 1 else None)

    def add(self, row_hash: bytes) -> None:
        """One row more."""
        made, levels = sha256(b"\0" + row_hash).digest(), self._levels
        for level, peak in enumerate(levels):
            if peak is None:
                levels[level] = made
                break
            made = sha256(b"\1" + peak + made).digest()
            levels[level] = None
        else:
            levels.append(made)
        self.size += 1

    @property
    def peaks(self) -> list[bytes]:
        """Roots of the complete subtrees, largest first."""
        return [peak for peak in reversed(self._levels) if peak is not None]

    def root(self) -> bytes:
        """The root of all leaves so far."""
        return root_of_peaks(self.peaks)


def root_of_peaks(peaks: Sequence[bytes]) -> bytes:
    """The root above complete subtrees, largest first."""
    if not peaks:
        return EMPTY
    made = peaks[-1]
    for peak in reversed(peaks[:-1]):
        made = node_hash(peak, made)
    return made


# ---------------------------------------------------------------- making proofs


def _split(size: int) -> int:
    """The largest power of two smaller than ``size`` (> 1)."""
    return 1 << (size - 1).bit_length() - 1


def root(size: int, node: Node) -> bytes:
    """The root of the first ``size`` leaves."""
    return _range_root(0, size, node) if size else EMPTY


def _range_root(start: int, end: int, node: Node) -> bytes:
    size = end - start
    if size & (size - 1) == 0:  # such a range always begins at a multiple of its size
        level = size.bit_length() - 1
        return node(level, start >> level)
    middle = start + _split(size)
    return node_hash(_range_root(start, middle, node), _range_root(middle, end, node))


def inclusion(leaf: int, size: int, node: Node) -> list[bytes]:
    """The path from leaf number ``leaf`` (from 0) to the root of ``size`` leaves (RFC 9162 §2.1.3.1)."""
    if not 0 <= leaf < size:
        raise ValueError("no such leaf")
    start, end, path = 0, size, []
    while end - start > 1:
        middle = start + _split(end - start)
        if leaf < middle:
            path.append(_range_root(middle, end, node))
            end = middle
        else:
            path.append(_range_root(start, middle, node))
            start = middle
    return path[::-1]


def consistency(old: int, size: int, node: Node) -> list[bytes]:
    """That the tree of ``size`` leaves begins with the one of ``old`` (RFC 9162 §2.1.4.1); nothing to prove: []."""
    if not 0 <= old <= size:
        raise ValueError("a tree does not shrink")
    if old in (0, size):
        return []
    start, end, path, known = 0, size, [], True
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(_range_root(middle, end, node))
            end = middle
        else:
            path.append(_range_root(start, middle, node))
            start, known = middle, False
    if not known:  # the verifier has the old root only where the old tree is one complete subtree from 0 on
        path.append(_range_root(start, end, node))
    return path[::-1]


# ---------------------------------------------------------------- checking proofs


def includes(leaf_root: bytes, leaf: int, size: int, path: Sequence[bytes], root_: bytes) -> bool:
    """Whether ``leaf_root`` is leaf number ``leaf`` of the tree of that size and root (RFC 9162 §2.1.3.2)."""
    if not 0 <= leaf < size:
        return False
    place, last, made = leaf, size - 1, leaf_root
    for step in path:
        if last == 0:
            return False
        if place & 1 or place == last:
            made = node_hash(step, made)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            made = node_hash(made, step)
        place, last = place >> 1, last >> 1
    return last == 0 and made == root_


def extends(old: int, old_root: bytes, size: int, root_: bytes, path: Sequence[bytes]) -> bool:
    """Whether the tree (size, root) begins with the tree (old, old root) (RFC 9162 §2.1.4.2)."""
    if not 0 <= old <= size:
        return False
    if old in (0, size):
        return not path and old_root == (EMPTY if old == 0 else root_)
    steps = [old_root, *path] if old & (old - 1) == 0 else list(path)
    if not steps:
        return False
    place, last = old - 1, size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    before = after = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            before, after = node_hash(step, before), node_hash(step, after)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            after = node_hash(after, step)
        place, last = place >> 1, last >> 1
    return last == 0 and before == old_root and after == root_

"""Mutants of a DER structure, made where its elements are: what a forger who knows ASN.1 would write.

A message is read as a tree, one to three acts change it (``ACTS``), and it is written again with all lengths right,
unless an act is about lengths.  What stands for others (``donors``: trees of other messages) may be put in.
Seeded: the same number gives the same mutant.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from gateway.envelope import der
from gateway.errors import Refused

OIDS = (
    "1.2.840.113549.1.7.1", "1.2.840.113549.1.7.2", "1.2.840.113549.1.7.3", "1.2.840.113549.1.9.16.1.23",
    "1.2.840.113549.1.1.1", "1.2.840.113549.1.1.5", "1.2.840.113549.1.1.7", "1.2.840.113549.1.1.8",
    "1.2.840.113549.1.1.10", "1.2.840.113549.1.1.11", "1.2.840.113549.1.1.12", "1.2.840.113549.1.9.3",
    "1.2.840.113549.1.9.4", "1.2.840.113549.1.9.5", "1.2.840.113549.1.9.16.2.47", "2.16.840.1.101.3.4.2.1",
    "2.16.840.1.101.3.4.2.2", "2.16.840.1.101.3.4.2.3", "2.16.840.1.101.3.4.1.46", "2.16.840.1.101.3.4.1.6",
    "2.16.840.1.101.3.4.1.45", "2.16.840.1.101.3.4.1.42", "1.3.14.3.2.26", "1.3.132.1.11.1", "1.3.132.1.11.2",
    "1.3.133.16.840.63.0.2", "1.2.840.10045.2.1", "1.2.840.10045.3.1.7", "1.3.132.0.34", "1.2.840.10045.4.3.2",
    "1.2.840.10045.4.3.3", "1.2.840.10045.4.1",
)  # fmt: skip
"""What stands in a CMS as the name of something."""

TAGS = tuple(bytes.fromhex("010203040506 0a0c1718 24 3031 8081 a0a1a2a3"))


@dataclass
class Node:
    """An element: its children where it has some, else its content; ``head`` writes tag and length otherwise."""

    tag: int
    content: bytes = b""
    children: list[Node] = field(default_factory=list)
    head: Callable[[int, int], bytes] = der.header
    end: bytes = b""

    def encode(self) -> bytes:
        body = b"".join(child.encode() for child in self.children) or self.content
        return self.head(self.tag, len(body)) + body + self.end

    def copy(self) -> Node:
        return Node(self.tag, self.content, [child.copy() for child in self.children], self.head, self.end)

    def walk(self) -> Iterator[Node]:
        yield self
        for child in self.children:
            yield from child.walk()


def read(encoded: bytes) -> Node:
    """The tree of one element; a constructed one that holds no elements is a leaf."""
    reader = der.parse(encoded)
    tag = reader.peek()
    assert tag is not None
    content = reader.content(tag, len(encoded))
    try:
        children = list(_elements(content)) if tag & 0x20 else []
    except Refused:
        children = []
    return Node(tag, b"" if children else content, children)


def _elements(content: bytes) -> Iterator[Node]:
    reader = der.parse(content)
    while (tag := reader.peek()) is not None:
        yield read(reader.element(tag, len(content)))


# ---------------------------------------------------------------- acts

Act = Callable[[random.Random, Node, Sequence[Node]], None]


def _parent(chance: random.Random, root: Node) -> Node:
    """An element that has others."""
    return chance.choice([node for node in root.walk() if node.children])


def _primitive(chance: random.Random, root: Node) -> Node:
    return chance.choice([node for node in root.walk() if not node.tag & 0x20] or [root])


def _duplicate(chance: random.Random, root: Node, donors: Sequence[Node]) -> None:
    siblings = _parent(chance, root).children
    siblings.insert(chance.randrange(len(siblings) + 1), chance.choice(siblings).copy())


def _drop(chance: random.Random, root: Node, donors: Sequence[Node]) -> None:
    siblings = _parent(chance, root).children
    del siblings[chance.randrange(len(siblings))]


def _reorder(chance: random.Random, root: Node, donors: Sequence[Node]) -> None:
    chance.shuffle(_parent(chance, root).children)


def _retag(chance: random.Random, root: Node, donors: Sequence[Node]) -> None:
    node = chance.choice(list(root.walk()))
    if node.tag & 0x20 and not (tag := chance.choice(TAGS)) & 0x20:
        node.content = b"".join(child.encode() for child in node.children)
        node.children, node.tag = [], tag
    else:
        node.tag = chance.choice([tag for tag in TAGS if tag & 0x20 == node.tag & 0x20])


def _resize(chance: random.Random, root: Node, donors: Sequence[Node]) -> None:
    node = _primitive(chance, root)
    cut = chance.randrange(len(node.content) + 1)
    more = bytes(chance.choice((0, 0, 0xFF, 0x80)) for _ in range(chance.choice((1, 1, 2, 9))))
    node.content = chance.choice((node.content[:cut], node.content[cut:], node.content + more, more + node.content))


def _flip(chance: random.Random, root: Node, donors: Sequence[Node]) -> None:
    node = _primitive(chance, root)
    if node.content:
        content = bytearray(node.content)
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        node.content = bytes(content)


def _rename(chance: random.Random, root: Node, donors: Sequence[Node]) -> None:
    named = [node for node in root.walk() if node.tag == der.OID]
    if named:
        chance.choice(named).content = der.oid(chance.choice(OIDS))[2:]


def _renumber(chance: random.Random, root: Node, donors: Sequence[Node]) -> None:
    numbers = [node for node in root.walk() if node.tag == der.INTEGER]
    if numbers:
        value = chance.choice((0, 1, 2, 3, 4, 5, 12, 13, 15, 16, 17, 20, 32, 64, -1, 1 << 31, 1 << 64))
        chance.choice(numbers).content = der.integer(value)[2:]


def _insert(chance: random.Random, root: Node, donors: Sequence[Node]) -> None:
    siblings = _parent(chance, root).children
    made = Node(chance.choice(TAGS), content=bytes(chance.choice((0, 0, 1, 8))))
    siblings.insert(chance.randrange(len(siblings) + 1), made)


def _graft(chance: random.Random, root: Node, donors: Sequence[Node]) -> None:
    """An element of another message, or of another place, beside one of its kind or in its stead."""
    siblings = _parent(chance, root).children
    at = chance.randrange(len(siblings))
    same = [one for donor in (*donors, root) for one in donor.walk() if one.tag == siblings[at].tag]
    other = chance.choice(same or [siblings[at]]).copy()
    siblings[at : at + chance.choice((0, 1))] = [other]


def _sort(chance: random.Random, root: Node, donors: Sequence[Node]) -> None:
    """All sets in order: what another act left there is not found by its place."""
    for node in root.walk():
        if node.tag == der.SET:
            node.children.sort(key=Node.encode)


def _lengthen(chance: random.Random, root: Node, donors: Sequence[Node]) -> None:
    """A length in more bytes than needed, an indefinite one, or one that is a lie."""
    node = chance.choice(list(root.walk()))

    def wide(tag: int, size: int) -> bytes:
        return bytes((tag, 0x84)) + size.to_bytes(4)

    def indefinite(tag: int, size: int) -> bytes:
        return bytes((tag, 0x80))

    def lie(tag: int, size: int) -> bytes:
        return der.header(tag, size + 1)

    node.head = chance.choice((wide, indefinite, lie))
    node.end = b"\0\0" if node.head is indefinite else b""


ACTS: tuple[Act, ...] = (
    _duplicate, _drop, _reorder, _retag, _resize, _flip, _rename, _renumber, _insert, _graft, _lengthen,
)  # fmt: skip


def mutant(number: int, source: Node, donors: Sequence[Node] = ()) -> bytes:
    """The mutant of that number."""
    chance, root = random.Random(number), source.copy()
    for _ in range(chance.choice((1, 1, 2, 3))):
        if root.children:
            chance.choice(ACTS)(chance, root, donors)
    if chance.random() < 0.7:
        _sort(chance, root, donors)
    return root.encode() + bytes(chance.choice((0,) * 30 + (1,)))

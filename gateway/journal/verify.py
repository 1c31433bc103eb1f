"""Whether a chain is what it was: each row against the one before, and against what was signed.  Pure, one pass.

A row that was changed, removed, put in or moved is named by its place and time.  Whoever recomputes all hashes
after it has to answer to the ``Mark``s: sizes and roots that box-sign, or the OCT, signed.  Then the rows between
the last mark that holds and the first that does not are named.  Rows after the last mark are only chained.
Memory does not grow with the chain.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Literal

from gateway.formats.words import printable
from gateway.journal.chain import START, Row
from gateway.journal.merkle import Frontier

Kind = Literal["changed", "removed", "moved", "inserted", "truncated", "forged", "unreadable", "different", "missing"]
MOST_FINDINGS = 100
"""Of one reading; the first ones are what matters."""


@dataclass(frozen=True)
class Finding:
    """What is wrong with row ``seq`` of ``chain`` (0: with no row in particular), written at ``at`` ('' unknown)."""

    kind: Kind
    chain: str
    seq: int
    at: str
    text: str
    where: str = ""


@dataclass(frozen=True)
class Mark:
    """A size and root that somebody signed; ``words`` names the signed thing (« le point de contrôle 12 »)."""

    size: int
    root: bytes
    words: str


@dataclass
class Start:
    """Where a reading begins: behind a row of that hash, with the tree so far."""

    previous: bytes | None = START
    frontier: Frontier = field(default_factory=Frontier)


class Reading:
    """One chain from one place, read once in order."""

    def __init__(self, chain: str, where: str, marks: Iterable[Mark] = (), start: Start | None = None) -> None:
        self.chain, self.where = chain, where
        self.findings: list[Finding] = []
        self.rows = 0
        self.signed_to = 0
        """The largest size at which a mark held."""
        start = start or Start()
        self.frontier, self._previous = start.frontier, start.previous
        self.begins = start.frontier.size + 1
        self._other: bytes | None = None  # what the previous hash may also have been, after a changed row
        self.expected = start.frontier.size + 1
        self.named: dict[str, tuple[int, str]] = {}
        """Digests of signed things that rows name, with the row and its time: each must be there."""
        self._marks = sorted((mark for mark in marks if mark.size >= self.expected - 1), key=lambda mark: mark.size)
        self._next = 0
        self._whole, self._doubted = True, False
        self._at = ""

    def read(self, rows: Iterable[Row]) -> Iterator[int]:
        """Read on; yields the place of each row read, so that a caller can stop, show how far, or compare."""
        decode, sha256 = json.JSONDecoder().raw_decode, hashlib.sha256
        for row in rows:
            seq, _, text, stored, listed = row
            try:
                told, end = decode(text)
                place, at = told["seq"], told["at"]
                sound = at.isprintable() and told["chain"] == self.chain and type(place) is int and end == len(text)
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                sound, told, place, at = False, {}, 0, ""
            at = at if sound else printable(at)  # it is shown to people, and nobody may have written it
            if sound and (seq or place) == place == self.expected and self._previous is not None:
                if sha256(self._previous + text.encode()).digest() != stored:
                    self._examine_hash(row, at)
                else:
                    self._other = None
            elif not self._belongs(row, sound, place, at):
                continue
            if listed is not None and sound and told.get("fichier") != listed:
                self._find(
                    "moved", self.expected, at, f"ligne {self.expected} rangée sous un autre fichier que le sien"
                )
            self._previous, self._at = stored, at
            self.frontier.add(stored)
            self.expected += 1
            self.rows += 1
            if "signed" in told:
                self.named[str(told["signed"])] = (self.expected - 1, at)
            if self._next < len(self._marks) and self._marks[self._next].size < self.expected:
                self._meet_marks()
            yield self.expected - 1

    def continues(self, start: Start) -> bool:
        """Whether a place to begin is where this reading stands."""
        here, there = self.frontier, start.frontier
        return (self._previous, here.size, here.peaks) == (start.previous, there.size, there.peaks)

    # -- what does not fit

    def _find(self, kind: Kind, seq: int, at: str, text: str) -> None:
        self._doubted = True
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(Finding(kind, self.chain, seq, at, text, self.where))

    def _examine_hash(self, row: Row, at: str) -> None:
        """The row does not follow, unless it was the hash of the one before that was changed, which is said."""
        data = row.text.encode()
        if self._other is not None and hashlib.sha256(self._other + data).digest() == row.hash:
            self._other = None
            return
        self._other = hashlib.sha256((self._previous or b"") + data).digest()
        self._find("changed", self.expected, at, f"ligne {self.expected} modifiée")

    def _belongs(self, row: Row, sound: bool, place: int, at: str) -> bool:
        """A row out of its place, unreadable, or behind a gap: whether it counts here, or is one too many."""
        seq = row.seq or (place if sound else self.expected)
        if seq > self.expected:
            self._gap(seq, at)
        elif seq < self.expected:
            self._find("inserted", seq, at, f"ligne {seq} en trop ou déplacée, après la ligne {self.expected - 1}")
            self._whole = False
            return False
        if not sound:
            self._find("unreadable", seq, at, f"ligne {seq} illisible")
        elif place != seq:
            self._find("moved", seq, at, f"ligne {seq} : c'est la ligne {place}, déplacée")
        elif self._previous is not None and hashlib.sha256(self._previous + row.text.encode()).digest() != row.hash:
            self._examine_hash(row, at)
        return True

    def _gap(self, seq: int, at: str) -> None:
        last = seq - 1
        text = f"ligne {last} absente" if last == self.expected else f"lignes {self.expected} à {last} absentes"
        self._find("removed", self.expected, self._at, f"{text}, avant la ligne {seq} ({at})")
        self.expected, self._previous, self._whole = seq, None, False

    # -- what was signed

    def _meet_marks(self) -> None:
        while self._next < len(self._marks) and self._marks[self._next].size < self.expected:
            mark = self._marks[self._next]
            self._next += 1
            if not self._whole or mark.size != self.frontier.size:
                continue
            if self.frontier.root() == mark.root:
                self.signed_to, self._doubted = mark.size, False
            elif not self._doubted:
                first = self.signed_to + 1
                text = f"entre les lignes {first} et {mark.size}, des lignes ne sont pas celles de {mark.words}"
                self._find("forged", first, self._at, text)
                self._whole = False

    def finish(self) -> None:
        """No row follows: whatever was signed beyond was cut off."""
        last = self.expected - 1
        beyond = [mark for mark in self._marks if mark.size > last]
        if beyond:
            mark = beyond[-1]
            text = f"le journal s'arrête à la ligne {last}, alors que {mark.words} en couvre {mark.size}"
            self._find("truncated", last + 1, self._at, text)


def first_difference(book: Iterable[Row], segments: Iterable[Row], chain: str, most: int) -> Finding | None:
    """The first row at which the book and the segments differ, both read from the same row on.

    The segments must reach row ``most``; beyond it the book may be ahead of them, never they of the book.
    """
    for ours, theirs in zip_longest(book, segments):
        if ours is None:
            return Finding("missing", chain, 0, "", "les segments vont plus loin que le livre", "livre")
        if theirs is None:
            if ours.seq > most:
                return None
            return Finding("missing", chain, ours.seq, "", f"ligne {ours.seq} absente des segments", "segments")
        if (ours.text, ours.hash) != (theirs.text, theirs.hash):
            return Finding("different", chain, ours.seq, "", f"ligne {ours.seq} : le livre et les segments diffèrent")
    return None

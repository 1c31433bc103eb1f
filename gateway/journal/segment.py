"""Segments: the journal as text files that only grow.  The format; writing and reading files is ``book.segments``'.

The first line is a head, canonical JSON; each other line is one entry: its hash in hexadecimal, a blank, its
canonical text.  In a segment of a chain the entries are its rows as they stand in the book.  In a segment of
``proofs`` they are what was signed: checkpoints, countersigned receipts, time stamps (``Proof``), each under its
own SHA-256.  A head names the SHA-256 of the segment before, and the tree so far: with it a reading may begin there.

No clock is in it: the same book gives the same segments, byte for byte.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Literal

from gateway.errors import Refused
from gateway.formats import canonical
from gateway.formats.canonical import Digest, Moment, Short
from gateway.journal.chain import START, Row
from gateway.journal.merkle import Frontier
from gateway.journal.verify import Start

PROOFS = "proofs"
LONGEST_LINE = 1 << 20
"""Bytes; a receipt of a thousand lots, in base64, is far below."""

_NAME = re.compile(r"(evidence|access|proofs)-(\d{6})\.journal")

ProofKind = Literal["checkpoint", "receipt", "stamp"]


@dataclass(frozen=True)
class SegmentHead:
    """Segment ``number`` (from 1) of a chain or of ``proofs``; its first entry is number ``first``.

    ``previous`` is the hash of the row before (zeros where there is none, and in proofs), ``frontier`` the roots of
    the complete subtrees over all rows before, largest first; ``before`` is the SHA-256 of the segment before.
    """

    box: Short
    chain: Short
    number: int
    first: int
    previous: Digest
    frontier: tuple[Digest, ...]
    before: Digest | None
    version: int = 1

    def to_line(self) -> bytes:
        """The first line."""
        return canonical.encode(self) + b"\n"

    def start(self) -> Start:
        """Where a reading of its rows begins; ValueError when the tree does not fit the row."""
        frontier = Frontier((bytes.fromhex(peak) for peak in self.frontier), self.first - 1)
        return Start(bytes.fromhex(self.previous), frontier)


@dataclass(frozen=True)
class Proof:
    """Something signed: ``about`` is the fichier of a receipt, or the SHA-256 of what a stamp covers."""

    id: int
    kind: ProofKind
    chain: Short
    size: int
    about: Short
    at: Moment
    der: str

    @property
    def signed(self) -> bytes:
        """The DER; ValueError when the text is no base64."""
        try:
            return base64.b64decode(self.der, validate=True)
        except binascii.Error:
            raise ValueError("not base64") from None


def segment_name(chain: str, number: int) -> str:
    """The file name of a segment."""
    return f"{chain}-{number:06d}.journal"


def read_name(name: str) -> tuple[str, int] | None:
    """Chain and number of a segment's file name; None for any other name."""
    found = _NAME.fullmatch(name)
    return None if found is None else (found[1], int(found[2]))


def read_head(line: bytes) -> SegmentHead:
    """The head that a first line (without its newline) writes; Refused JRN-020."""
    head = canonical.decode(SegmentHead, line, "JRN-020", "L'en-tête du segment", version=("version", 1))
    if not (0 < head.number < 10**6 and 0 < head.first < 1 << 63):  # as its file's name and the book can have it
        raise Refused("JRN-020", "L'en-tête du segment est refusé : un numéro y est hors des bornes.")
    return head


def entry_line(hash_: bytes, text: str) -> bytes:
    """One entry."""
    return f"{hash_.hex()} {text}\n".encode()


def read_entry(line: bytes) -> tuple[bytes, str] | None:
    """Hash and text of a line (without its newline); None for what is no entry."""
    try:
        whole = line.decode()
        hash_ = bytes.fromhex(whole[:64])
    except ValueError:
        return None
    if hash_.hex() != whole[:64] or whole[64:66] != " {" or whole[-1] != "}":
        return None
    return hash_, whole[65:]


def entry_row(line: bytes, chain: str) -> Row:
    """A line as a row of unknown place; what is no entry becomes a row that cannot be read."""
    entry = read_entry(line)
    return Row(0, chain, "", START) if entry is None else Row(0, chain, entry[1], entry[0])


def read_proof(text: str) -> Proof:
    """The proof that an entry's text writes; Refused JRN-021."""
    return canonical.decode(Proof, text.encode(), "JRN-021", "Une pièce du journal")

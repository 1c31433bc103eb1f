"""How articles lie in data entities: one each, several behind their lengths, cut to fit, side by side.

Rules: an entity, its check bytes included, is never longer than was agreed (F-80). What ``Sending`` does not
allow is not done, except that an article longer than an entity is always cut (F-83). A DTF of several articles
says at least two (F-85). A SYN or DTF.END ends its entity, so that nothing lingers behind a point.
With check bytes every FPDU has its own entity (F-86, F-95).
Without the length before entities (raw framing) they are the same, only not marked.
It knows no state, no accounts and no compression: what it is given as an article is sent as one.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.pesit import checksum, codec
from gateway.pesit.codec import HEADER

_LENGTH = 2
"""Before each article where a DTF has several."""
_MOST_ARTICLES = 255


@dataclass(frozen=True)
class Sending:
    """What a sender may do; agreed between administrators, never negotiated (F-86).

    ``multi_article``: several articles in a DTF. ``concatenate``: several FPDUs in an entity.
    ``segment_to_fill``: where FPDUs share entities, articles are cut to fill what is left of one (F-84).
    """

    multi_article: bool = False
    segment_to_fill: bool = False
    concatenate: bool = False


CONSERVATIVE = Sending()
"""One article in each entity: what every peer takes (F-86)."""


def entity_of(*pieces: bytes, prefixed: bool, checked: bool) -> bytes:
    """The FPDU that ``pieces`` make (or, unchecked, several) in its entity, as it goes onto the line."""
    if checked:
        pieces = (*pieces, checksum.check_bytes(b"".join(pieces)))
    if prefixed:
        pieces = (sum(map(len, pieces)).to_bytes(2, "big"), *pieces)
    return b"".join(pieces)


def smallest(*, checked: bool) -> int:
    """The smallest entity that carries a byte of a file."""
    return HEADER + 1 + (checksum.LENGTH if checked else 0)


class Packer:
    """Takes articles, gives what of them is ready for the line; ``entity`` in bytes, ``destination`` the peer's id."""

    def __init__(self, sending: Sending, entity: int, destination: int, *, prefixed: bool, checked: bool) -> None:
        self._multi = sending.multi_article
        self._concatenate = sending.concatenate and not checked
        self._fill = sending.segment_to_fill and self._concatenate
        self._entity = entity - (checksum.LENGTH if checked else 0)
        self._destination = destination
        self._prefixed = prefixed
        self._checked = checked
        self._plain = not (self._multi or self._concatenate or checked)
        self._lengths = 2 if prefixed else 1
        """How often the length of an FPDU alone in its entity is said, before and in its header."""
        self._dtf = codec.header("DTF", 0, destination, 0)[2:]
        self._held: list[bytes] = []
        """FPDUs, or their pieces, of the entity that is being filled."""
        self._used = 0
        self._articles: list[bytes] = []
        """Articles of the DTF that is being filled, behind those."""
        self._size = 0
        """Of the body that they make, lengths included."""

    def article(self, data: bytes) -> bytes:
        """Take one article; the bytes that may go."""
        if self._plain and HEADER + len(data) <= self._entity:
            # The usual form, in as few steps as can be.
            return (HEADER + len(data)).to_bytes(2, "big") * self._lengths + self._dtf + data
        ready = b""
        if not self._fits(len(data)):
            ready = self._close()
            if not self._fill or self._used + HEADER >= self._entity:
                ready += self.flush()
            if not self._fits(len(data)):
                return ready + self._cut(data)
        if not self._multi:
            return ready + self._put("DTF", data)
        self._articles.append(data)
        self._size += _LENGTH + len(data)
        return ready

    def end(self, frame: bytes) -> bytes:
        """A SYN or DTF.END behind the articles; the bytes that go."""
        ready = self._close()
        if not self._concatenate:
            return ready + entity_of(frame, prefixed=self._prefixed, checked=self._checked)
        if self._used + len(frame) > self._entity:
            ready += self.flush()
        self._held.append(frame)
        return ready + self.flush()

    def flush(self) -> bytes:
        """All that is still held back."""
        ready = self._close()
        if self._held:
            ready += entity_of(*self._held, prefixed=self._prefixed, checked=False)
            self._held, self._used = [], 0
        return ready

    def _fits(self, size: int) -> bool:
        """Whether one more article goes into this entity, beside those that wait for the same DTF."""
        body = self._size + _LENGTH + size if self._articles else size
        return self._used + HEADER + body <= self._entity and len(self._articles) < _MOST_ARTICLES

    def _close(self) -> bytes:
        """Make a DTF of the articles that wait."""
        waiting, self._articles, self._size = self._articles, [], 0
        if len(waiting) < 2:
            return self._put("DTF", waiting[0]) if waiting else b""
        body = b"".join([part for data in waiting for part in (len(data).to_bytes(_LENGTH, "big"), data)])
        return self._put("DTF", body, len(waiting))

    def _cut(self, data: bytes) -> bytes:
        """An article that does not fit, in fragments, the first into what is left of the entity."""
        ready: list[bytes] = []
        name, at = "DTFDA", 0
        while at < len(data):
            room = self._entity - self._used - HEADER
            if room < 1:
                ready.append(self.flush())
                continue
            piece = data[at : at + room]
            at += len(piece)
            ready.append(self._put(name if at < len(data) else "DTFFA", piece))
            name = "DTFMA"
        return b"".join(ready)

    def _put(self, name: str, body: bytes, count: int = 0) -> bytes:
        """An FPDU into the entity; at once onto the line where it may have no neighbour."""
        header = codec.header(name, HEADER + len(body), self._destination, count)
        if not self._concatenate:
            return entity_of(header, body, prefixed=self._prefixed, checked=self._checked)
        self._held += (header, body)
        self._used += HEADER + len(body)
        return b""

"""The whole journal looked over: both chains in the book and in the segments, and everything that was signed.

It works on a box with its book, and on a copied directory of segments with public certificates alone.  It only
reads.  The files are measured before the book is opened, and the book's own record of them before that, so that a
keeper at work is no finding.  Nothing of the journal is held in memory but what was signed, in digests.
"""

from __future__ import annotations

import hashlib
import io
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any

from gateway.book.proofs import Proofs, read_rows
from gateway.book.segments import names, proof_of
from gateway.envelope.certificates import Use, check_path
from gateway.envelope.names import common_name
from gateway.envelope.signed import read_signed
from gateway.errors import Deferred, Refused, Scope, Trouble
from gateway.formats.days import day_words
from gateway.formats.receipt import Receipt
from gateway.formats.returns import unpack
from gateway.formats.words import printable
from gateway.journal.chain import CHAINS, EVIDENCE, Row
from gateway.journal.checkpoint import Checkpoint, read_checkpoint
from gateway.journal.segment import (
    LONGEST_LINE,
    PROOFS,
    Proof,
    SegmentHead,
    entry_row,
    read_entry,
    read_head,
    read_name,
    read_proof,
)
from gateway.journal.verify import MOST_FINDINGS, Finding, Mark, Reading, first_difference

NO_LIST = ("CMS-037", "CMS-038", "CMS-039")
"""Deferred for want of a revocation list of that moment: the path itself holds."""

RECEIPT_LIMIT = 1 << 20


@dataclass
class Authority:
    """Whose signatures count: certificates (DER), and time stamping authorities, if any; of which ``box`` the journal
    must be ('': of any, but of one)."""

    roots: tuple[bytes, ...]
    chain: tuple[bytes, ...] = ()
    lists: tuple[bytes, ...] = ()
    tsa: tuple[bytes, ...] = ()
    box: str = ""
    unlisted: bool = False
    """Some path was held good without a revocation list of its time."""
    _good: set[tuple[bytes, str, Use]] = field(default_factory=set, init=False)
    """What needs no second look for the rest of a day."""

    def check(self, certificate: bytes, chain: tuple[bytes, ...], at: str, use: Use) -> None:
        """Refused or Deferred unless the certificate could be used so at that moment.

        One that was good at a moment and still is at the end of that day is not looked at again for the day.
        """
        rest = (certificate, at[:10], use)
        if rest in self._good:
            return
        moment = datetime.fromisoformat(at)
        listed = self._listed(certificate, chain, moment, use)
        self.unlisted |= not listed
        with suppress(Refused, Deferred):
            if listed == self._listed(certificate, chain, moment.replace(hour=23, minute=59, second=59), use):
                self._good.add(rest)

    def _listed(self, certificate: bytes, chain: tuple[bytes, ...], moment: datetime, use: Use) -> bool:
        """Whether revocation lists of the moment say so too of what may be used so then; else its path alone does."""
        try:
            check_path(certificate, (*chain, *self.chain), self.roots, self.lists, moment, use)
        except Deferred as trouble:
            if trouble.code not in NO_LIST:
                raise
            return False
        return True


@dataclass
class Inspection:
    """What was found, and how much of what was looked at; by which ``signers`` (name, SHA-256 of the certificate) the
    checkpoints are, which the OCT alone can say to be this box's."""

    box: str = ""
    signers: list[str] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    signed_to: dict[str, int] = field(default_factory=dict)
    checkpoints: int = 0
    receipts: int = 0
    stamps: int = 0
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


class _Signed:
    """What was signed, checked piece by piece, and the marks that it sets."""

    def __init__(self, authority: Authority, inspection: Inspection) -> None:
        self._authority, self.found = authority, inspection
        self.marks: dict[str, list[Mark]] = {chain: [] for chain in CHAINS}
        self.pieces: dict[str, Proof] = {}
        """By the SHA-256 of what was signed, without it."""
        self._last: dict[str, Checkpoint] = {}
        self._stamps: list[tuple[datetime, datetime]] = []
        self.box = authority.box

    def take_all(self, pieces: Iterable[tuple[Proof, str]], where: str, first: int, most: int) -> None:
        """The pieces of one place, numbered without a gap from ``first`` to ``most`` at least."""
        number = first - 1
        for proof, digest in pieces:
            if proof.id != number + 1:
                self.find(proof, f"avant la pièce {proof.id}, des pièces manquent ou sont déplacées", where)
            number = proof.id
            self.take(proof, digest, where)
        if number < most:
            self.find(_NOBODY, f"les pièces {number + 1} à {most} manquent", where)

    def take(self, proof: Proof, digest: str, where: str) -> None:
        """One piece; the same piece twice is one."""
        try:
            signed = proof.signed
        except ValueError:
            signed = b""
        if hashlib.sha256(signed).hexdigest() != digest:
            self.find(proof, f"pièce {proof.id} ({proof.kind}) modifiée", where)
            return
        bare = replace(proof, der="")
        known = self.pieces.setdefault(digest, bare)
        if known is not bare:
            if known != bare:
                self.find(proof, f"pièce {proof.id} ({proof.kind}) : elle n'est pas rangée ici comme ailleurs", where)
            return
        try:
            if proof.kind not in _KINDS:
                raise Refused("JRN-043", "elle est d'une sorte inconnue.")
            _KINDS[proof.kind](self, proof, signed)
        except Trouble as trouble:
            self.find(proof, f"pièce {proof.id} ({proof.kind}) : {trouble.text}", where)

    def find(self, proof: Proof, text: str, where: str) -> None:
        self.found.findings.append(Finding("forged", proof.chain, proof.size, proof.at, text, where))

    def checkpoint(self, proof: Proof, signed: bytes) -> None:
        told, content = read_checkpoint(signed)
        self._authority.check(content.signature.certificate, content.chain, told.at, Use.SIGN_JOURNAL)
        self.box = self.found.box = self.box or told.box
        signer = content.signature.certificate
        words = f"« {common_name(signer)} », SHA-256 {hashlib.sha256(signer).hexdigest()}"
        if words not in self.found.signers:
            self.found.signers.append(words)
        listed = (self.box, proof.chain, proof.size, proof.at, proof.about)
        if (told.box, told.chain, told.size, told.at, "") != listed or told.chain not in CHAINS:
            raise Refused("JRN-040", "il n'est pas de ce journal, ou n'y est pas à sa place.")
        last = self._last.get(told.chain)
        number, previous = (last.number + 1, last.digest) if last else (1, None)
        if (told.number, told.previous) != (number, previous):
            text = f"le point de contrôle {told.number} ne suit pas le précédent : il en manque, ou leur ordre a changé"
            self.find(proof, text, "pièces")
        self._last[told.chain] = told
        words = f"le point de contrôle {told.number} du {told.at}"
        self.marks[told.chain].append(Mark(told.size, bytes.fromhex(told.root), words))
        self.found.checkpoints += 1

    def receipt(self, proof: Proof, signed: bytes) -> None:
        told = self.given(signed)
        sizes = (0, told.journal_head.size) if told.journal_head else (0,)  # 0: our journal was not as it says
        if (proof.chain, proof.about) != (EVIDENCE, told.fichier) or proof.size not in sizes:
            raise Refused("JRN-044", "ce reçu n'est pas rangé à sa place.")

    def given(self, signed: bytes) -> Receipt:
        """A receipt that the OCT signed, the box's own or one that the OCT gave an auditor."""
        body = io.BytesIO()
        content = read_signed(io.BytesIO(signed), body, RECEIPT_LIMIT)
        at = content.attributes.at.isoformat()
        self._authority.check(content.signature.certificate, content.chain, at, Use.SIGN_RETURN)
        told = Receipt.from_bytes(unpack(body.getvalue()).body)
        head = told.journal_head
        if head is not None and head.good:
            words = f"le reçu contresigné du {told.received_at} (fichier {told.fichier})"
            self.marks[EVIDENCE].append(Mark(head.size, bytes.fromhex(head.root), words))
        elif head is not None:
            text = f"le concentrateur l'a dit réécrit ou tronqué ({head.word}), reçu du {told.received_at}"
            self.found.findings.append(Finding("forged", EVIDENCE, head.size, told.received_at, text, "reçus"))
        self.found.receipts += 1
        return told

    def stamp(self, proof: Proof, signed: bytes) -> None:
        if not self._authority.tsa:
            return
        from gateway.envelope.timestamp import read_token  # heavy, and only where an authority is trusted

        told = read_token(signed, self._authority.tsa)
        covered = self.pieces.get(proof.about)
        if told.imprint.hex() != proof.about or covered is None or covered.size != proof.size:
            raise Refused("JRN-041", "la contremarque de temps ne porte sur aucun point de contrôle de ce journal.")
        self._stamps.append((told.at, told.until))
        self.found.stamps += 1

    def check_renewals(self, now: datetime) -> None:
        """Each stamp whose authority's certificate has ended must be covered by one made before that."""
        ends = sorted(self._stamps)
        for (at, until), later in zip_longest(ends, ends[1:]):
            if until < now and (later is None or later[0] > until):
                text = f"contremarque du {day_words(at)} échue le {day_words(until)} sans avoir été renouvelée"
                self.found.notes.append(text)


_KINDS: dict[str, Callable[[_Signed, Proof, bytes], None]] = {
    "checkpoint": _Signed.checkpoint, "receipt": _Signed.receipt, "stamp": _Signed.stamp,
}  # fmt: skip


@dataclass(frozen=True)
class _File:
    """A segment and how many bytes of it there were at the beginning."""

    path: Path
    size: int

    def lines(self) -> Iterator[bytes]:
        """Its whole lines with their newline; one that is too long in pieces, of which each is no entry."""
        left = self.size
        with self.path.open("rb") as file:
            while line := file.readline(LONGEST_LINE):
                left -= len(line)
                if left < 0 or not (line.endswith(b"\n") or len(line) == LONGEST_LINE):
                    return
                yield line


def inspect(
    directory: Path, authority: Authority, now: datetime, book: Path | None = None, receipts: Iterable[bytes] = (),
    progress: Callable[[int], None] = lambda rows: None,
) -> Inspection:  # fmt: skip
    """Look everything over; ``receipts`` are signed receipts that the OCT gave the auditor (DER).

    ``progress`` is called now and then with the rows read.  Refused JRN-042 (scope box) where a file cannot be read.
    """
    given = tuple(receipts)
    try:
        try:
            return _inspect(directory, authority, now, _opened(book, str), given, progress)
        except sqlite3.OperationalError:  # somebody may have put there what is no UTF-8: read it anyhow, which is slow
            return _inspect(directory, authority, now, _opened(book, _anyhow), given, progress)
    except (sqlite3.Error, OSError) as trouble:
        text = f"Le journal ne peut pas être lu jusqu'au bout ({trouble}) : rien n'en est vérifié."
        raise Refused("JRN-042", text, Scope.BOX) from None


@contextmanager
def _opened(book: Path | None, text: Callable[[bytes], str]) -> Iterator[sqlite3.Connection | None]:
    """The book, only to be read."""
    if book is None:
        yield None
        return
    with closing(sqlite3.connect(f"file:{book}?mode=ro", uri=True)) as connection:
        connection.row_factory, connection.text_factory = sqlite3.Row, text
        yield connection


def _anyhow(text: bytes) -> str:
    return text.decode(errors="replace")


def _inspect(
    directory: Path, authority: Authority, now: datetime, book: AbstractContextManager[sqlite3.Connection | None],
    receipts: tuple[bytes, ...], progress: Callable[[int], None],
) -> Inspection:  # fmt: skip
    found = Inspection()
    with book as connection:
        recorded = _recorded(connection)
        files = {chain: [_File(path, path.stat().st_size) for path in names(directory, chain)] for chain in _ALL}
        if connection is not None:
            connection.execute("BEGIN")
        signed = _Signed(authority, found)
        _take_signed(signed, connection, files[PROOFS], recorded.get(PROOFS, 0), receipts)
        readings = []
        for chain in CHAINS:
            readings += _read_chain(chain, connection, files[chain], signed, recorded.get(chain, 0), progress, found)
        found.findings += [*_strays(connection), *_false_indexes(connection)]
        _conclude(found, readings, signed, authority, now)
    return found


_ALL = (*CHAINS, PROOFS)
_INDEXED = ("journal", "proofs")


def _recorded(connection: sqlite3.Connection | None) -> dict[str, int]:
    """How far the book says that each chain stands in files."""
    if connection is None:
        return {}
    query = "SELECT chain, max(last) AS last FROM segments GROUP BY chain"
    return {row["chain"]: row["last"] for row in connection.execute(query)}


def _take_signed(
    signed: _Signed,
    connection: sqlite3.Connection | None,
    files: list[_File],
    recorded: int,
    receipts: Iterable[bytes],
) -> None:
    if connection is not None:
        kept = ((proof_of(row), row["digest"]) for row in Proofs(connection).each())
        signed.take_all(kept, "livre", 1, 0)
    if files or recorded:
        head = _head(next(files[0].lines(), b"")) if files else None
        signed.take_all(_pieces(files, signed), "segments", head.first if head else 1, recorded)
    for number, der in enumerate(receipts, start=1):
        try:
            signed.given(der)
        except Trouble as trouble:
            signed.found.notes.append(f"reçu fourni n° {number} : {trouble.text}")


_NOBODY = Proof(0, "checkpoint", EVIDENCE, 0, "", "", "")
"""For what is wrong with no piece in particular."""


def _pieces(files: list[_File], signed: _Signed) -> Iterator[tuple[Proof, str]]:
    """The pieces of the segments with their SHA-256 as they say; what cannot be read is found."""
    before = None
    for file in files:
        lines, digest = file.lines(), hashlib.sha256()
        if not _follows(_first(lines, digest), file, before):
            signed.find(_NOBODY, f"{file.path.name} : l'en-tête ne suit pas le segment précédent", "segments")
        for line in lines:
            digest.update(line)
            piece = _piece(line)
            if piece is None:
                signed.find(_NOBODY, f"{file.path.name} : une pièce est illisible", "segments")
            else:
                yield piece
        before = digest.hexdigest()


def _piece(line: bytes) -> tuple[Proof, str] | None:
    entry = read_entry(line[:-1])
    try:
        return None if entry is None else (read_proof(entry[1]), entry[0].hex())
    except Refused:
        return None


def _read_chain(
    chain: str, connection: sqlite3.Connection | None, files: list[_File], signed: _Signed, recorded: int,
    progress: Callable[[int], None], found: Inspection,
) -> list[Reading]:  # fmt: skip
    """The readings of one chain: its book, its segments, and whether they are the same."""
    readings = []
    marks = signed.marks[chain]
    if connection is not None:
        reading = Reading(chain, "livre", marks)
        _run(reading, read_rows(connection, chain), progress)
        readings.append(reading)
        reading.finish()
    if files or connection is None:
        reading = _read_files(chain, files, marks, signed, progress)
        readings.append(reading)
        if connection is None:  # or they may be behind the book, no further than it says
            reading.finish()
    if connection is not None and (files or recorded):
        begin = readings[-1].begins
        difference = first_difference(read_rows(connection, chain, begin), _file_rows(files, chain), chain, recorded)
        found.findings += [difference] if difference else []
    return readings


def _strays(connection: sqlite3.Connection | None) -> list[Finding]:
    """Rows of the book that no reading of a chain meets, and a query by fichier would."""
    if connection is None:
        return []
    query = "SELECT chain, seq FROM journal WHERE seq < 1 OR chain NOT IN (?, ?) LIMIT ?"
    rows = connection.execute(query, (*CHAINS, MOST_FINDINGS))
    return [
        Finding("inserted", printable(chain), seq, "", f"ligne {seq} en trop, hors de toute chaîne", "livre")
        for chain, seq in rows
    ]


def _false_indexes(connection: sqlite3.Connection | None) -> list[Finding]:
    """Where an index of the book does not lead to its rows: whoever asks by fichier would not be shown them."""
    if connection is None:
        return []
    told = [row[0] for table in _INDEXED for row in connection.execute(f"PRAGMA integrity_check('{table}')")]
    text = "le livre ne retrouve pas toutes ses lignes"
    return [Finding("different", "", 0, "", f"{text} : {printable(one)}", "livre") for one in told if one != "ok"]


def _run(reading: Reading, rows: Iterable[Row], progress: Callable[[int], None]) -> None:
    for place in reading.read(rows):
        if not place & 0xFFFF:
            progress(place)


def _read_files(
    chain: str, files: list[_File], marks: list[Mark], signed: _Signed, progress: Callable[[int], None]
) -> Reading:
    reading, before = None, None
    for file in files:
        lines, digest = file.lines(), hashlib.sha256()
        head = _first(lines, digest)
        if reading is None:
            reading = Reading(chain, "segments", marks, head.start() if head else None)
        if head is None or not _follows(head, file, before):
            text = f"{file.path.name} : l'en-tête ne suit pas le segment précédent"
            reading.findings.append(Finding("changed", chain, reading.expected, "", text, "segments"))
        elif not reading.continues(head.start()) or (signed.box and head.box != signed.box):
            text = f"{file.path.name} : l'en-tête ne continue pas le journal"
            reading.findings.append(Finding("changed", chain, reading.expected, "", text, "segments"))
        _run(reading, _hashed_rows(lines, digest, chain), progress)
        before = digest.hexdigest()
    return reading or Reading(chain, "segments", marks)


def _first(lines: Iterator[bytes], digest: Any) -> SegmentHead | None:
    """The head of a segment, its line added to the digest."""
    line = next(lines, b"")
    digest.update(line)
    return _head(line)


def _follows(head: SegmentHead | None, file: _File, before: str | None) -> bool:
    """Whether a head is that of its file's name and names the segment before, of which ``before`` is the SHA-256
    (None: nothing before it is here)."""
    if head is None or (head.chain, head.number) != read_name(file.path.name):
        return False
    return head.before == before if before else (head.before is None) == (head.number == 1)


def _head(line: bytes) -> SegmentHead | None:
    """The head of a segment whose tree fits (proofs have none); None for anything else."""
    try:
        head = read_head(line.rstrip(b"\n"))
        if head.chain != PROOFS:
            head.start()
    except (Refused, ValueError):
        return None
    return head


def _hashed_rows(lines: Iterator[bytes], digest: Any, chain: str) -> Iterator[Row]:
    for line in lines:
        digest.update(line)
        yield entry_row(line[:-1], chain)


def _file_rows(files: list[_File], chain: str) -> Iterator[Row]:
    for file in files:
        lines = file.lines()
        next(lines, None)
        for line in lines:
            yield entry_row(line[:-1], chain)


def _conclude(found: Inspection, readings: list[Reading], signed: _Signed, authority: Authority, now: datetime) -> None:
    found.findings[:0] = [finding for reading in readings for finding in reading.findings]
    for reading in readings:
        found.rows[reading.chain] = max(reading.rows, found.rows.get(reading.chain, 0))
        found.signed_to[reading.chain] = max(reading.signed_to, found.signed_to.get(reading.chain, 0))
        left = reading.expected - 1 - reading.signed_to
        if left and reading.where == readings[-1].where:
            found.notes.append(
                f"{reading.chain} : {left} lignes à la fin ne sont pas encore signées, seulement chaînées"
            )
        for digest, (seq, at) in reading.named.items():
            if digest not in signed.pieces:
                text = f"la pièce que nomme la ligne {seq} est absente"
                found.findings.append(Finding("missing", reading.chain, seq, at, text, reading.where))
    signed.check_renewals(now)
    if authority.unlisted:
        found.notes.append("révocations non vérifiées : aucune liste de l'époque")
    if not authority.tsa:
        found.notes.append("contremarques de temps non vérifiées : aucune autorité d'horodatage donnée")
    del found.findings[MOST_FINDINGS:]

"""The seal: AuthEnvelopedData with AES-256-GCM (RFC 5083, RFC 5084), DER both ways.

Rule 1: no unauthenticated byte leaves.  ``Opened`` reads the whole ciphertext and checks the tag before it
releases anything, and releases in a second pass in which each block is compared with the first pass.
Rule 2: nonce of 12 bytes, tag of 16 with aes-ICVlen written out, no authenticated attributes; all else,
CBC above all, is refused by name.
Rule 3: memory is flat: one block at a time, and 16 bytes kept for each block of the first pass.
Rule 4: the lengths are definite, so the size is known before the first byte is written.

Who the recipients are and whether they may be trusted is not decided here; nor what the content is.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import AEADDecryptionContext, Cipher, algorithms, modes
from cryptography.hazmat.primitives.poly1305 import Poly1305

from gateway.envelope import der, oids
from gateway.envelope.algorithms import PrivateKey
from gateway.envelope.recipients import KEY_SIZE, content_key, recipient_info
from gateway.errors import Refused, Scope

BLOCK = 256 * 1024
"""Bytes of content handled at a time."""

_NONCE_SIZE, _TAG_SIZE, _MARK_SIZE = 12, 16, 16
_RECIPIENTS_LIMIT = 1024 * 1024
MAX_SIZE = 2**36 - 32  # SP 800-38D §5.2.1.1
_CIPHERTEXT = der.context(0, constructed=False)


class Sealer:
    """Seals exactly ``size`` bytes to the owners of the certificates (DER), as they are written."""

    def __init__(self, out: der.Writable, recipients: Sequence[bytes], size: int) -> None:
        if not recipients or not 0 <= size <= MAX_SIZE:
            raise ValueError("a recipient and a size that GCM allows are needed")
        key, nonce = secrets.token_bytes(KEY_SIZE), secrets.token_bytes(_NONCE_SIZE)
        self._out, self._left = out, size
        self._encryptor = Cipher(algorithms.AES256(key), modes.GCM(nonce)).encryptor()
        infos = der.set_of(recipient_info(certificate, key) for certificate in recipients)
        out.write(_frame(size, infos, nonce).before)

    def write(self, data: bytes) -> int:
        """Seal the next bytes; ValueError when they are more than was said."""
        self._left -= len(data)
        if self._left < 0:
            raise ValueError("more content than was said")
        view = memoryview(data)
        for start in range(0, len(view), BLOCK):
            self._out.write(self._encryptor.update(view[start : start + BLOCK]))
        return len(data)

    def close(self) -> None:
        """Write the tag; ValueError when the content is shorter than was said.  ``out`` stays open."""
        if self._left:
            raise ValueError("less content than was said")
        self._encryptor.finalize()
        self._out.write(der.octets(self._encryptor.tag))


def seal(src: der.Readable, size: int, out: der.Writable, recipients: Sequence[bytes]) -> None:
    """Seal the ``size`` bytes of ``src``; ValueError when it has more or fewer."""
    sealer = Sealer(out, recipients, size)
    while block := src.read(BLOCK):
        sealer.write(block)
    sealer.close()


class Opened:
    """The content of a seal, readable once, after the tag of the whole has been checked.

    ``src`` is a seekable binary file at the beginning of the envelope, which must end with the file.  Without a
    ``certificate`` (DER) the key is tried on each recipient of its kind.
    Refused: CMS-001 … CMS-007 not DER, CMS-010, CMS-011, CMS-023, CMS-024 not our profile, CMS-020 not for
    us (scope route), CMS-021 key, CMS-022 tag, CMS-025 (scope box) the file changed while it was read.
    """

    def __init__(self, src: BinaryIO, certificate: bytes | None, key: PrivateKey) -> None:
        self._src = src
        start = src.tell()
        reader = der.Reader(src)
        infos = _enter_envelope(reader)
        self._nonce = _read_nonce(reader)
        self._content_key = content_key(infos, certificate, key)
        self.size = reader.enter(_CIPHERTEXT)
        if self.size > MAX_SIZE:
            raise Refused("CMS-005", "Contenu scellé plus grand que ce qu'AES-GCM admet.")
        self._decryptor, self._ready = self._new_decryptor(), memoryview(b"")
        self._mark_key = secrets.token_bytes(32)
        offset = start + reader.position
        self._marks = memoryview(self._first_pass(reader))
        self._tag = _read_tag(reader)
        self._check_tag()
        src.seek(offset)
        self._decryptor, self._left = self._new_decryptor(), self.size

    def read(self, size: int = BLOCK, /) -> bytes:
        """At most ``size`` bytes of the content, empty at its end."""
        if not self._ready and self._left:
            self._ready = memoryview(self._next_block())
        piece, self._ready = self._ready[:size], self._ready[size:]
        return bytes(piece)

    def _new_decryptor(self) -> AEADDecryptionContext:
        return Cipher(algorithms.AES256(self._content_key), modes.GCM(self._nonce)).decryptor()

    def _first_pass(self, reader: der.Reader) -> bytearray:
        """Feed the whole ciphertext to the tag check, and remember each block by a keyed mark."""
        marks = bytearray()
        unreleased = bytearray(BLOCK)
        while block := reader.take(BLOCK):
            self._decryptor.update_into(block, unreleased)
            marks += self._mark(block)
        reader.leave()
        return marks

    def _mark(self, block: bytes) -> bytes:
        """Poly1305 under a key that lives as long as this object: fast without AES instructions too.

        One key for all blocks, against the rule for messages, because no mark is ever shown: two blocks share
        one with a chance below 2**-88 for whoever does not know the key, and the first that differs ends it.
        """
        return Poly1305.generate_tag(self._mark_key, block)

    def _check_tag(self) -> None:
        try:
            self._decryptor.finalize_with_tag(self._tag)
        except InvalidTag:
            raise Refused("CMS-022", "Le sceau est rompu : le contenu scellé a été altéré.") from None

    def _next_block(self) -> bytes:
        block = der.exactly(self._src, min(BLOCK, self._left))
        mark, self._marks = self._marks[:_MARK_SIZE], self._marks[_MARK_SIZE:]
        if not hmac.compare_digest(self._mark(block), mark):
            raise Refused("CMS-025", "Le fichier scellé a changé pendant sa lecture.", Scope.BOX)
        self._left -= len(block)
        content = self._decryptor.update(block)
        if not self._left:
            self._check_tag()
        return content


def open_sealed(src: BinaryIO, out: der.Writable, certificate: bytes, key: PrivateKey) -> int:
    """Copy the content of a seal to ``out``; its size.  Refused as by ``Opened``."""
    opened = Opened(src, certificate, key)
    while block := opened.read(BLOCK):
        out.write(block)
    return opened.size


# ---------------------------------------------------------------- structure


def _frame(size: int, infos: bytes, nonce: bytes) -> der.Frame:
    """All that stands around the ciphertext; of what stands after it only the size counts here."""
    parameters = der.sequence(der.octets(nonce), der.integer(_TAG_SIZE))
    cipher = der.sequence(der.oid(oids.AES256_GCM), parameters)
    return (
        der.Frame(size)
        .inside(_CIPHERTEXT)
        .inside(der.SEQUENCE, before=der.oid(oids.DATA) + cipher)
        .inside(der.SEQUENCE, before=der.integer(0) + infos, after=der.octets(bytes(_TAG_SIZE)))
        .inside(der.context(0))
        .inside(der.SEQUENCE, before=der.oid(oids.AUTH_ENVELOPED_DATA))
    )


_OTHER_TYPES = {
    der.oid(oids.ENVELOPED_DATA): "C'est un EnvelopedData, sans authentification (CBC)",
    der.oid(oids.SIGNED_DATA): "C'est un contenu signé qui n'est pas scellé",
}


def _enter_envelope(reader: der.Reader) -> list[bytes]:
    """The RecipientInfos; leaves the reader before the content's algorithm."""
    reader.enter(der.SEQUENCE)
    content_type = reader.element(der.OID)
    if content_type != der.oid(oids.AUTH_ENVELOPED_DATA):
        found = _OTHER_TYPES.get(content_type, "Ce n'est pas une enveloppe scellée")
        raise Refused("CMS-010", f"{found} : AuthEnvelopedData exigé.")
    reader.enter(der.context(0))
    reader.enter(der.SEQUENCE)
    if reader.integer() != 0:
        raise Refused("CMS-010", "Version d'AuthEnvelopedData autre que 0.")
    infos = der.read_set_of(reader.element(der.SET, _RECIPIENTS_LIMIT))
    reader.enter(der.SEQUENCE)
    if reader.element(der.OID) != der.oid(oids.DATA):
        raise Refused("CMS-010", "Le contenu scellé n'est pas de type « data ».")
    return infos


def _read_nonce(reader: der.Reader) -> bytes:
    reader.enter(der.SEQUENCE)
    cipher = reader.element(der.OID)
    if cipher != der.oid(oids.AES256_GCM):
        raise Refused("CMS-024", f"Contenu scellé autrement que par AES-256-GCM ({cipher.hex()}).")
    reader.enter(der.SEQUENCE)
    nonce = reader.content(der.OCTET_STRING)
    tag_size = 12 if reader.peek() is None else reader.integer()  # RFC 5084 §3.2: DEFAULT 12
    reader.leave()
    reader.leave()
    if len(nonce) != _NONCE_SIZE or tag_size != _TAG_SIZE:
        raise Refused("CMS-023", f"Sceau de {tag_size} octets et nonce de {len(nonce)} : il faut 16 et 12.")
    return nonce


def _read_tag(reader: der.Reader) -> bytes:
    reader.leave()
    if reader.peek() == der.context(1):
        raise Refused("CMS-010", "Enveloppe avec des attributs authentifiés : il n'en faut pas.")
    tag = reader.content(der.OCTET_STRING)
    if len(tag) != _TAG_SIZE:
        raise Refused("CMS-023", f"Sceau de {len(tag)} octets : il en faut {_TAG_SIZE}.")
    for _ in ("AuthEnvelopedData", "[0]", "ContentInfo"):
        reader.leave()
    reader.finish()
    return tag

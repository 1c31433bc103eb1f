"""``gateway envelope sign|seal|open|verify``: CMS by hand.

Rule 1: ``OUT`` appears whole, checked and durable, or not at all: a temporary file in its directory, which only
the user can read, then a rename; standard output gets its first byte after the last check.
Rule 2: what a pipe brings waits on the disk as ciphertext only.

What cannot be done is raised as Refused or Deferred; ``gateway.__main__`` says it and sets the exit code.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeVar

from gateway.commands.spool import Spool
from gateway.disk import sync_directory
from gateway.envelope import certificates, der, seal, signed
from gateway.envelope.algorithms import PrivateKey, public_key
from gateway.errors import Deferred, Refused, Scope, naming, os_words

T = TypeVar("T")

LIMIT = 2**36
"""Bytes of content that ``verify`` takes."""

_SIGNING_USES = [
    certificates.Use.SIGN_FICHIER,
    certificates.Use.SIGN_RETURN,
    certificates.Use.SIGN_JOURNAL,
]


_FILES = {
    "--certificate": "le certificat (PEM ou DER)",
    "--key": "sa clé privée (PEM)",
    "--chain": "certificats intermédiaires",
    "--trust": "la racine de confiance",
}


class Rewindable(Protocol):
    """A content that can be read more than once."""

    def read(self, size: int, /) -> bytes: ...
    def rewind(self) -> None: ...


class _File:
    """A regular file as a Rewindable."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.read = file.read

    def rewind(self) -> None:
        self._file.seek(0)


def register(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add ``envelope`` and its verbs; each sets ``act``, from the arguments to the exit code."""
    envelope = subparsers.add_parser("envelope", help="signer, sceller, ouvrir, vérifier une enveloppe CMS")
    verbs = envelope.add_subparsers(required=True, metavar="VERBE")

    def verb(name: str, help_: str, act: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = verbs.add_parser(name, help=help_)
        parser.add_argument("source", metavar="ENTRÉE", help="fichier, ou - pour l'entrée standard")
        parser.add_argument("target", metavar="SORTIE", help="fichier, ou - pour la sortie standard")
        parser.set_defaults(act=act)
        return parser

    sign = verb("sign", "signer", sign_file)
    _add_files(sign, "--certificate", "--key", required=True)
    _add_files(sign, "--chain")
    sealing = verb("seal", "sceller pour un ou plusieurs destinataires", seal_file)
    sealing.add_argument(
        "--to", type=Path, action="append", required=True, metavar="CERTIFICAT", help="du destinataire ; se répète"
    )
    opening = verb("open", "ouvrir ce qui est scellé pour nous", open_file)
    _add_files(opening, "--certificate", "--key", required=True)
    verify = verb("verify", "vérifier une signature et en extraire le contenu", verify_file)
    _add_files(verify, "--trust", required=True)
    _add_files(verify, "--chain")
    verify.add_argument("--crl", type=Path, nargs="+", default=[], metavar="FICHIER", help="listes de révocation")
    verify.add_argument(
        "--policy", action="append", default=[], metavar="OID", help="politique admise (toutes, sinon) ; se répète"
    )
    verify.add_argument(
        "--use", type=certificates.Use, choices=_SIGNING_USES, default=_SIGNING_USES[0],
        help=f"ce que le certificat doit permettre ; sinon {_SIGNING_USES[0]}",
    )  # fmt: skip


def _add_files(parser: argparse.ArgumentParser, *names: str, required: bool = False) -> None:
    for name in names:
        parser.add_argument(name, type=Path, required=required, metavar="FICHIER", help=_FILES[name])


# ---------------------------------------------------------------- verbs


def sign_file(arguments: argparse.Namespace) -> int:
    """Sign IN with a key in a file, RSA-PSS or ECDSA."""
    certificate, key = _identity(arguments)
    chain = _certificates(arguments.chain) if arguments.chain else []
    with _content(arguments.source) as (content, size), _released(arguments.target) as out:
        digest = hashlib.sha256()
        while block := content.read(signed.BLOCK):
            digest.update(block)
        content.rewind()
        signature = signed.sign_with_key(digest.digest(), datetime.now(UTC), certificate, key)
        with _unchanged(arguments.source):
            signed.write_signed(content, size, out, signature, chain)
    return 0


def seal_file(arguments: argparse.Namespace) -> int:
    """Seal IN to the owners of the certificates; nothing is asked about their path."""
    recipients = [_certificates(path)[0] for path in arguments.to]
    with _content(arguments.source) as (content, size), _released(arguments.target) as out:
        if size > seal.MAX_SIZE:
            raise Refused("CMS-018", f"Contenu de {size} octets, plus que les {seal.MAX_SIZE} admis.")
        with _unchanged(arguments.source):
            seal.seal(content, size, out, recipients)
    return 0


def open_file(arguments: argparse.Namespace) -> int:
    """Open IN with our certificate and key; the signature inside, if any, is for ``verify``."""
    certificate, key = _identity(arguments)
    with _envelope(arguments.source) as src, _released(arguments.target) as out:
        seal.open_sealed(src, out, certificate, key)
    return 0


def verify_file(arguments: argparse.Namespace) -> int:
    """Check the signature, its signer's path and revocation now, and write the content to OUT."""
    roots = _certificates(arguments.trust)
    chain = _certificates(arguments.chain) if arguments.chain else []
    lists = [found for path in arguments.crl for found in _of(path, certificates.load_lists)]
    with _stream(arguments.source) as src, _released(arguments.target) as out:
        read = signed.read_signed(src, out, LIMIT)
        signer, now = read.signature.certificate, datetime.now(UTC)
        try:
            path = (signer, [*read.chain, *chain], roots, lists, now, arguments.use)
            certificates.check_path(*path, policies=frozenset(arguments.policy))
        except Deferred as later:  # by hand there is neither a card nor a route that could be missing
            raise Deferred(later.code, later.text, Scope.BOX) from None
    print(f"Signature valable du {read.attributes.at:%d/%m/%Y à %H:%M:%S} UTC.", file=sys.stderr)
    return 0


# ---------------------------------------------------------------- what goes in


def _of(path: Path, load: Callable[[bytes], T]) -> T:
    with _readable(str(path)):
        content = path.read_bytes()
    with naming(path):
        return load(content)


def _certificates(path: Path) -> list[bytes]:
    return _of(path, certificates.load_certificates)


def _identity(arguments: argparse.Namespace) -> tuple[bytes, PrivateKey]:
    certificate, key = _certificates(arguments.certificate)[0], _of(arguments.key, certificates.load_key)
    if public_key(certificate) != key.public_key():
        raise Refused("CMS-042", f"{arguments.key} n'est pas la clé de {arguments.certificate}.", Scope.BOX)
    return certificate, key


@contextmanager
def _readable(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Refused("CMS-050", f"{name} ne peut être lu : {os_words(error)}.") from None


@contextmanager
def _unchanged(name: str) -> Iterator[None]:
    try:
        yield
    except ValueError:
        raise Deferred("CMS-051", f"{name} a changé pendant sa lecture.", Scope.BOX) from None


@contextmanager
def _stream(name: str) -> Iterator[BinaryIO]:
    """The file, or standard input as it comes."""
    if name == "-":
        if sys.stdin is None:
            raise Refused("CMS-050", "L'entrée standard ne peut être lue : elle est fermée.")
        yield sys.stdin.buffer
        return
    with _readable(name):
        raw = _Raw(name)
    with io.BufferedReader(raw) as file:
        yield file


class _Raw(io.FileIO):
    """A file that cannot be read on is named, not the one that is being written from it."""

    def readinto(self, buffer: Any, /) -> int:
        """Refused CMS-050 where the disk does not give it."""
        with _readable(str(self.name)):
            return super().readinto(buffer) or 0


def _is_regular(file: BinaryIO) -> bool:
    return stat.S_ISREG(os.fstat(file.fileno()).st_mode)


@contextmanager
def _content(name: str) -> Iterator[tuple[Rewindable, int]]:
    """A content in clear and its size; a pipe is spooled under a key of this process."""
    with _stream(name) as file:
        if name != "-" and _is_regular(file):
            yield _File(file), os.fstat(file.fileno()).st_size
            return
        with closing(Spool()) as spool:
            with _writable("Le fichier temporaire"):
                shutil.copyfileobj(file, spool, signed.BLOCK)
            spool.rewind()
            yield spool, spool.size


@contextmanager
def _envelope(name: str) -> Iterator[BinaryIO]:
    """A sealed file that can be sought; a pipe is spooled as it is, which is ciphertext."""
    with _stream(name) as file:
        if name != "-" and _is_regular(file):
            yield file
            return
        with tempfile.TemporaryFile() as spool:
            with _writable("Le fichier temporaire"):
                shutil.copyfileobj(file, spool, seal.BLOCK)
                spool.seek(0)
            yield spool


# ---------------------------------------------------------------- what comes out


@contextmanager
def _released(name: str) -> Iterator[der.Writable]:
    """Where to write; it reaches ``name`` only when the block ends well."""
    with _printed() if name == "-" else _renamed(Path(name)) as out:
        yield out


@contextmanager
def _writable(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Deferred("CMS-053", f"{name} n'a pas pu être écrit : {os_words(error)}.", Scope.BOX) from None


@contextmanager
def _printed() -> Iterator[Spool]:
    if sys.stdout is None:
        raise Refused("CMS-052", "La sortie standard ne peut être écrite : elle est fermée.", Scope.BOX)
    with _writable("Le fichier temporaire"), closing(Spool()) as spool:
        yield spool
        spool.rewind()
        with _writable("Le résultat"):
            _print(spool)


def _print(spool: Spool) -> None:
    try:
        while block := spool.read(signed.BLOCK):
            sys.stdout.buffer.write(block)
        sys.stdout.buffer.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still buffered has nowhere to go
        raise


@contextmanager
def _renamed(target: Path) -> Iterator[BinaryIO]:
    if target.exists() and not target.is_file():  # a rename would put a file in the place of a device
        raise Refused("CMS-052", f"{target} ne peut être écrit : ce n'est pas un fichier.", Scope.BOX)
    try:
        made, path = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:
        raise Refused("CMS-052", f"{target} ne peut être écrit : {os_words(error)}.", Scope.BOX) from None
    try:
        with _writable(str(target)):
            with os.fdopen(made, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            Path(path).replace(target)
            sync_directory(target.parent)
    finally:
        Path(path).unlink(missing_ok=True)

"""Certificates, keys and secrets as files; one that is missing or unreadable is named (scope box)."""

from __future__ import annotations

from pathlib import Path

from gateway.envelope.algorithms import PrivateKey
from gateway.envelope.certificates import load_certificates, load_key, load_lists
from gateway.errors import Refused, Scope


def read_certificates(path: Path) -> tuple[bytes, ...]:
    """The certificates of a file, DER, in its order."""
    return tuple(load_certificates(_read(path)))


def read_certificate(path: Path) -> bytes:
    """The first certificate of a file, DER."""
    return read_certificates(path)[0]


def read_lists(*directories: Path) -> tuple[bytes, ...]:
    """The revocation lists of the ``.crl`` files of directories, DER; they are renewed while services run."""
    files = [file for directory in directories for file in sorted(directory.glob("*.crl"))]
    return tuple(found for file in files for found in _lists_of(file))


def _lists_of(file: Path) -> list[bytes]:
    try:
        return load_lists(_read(file))
    except Refused as wrong:
        raise Refused(wrong.code, f"{file.name} : {wrong.text}", Scope.BOX) from None


def read_key(path: Path) -> PrivateKey:
    """A private key in PEM."""
    return load_key(_read(path))


def read_secret(path: Path) -> bytes:
    """A secret written in hexadecimal."""
    return bytes.fromhex(_read(path).decode())


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Refused("BOX-004", f"{path} ne peut pas être lu : {error.strerror}.", Scope.BOX) from None

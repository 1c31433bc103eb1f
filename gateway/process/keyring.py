"""Certificates, keys and secrets as files; one that is missing or unreadable is named (scope box).

A key that the box made bears the mark of its public key in its name, ``box-seal.<mark>.key``: so the certificates in
``trust/`` alone say which keys are in force, and all of them change at once (``gateway.process.identity``).  A key
that was placed by hand has no mark; it is looked for last.  Each may lie in clear or be given by systemd
(``gateway.process.credentials``).
"""

from __future__ import annotations

from pathlib import Path

from gateway.config import Paths
from gateway.disk import Marks, marks
from gateway.envelope.algorithms import PrivateKey, public_key
from gateway.envelope.box_keys import PASSWORD
from gateway.envelope.certificates import load_certificates, load_key, load_lists
from gateway.envelope.requests import mark
from gateway.envelope.ring import Ring
from gateway.errors import Refused, Scope, naming, os_words
from gateway.process.credentials import given_names, secret_file

GENERATIONS, CURRENT = "generations", "current"
"""In ``trust/``: the directory of every set of certificates that was in force, and the link to the one that is."""


def read_certificates(path: Path) -> tuple[bytes, ...]:
    """The certificates of a file, DER, in its order."""
    content = _read(path)
    with naming(path):
        return tuple(load_certificates(content))


def read_certificate(path: Path) -> bytes:
    """The first certificate of a file, DER."""
    return read_certificates(path)[0]


class ListFiles:
    """The revocation lists in the ``.crl`` files of directories: renewed while services run, and read again only when
    one of the files changed, for they may have megabytes."""

    def __init__(self, *directories: Path) -> None:
        self._directories = directories
        self._last: tuple[Marks, tuple[bytes, ...]] = ((), ())

    def marks(self) -> Marks:
        """What tells whether the files have changed."""
        return marks(self._files())

    def read(self) -> tuple[bytes, ...]:
        """The lists, DER, each once; Refused (scope box) BOX-004, CMS-039 for an unreadable file."""
        now = self.marks()  # before they are read: what changes meanwhile is seen the next time
        if now != self._last[0]:
            self._last = now, tuple(dict.fromkeys(found for file in self._files() for found in _lists_of(file)))
        return self._last[1]

    def _files(self) -> list[Path]:
        return [file for directory in self._directories for file in sorted(directory.glob("*.crl"))]


def _lists_of(file: Path) -> list[bytes]:
    content = _read(file)
    with naming(file.name):
        return load_lists(content)


def read_key(path: Path) -> PrivateKey:
    """A private key in PEM."""
    content = _read(path)
    with naming(path):
        return load_key(content)


def read_secret(path: Path) -> bytes:
    """A secret written in hexadecimal."""
    return bytes.fromhex(_read(path).decode())


def marked_key(paths: Paths, service: str, name: str, certificate: bytes) -> Path:
    """Where the private key of a certificate (DER) of ours lies if the box made it."""
    return secret_file(paths, service, f"{name}.{mark(public_key(certificate))}.key")


def made_keys(paths: Paths, service: str, name: str) -> dict[str, Path]:
    """By mark, the private keys of that name that the box made, whether they have a certificate or not."""
    found = {path.name for path in (paths.keys / service).glob(f"{name}.*.key")}
    found |= {given for given in given_names() if given.startswith(f"{name}.") and given.count(".") > 1}
    files = {one.split(".")[-2]: secret_file(paths, service, one) for one in sorted(found)}
    return {which: file for which, file in files.items() if file.exists()}


def key_file(paths: Paths, service: str, name: str) -> Path:
    """The private key of the certificate that is in force."""
    made = marked_key(paths, service, name, read_certificate(paths.trust / f"{name}.pem"))
    return made if made.exists() else secret_file(paths, service, f"{name}.key")


def read_ring(paths: Paths, service: str, name: str) -> Ring:
    """The key in force, and the older ones that are still kept."""
    current = read_certificate(paths.trust / f"{name}.pem")
    pairs = {current: read_key(key_file(paths, service, name))}
    for former in generations_of(paths, name) - {current}:
        for file in (marked_key(paths, service, name, former), secret_file(paths, service, f"{name}.key")):
            if file.exists() and (key := read_key(file)).public_key() == public_key(former):
                pairs[former] = key
    return Ring(list(pairs.items()))


def generations_of(paths: Paths, name: str) -> set[bytes]:
    """Every certificate (DER) of that name that is or was in force."""
    return {read_certificate(path) for path in (paths.trust / GENERATIONS).glob(f"*/{name}.pem")}


def generation(paths: Paths) -> str:
    """The name of the generation in force, '' where all was placed by hand; it changes when certificates do."""
    try:
        return (paths.trust / CURRENT).readlink().name
    except OSError:
        return ""


def password_file(paths: Paths) -> Path:
    """The PeSIT password that goes with the transport certificate in force."""
    certificate = read_certificate(paths.trust / "box-transport.pem")
    made = secret_file(paths, "forward", f"{PASSWORD}.{mark(public_key(certificate))}")
    return made if made.exists() else secret_file(paths, "forward", PASSWORD)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Refused("BOX-004", f"{path} ne peut pas être lu : {os_words(error)}.", Scope.BOX) from None

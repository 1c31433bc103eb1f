"""``gateway envelope open`` on touched envelopes, in a process of its own: it writes nothing readable, anywhere.

Each byte that the process writes is seen, to whichever file and whatever becomes of the file (``written.c``).
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest
from development_pki import Pki

from gateway.envelope import der
from gateway.envelope.seal import seal
from gateway.envelope.signed import sign_with_key, write_signed

MARK = b"JEANNE DUPONT 7\n"
CONTENT = MARK * 40_000
"""640,000 bytes: several blocks; 31 of them in a row, from anywhere, hold the mark."""
NAME = "box-seal"


@dataclass(frozen=True)
class Process:
    """The command, watched."""

    pki: Pki
    directory: Path
    watch: Path

    def run(self, verb: str, envelope: bytes, *words: str | Path, piped: bool) -> subprocess.CompletedProcess[bytes]:
        """By a pipe in and out, or from a file ``in`` to a file ``out``."""
        (self.directory / "in").write_bytes(envelope)
        ends = ["-", "-"] if piped else ["in", "out"]
        environment = {**os.environ, "TMPDIR": str(self.directory), "LD_PRELOAD": str(self.watch),
                       "WRITTEN": str(self.directory / "written")}  # fmt: skip
        command = [sys.executable, "-m", "gateway", "envelope", verb, *ends, *words]
        given = envelope if piped else b""
        return subprocess.run(command, input=given, capture_output=True, cwd=self.directory, env=environment)

    def open(self, envelope: bytes, *, piped: bool) -> subprocess.CompletedProcess[bytes]:
        identity = ["--certificate", self.pki.directory / f"{NAME}.pem", "--key", self.pki.directory / f"{NAME}.key"]
        return self.run("open", envelope, *identity, piped=piped)

    @property
    def written(self) -> bytes:
        return (self.directory / "written").read_bytes()

    def left(self) -> set[str]:
        return {path.name for path in self.directory.iterdir()}


@pytest.fixture(scope="module")
def watch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = tmp_path_factory.mktemp("watch") / "written.so"
    source = Path(__file__).with_name("written.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
    return library


@pytest.fixture
def process(pki: Pki, tmp_path: Path, watch: Path) -> Process:
    return Process(pki, tmp_path, watch)


@pytest.fixture(scope="module")
def envelopes(pki: Pki) -> tuple[bytes, bytes]:
    """Two seals of the content: the second lends the first its tag."""
    made = []
    for _ in range(2):
        out = io.BytesIO()
        seal(io.BytesIO(CONTENT), len(CONTENT), out, [pki.certificate(NAME)])
        made.append(out.getvalue())
    return made[0], made[1]


def flipped(place: int) -> Callable[[bytes, bytes], bytes]:
    """One bit, counted from the end where ``place`` is negative."""

    def touch(envelope: bytes, other: bytes) -> bytes:
        touched = bytearray(envelope)
        touched[place] ^= 0x01
        return bytes(touched)

    return touch


def short_tag(envelope: bytes, other: bytes) -> bytes:
    """The first 12 bytes of the right tag, every length around it made right again."""
    reader = der.parse(envelope)
    reader.enter(der.SEQUENCE)
    kind = reader.element()
    reader.enter(der.context(0))
    reader.enter(der.SEQUENCE)
    version, infos, content, tag = (reader.element(limit=1 << 20) for _ in range(4))
    head, body = content[4 : -len(CONTENT)], content[-len(CONTENT) :]
    assert head.count(der.integer(16)) == 1 and tag == der.octets(envelope[-16:])
    content = der.sequence(head.replace(der.integer(16), der.integer(12)), body)
    return der.sequence(kind, der.tlv(der.context(0), der.sequence(version, infos, content, der.octets(tag[2:14]))))


OVERHEAD = 18
"""Bytes after the ciphertext: the tag and its header."""
HEAD = -OVERHEAD - len(CONTENT)
"""Where the ciphertext begins, from the end."""

TOUCHES: dict[str, Callable[[bytes, bytes], bytes]] = {
    "first byte": flipped(0),
    "the wrapped key": flipped(HEAD - 70),
    "the nonce": flipped(HEAD - 15),
    "first byte of the content": flipped(HEAD),
    "middle of the content": flipped(-OVERHEAD - len(CONTENT) // 2),
    "last byte of the content": flipped(-OVERHEAD - 1),
    "tag": flipped(-1),
    "cut by a byte": lambda envelope, other: envelope[:-1],
    "cut in the middle": lambda envelope, other: envelope[: len(envelope) // 2],
    "a byte more": lambda envelope, other: envelope + b"\0",
    "another's tag": lambda envelope, other: envelope[:-16] + other[-16:],
    "a tag of 12 bytes": short_tag,
}


@pytest.mark.parametrize("piped", [False, True], ids=["files", "pipes"])
@pytest.mark.parametrize("touch", TOUCHES.values(), ids=TOUCHES)
def test_a_touched_envelope_gives_no_readable_byte(
    process: Process, envelopes: tuple[bytes, bytes], touch: Callable[[bytes, bytes], bytes], piped: bool
) -> None:
    done = process.open(touch(*envelopes), piped=piped)
    assert (done.returncode, done.stdout) == (65, b"")
    assert done.stderr.startswith(b"gateway : CMS-0") and done.stderr.count(b"\n") == 1
    assert MARK not in process.written and process.left() == {"in", "written"}


@pytest.mark.parametrize("piped", [False, True], ids=["files", "pipes"])
def test_cbc_gives_no_readable_byte(process: Process, piped: bool) -> None:
    recipient = ["-recip", process.pki.directory / f"{NAME}.pem", "-keyopt", "ecdh_kdf_md:sha256"]
    command = ["openssl", "cms", "-encrypt", "-binary", "-outform", "DER", "-aes-256-cbc", *recipient]
    envelope = subprocess.run(command, input=CONTENT, check=True, capture_output=True).stdout
    done = process.open(envelope, piped=piped)
    assert (done.returncode, done.stdout) == (65, b"") and b"CMS-010" in done.stderr
    assert MARK not in process.written and process.left() == {"in", "written"}


@pytest.mark.parametrize("piped", [False, True], ids=["files", "pipes"])
def test_the_watch_sees_what_a_sound_envelope_gives(
    process: Process, envelopes: tuple[bytes, bytes], piped: bool
) -> None:
    """Or the tests above would show nothing."""
    done = process.open(envelopes[0], piped=piped)
    assert done.returncode == 0
    assert (done.stdout if piped else (process.directory / "out").read_bytes()) == CONTENT
    assert process.written.count(MARK) >= len(CONTENT) // len(MARK) - 3  # three blocks may cut a mark


@pytest.fixture(scope="module")
def signed(pki: Pki) -> bytes:
    signature = sign_with_key(
        sha256(CONTENT).digest(), datetime.now(UTC), pki.certificate("oct-sign"), pki.key("oct-sign")
    )
    out = io.BytesIO()
    write_signed(io.BytesIO(CONTENT), len(CONTENT), out, signature, [pki.certificate("chains/oct")])
    return out.getvalue()


FALSE: dict[str, tuple[int, bytes]] = {
    "sound": (0, b""),
    "the content": (300_000, b"CMS-013"),
    "the signature": (-1, b"CMS-014"),
}


@pytest.mark.parametrize(("place", "code"), FALSE.values(), ids=FALSE)
def test_a_false_signature_releases_no_byte_to_a_pipe(process: Process, signed: bytes, place: int, code: bytes) -> None:
    """Where it waits for the last check, nothing readable stands either."""
    pki = process.pki.directory
    words = ["--trust", pki / "root.pem", "--crl", pki / "crl/all.pem", "--use", "sign-return"]
    envelope = flipped(place)(signed, b"") if code else signed
    done = process.run("verify", envelope, *words, piped=True)
    if code:
        assert (done.returncode, done.stdout) == (65, b"") and code in done.stderr
        assert MARK not in process.written
    else:
        assert (done.returncode, done.stdout) == (0, CONTENT)

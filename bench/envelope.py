"""How fast fichiers are sealed and opened here: beside ``openssl cms``, and beside what one core can do at all.

Beside ``openssl cms``: whole commands on one file of a gibibyte, start-up included; ours also make their result
durable (fsync), openssl's does not.
Beside the limit: the product's own two streams in a process of their own, from a file to nowhere, keys loaded
before.  *Sign and seal* is one SHA-256 and one AES-256-GCM of each byte (the digest that was signed is known
before and is checked here), *open and verify* is one SHA-256 and two AES-256-GCM, the file being read twice.
The limit is one SHA-256 and one AES-256-GCM in sequence, as ``openssl speed`` gives them in the same run.  Both
count the time of the processor, so that what else runs on the machine counts little.
Both once more with the processor's instructions for AES and SHA masked, as a Raspberry Pi 4 has none.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import peak

from bench.pki import development_pki
from bench.rows import row
from gateway.envelope.certificates import load_certificates, load_key
from gateway.envelope.seal import Opened, Sealer
from gateway.envelope.signed import read_signed, sign_with_key, signed_size, write_signed

REPO = Path(__file__).resolve().parents[1]
SIZE = 1 << 30
RUNS = 3
BLOCK = 1 << 18
MASKS = {"OPENSSL_ia32cap": "~0x200000200000000:0", "OPENSSL_armcap": "0x1"}
"""No AES, carry-less multiplication, SHA or wide vectors on x86; plain NEON on ARM."""
MEMORY = 64 << 20
OAEP = ["-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256"]
SEALER, SIGNER = "oct-seal", "oct-sign"


def noise(path: Path, size: int) -> Path:
    """A file of random bytes."""
    with path.open("wb") as file:
        for _ in range(size >> 20):
            file.write(os.urandom(1 << 20))
    return path


def best(run: Callable[[], float], leaves: Path) -> float:
    """The shortest of some runs in seconds, each begun with no result there and nothing left to write."""
    seconds = []
    for _ in range(RUNS):
        leaves.unlink(missing_ok=True)
        os.sync()
        seconds.append(run())
    return min(seconds)


def rate(seconds: float, size: int) -> float:
    """MB/s."""
    return size / seconds / 1e6


# ---------------------------------------------------------------- beside openssl cms


class Commands:
    """The commands on one file, ours and openssl's; each gives its seconds."""

    def __init__(self, root: Path, pki: Path) -> None:
        self.clear, self.sealed, self.out = noise(root / "clear", SIZE), root / "sealed", root / "out"
        self._certificate, self._key = pki / f"{SEALER}.pem", pki / f"{SEALER}.key"
        self.resident = 0

    def ours(self, verb: str, source: Path, target: Path, *words: str | Path) -> float:
        """Remembers the most memory that any of them took."""
        run = peak.gateway("envelope", verb, source, target, *words)
        self.resident = max(self.resident, run.resident)
        return run.seconds

    def seal(self) -> float:
        return self.ours("seal", self.clear, self.sealed, "--to", self._certificate)

    def open(self) -> float:
        return self.ours("open", self.sealed, self.out, "--certificate", self._certificate, "--key", self._key)

    def openssl(self, *words: str | Path) -> float:
        start = time.monotonic()
        subprocess.run(["openssl", "cms", "-binary", *words], check=True)
        return time.monotonic() - start

    def encrypt(self, *more: str) -> float:
        return self.openssl("-encrypt", *more, "-aes-256-gcm", "-outform", "DER", "-in", self.clear,
                            "-out", self.out, "-recip", self._certificate, *OAEP)  # fmt: skip

    def decrypt(self) -> float:
        return self.openssl("-decrypt", "-inform", "DER", "-in", self.sealed, "-out", self.out,
                            "-recip", self._certificate, "-inkey", self._key)  # fmt: skip


def beside_openssl(root: Path, pki: Path) -> list[dict[str, Any]]:
    """A gibibyte sealed and opened by both."""
    commands = Commands(root, pki)
    ours = {"seal": best(commands.seal, commands.sealed), "open": best(commands.open, commands.out)}
    theirs = {
        ("seal", "openssl cms -encrypt"): best(commands.encrypt, commands.out),
        ("seal", "the same, -stream"): best(lambda: commands.encrypt("-stream"), commands.out),
        ("open", "openssl cms -decrypt"): best(commands.decrypt, commands.out),
    }
    rows = [
        row(f"gateway envelope {verb}, 1 GiB", rate(ours[verb], SIZE), "MB/s", what, rate(seconds, SIZE))
        for (verb, what), seconds in theirs.items()
    ]
    return [*rows, row("gateway envelope, peak memory, 1 GiB", commands.resident, "bytes", "64 MiB", MEMORY)]


# ---------------------------------------------------------------- beside what the machine can


def speed(algorithm: str, environment: Mapping[str, str]) -> float:
    """Bytes a second of one core on blocks of our size, the best of some short runs."""
    command = ["openssl", "speed", "-mr", "-seconds", "1", "-bytes", str(BLOCK), "-evp", algorithm]
    found = []
    for _ in range(RUNS):
        done = subprocess.run(command, env={**os.environ, **environment}, check=True, capture_output=True, text=True)
        found.append(next(float(line.split(":")[3]) for line in done.stdout.splitlines() if line.startswith("+F:")))
    return max(found)


def limit(environment: Mapping[str, str]) -> float:
    """MB/s of SHA-256 and AES-256-GCM one after the other."""
    each = [speed(algorithm, environment) for algorithm in ("sha256", "aes-256-gcm")]
    return 1 / sum(1 / one for one in each) / 1e6


def beside_the_limit(root: Path, pki: Path) -> list[dict[str, Any]]:
    """The two streams, with and without the processor's help."""
    rows = []
    for words, size, environment in (("", SIZE, {}), (", no AES instructions", SIZE >> 2, MASKS)):
        clear = noise(root / "clear", size)
        command = [sys.executable, "-m", "bench.envelope", str(pki), str(clear), str(root / "sealed")]
        path = os.pathsep.join((str(REPO), str(REPO / "firmware-tools")))
        done = subprocess.run(
            command, env={**os.environ, "PYTHONPATH": path, **environment}, check=True, stdout=subprocess.PIPE
        )
        reachable = limit(environment)
        for name, seconds in zip(("sign and seal", "open and verify"), done.stdout.split(), strict=True):
            rows.append(
                row(f"{name}{words}", rate(float(seconds), size), "MB/s", "SHA-256 + AES-256-GCM once", reachable)
            )
    return rows


def streams(pki: Path, clear: Path, sealed: Path) -> tuple[float, float]:
    """Seconds of processor, the kernel's included, of the two streams from a file to nowhere."""
    recipient, key = read(pki, SEALER)
    certificate, signing_key = read(pki, SIGNER)
    size = clear.stat().st_size
    with clear.open("rb") as source:
        digest = hashlib.file_digest(source, "sha256").digest()
    signature = sign_with_key(digest, datetime.now(UTC), certificate, signing_key)

    def sign_and_seal(target: Path) -> float:
        start = time.process_time()
        with clear.open("rb") as source, target.open("wb", buffering=0) as out:
            sealer = Sealer(out, [recipient], signed_size(size, signature, []))
            write_signed(source, size, sealer, signature, [])
            sealer.close()
        return time.process_time() - start

    def open_and_verify(target: Path) -> float:
        start = time.process_time()
        with sealed.open("rb") as source, target.open("wb", buffering=0) as out:
            read_signed(Opened(source, recipient, key), out, size)
        return time.process_time() - start

    sign_and_seal(sealed)
    os.sync()
    nowhere = Path(os.devnull)
    return min(sign_and_seal(nowhere) for _ in range(RUNS)), min(open_and_verify(nowhere) for _ in range(RUNS))


def read(pki: Path, name: str) -> tuple[bytes, Any]:
    certificate, key = (pki / f"{name}.pem").read_bytes(), (pki / f"{name}.key").read_bytes()
    return load_certificates(certificate)[0], load_key(key)


def measure() -> list[dict[str, Any]]:
    """All of it, in a directory of its own."""
    with development_pki() as (root, pki):
        return [*beside_openssl(root, pki), *beside_the_limit(root, pki)]


if __name__ == "__main__":
    print(*streams(*map(Path, sys.argv[1:])))

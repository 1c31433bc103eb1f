"""The journal: ten million rows verified, against a plain SHA-256 pass over the same files in the same run.

Rows of an ordinary fichier are written into segments as the box has them, with a signed checkpoint at the end; then
the whole directory is looked over as an auditor does, by a process of its own whose memory is taken.  Both times are
of the processor, so that what else the machine does is in neither.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.pki import development_pki
from bench.rows import row
from gateway.envelope.certificates import load_certificates, load_key
from gateway.formats import canonical
from gateway.journal.chain import EVIDENCE, START
from gateway.journal.checkpoint import Checkpoint, sign_checkpoint
from gateway.journal.merkle import Frontier
from gateway.journal.segment import PROOFS, Proof, SegmentHead, entry_line, segment_name

ROWS = 10_000_000
PER_SEGMENT = 500_000
AT = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
BOX = "box-0001"
VERIFY = """
import json, sys, time
from datetime import UTC, datetime
from pathlib import Path
from gateway.book.inspection import Authority, inspect
from gateway.envelope.certificates import load_certificates
directory, pki = Path(sys.argv[1]), Path(sys.argv[2])
read = lambda name: tuple(load_certificates((pki / name).read_bytes()))
authority = Authority(read("root.pem"), read("chains/boites.pem"))
begun = time.process_time()
found = inspect(directory, authority, datetime.now(UTC))
status = Path("/proc/self/status").read_text()  # ru_maxrss would count whoever started it
peak = int(status.partition("VmHWM:")[2].split()[0]) * 1024
print(json.dumps([time.process_time() - begun, peak, len(found.findings), found.signed_to["evidence"]]))
"""


def make(directory: Path, pki: Path, rows: int) -> None:
    """A journal of so many rows."""
    sha256, frontier, previous, before = hashlib.sha256, Frontier(), START, None
    part, fichier = "ab" * 32, "0123456789abcdef" * 2
    for number, first in enumerate(range(1, rows + 1, PER_SEGMENT), start=1):
        peaks = tuple(peak.hex() for peak in frontier.peaks)
        head = SegmentHead(BOX, EVIDENCE, number, first, previous.hex(), peaks, before).to_line()
        digest = sha256(head)
        with (directory / segment_name(EVIDENCE, number)).open("wb") as out:
            out.write(head)
            for seq in range(first, min(first + PER_SEGMENT, rows + 1)):
                text = (
                    f'{{"at":"{AT}","chain":"evidence","fichier":"{fichier}","from":"SIGNED","part":"{part}","seal":"1"'
                    f',"seq":{seq},"size":4711,"to":"SEALED","transmission":1,"verb":"seal"}}'
                )
                previous = sha256(previous + text.encode()).digest()
                frontier.add(previous)
                line = f"{previous.hex()} {text}\n".encode()
                digest.update(line)
                out.write(line)
        before = digest.hexdigest()
    sign(directory, pki, frontier, previous)


def sign(directory: Path, pki: Path, frontier: Frontier, head: bytes) -> None:
    """The checkpoint over all of them."""
    told = Checkpoint(BOX, EVIDENCE, 1, frontier.size, frontier.root().hex(), head.hex(), AT, None)
    certificate = load_certificates((pki / "box-sign.pem").read_bytes())[0]
    key = load_key((pki / "box-sign.key").read_bytes())
    der = sign_checkpoint(told, datetime.now(UTC), certificate, key, [])
    proof = Proof(1, "checkpoint", EVIDENCE, frontier.size, "", AT, base64.b64encode(der).decode())
    entry = entry_line(hashlib.sha256(der).digest(), canonical.encode(proof).decode())
    first = SegmentHead(BOX, PROOFS, 1, 1, START.hex(), (), None).to_line()
    (directory / segment_name(PROOFS, 1)).write_bytes(first + entry)


def plain(directory: Path) -> float:
    """Seconds of the processor for SHA-256 over the same files."""
    begun = time.process_time()
    for path in sorted(directory.iterdir()):
        with path.open("rb") as file:
            hashlib.file_digest(file, "sha256")
    return time.process_time() - begun


def measure(rows: int = ROWS) -> list[dict[str, Any]]:
    """Rows a second, and the memory that it took."""
    with development_pki() as (root, pki):
        directory = root / "journal"
        directory.mkdir()
        make(directory, pki, rows)
        done = subprocess.run([sys.executable, "-c", VERIFY, directory, pki], check=True, stdout=subprocess.PIPE)
        seconds, peak, findings, signed_to = json.loads(done.stdout)
        reference = plain(directory)
    assert (findings, signed_to) == (0, rows)
    millions = f"{rows / 1_000_000:g} million journal rows"
    return [
        row(f"{millions} verified", rows / seconds, "rows/s", "SHA-256 alone", rows / reference),
        row(f"memory for {millions}", peak, "bytes", "the budget", 64 << 20),
    ]


if __name__ == "__main__":
    for found in measure(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS):
        print(found)

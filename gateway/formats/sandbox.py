"""The keeper's child that reads hostile bytes: ``python -I -m gateway.formats.sandbox``.

Bytes on standard input, one JSON writing on standard output, nothing else: a ``Report`` (default); with
``--as return`` a ``Return``; with ``--as facture --lot N --facture N`` that one facture, ``Revealed``.
Exit 0 whatever the bytes are.
Rule 1: everything is imported first; then limits close the door behind us: no file nor socket can be opened
any more (RLIMIT_NOFILE 0), nothing written to a file, no process started, no core, bounded memory and time.
Rule 2: the input lies in one anonymous mapping, is bounded, and is never copied whole.  A scanned document, which
may be far larger, passes through and leaves its two ends.
This is the one module of ``formats`` that does I/O.  It holds no key, and its answer is trusted for its
form only.
"""

from __future__ import annotations

import argparse
import mmap
import os
import resource
import sys
from functools import partial

from gateway.formats import b2, b2_reveal, documents, kinds, noemie

MOST_INPUT = 64 * 1024 * 1024
"""Bytes of the largest fichier that is read, documents apart."""

LIMITS = (
    (resource.RLIMIT_NOFILE, 0),
    (resource.RLIMIT_FSIZE, 0),
    (resource.RLIMIT_NPROC, 0),
    (resource.RLIMIT_CORE, 0),
    (resource.RLIMIT_CPU, 60),
    (resource.RLIMIT_AS, 512 * 1024 * 1024),
)


def close_doors() -> None:
    """Set the limits; none can be raised again."""
    for limit, value in LIMITS:
        resource.setrlimit(limit, (value, value))


def read_input(head: bytes = b"") -> memoryview:
    """All of standard input after ``head``, at most one byte more than MOST_INPUT."""
    room = memoryview(mmap.mmap(-1, MOST_INPUT + 1))
    size = len(head)
    room[:size] = head
    while size < len(room) and (count := os.readv(0, [room[size:]])):
        size += count
    return room[:size]


def read_fichier() -> documents.Data:
    """The same, but of a document, however large, its two ends."""
    begun = documents.begin(partial(os.read, 0))
    return begun if isinstance(begun, documents.Ends) else read_input(begun)


def check_fichier(data: documents.Data, profile: str, today: str) -> bytes:
    """The JSON answer on a fichier."""
    if len(data) > MOST_INPUT and not isinstance(data, documents.Ends):
        return kinds.refusal("FMT-004", limit=MOST_INPUT).to_json()
    return kinds.check_fichier(data, profile, today).to_json()


def main() -> int:
    """Arguments are the keeper's and trusted; standard input is not."""
    parser = argparse.ArgumentParser(prog="gateway.formats.sandbox")
    parser.add_argument("--as", dest="kind", choices=("fichier", "return", "facture"), default="fichier")
    parser.add_argument("--lot", type=int, default=0)
    parser.add_argument("--facture", type=int, default=0)
    parser.add_argument("--profile", choices=b2.PROFILES, default=b2.PROFILES[0])
    parser.add_argument("--today", default="", metavar="YYYY-MM-DD")
    asked = parser.parse_args()
    close_doors()
    if asked.kind == "facture":
        answer = b2_reveal.read_facture(read_input()[:MOST_INPUT], asked.lot, asked.facture).to_json()
    elif asked.kind == "return":
        answer = noemie.read(read_input()[:MOST_INPUT]).to_json()
    else:
        answer = check_fichier(read_fichier(), asked.profile, asked.today)
    sys.stdout.buffer.write(answer)
    sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Where a code porteur shows in files: as digits of its own, as hexadecimal with or without blanks, as base64.

A code for this begins with 0, as no process id, port or count does: a find is a find.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from pathlib import Path


def forms(code: str) -> Iterator[bytes]:
    """Regular expressions for what ``code`` looks like in a log, a trace or a dump."""
    plain = code.encode()
    yield rb"(?<![0-9A-Za-z])" + plain + rb"(?![0-9A-Za-z])"
    yield rb"\x04" + plain  # in a VERIFY as it goes to the card
    yield rb"(?i)04[ :,]?" + rb"[ :,]?".join(f"{byte:02x}".encode() for byte in plain)
    yield rb"(?i)" + rb"[ :,]".join(f"(0x)?{byte:02x}".encode() for byte in plain)
    yield rb", ".join(str(byte).encode() for byte in plain)
    yield re.escape(base64.b64encode(plain))


def found(folder: Path, codes: Iterable[str], passed_over: Iterable[Path] = ()) -> list[str]:
    """Every file under ``folder`` that shows one of ``codes``, with the form that it shows it in."""
    sources = [form for code in codes for form in forms(code)]
    passed = set(passed_over)
    finds = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path not in passed:
            content = path.read_bytes()
            finds += [f"{path}: {form!r}" for form in sources if re.search(form, content)]
    return finds

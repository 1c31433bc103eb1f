"""The file that travels back from the OCT: one header line, then the body byte for byte.

This is the content before it is signed and sealed.  Private to oct-gateway, version 1 (docs/formats.md).
The body of an ``rsp`` or ``opaque`` is the payer's and is never rewritten.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Literal

from gateway.errors import Refused
from gateway.formats import canonical
from gateway.formats.canonical import Moment, Short
from gateway.formats.headed import Headed, Readable

ReturnKind = Literal["receipt", "arl", "rsp", "opaque", "keys", "trust"]

MOST_HEADER = 4096
"""Bytes of a header line, its newline included."""


@dataclass(frozen=True)
class ReturnHeader:
    """``about`` is the fichier that this answers, or None (a return of payments answers many)."""

    kind: ReturnKind
    name: Short
    about: Short | None
    at: Moment
    v: int = 1


@dataclass(frozen=True)
class ReturnFile:
    """A return as it came: its header and its body."""

    header: ReturnHeader
    body: bytes


def pack(kind: ReturnKind, name: str, about: str | None, at: str, body: bytes) -> bytes:
    """Header line and body; ``at`` is an ISO UTC moment."""
    return canonical.encode(ReturnHeader(kind, name, about, at)) + b"\n" + body


def unpack(data: bytes) -> ReturnFile:
    """Header and body; Refused RET-001 when the header line is missing, too long or not of version 1."""
    header, body = read_return(io.BytesIO(data))
    return ReturnFile(header, body.read(len(data)) + body.read(len(data)))


def read_return(source: Readable) -> tuple[ReturnHeader, Headed]:
    """The header of a stream, and the body to be read after it; Refused RET-001 otherwise."""
    body = Headed(source, MOST_HEADER)
    if body.line is None:
        raise Refused("RET-001", "Le fichier de retour est refusé : sa ligne d'en-tête manque.")
    return canonical.decode(
        ReturnHeader, body.line, "RET-001", "L'en-tête du fichier de retour", version=("v", 1)
    ), body

"""The header line in front of a fichier that passed the practice's door, inside its sealed envelope.

Private to oct-gateway, version 1 (docs/formats.md): canonical JSON, a newline, then the content unchanged.
Only the header is read and written here, since the content may be large and is streamed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gateway.errors import Refused
from gateway.formats import canonical
from gateway.formats.canonical import Moment, Short
from gateway.formats.headed import Headed, Readable
from gateway.formats.words import printable

MOST_HEADER = 4096
"""Bytes of a header line, its newline included."""
_MOST_NAME = 255

Channel = Literal["folder", "http", "smtp"]
"""How the practice handed it over."""


@dataclass(frozen=True)
class IntakeHeader:
    """``name`` is the practice's own file name, ``size`` the bytes of content that follow."""

    name: Short
    channel: Channel
    received: Moment
    size: int
    v: int = 1


def pack_header(header: IntakeHeader) -> bytes:
    """The header line with its newline."""
    return canonical.encode(header) + b"\n"


def clean_name(name: str) -> str:
    """A file name as a header may hold it: on one line, at most 255 characters, no lone surrogate."""
    return printable(name)[:_MOST_NAME]


def unpack_header(first_line: bytes) -> IntakeHeader:
    """The header that a first line writes, with or without its newline; Refused INT-010 otherwise."""
    if len(first_line) > MOST_HEADER:
        raise Refused("INT-010", "L'en-tête de dépôt est refusé : sa ligne dépasse 4096 octets.")
    line = first_line.removesuffix(b"\n")
    header = canonical.decode(IntakeHeader, line, "INT-010", "L'en-tête de dépôt", version=("v", 1))
    if header.size < 0:
        raise Refused("INT-010", "L'en-tête de dépôt est refusé : sa taille est négative.")
    return header


def read_intake(source: Readable) -> tuple[IntakeHeader, Headed]:
    """The header of a stream, and the content to be read after it; Refused INT-010 otherwise."""
    content = Headed(source, MOST_HEADER)
    if content.line is None:
        raise Refused("INT-010", "L'en-tête de dépôt est refusé : sa ligne manque ou dépasse 4096 octets.")
    return unpack_header(content.line), content

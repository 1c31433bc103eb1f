"""What each known product wants of the peer that calls it, as a table: data, not code.

Rules: one row per product, each value from the facts named at its side; a value that no source gives is that
of ``standard``. Whoever connects may override any of them. A row says how we send: as a receiver we accept
every form of every product, always. Every article length divides its interval, so that sync points fall on
whole multiples of it (F-78), and fits into an entity (F-81).
It connects to nobody, and no code asks a profile for its name.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from gateway.pesit.framing import Framing


class Alphabet(StrEnum):
    """Of the pre-connection: EBCDIC is the standard's (F-11); ASCII is said only to a peer known to want it."""

    NONE = "none"
    """No pre-connection at all."""
    EBCDIC = "ebcdic"
    ASCII = "ascii"


@dataclass(frozen=True)
class Profile:
    """How to call one product.

    ``framing_tls`` is the framing inside TLS. ``name_in`` is the PI that carries the physical name of the file
    (PI 12 has the flow's name where it is not 12). ``sync_kb`` and ``window`` are PI 7 as proposed, ``entity``
    PI 25, ``article`` PI 32 in bytes. ``multi_article``, ``segment_to_fill`` and ``concatenate`` say what may
    be put into one entity (F-84, F-86). ``code_page`` is that of EBCDIC data (F-90).
    """

    name: str
    pre_connection: Alphabet = Alphabet.NONE
    framing: Framing = Framing.PREFIXED
    framing_tls: Framing = Framing.PREFIXED
    name_in: Literal[12, 37, 99] = 12
    sync_kb: int = 960
    window: int = 8
    entity: int = 65535
    article: int = 61440
    multi_article: bool = False
    segment_to_fill: bool = False
    concatenate: bool = False
    bare_abort: bool = False
    code_page: str = "cp500"


_ROWS = (
    # The most conservative sender (F-86): mono-article, one FPDU per entity, no pre-connection.  An article nearly
    # fills the largest entity, which doubles the rate on a fast line; who grants less gets segments (F-83).  Of the
    # window a receiver of ours has one half under way to its disk and the other coming in.
    Profile("standard"),
    Profile(
        "axway",
        pre_connection=Alphabet.EBCDIC,  # F-13: LOGON=YES is CFT's default
        name_in=37,  # NFNAME; PI 12 is the flow, IDF
        sync_kb=36,  # F-79
        window=2,  # F-79
        article=2048,  # ours: fits without segments into the smallest entity seen in the field, 4096 (F-80)
    ),
    Profile(
        "connect-express",
        framing_tls=Framing.RAW,  # F-01, F-05: TCPIP_HEADER=N
        name_in=99,
        sync_kb=32,  # F-79
        window=2,  # F-79
        article=1024,  # F-73, F-84: as recorded
        multi_article=True,  # F-84
        segment_to_fill=True,  # F-84
        concatenate=True,  # F-84
        bare_abort=True,  # F-40
    ),
    Profile(
        "waarp",
        pre_connection=Alphabet.EBCDIC,  # F-13
        sync_kb=32,  # ours: whole kilobytes under its own 65535 bytes (F-78, F-79)
        article=16384,  # ours: divides the interval, so that points fall on its multiples (F-78)
        window=2,  # F-79
    ),
)

PROFILES = {row.name: row for row in _ROWS}
"""Name to its row."""

STANDARD = PROFILES["standard"]
"""The one for a peer of which nothing is known."""

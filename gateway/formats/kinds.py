"""What is this fichier?  Recognise it by its first bytes and check it by its kind.

Rule: what is not recognised is refused with its reason, never carried silently.
A return (NOEMIE) is recognised so that a practice that drops one in the outbox by mistake is told so.
"""

from __future__ import annotations

import zlib

from gateway.formats import b2, documents
from gateway.formats.findings import Findings, Kind, Report, Rule

_HEAD = 160
_GZIP = b"\x1f\x8b"
_PREFIX = b"0128"

RULES = {
    "FMT-001": Rule("blocks", "Le format de ce fichier est inconnu : ni B2, ni PDF, TIFF, JPEG, PNG ou ZIP."),
    "FMT-002": Rule("blocks", "Ce fichier est un retour NOEMIE : il se reçoit et ne s'envoie pas."),
    "FMT-003": Rule("blocks", "Ce fichier est vide."),
    "FMT-004": Rule("blocks", "Ce fichier dépasse {limit} octets."),
}


def recognise(data: documents.Data) -> Kind:
    """The kind that the first bytes show.  B2 and NOEMIE share their 128-character header; NOEMIE has the
    reference of the exchange (digits) where B2 has its norm (flux facts 3)."""
    if documents.recognise(data) is not None:
        return "documents"
    head = bytes(data[:_HEAD])
    packed = head.startswith(_GZIP)
    if packed:
        head = _unpacked_head(bytes(data[:4096]))
    prefixed = head.startswith(_PREFIX)
    head = head.removeprefix(_PREFIX)
    if not (head.startswith(b"000") and head[3:5].isalpha()):
        return "unknown"
    if head[61:65].strip().isdigit():
        return "noemie"
    return "unknown" if packed or prefixed else "b2"


def _unpacked_head(packed: bytes) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(packed, _HEAD)
    except zlib.error:
        return b""


def check_fichier(data: documents.Data, profile: str = "b2-cp", today: str = "") -> Report:
    """The report on a fichier that a practice wants sent; any bytes give one.  ``profile`` and ``today`` as
    in ``b2.check``."""
    document = documents.recognise(data)
    if document is not None:
        return documents.check(data, document)
    assert not isinstance(data, documents.Ends)  # everything else is looked at whole
    kind = recognise(data)
    if kind == "b2":
        return b2.check(data, profile, today)
    if not len(data):
        return refusal("FMT-003")
    return refusal("FMT-002", kind) if kind == "noemie" else refusal("FMT-001")


def refusal(code: str, kind: Kind = "unknown", **facts: object) -> Report:
    """A report that holds the one blocking finding ``code``."""
    findings = Findings(RULES)
    findings.add(code, 1, **facts)
    return Report(kind, findings.close())

"""Scanned documents: whole ones pass, cut ones are refused, nothing is unpacked."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.formats import documents


def a_zip(comment: bytes = b"") -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("ordonnance.pdf", b"%PDF-1.7 ... %%EOF")
        archive.comment = comment
    return whole.getvalue()


def a_png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")


WHOLE = {
    "PDF": b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer <<>>\nstartxref\n9\n%%EOF\n",
    "TIFF": b"II*\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00",
    "JPEG": b"\xff\xd8\xff\xe0" + bytes(100) + b"\xff\xd9",
    "PNG": a_png(),
    "ZIP": a_zip(),
}

CUT = {
    "PDF without end": WHOLE["PDF"][:-7],
    "PDF end too far": WHOLE["PDF"] + b" " * 1024,
    "TIFF directory outside": b"MM\x00*\x00\x00\x10\x00" + bytes(20),
    "TIFF directory cut": b"II*\x00\x09\x00\x00\x00\x00\x00",
    "TIFF directory in the header": b"MM\x00*\x00\x00\x00\x04" + bytes(20),
    "JPEG without end": WHOLE["JPEG"][:-2],
    "PNG without end": WHOLE["PNG"][:-6],
    "PNG without header": WHOLE["PNG"][:8] + WHOLE["PNG"][33:],
    "ZIP without directory": WHOLE["ZIP"][:-22],
    "ZIP end cut": WHOLE["ZIP"][:-5],
    "ZIP middle lost": WHOLE["ZIP"][:40] + WHOLE["ZIP"][60:],
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_document_passes(name: str) -> None:
    document = documents.recognise(WHOLE[name])
    assert document is not None
    assert document.name == name
    report = documents.check(memoryview(WHOLE[name]), document)
    assert (report.kind, report.lots) == ("documents", ())
    assert [(one.code, one.severity) for one in report.findings] == [("DOC-002", "says")]


@pytest.mark.parametrize("name", CUT)
def test_a_cut_document_is_refused(name: str) -> None:
    document = documents.recognise(CUT[name])
    assert document is not None
    assert document.name == name.split()[0]
    report = documents.check(CUT[name], document)
    assert report.blocked
    assert "DOC-001" in {one.code for one in report.findings}


@pytest.mark.parametrize("between", [0, 5000, 300_000])
@pytest.mark.parametrize("whole", [*WHOLE.values(), *CUT.values()], ids=[*WHOLE, *CUT])
def test_the_two_ends_tell_as_much_as_the_whole(whole: bytes, between: int) -> None:
    whole = whole[:12] + bytes(between) + whole[12:]
    pieces = io.BytesIO(whole)
    ends = documents.begin(lambda size: pieces.read(min(size, 3000)))
    document = documents.recognise(whole)
    assert isinstance(ends, documents.Ends) and document is not None
    assert len(ends) == len(whole)
    assert documents.check(ends, document) == documents.check(whole, document)


def test_the_middle_is_not_kept() -> None:
    ends = documents.Ends(b"%PDF-1.7", [b"a" * 100_000])
    assert (ends[:8], ends[100_000:100_010]) == (b"%PDF-1.7", b"a" * 8)
    with pytest.raises(IndexError):
        ends[5000:5001]


def test_what_is_no_document_is_only_begun() -> None:
    source = io.BytesIO(b"000B2" + bytes(10_000))
    begun = documents.begin(source.read)
    assert isinstance(begun, bytes) and begun + source.read() == source.getvalue()


def test_a_big_endian_tiff_passes() -> None:
    document = documents.recognise(big := b"MM\x00*\x00\x00\x00\x08" + bytes(6))
    assert document is not None
    assert not documents.check(big, document).blocked


def test_a_zip_may_have_a_comment() -> None:
    document = documents.recognise(commented := a_zip(b"x" * 60000))
    assert document is not None
    assert not documents.check(commented, document).blocked


@given(
    st.sampled_from([start for document in documents.DOCUMENTS for start in document.starts]), st.binary(max_size=80)
)
def test_any_rest_gives_a_report(start: bytes, rest: bytes) -> None:
    document = documents.recognise(start + rest)
    assert document is not None
    assert documents.check(start + rest, document).kind == "documents"

"""Articles to strings and back, against the examples of annex A and against each other."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.pesit.compression import Compression, Compressor, Expander, longest
from gateway.pesit.diagnostics import Violation

NONE, HORIZONTAL, VERTICAL, BOTH = Compression
ANNEX_A = [
    # what, articles before, article, strings
    (HORIZONTAL, [], "0102020202020203", "010186020103"),
    (VERTICAL, [], "0102030203050607", "080102030203050607"),
    (VERTICAL, ["0102030203050607"], "0506030203050809", "020506c4020809"),
    (BOTH, [], "010101010203", "8401020203"),
    (BOTH, ["010101010203"], "010101010204", "c50104"),
]
OURS = [
    (HORIZONTAL, [], "aaaaaa", "03aaaaaa"),  # three are not worth a string of their own
    (HORIZONTAL, [], "00" * 130, "bf00bf008400"),
    (HORIZONTAL, [], "0001" * 32, "3f" + "0001" * 31 + "00" + "0101"),
    (VERTICAL, ["00" * 130], "00" * 130, "ffffc4"),
    (VERTICAL, ["0102030405"], "010203040506", "c50106"),  # nothing behind the end of the one before
    (VERTICAL, ["01020304"], "0102", "020102"),
    (BOTH, ["0102030405"], "010203" + "09" * 5, "c38509"),
]


def coded(compression: Compression, before: list[str], article: str) -> bytes:
    compressor = Compressor(compression)
    for previous in before:
        compressor.article(bytes.fromhex(previous))
    return compressor.article(bytes.fromhex(article))


@pytest.mark.fact("F-92", "F-93")
@pytest.mark.parametrize(("compression", "before", "article", "strings"), ANNEX_A + OURS)
def test_examples(compression: Compression, before: list[str], article: str, strings: str) -> None:
    assert coded(compression, before, article).hex() == strings
    expander = Expander(compression)
    compressor = Compressor(compression)
    for previous in before:
        expander.feed(compressor.article(bytes.fromhex(previous)), ends=True)
    assert expander.feed(bytes.fromhex(strings), ends=True).hex() == article


RUNS = st.lists(st.tuples(st.sampled_from(b"\0 AB"), st.integers(1, 90)), max_size=12).map(
    lambda runs: b"".join(bytes([byte]) * count for byte, count in runs)
)
ARTICLES = st.lists(st.one_of(RUNS, st.binary(max_size=300)).filter(len), max_size=8)


@pytest.mark.fact("F-92", "F-93", "F-94")
@given(
    st.sampled_from([HORIZONTAL, VERTICAL, BOTH]),
    ARTICLES,
    st.lists(st.integers(1, 400), max_size=6),
    st.sets(st.integers(0, 7)),
)
@example(BOTH, [b"A" * 200, b"A" * 100 + b"B" * 100, b"A" * 300], [], set())
def test_what_is_compressed_expands(
    compression: Compression, articles: list[bytes], places: list[int], points: set[int]
) -> None:
    """However an article is cut into fragments, and wherever points are set."""
    compressor, expander = Compressor(compression), Expander(compression)
    for number, article in enumerate(articles):
        if number in points:
            compressor.forget()
            expander.forget()
        strings = compressor.article(article)
        assert len(strings) <= longest(len(article))
        marks = sorted({0, len(strings), *(place for place in places if place < len(strings))})
        pieces = [expander.feed(strings[a:b], ends=b == len(strings)) for a, b in pairwise(marks)]
        assert b"".join(pieces) == article


@pytest.mark.fact("F-93")
@given(ARTICLES)
def test_no_string_refers_over_a_point_or_behind_the_article_before(articles: list[bytes]) -> None:
    compressor, previous = Compressor(BOTH), b""
    for number, article in enumerate(articles):
        if number % 3 == 0:
            compressor.forget()
            previous = b""
        strings, at, place = compressor.article(article), 0, 0
        while at < len(strings):
            kind, count = strings[at] & 0xC0, strings[at] & 63
            assert count and kind != 0x40
            place += count
            if kind == 0xC0:
                assert place <= len(previous)
            at += 1 + (count if kind == 0 else kind == 0x80)
        previous = article


EXPANDED = [
    # what, articles as strings, all of them expanded
    ("one is repeated", HORIZONTAL, ["8120"], ["20"]),
    ("every string of an article says one byte", BOTH, ["01410142", "c1c1"], ["4142", "4142"]),
    ("an empty article", BOTH, [""], [""]),
    ("shorter before: blanks of EBCDIC stand there", VERTICAL, ["0141", "c3"], ["41", "414040"]),
    ("a literal where only vertical strings were agreed", VERTICAL, ["8341"], ["414141"]),
]


@pytest.mark.fact("F-92", "F-93")
@pytest.mark.parametrize(("name", "compression", "articles", "whole"), EXPANDED, ids=[row[0] for row in EXPANDED])
def test_what_others_may_send(name: str, compression: Compression, articles: list[str], whole: list[str]) -> None:
    expander = Expander(compression)
    assert [expander.feed(bytes.fromhex(article), ends=True).hex() for article in articles] == whole


NONSENSE = [
    ("no such kind", HORIZONTAL, ["4141"]),
    ("a string of nothing", HORIZONTAL, ["00"]),
    ("a literal cut short", HORIZONTAL, ["0241"]),
    ("a repetition of nothing", HORIZONTAL, ["84"]),
    ("above the first article", VERTICAL, ["c1"]),
    ("above, where it was not agreed", HORIZONTAL, ["0141", "c1"]),
    ("an article longer than any", VERTICAL, ["bf00" * 1041]),
]


@pytest.mark.fact("F-92", "F-93")
@pytest.mark.parametrize(("name", "compression", "articles"), NONSENSE, ids=[row[0] for row in NONSENSE])
def test_nonsense(name: str, compression: Compression, articles: list[str]) -> None:
    expander = Expander(compression)
    with pytest.raises(Violation):
        for article in articles:
            expander.feed(bytes.fromhex(article), ends=True)


@given(st.sampled_from([HORIZONTAL, VERTICAL, BOTH]), st.lists(st.tuples(st.binary(max_size=200), st.booleans())))
def test_anything_gives_nothing_but_violations(compression: Compression, fragments: list[tuple[bytes, bool]]) -> None:
    expander = Expander(compression)
    for data, ends in fragments:
        try:
            assert len(expander.feed(data, ends=ends)) <= 63 * (len(data) + 64)
        except Violation:
            return


@pytest.mark.fact("F-91")
@pytest.mark.parametrize(
    ("proposed", "allowed", "answer"),
    [
        ("0103", BOTH, "0103"),
        ("0103", HORIZONTAL, "0101"),
        ("0103", NONE, "0000"),
        ("0101", BOTH, "0101"),
        ("0101", VERTICAL, "0000"),
        ("0000", BOTH, "0000"),
        ("0003", BOTH, "0000"),
        ("0100", BOTH, "0000"),
        ("0109", BOTH, "0000"),
        ("", BOTH, "0000"),
    ],
)
def test_the_server_never_answers_more_than_was_proposed(proposed: str, allowed: Compression, answer: str) -> None:
    assert Compression.of(bytes.fromhex(proposed) or None).agreed(allowed).coded().hex() == answer

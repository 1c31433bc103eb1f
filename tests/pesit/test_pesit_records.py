"""Files cut into articles, and articles landed as files."""

from __future__ import annotations

import io
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Refused, Scope
from gateway.pesit.records import Form, form_of
from gateway.pesit.transfer import Identity, SyncPoint

START = SyncPoint()


def cut(form: Form, content: bytes, start: SyncPoint = START) -> list[bytes]:
    return list(form.articles(io.BytesIO(content), start))


CASES = [
    (Form(4), b"", []),
    (Form(4), b"abcdefghij", [b"abcd", b"efgh", b"ij"]),
    (Form(4, fixed=True), b"abcdefgh", [b"abcd", b"efgh"]),
    (Form(4, fixed=True, pad=b"\0"), b"abcde", [b"abcd", b"e\0\0\0"]),
    (Form(9, text=True), b"", []),
    (Form(9, text=True), b"un\ndeux\n", [b"un", b"deux"]),
    (Form(9, text=True), b"un\r\ndeux", [b"un", b"deux"]),
    (Form(9, text=True), b"un\n\ndeux\n", [b"un", b" ", b"deux"]),
    (Form(4, text=True, fixed=True), b"un\n\n", [b"un  ", b"    "]),
    (Form(9, text=True, code_page="cp500"), "été\n\n".encode(), [b"\x51\xa3\x51", b"\x40"]),
    (Form(4, text=True, fixed=True, code_page="cp037"), b"A1\n", [b"\xc1\xf1\x40\x40"]),
    (Form(4, text=True), b"abcd\n", [b"abcd"]),
    (Form(4, text=True), b"abcd", [b"abcd"]),
    (Form(4, text=True), b"abcd\r\n", [b"abcd"]),
]


@pytest.mark.fact("F-87", "F-88", "F-89", "F-90")
@pytest.mark.parametrize(("form", "content", "articles"), CASES)
def test_a_file_is_cut(form: Form, content: bytes, articles: list[bytes]) -> None:
    assert cut(form, content) == articles


REFUSED = [
    (Form(4, text=True), b"abcd\nabcde\n", "PES-2.220", "ligne 2"),
    (Form(4, text=True), b"x" * 1000, "PES-2.220", "ligne 1"),
    (Form(4, text=True, code_page="cp500"), "été!!\n".encode(), "PES-2.220", "ligne 1"),
    (Form(9, text=True, code_page="cp500"), "ok\n€\n".encode(), "PES-2.232", "ligne 2"),
    (Form(9, text=True, code_page="cp500"), b"\xff\n", "PES-2.232", "ligne 1"),
    (Form(4, fixed=True), b"abcde", "PES-2.236", "1 octets sur 4"),
]


@pytest.mark.parametrize(("form", "content", "code", "where"), REFUSED)
def test_what_does_not_fit_is_refused_by_its_place(form: Form, content: bytes, code: str, where: str) -> None:
    with pytest.raises(Refused) as refused:
        cut(form, content)
    assert (refused.value.code, refused.value.scope) == (code, Scope.FICHIER)
    assert where in refused.value.text


def test_a_line_without_end_takes_no_memory() -> None:
    class Endless(io.RawIOBase):
        def readline(self, size: int | None = -1, /) -> bytes:
            assert size is not None and 0 < size < 100
            return b"x" * size

        def seek(self, offset: int, whence: int = 0, /) -> int:
            return 0

    with pytest.raises(Refused):
        list(Form(4, text=True).articles(Endless(), START))  # type: ignore[arg-type]


def landed(form: Form, articles: list[bytes]) -> bytes:
    return b"".join(form.landed(article, ends=True) for article in articles)


FORMS = st.builds(
    Form,
    length=st.integers(1, 40),
    text=st.just(True),
    code_page=st.sampled_from(["", "cp037", "cp500", "cp1140"]),
)
LINES = st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=40), max_size=20)


@pytest.mark.fact("F-89", "F-90")
@given(FORMS, LINES)
def test_text_comes_back_as_it_was(form: Form, lines: list[str]) -> None:
    content = "".join(f"{line[: form.length]}\n" for line in lines).encode()
    assert landed(form, cut(form, content)) == content


@given(st.integers(1, 40), st.binary(max_size=300))
def test_binary_comes_back_as_it_was(length: int, content: bytes) -> None:
    articles = cut(Form(length), content)
    assert landed(Form(length), articles) == content
    assert all(len(before) == length for before, _ in pairwise(articles))


@pytest.mark.parametrize("form", [Form(7), Form(7, text=True), Form(7, text=True, code_page="cp500")])
def test_any_article_may_be_the_first(form: Form) -> None:
    content = b"".join(b"%d\n" % (n * n) for n in range(60))
    whole = cut(form, content)
    for number in range(len(whole) + 1):
        start = SyncPoint(1, sum(len(article) for article in whole[:number]), number)
        assert cut(form, content, start) == whole[number:]


def test_fragments_of_a_line_make_one_line() -> None:
    form = Form(9, text=True, code_page="cp500")
    assert form.landed(b"\xc1", ends=False) + form.landed(b"\xc2", ends=True) == b"AB\n"


@pytest.mark.fact("F-89", "F-90")
@pytest.mark.parametrize(
    ("data_code", "as_text", "landing"),
    [(0, True, b"\xc1\n"), (1, True, b"A\n"), (2, True, b"\xc1"), (0, False, b"\xc1"), (1, False, b"\xc1")],
)
def test_what_lands_follows_pi_16(data_code: int, as_text: bool, landing: bytes) -> None:
    identity = Identity("X", article_length=80, data_code=data_code)
    form = form_of(identity, "cp500", as_text=as_text)
    assert form.landed(b"\xc1", ends=True) == landing
    assert form.length == 80 and not form.fixed


def test_a_form_says_its_own_parameters() -> None:
    assert [Form(9).data_code, Form(9, text=True).data_code, Form(9, text=True, code_page="cp500").data_code] == [
        2,
        0,
        1,
    ]
    assert (Form(9).article_format, Form(9, fixed=True).article_format) == (0x80, 0)

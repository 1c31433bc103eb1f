"""docs/codes.md has every code that the program says, once, and no other; what it leads to is there."""

from __future__ import annotations

import ast
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from stage import REPO

from gateway.concentrator.alarms import RULES
from gateway.lan.http import STATUSES
from gateway.pesit.diagnostics import DIAGNOSTICS

PAGE = (REPO / "docs/codes.md").read_text(encoding="utf-8")

NUMBERED = re.compile(r"\b[A-Z]{2,4}-\d{3}\b")
CODE = re.compile(r"[A-Z][A-Z0-9]{1,3}(-[A-Z0-9.]+)+")
NO_CODES = {
    "AES-256", "SHA-256", "SHA-384", "SHA-512",  # algorithms
    "AAAA-MM-JJ", "YYYY-MM-DD", "BOX-ID",  # how something is typed
    "LOT-REJET",  # a word of NOEMIE
}  # fmt: skip

ELSEWHERE = {r"B2-\d{3}": "B2-…", r"MS-\d{2}": "MS-…", r"CPS-.+": "CPS-…", r"(.+-CERT)(-\d+)?": r"\1-…",
             r"PES-2\.\d{3}": "PES-2.…", r"PES-3\.\d{3}": "PES-3.…", r"HTTP-\d{3}": "HTTP-…"}  # fmt: skip
"""Codes that a page of their own explains, or whose number says the rest, → how codes.md writes all of them."""


def said() -> Iterator[str]:
    """The codes in the program: a string that is one, and those with a number inside a longer one (SQL)."""
    for path in (REPO / "gateway").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
                yield from [node.value] if CODE.fullmatch(node.value) else NUMBERED.findall(node.value)


def written(code: str) -> str:
    """How codes.md writes it."""
    for form, all_of_them in ELSEWHERE.items():
        if match := re.fullmatch(form, code):
            return match.expand(all_of_them)
    return code


def rows() -> list[list[str]]:
    """The tables of codes, cell by cell."""
    lines = [re.split(r"(?<!\\) \| ", line.strip("| ")) for line in PAGE.splitlines() if line.startswith("| `")]
    return [cells for cells in lines if len(cells) == 4]


def explained() -> Counter[str]:
    return Counter(code for cells in rows() for code in re.findall(r"`([^`]+)`", cells[0]))


def test_every_code_is_explained_once_and_no_other() -> None:
    known = {written(code) for code in said() if code not in NO_CODES} | {written(code) for code in STATUSES}
    assert len(known) > 250
    assert sorted(explained().elements()) == sorted(known)


def test_each_says_what_happened_what_to_do_and_who() -> None:
    assert [cells for cells in rows() if not all(cell.strip() for cell in cells)] == []
    people = {"cabinet", "éditeur", "technicien", "OCT", "fabricant", "–"}
    assert {word for cells in rows() for word in re.split(r", puis |, ", cells[3])} <= people


def test_the_first_table_leads_to_every_family() -> None:
    index = PAGE.partition("| commence par |")[2].partition("\n## ")[0]
    named = set(re.findall(r"`([A-Z0-9-]+)`", index))
    families = {next(iter(sorted((one for one in named if code.startswith(one)), key=len, reverse=True)), code)
                for code in explained()}  # fmt: skip
    assert families == named


def test_an_alarm_is_told_with_the_advice_of_the_command() -> None:
    advice = {code: cells[2].replace("`", "") for cells in rows() for code in re.findall(r"`([^`]+)`", cells[0])}
    assert {code: advice[code] for code in RULES} == {code: rule.advice for code, rule in RULES.items()}


def test_the_diagnostics_of_pesit_stand_where_it_says() -> None:
    table = (REPO / "docs/pesit.md").read_text(encoding="utf-8").partition("## Diagnostics")[2].partition("\n## ")[0]
    assert re.findall(r"^\| (\d\.\d{3}) \|", table, re.MULTILINE) == list(DIAGNOSTICS)


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub and most others make it."""
    kept = (one for one in heading.lower() if one in " -_" or unicodedata.category(one)[0] in "LN")
    return "".join(kept).replace(" ", "-")


PAGES = sorted((REPO / "docs").glob("*.md"))


@pytest.mark.parametrize("document", PAGES, ids=lambda path: path.name)
def test_links_lead_to_a_heading(document: Path) -> None:
    for file, anchor in re.findall(r"\]\(([\w./-]*)#([^)]+)\)", document.read_text(encoding="utf-8")):
        target = document.parent / file if file else document
        headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
        assert anchor in map(slug, headings), f"{file}#{anchor}"

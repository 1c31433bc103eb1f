"""What the documents name is there: files, links, commands with their options, settings."""

from __future__ import annotations

import argparse
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from stage import REPO

from gateway.__main__ import FAMILIES, _parser
from gateway.commands.sections import SECTIONS, load
from gateway.config import read_document, read_section
from gateway.link.partners import PartnerEntry

DOCUMENTS = sorted([*REPO.glob("*.md"), *(REPO / "docs").rglob("*.md"), *(REPO / "systemd").glob("*.md")])
TREES = ("gateway", "tests", "docs", "systemd", "firmware-tools", "certs-dev", "bench", "tmpfiles.d", "sysusers.d")
MADE = {"bench/results.json"}
"""What a command makes, and nobody keeps."""

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def every(*documents: Path) -> object:
    return pytest.mark.parametrize("document", documents or DOCUMENTS, ids=lambda path: str(path.relative_to(REPO)))


def quoted(text: str) -> Iterator[str]:
    """What stands between backticks, and each line of a block."""
    for _, block in FENCE.findall(text):
        yield from block.replace("\\\n", " ").splitlines()
    yield from re.findall(r"`([^`]+)`", FENCE.sub("", text))


@every()
def test_files_and_links_are_there(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)", FENCE.sub("", text)) if "://" not in link]
    assert [link for link in links if not (document.parent / link).exists()] == []
    named = [word for one in quoted(text) for word in re.findall(r"(?<![\w/.~{-])[\w.-]+/[\w./*-]*[\w*/]", one)]
    ours = [word for word in named if word.split("/")[0] in TREES and word not in MADE]
    missing = [word for word in ours if not any(list(base.glob(word)) for base in (REPO, REPO / "systemd"))]
    assert missing == []


def commands(text: str) -> Iterator[list[str]]:
    """The words behind each ``gateway`` that is typed."""
    for one in quoted(text):
        for typed in re.split(r" · |;|&&|#|\$\(", one):
            words = typed.split()
            if words and words[0].rpartition("/")[2] == "gateway" and len(words) > 1:
                yield words[1:]


def parsers(words: list[str]) -> tuple[list[argparse.ArgumentParser], list[str]]:
    """The parsers that the first words name (alternatives are written a|b), and the words that are left."""
    found: list[argparse.ArgumentParser] = [_parser([])]
    while words:
        families = [one for parser in found for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
        choices = {name: below for family in families for name, below in family.choices.items()}
        names = [word.strip(",…[]") for word in words[0].split("|")]
        if not choices or any(name not in choices for name in names):
            break
        found, words = [choices[name] for name in names], words[1:]
    return found, words


@every()
def test_commands_and_options_exist(document: Path) -> None:
    for words in commands(document.read_text(encoding="utf-8")):
        found, left = parsers(words)
        assert found[0].prog != "gateway" or not re.fullmatch(r"[a-z-]+", words[0]), words
        known = {option for parser in found for option in parser._option_string_actions}
        known |= {option for parser in found for family in parser._actions
                  if isinstance(family, argparse._SubParsersAction) for below in family.choices.values()
                  for option in below._option_string_actions}  # fmt: skip
        typed = [option for word in left for option in re.findall(r"^\[?(--[a-z-]+)", word)]
        assert [option for option in typed if option not in known] == [], words


@every()
def test_settings_exist(document: Path, tmp_path: Path) -> None:
    """``[section] name`` in a sentence, and each block of TOML."""
    text = document.read_text(encoding="utf-8")
    for section, name in re.findall(r"`\[([a-z.]+)\] ([a-z_]+)", text):
        assert name in fields(section), f"[{section}] {name}"
    for kind, block in FENCE.findall(text):
        if kind != "toml":
            continue
        if "[[partner]]" in block:
            for table in tomllib.loads(block)["partner"]:
                read_section(PartnerEntry, table, "[[partner]]")
            continue
        (file := tmp_path / "block.toml").write_text(block, encoding="utf-8")
        for name, table in read_document(file, SECTIONS).items():
            read_section(load(SECTIONS[name]), table, f"[{name}]")


def fields(section: str) -> set[str]:
    """The settings of a section; of ``keeper.retention`` those of the field that it is."""
    first, *inner = section.split(".")
    kind = load(SECTIONS[first])
    for name in inner:
        kind = type(getattr(kind(), name))
    return set(kind.__dataclass_fields__)


def test_the_readme_names_every_command() -> None:
    text = (REPO / "README.md").read_text(encoding="utf-8").partition("### Commands")[2].partition("```\n\n")[0]
    words = set(re.findall(r"[a-z-]+", text))
    assert [name for name in FAMILIES if name not in words] == []


def test_the_readme_leads_to_every_document() -> None:
    text = "".join((REPO / name).read_text(encoding="utf-8") for name in ("README.md", "docs/conformite/README.md"))
    apart = (REPO / "docs/adr",)
    documents = [path for path in DOCUMENTS if path.parent not in apart and path.parent != REPO]
    assert [path.name for path in documents if f"{path.name})" not in text] == []

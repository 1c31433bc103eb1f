"""Every command there is, taken from the parser itself: each word has its help, and whatever is put where a file or a
folder is expected ends in an exit code of the table and, if it is refused, in one French sentence.

A command added tomorrow is tried tomorrow.  What a place is, its metavar says (PLACES).
"""

from __future__ import annotations

import argparse
import io
import os
import re
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from development_pki import Pki
from pin_scan import CODE
from smartcard import scard

import gateway.__main__ as command_line
from gateway.commands import terminal
from gateway.config import write_toml
from gateway.formats.codes import RANDOM_BYTES, write_code

PLACES = {"FICHIER", "DOSSIER", "RÉPERTOIRE", "SAUVEGARDE", "ENTRÉE", "SORTIE", "CERTIFICAT", "CERTIFICATS", "RACINE",
          "LISTE", "REÇU"}  # fmt: skip
BAD = ("absent", "absent/below", "folder", "empty", "binary", "torn.pem", "word.txt/below", "unreadable", "\udce9.b2")
"""``unreadable`` opens and cannot be read; the last is a name in Latin-1, as the system hands it over."""

SERVING = {("pesit", "serve"), ("run",), ("dev",)}
"""They run until they are stopped."""

ANY = "word.txt"
"""A word where any will do: as a place, a file of the room that each command is typed in."""

PATIENCE_S = 30.0
SERVED_S = 0.5
SENTENCE = re.compile(r"gateway : [A-Z]+[0-9A-Z]*-[0-9A-Z.-]+ .+[.!?]", re.DOTALL)
ENGLISH = re.compile(r"Traceback|Errno|No such|Is a dir|Not a dir|denied|codec|Expected|invalid|unable", re.IGNORECASE)


@dataclass(frozen=True)
class Leaf:
    """One command: its words and what it takes."""

    words: tuple[str, ...]
    parser: argparse.ArgumentParser

    @property
    def takes(self) -> list[argparse.Action]:
        apart = (argparse._HelpAction, argparse._SubParsersAction)
        return [action for action in self.parser._actions if not isinstance(action, apart)]


def leaves(parser: argparse.ArgumentParser, words: tuple[str, ...] = ()) -> Iterator[Leaf]:
    """The commands under ``parser``; a family that is a command of its own too (``mandates``) is one of them."""
    families = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    for family in families:
        for name, below in family.choices.items():
            yield from leaves(below, (*words, name))
    if all(not family.required for family in families):
        yield Leaf(words, parser)


LEAVES = list(leaves(command_line._parser([])))
CASES = [
    pytest.param(leaf, action, bad, id=f"{' '.join(leaf.words)} {action.dest} {bad!a}")
    for leaf in LEAVES
    for action in leaf.takes
    if action.metavar in PLACES
    for bad in BAD
    if (action.dest, bad) != ("config", "empty")  # which is a configuration: this machine's own
]


@pytest.fixture
def room(tmp_path: Path, pki: Pki) -> Path:
    """A box with certificates and nothing else, and bad things of every kind."""
    keys = [f"keys/{service}" for service in ("intake", "keeper", "forward", "status")]
    for name in ("folder", "trust", *(f"home/{name}" for name in ("state/doors", "state/book", *keys))):
        (tmp_path / name).mkdir(parents=True)
    for name in ("root", "box-seal", "box-delivery", "recovery"):
        (tmp_path / "trust" / f"{name}.pem").symlink_to(pki.directory / f"{name}.pem")
    box = {name: str(tmp_path / "home" / name) for name in ("state", "runtime", "practice", "keys")}
    oct_ = {"directory": str(tmp_path / "oct")}
    settings = write_toml({"box": {**box, "trust": str(tmp_path / "trust")}, "concentrator": oct_})
    (tmp_path / "gateway.toml").write_text(settings)
    (tmp_path / "empty").touch()
    (tmp_path / "binary").write_bytes(bytes(range(256)) * 40)
    (tmp_path / "torn.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    (tmp_path / "unreadable").symlink_to("/proc/self/mem")
    (tmp_path / "word.txt").write_text("une phrase assez longue\n")
    (tmp_path / "code.pin").write_text(CODE)
    return tmp_path


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No terminal, nothing on standard input, nobody's card reader."""
    monkeypatch.setattr(terminal, "_has_terminal", lambda: False)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    # Not by the name of its socket: a process reads that once, and other tests of this one have a reader.
    monkeypatch.setattr(scard, "SCardEstablishContext", lambda scope: (scard.SCARD_E_NO_SERVICE, 0))


@dataclass
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str


def typed(monkeypatch: pytest.MonkeyPatch, words: list[str], seconds: float = PATIENCE_S) -> Said:
    """The command in this process, with the streams of a UTF-8 terminal; stopped by SIGINT when its time is over."""
    out, err = io.BytesIO(), io.BytesIO()
    with monkeypatch.context() as streams, _stopped_after(seconds):
        streams.setattr(sys, "stdout", io.TextIOWrapper(out, "utf-8", write_through=True))
        streams.setattr(sys, "stderr", io.TextIOWrapper(err, "utf-8", "backslashreplace", write_through=True))
        try:
            code = command_line.main(words)
        except SystemExit as left:
            code = int(left.code or 0)
        return Said(code, out.getvalue().decode(), err.getvalue().decode())


@contextmanager
def _stopped_after(seconds: float) -> Iterator[None]:
    before = signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def sound(room: Path, pki: Pki) -> dict[str, str]:
    """Values by which a command comes as far as it can without a box, a card or a line."""
    given = {
        "config": room / "gateway.toml",
        "directory": room / "folder",
        "certificate": pki.directory / "box-sign.pem",
        "key": pki.directory / "box-sign.key",
        "trust": pki.directory / "root.pem",
        "to": pki.directory / "box-seal.pem",
        "tls_certificate": pki.directory / "box-transport.pem",
        "tls_key": pki.directory / "box-transport.key",
        "passphrase_file": room / "word.txt",
        "pin_file": room / "code.pin",
        "new_pin_file": room / "code.pin",
        "puk_file": room / "code.pin",
        "calls": "pesits://A:b@127.0.0.1:1/S",
        "partner": "A:b",
        "listen": "127.0.0.1:0",
        "about": "N:1",
        "url": "https://127.0.0.1:1",
        "root_fingerprint": "00" * 32,
        "since": "2026-01-01",
        "rpps": "10001234567",
        "why": "essai",
        "code": write_code(bytes(RANDOM_BYTES)),
    }
    return {name: str(value) for name, value in given.items()}


def line(leaf: Leaf, values: Mapping[str, str], over: Mapping[str, str]) -> list[str]:
    """The words to type: what is needed, what there are sound ``values`` for, and ``over`` in their place."""
    words = list(leaf.words)
    for action in sorted(leaf.takes, key=lambda one: bool(one.option_strings)):  # what has no name comes first
        value = over.get(action.dest) or _sound(leaf, action, values, over)
        if value is not None:
            words += [*action.option_strings[:1], value]
    return words


def _sound(leaf: Leaf, action: argparse.Action, values: Mapping[str, str], over: Mapping[str, str]) -> str | None:
    """What a word that is not the one on trial gets; None where it is left out."""
    rivals = next((group for group in leaf.parser._mutually_exclusive_groups if action in group._group_actions), None)
    if rivals and (action is not rivals._group_actions[0] or any(one.dest in over for one in rivals._group_actions)):
        return None
    needed = action.required or (rivals is not None and rivals.required)
    if action.nargs == 0:
        return None
    if action.choices:
        return str(next(iter(action.choices))) if needed else None
    return values.get(action.dest, ANY if needed else None)


def check(leaf: Leaf, said: Said) -> None:
    """An exit code of the table; a refusal is one sentence, or stands in a listing."""
    assert said.code in (0, 64, 65, 69, 75) or (said.code == 130 and leaf.words[:2] in SERVING), said
    assert not ENGLISH.search(re.sub("«.*»", "", said.err)), said.err  # but for the words of others, quoted
    if said.code in (65, 69, 75) and not said.out:
        assert SENTENCE.fullmatch(said.err.strip()), said.err


def test_every_word_says_what_it_is() -> None:
    silent = [(*leaf.words, action.dest) for leaf in LEAVES for action in leaf.takes if not action.help]
    assert silent == []


def test_every_path_is_a_place() -> None:
    """So that no place escapes the trials below."""
    paths = [(leaf, action) for leaf in LEAVES for action in leaf.takes if action.type is Path]
    apart = [(*leaf.words, action.dest) for leaf, action in paths if action.metavar not in PLACES]
    assert apart == []


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: " ".join(leaf.words))
def test_help_and_wrong_words(leaf: Leaf, room: Path, pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    told = typed(monkeypatch, [*leaf.words, "--help"])
    assert (told.code, told.err) == (0, "") and told.out.startswith(f"usage : gateway {leaf.words[0]}")
    assert leaf.parser.description and leaf.parser.description[:20] in told.out
    wrong = [["--no-such-option"], *([*line(leaf, sound(room, pki), {}), *words] for words in _wrong(leaf))]
    for words in wrong:
        told = typed(monkeypatch, [*leaf.words, *words] if words[0] != leaf.words[0] else words)
        assert told.code == 64, (words, told)
        assert re.fullmatch(r"gateway .*--help\.\n", told.err) and not ENGLISH.search(told.err), told.err


def _wrong(leaf: Leaf) -> Iterator[list[str]]:
    """A value that does not fit, for each option that not every word fits."""
    for action in leaf.takes:
        if action.option_strings and (action.choices or action.type not in (None, Path)) and action.dest != "why":
            yield [f"{action.option_strings[0]}=ne convient pas"]


@pytest.mark.parametrize(("leaf", "action", "bad"), CASES)
def test_bad_place(
    leaf: Leaf, action: argparse.Action, bad: str, room: Path, pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = line(leaf, sound(room, pki), {action.dest: str(room / bad)})
    monkeypatch.chdir(room)
    said = typed(monkeypatch, words, SERVED_S if leaf.words[:2] in SERVING else PATIENCE_S)
    check(leaf, said)
    if (action.metavar, bad) == ("ENTRÉE", "unreadable"):
        assert bad in said.err  # and not the file that was to be written from it

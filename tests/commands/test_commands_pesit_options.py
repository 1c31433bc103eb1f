"""The words of ``gateway pesit``, its progress, and its page of the guide."""

from __future__ import annotations

import argparse
import io
import re
from pathlib import Path

import pytest

from gateway.__main__ import _parser
from gateway.commands import pesit_options as options
from gateway.commands import progress
from gateway.commands.pesit_options import Where
from gateway.commands.progress import Progress
from gateway.errors import Refused
from gateway.pesit.compression import Compression
from gateway.pesit.diagnostics import DIAGNOSTICS
from gateway.pesit.framing import Framing
from gateway.pesit.profiles import Alphabet

PAGE = (Path(__file__).parents[2] / "docs" / "pesit.md").read_text(encoding="utf-8")
URL = "pesit://BOX:SECRET@127.0.0.1:5100/SRV"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (URL, Where(False, "BOX", "SECRET", "127.0.0.1", 5100, "SRV")),
        ("pesits://BOX@oct.example:1/S", Where(True, "BOX", "", "oct.example", 1, "S")),
        ("pesit://B%40X:a%2Fb%3Ac@[::1]:9/S%20R", Where(False, "B@X", "a/b:c", "::1", 9, "S R")),
    ],
)
def test_an_address_is_read(text: str, found: Where) -> None:
    assert options.where(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "http://a:b@c:1/d",
        "pesit://c:1/d",
        "pesit://a:b@c/d",
        "pesit://a:b@c:1",
        "pesit://a:b@c:99999/d",
        "pesit://[a",
    ],
)
def test_what_is_no_address_is_said(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        options.where(text)


def typed(*words: str) -> argparse.Namespace:
    line = ["pesit", "send", "file", "--to", URL, "--as", "A", *words]
    return _parser(line).parse_args(line)


def test_the_profile_holds_where_nothing_is_said() -> None:
    partner, addresses, tls = options.partner_of(typed("--profile", "connect-express"))
    assert (partner.requester, partner.server, partner.password) == ("BOX", "SRV", "SECRET")
    assert (partner.sync_kb, partner.window, partner.bare_abort) == (32, 2, True)
    assert partner.sending.multi_article and partner.framing is Framing.PREFIXED
    assert addresses.in_order() == [(0, "127.0.0.1", 5100)] and tls is None


def test_what_is_said_wins_over_the_profile() -> None:
    words = ["--profile", "axway", "--sync", "100", "--window", "0", "--framing", "raw", "--crc", "--compress", "both"]
    partner, _, _ = options.partner_of(typed(*words, "--pre-connection", "none", "--timeout", "7"))
    assert (partner.sync_kb, partner.window, partner.framing, partner.crc) == (100, 0, Framing.RAW, True)
    assert partner.compression is Compression.BOTH and partner.pre_connection is Alphabet.NONE
    assert (partner.timers.answer, partner.timers.connect) == (7, 7)
    assert options.partner_of(typed("--profile", "axway"))[0].pre_connection is Alphabet.EBCDIC
    assert options.partner_of(typed("--pre-connection"))[0].pre_connection is Alphabet.EBCDIC


@pytest.mark.parametrize(
    "words",
    [
        ["--window", "256"],
        ["--entity", "6"],
        ["--article", "0"],
        ["--sync", "-1"],
        ["--sync", "٣"],
        ["--code-page", "cp1252"],
        ["--code-page", "nothing"],
        ["--pad", "0"],
        ["--pad", " 1"],
        ["--profile", "other"],
        ["--to", "pesit://x"],
    ],
)
def test_a_word_that_cannot_be_is_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        typed(*words)
    assert left.value.code == 64 and words[0] in capsys.readouterr().err


def test_what_does_not_go_together_is_refused(tmp_path: Path) -> None:
    arguments = typed("--sync", "8", "--article", "9000")
    with pytest.raises(Refused):
        options.form_of_options(arguments, options.profile_of(arguments))
    with pytest.raises(Refused):
        options.partner_of(typed("--to", "pesit://OTHER:x@h:1/SRV"))
    with pytest.raises(Refused):
        options.partner_of(typed("--password-file", str(tmp_path / "absent")))
    line = ["pesit", "send", "f", "--to", "pesits" + URL[5:], "--as", "A", "--tls-ca", str(tmp_path / "absent")]
    with pytest.raises(Refused):
        options.partner_of(_parser(line).parse_args(line))


@pytest.mark.parametrize("partner", ["BOX", "BOX:", ":secret"])
def test_a_partner_without_a_password_is_not_taken(partner: str) -> None:
    line = ["pesit", "serve", "--listen", "h:1", "--name", "S", "--directory", ".", "--partner", partner]
    arguments = _parser(line).parse_args(line)
    with pytest.raises(Refused, match="ID:MOT_DE_PASSE"):
        arguments.act(arguments)


# --- progress --------------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


def shown(out: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> str:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    told = Progress(out, "FSE", 10_000_000)
    told.begin(2_000_000)
    for eighth in range(1, 49):
        clock.now += 0.125
        told(2_000_000 + eighth * 125_000)
    told.close()
    return out.getvalue()


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(Terminal(), monkeypatch)
    bars = text.split("\r\033[K")[1:]
    assert len(bars) == 48 and text.endswith("\n")
    assert bars[-1].startswith("FSE [####") and "1,0 Mo/s, reste 0:02" in bars[-1]


def test_a_line_now_and_then_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    assert re.fullmatch(r"FSE 70 %, 7,0 Mo, 1,0 Mo/s, reste 0:03\n", shown(io.StringIO(), monkeypatch))


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 o"), (999, "999 o"), (1234, "1,2 Ko"), (5e6, "5,0 Mo"), (2.5e9, "2,50 Go")]
)
def test_sizes_as_people_read_them(count: float, text: str) -> None:
    assert progress.size(count) == text


# --- the guide -------------------------------------------------------------------------------------------------------


def verbs() -> dict[str, argparse.ArgumentParser]:
    def inner(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
        (action,) = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
        return dict(action.choices)

    return inner(inner(_parser(["pesit"]))["pesit"])


def test_the_guide_knows_every_option_and_no_other() -> None:
    known = {word for verb in verbs().values() for action in verb._actions for word in action.option_strings}
    told = set(re.findall(r"--[a-z][a-z-]+", PAGE))
    assert told <= known, told - known
    assert {word for word in known if word.startswith("--")} - told == {"--help"}


def test_the_guide_has_every_diagnostic_as_the_table_has_it() -> None:
    rows = re.findall(r"^\| (\d\.\d{3}) \| (.+?) \|", PAGE, re.MULTILINE)
    assert rows == [(row.code, row.french) for row in DIAGNOSTICS.values()]

"""The parser's words: every sentence that argparse may say to a user is French."""

from __future__ import annotations

import argparse
import ast
import inspect

import pytest

from gateway.commands.parser import USAGE, WORDS, Parser

TO_PROGRAMMERS = {
    ".__call__() not defined",
    "'required' is an invalid argument for positionals",
    "mutually exclusive arguments must be optional",
    "%r is not callable",
    "cannot merge actions - two groups are named %r",
    "invalid option string %(option)r: must start with a character %(prefix_chars)r",
    "dest= is required for options like %r",
    "invalid conflict_resolution value: %r",
    "cannot have multiple subparser arguments",
    "conflicting subparser: %s",
    "conflicting subparser alias: %s",
    "conflicting option string: %s",
    "conflicting option strings: %s",
    'argument "-" with mode %r',  # of FileType, which we do not use, as the next
    "can't open '%(filename)s': %(error)s",
    "%(prog)s: error: %(message)s\n",  # of error(), which is ours
}
"""What argparse says of a parser that is built wrong, and what we do not use."""


def looked_up() -> set[str]:
    """Every text that this Python's argparse looks up."""
    calls = [node for node in ast.walk(ast.parse(inspect.getsource(argparse))) if isinstance(node, ast.Call)]
    return {
        word.value
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id in ("_", "ngettext")
        for word in call.args
        if isinstance(word, ast.Constant) and isinstance(word.value, str)
    }


def test_every_word_of_this_python_is_translated() -> None:
    assert looked_up() - set(WORDS) == TO_PROGRAMMERS & looked_up()


@pytest.mark.parametrize(("words", "said"), [
    ([], "essai : il manque FICHIER, --to. Voir essai --help."),
    (["a", "--to"], "essai : --to : une valeur est attendue. Voir essai --help."),
    (["a", "--to", "x", "--size", "many"], "essai : --size : 'many' ne convient pas. Voir essai --help."),
    (["a", "--to", "x", "--size", "1", "b"], "essai : mots en trop : b. Voir essai --help."),
    (["a", "--to", "x", "--kind", "c"], "essai : --kind : 'c' n'est pas l'un de 'a', 'b'. Voir essai --help."),
])  # fmt: skip
def test_what_is_wrong_is_one_sentence_and_64(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = Parser(prog="essai")
    parser.add_argument("file", metavar="FICHIER")
    parser.add_argument("--to", required=True)
    parser.add_argument("--size", type=int)
    parser.add_argument("--kind", choices=("a", "b"))
    with pytest.raises(SystemExit) as left:
        parser.parse_args(words)
    assert (left.value.code, capsys.readouterr().err) == (USAGE, f"{said}\n")

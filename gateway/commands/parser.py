"""The command line's parser: argparse in French, with the exit codes of sysexits.

argparse looks its words up by gettext's ``_``; here that is a table, so that no catalogue has to be installed and no
locale set.  A word that a later Python adds is shown as it is: ``tests/commands/test_commands_parser.py`` names it.
"""

from __future__ import annotations

import argparse
from typing import Any

USAGE = 64

WORDS = {
    "usage: ": "usage : ",
    "positional arguments": "arguments",
    "options": "options",
    "show this help message and exit": "montrer cette aide",
    "argument %(argument_name)s: %(message)s": "%(argument_name)s : %(message)s",
    "the following arguments are required: %s": "il manque %s",
    "one of the arguments %s is required": "il faut l'un de ceux-ci : %s",
    "unrecognized arguments: %s": "mots en trop : %s",
    "not allowed with argument %s": "ne va pas avec %s",
    "expected one argument": "une valeur est attendue",
    "expected at least one argument": "au moins une valeur est attendue",
    "expected at most one argument": "une valeur au plus est attendue",
    "expected %s argument": "%s valeur est attendue",
    "expected %s arguments": "%s valeurs sont attendues",
    "ignored explicit argument %r": "aucune valeur n'est attendue : %r",
    "invalid choice: %(value)r (choose from %(choices)s)": "%(value)r n'est pas l'un de %(choices)s",
    "unknown parser %(parser_name)r (choices: %(choices)s)": "%(parser_name)r n'est pas l'un de %(choices)s",
    "invalid %(type)s value: %(value)r": "%(value)r ne convient pas",
    "ambiguous option: %(option)s could match %(matches)s": "%(option)s peut être %(matches)s",
    "unexpected option string: %s": "option inattendue : %s",
}
"""What argparse says → what we say.  Its words to programmers are not here."""


def _word(text: str) -> str:
    return WORDS.get(text, text)


def _words(one: str, many: str, count: int) -> str:
    return _word(one if count < 2 else many)


vars(argparse).update(_=_word, ngettext=_words)


class _Commands(argparse._SubParsersAction):  # type: ignore[type-arg]
    """What ``--help`` of a family says of a command stands above the command's own help too."""

    def add_parser(self, name: str, **given: Any) -> argparse.ArgumentParser:
        told = given.get("help", "")
        given.setdefault("description", f"{told[:1].upper()}{told[1:]}.")
        made: argparse.ArgumentParser = super().add_parser(name, **given)
        return made


class Parser(argparse.ArgumentParser):
    """argparse; what is wrong is one sentence and exit code 64."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.register("action", "parsers", _Commands)

    def error(self, message: str) -> None:  # type: ignore[override]
        self.exit(USAGE, f"{self.prog} : {message}. Voir {self.prog} --help.\n")

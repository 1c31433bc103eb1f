"""What commands that talk to the keeper share: one question to ``admin.sock``, and rows as a table or as JSON."""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TextIO

from gateway.commands.sections import add_config, read_paths
from gateway.errors import Deferred, Refused, Scope, os_words

Row = dict[str, Any]


def common(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """The options that each of these commands has."""
    add_config(parser)
    parser.add_argument("--json", action="store_true", help="pour un programme")
    return parser


def reason(parser: argparse.ArgumentParser, default: str = "") -> None:
    """The option that says why; ``-`` reads it, since every process can list the words of a command."""
    parser.add_argument("--why", default=default, type=_reason, metavar="RAISON", help="pourquoi ; - : entrée standard")


def _reason(given: str) -> str:
    return sys.stdin.readline().strip() if given == "-" else given


def ask(arguments: argparse.Namespace, question: Row) -> Row:
    """One question to the keeper; Refused in its own words."""
    path = read_paths(arguments.config).socket("admin")
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(60)
            connection.connect(str(path))
            connection.sendall(json.dumps(question, default=str).encode() + b"\n")
            with connection.makefile("rb") as answers:
                told: Row = json.loads(answers.readline())
    except PermissionError:
        text = "Cette commande parle au gardien du livre : elle est à lancer par root."
        raise Refused("CMD-013", text, Scope.BOX) from None
    except (OSError, ValueError):  # nobody there, or gone before the answer
        text = "La passerelle n'est pas en marche, ou redémarre : systemctl status gateway-keeper."
        raise Deferred("CMD-009", text, Scope.BOX) from None
    if not told["ok"]:
        raise Refused(told["code"], told["text"])
    return told


def create(path: Path) -> TextIO:
    """A new text file that its owner alone can read; Refused where there is one, or where none can be made."""
    try:
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8")
    except FileExistsError:
        raise Refused("CMD-011", f"{path} existe déjà.") from None
    except OSError as error:
        raise Refused("CMD-012", f"{path} ne peut pas être écrit : {os_words(error)}.") from None


def print_rows(arguments: argparse.Namespace, rows: Sequence[Row], columns: Sequence[tuple[str, str]]) -> int:
    """Rows as JSON, or as a table of the given (title, key) columns."""
    if arguments.json:
        print(json.dumps(rows, ensure_ascii=False, indent=1))
        return 0
    lines = [[title for title, _ in columns], *([str(row[key]) for _, key in columns] for row in rows)]
    for line in aligned(lines):
        print(line)
    return 0


def aligned(lines: list[list[str]]) -> Iterable[str]:
    """Lines of cells, each column as wide as its widest cell."""
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    for line in lines:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()

"""``gateway config``: the documented sample, and the check of a file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from gateway.commands.sections import DEFAULT, check_all, sample_all


def register(subparsers: Any) -> None:
    """Add ``config sample`` and ``config check``."""
    family = subparsers.add_parser("config", help="la configuration").add_subparsers(required=True, metavar="ACTION")
    sample = family.add_parser("sample", help="un exemple documenté, avec toutes les valeurs par défaut")
    sample.set_defaults(act=show_sample)
    check = family.add_parser("check", help="vérifier un fichier de configuration")
    check.add_argument("file", nargs="?", type=Path, default=DEFAULT, metavar="FICHIER", help=f"sinon {DEFAULT}")
    check.set_defaults(act=check_file)


def show_sample(arguments: argparse.Namespace) -> int:
    """Print the sample."""
    print(sample_all())
    return 0


def check_file(arguments: argparse.Namespace) -> int:
    """Say that a file is right, or what is wrong in it (65)."""
    check_all(arguments.file)
    print(f"{arguments.file} : correct.")
    return 0

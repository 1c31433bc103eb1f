"""The file of what was changed at run time: who may sign, as its last change left it.

Rules.  It has the form of the configuration file (section [keeper], the five tables) and wins over it.  It is
replaced whole: a kill leaves the old or the new one.  One that cannot be read stops the keeper by name: falling back
to the configuration file would bring mandates back that were withdrawn.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path

from gateway.config import read_document, read_section, write_toml
from gateway.disk import sync_directory
from gateway.errors import Refused, Scope, os_words
from gateway.formats.mandate_changes import TABLES
from gateway.formats.mandates import Register

_WORDS = "# Écrit par la passerelle (gateway mandates change) ; l'emporte sur gateway.toml.\n"


def stored(path: Path) -> Register | None:
    """What the file says; None where nothing was changed yet; Refused (scope box) where it says nothing sound."""
    if not path.exists():
        return None
    return read_section(Register, read_document(path, ("keeper",)).get("keeper", {}), f"{path} [keeper]")


def plain(register: Register) -> dict[str, list[dict[str, str]]]:
    """The five tables as TOML and JSON carry them."""
    return {table: [asdict(row) for row in getattr(register, table)] for table in TABLES}


def store(path: Path, register: Register) -> None:
    """Make the file say ``register``, durably; Refused MND-018 (scope box) where the disk does not take it."""
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w", encoding="utf-8") as out:
            out.write(_WORDS + write_toml({"keeper": plain(register)}))
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        text = f"Rien n'a changé : {path} ne peut pas être écrit ({os_words(error)})."
        raise Refused("MND-018", text, Scope.BOX) from None
    if stored(part) != register:
        raise RuntimeError(f"{part} does not say what was declared")
    part.replace(path)
    sync_directory(path.parent)

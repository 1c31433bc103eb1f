"""The configuration file: TOML sections read into frozen dataclasses, and a sample written from them.

Each part declares its own settings as a frozen dataclass whose fields carry ``metadata={"doc": …}``; this
module only reads, checks and documents them.  An unknown section or key, or a value of the wrong kind, is
refused by name.  Where things lie on disk is said once, by ``Paths``.
"""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from gateway.errors import Refused, Scope, os_words

T = TypeVar("T")


def setting(default: Any, doc: str) -> Any:
    """A documented settings field."""
    return field(default=default, metadata={"doc": doc})


@dataclass(frozen=True)
class Paths:
    """Which box this is and where it keeps its things: the section [box]; every other path follows from these."""

    box_id: str = setting("box-0001", "identifiant de la passerelle, lié à chaque preuve de carte")
    state: Path = setting(Path("/var/lib/gateway"), "livre, parties, portes : ce qui doit survivre")
    runtime: Path = setting(Path("/run/gateway"), "tableau et sockets : ce qui peut se refaire")
    practice: Path = setting(Path("/srv/gateway"), "les dossiers du cabinet : outbox, inbox, receipts…")
    keys: Path = setting(Path("/etc/gateway/keys"), "une clé par usage, dans le dossier de son seul service")
    trust: Path = setting(Path("/etc/gateway/trust"), "certificats publics : racine, OCT, recours, révocations")

    renew_days: int = setting(90, "jours avant la fin d'un certificat auxquels la passerelle le renouvelle")

    @property
    def book(self) -> Path:
        """The keeper's own directory."""
        return self.state / "book"

    @property
    def settings(self) -> Path:
        """What was changed at run time and wins over the configuration file; the keeper writes and reads it."""
        return self.book / "settings.toml"

    @property
    def journal(self) -> Path:
        """The journal as segment files, and what was signed about it."""
        return self.state / "journal"

    @property
    def parts(self) -> Path:
        """Sealed parts, named by their SHA-256."""
        return self.state / "parts"

    @property
    def transfers(self) -> Path:
        """forward's own directory."""
        return self.state / "transfers"

    @property
    def intake(self) -> Path:
        """intake's own directory: returns half way into the inbox, sealed."""
        return self.state / "intake"

    @property
    def accounts(self) -> Path:
        """status's own directory."""
        return self.state / "accounts"

    @property
    def lists(self) -> Path:
        """Revocation lists that came by the line, each checked; the keeper writes, forward reads."""
        return self.state / "lists"

    def door(self, name: str) -> Path:
        """The door ``new``, ``outgoing``, ``arrived``, ``counter`` or ``notices``."""
        return self.state / "doors" / name

    @property
    def board(self) -> Path:
        """The board's file."""
        return self.runtime / "board" / "board.db"

    @property
    def progress(self) -> Path:
        """What forward says of the transfer under way; never the truth, only a view."""
        return self.runtime / "forward" / "progress.json"

    def socket(self, name: str) -> Path:
        """A Unix socket: ``sign``, ``unlock``, ``status`` or ``admin``."""
        return self.runtime / "sockets" / f"{name}.sock"

    def key(self, service: str, name: str) -> Path:
        """A private key or secret of one service, in clear."""
        return self.keys / service / name

    @property
    def credentials(self) -> Path:
        """Sealed keys and secrets, root's; systemd opens them for their service."""
        return self.keys.with_name("credentials")

    def credential(self, service: str, name: str) -> Path:
        """A private key or secret of one service, sealed."""
        return self.credentials / service / name


def read_document(path: Path, known: Collection[str]) -> dict[str, Any]:
    """The raw sections of a configuration file; Refused (scope box) when unreadable or a section is unknown."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Refused("CFG-001", f"Fichier de configuration absent : {path}.", Scope.BOX) from None
    except OSError as error:
        raise Refused("CFG-001", f"{path} ne peut pas être lu : {os_words(error)}.", Scope.BOX) from None
    except UnicodeDecodeError:
        raise Refused("CFG-002", f"{path} n'est pas un texte (UTF-8).", Scope.BOX) from None
    except tomllib.TOMLDecodeError as error:
        raise Refused("CFG-002", f"{path} n'est pas du TOML lisible : {toml_words(error)}.", Scope.BOX) from None
    for name in document:
        if name not in known:
            raise Refused("CFG-003", f"{path} : section [{name}] inconnue.", Scope.BOX)
    return document


def toml_words(error: tomllib.TOMLDecodeError) -> str:
    """Where a TOML text cannot be read, and what its reader says of it."""
    told, _, place = str(error).rstrip(")").partition(" (at ")
    for word, french in (("end of document", "à la fin"), ("line", "ligne"), ("column", "colonne")):
        place = place.replace(word, french)
    return f"{place}, « {told} »"


def read_section(cls: type[T], table: object, where: str) -> T:
    """One settings object from a TOML table; ``where`` names it in errors."""
    if not isinstance(table, dict):
        raise Refused("CFG-004", f"{where} doit être une section.", Scope.BOX)
    fields = {item.name: item for item in dataclasses.fields(typing.cast(Any, cls))}
    table = _renamed(table, fields)
    for key in table:
        if key not in fields:
            raise Refused("CFG-005", f"{where} : réglage « {key} » inconnu.", Scope.BOX)
    for name, item in fields.items():
        needed = item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
        if needed and name not in table:
            raise Refused("CFG-009", f"{where} : il manque « {name} ».", Scope.BOX)
    kinds = typing.get_type_hints(cls)
    values = {key: _value(kinds[key], value, f"{where} {key}") for key, value in table.items()}
    return cls(**values)


def _renamed(table: dict[str, Any], fields: Mapping[str, dataclasses.Field[Any]]) -> dict[str, Any]:
    """``table`` with today's name for what an earlier version called otherwise (``metadata["was"]``)."""
    today = {item.metadata["was"]: name for name, item in fields.items() if "was" in item.metadata}
    return {key if today.get(key, key) in table else today[key]: value for key, value in table.items()}


def _value(kind: Any, value: object, where: str) -> Any:
    origin = typing.get_origin(kind)
    if origin is types.UnionType:
        return _value(next(k for k in typing.get_args(kind) if k is not type(None)), value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise Refused("CFG-006", f"{where} doit être une liste.", Scope.BOX)
        return tuple(_value(typing.get_args(kind)[0], item, f"{where}[{n}]") for n, item in enumerate(value))
    if dataclasses.is_dataclass(kind):
        return read_section(typing.cast(type[Any], kind), value, where)
    if kind is Path and isinstance(value, str):
        return Path(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise Refused("CFG-007", f"{where} : « {value} » n'est pas {_KINDS.get(kind, 'du bon type')}.", Scope.BOX)
    return value


_KINDS = {int: "un entier", float: "un nombre", str: "un texte", bool: "true ou false", Path: "un chemin"}


def sample(sections: Mapping[str, type]) -> str:
    """The documented configuration file with every default."""
    return "\n".join(_sample_section(name, cls) for name, cls in sections.items())


def _sample_section(name: str, cls: type) -> str:
    lines = [f"[{name}]"]
    nested = []
    for item in dataclasses.fields(typing.cast(Any, cls)):
        default = item.default if item.default is not dataclasses.MISSING else None
        if item.default_factory is not dataclasses.MISSING:
            default = item.default_factory()
        doc = item.metadata.get("doc", "")
        if dataclasses.is_dataclass(default):
            nested.append(_sample_section(f"{name}.{item.name}", type(default)))
            continue
        lines += [f"# {doc}"] if doc else []
        lines.append(f"{'# ' if default is None else ''}{item.name} = {_toml(default)}")
    return "\n".join([*lines, "", *nested])


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    text = "" if value is None else str(value)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def write_toml(document: Mapping[str, Mapping[str, object]]) -> str:
    """A configuration file of the given values (development and tests make theirs with it)."""
    parts = []
    for name, table in document.items():
        parts += [f"[{name}]", *(f"{key} = {_inline(value)}" for key, value in table.items()), ""]
    return "\n".join(parts)


def _inline(value: object) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_inline(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_inline(item) for item in value) + "]"
    return _toml(value)

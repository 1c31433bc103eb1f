"""Our own JSON documents: one canonical writing, and a reader that accepts nothing else.

Rule 1: canonical is UTF-8, keys sorted, no blank, no trailing newline; one value has one writing, so that
its digest and its signature mean one thing.
Rule 2: the reader builds a frozen dataclass from its annotations and refuses what is missing, unknown,
doubled, of another type, out of form or of any table's bounds, or written otherwise than ``encode`` would.
Rule 3: a version that is not ours is refused by its name before anything else is looked at.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from gateway.errors import Refused

T = TypeVar("T")


@dataclass(frozen=True)
class Form:
    """What a string must look like, as a regular expression that matches all of it."""

    pattern: str

    def fits(self, text: str) -> bool:
        """Whether ``text`` has this form."""
        return re.fullmatch(self.pattern, text, re.DOTALL) is not None


class _MomentForm(Form):
    def fits(self, text: str) -> bool:
        """Of this form, and a moment of the calendar."""
        try:
            datetime.fromisoformat(text)
        except ValueError:
            return False
        return super().fits(text)


Digest = Annotated[str, Form("[0-9a-f]{64}")]
"""SHA-256, lower case hexadecimal."""
Moment = Annotated[str, _MomentForm(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")]
"""UTC moment, ISO 8601."""
Short = Annotated[str, Form(r"[^\x00-\x1f\x7f\u2028\u2029]{0,255}")]
"""A name or number on one line."""
Sentence = Annotated[str, Form(r"[^\x00-\x08\x0b\x0c\x0e-\x1f]{0,4000}")]
"""A text for people."""


_INTEGER_BITS = 63
"""Beside the sign: what a table of SQLite holds."""


class _Misfit(ValueError):
    """A value that does not fit its annotation; the message names the place."""


def encode(value: object) -> bytes:
    """The canonical writing of a dataclass (or plain JSON value); ValueError for a lone surrogate."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=vars)
    return text.encode()


def decode(kind: type[T], data: bytes, code: str, what: str, version: tuple[str, int] | None = None) -> T:
    """The ``kind`` that ``data`` writes.  ``version`` is the field that names the version and the one we
    know.  Refused(code) with a sentence that begins with ``what`` (for instance "Le reçu") otherwise."""
    try:
        plain = json.loads(data.decode(), object_pairs_hook=_without_doubles)
        if version is not None:
            _check_version(plain, *version)
        value = _build(kind, plain, "")
        if encode(value) != data:
            raise _Misfit("il n'est pas dans sa forme canonique")
    except _Misfit as trouble:
        raise Refused(code, f"{what} est refusé : {trouble}.") from None
    except (ValueError, RecursionError):
        raise Refused(code, f"{what} est refusé : ce n'est pas du JSON lisible en UTF-8.") from None
    return cast("T", value)


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Misfit("une clé y est écrite deux fois")
    return found


def _check_version(plain: object, field: str, known: int) -> None:
    found = plain.get(field) if isinstance(plain, dict) else None
    if found != known or isinstance(found, bool):
        raise _Misfit(f"version {json.dumps(found)[:40]} inconnue, seule la version {known} est lue")


@cache
def _hints(kind: type) -> Mapping[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _build(hint: Any, plain: Any, place: str) -> Any:
    """``plain`` as the annotation ``hint`` wants it; ``place`` is its path for the message."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        choices = [choice for choice in get_args(hint) if choice is not NoneType]
        return None if plain is None else _build(choices[0], plain, place)
    if origin is Annotated:
        text = _build(get_args(hint)[0], plain, place)
        if not get_args(hint)[1].fits(text):
            raise _Misfit(f"la valeur de « {place} » n'a pas la forme attendue")
        return text
    if origin is Literal:
        if not (isinstance(plain, str) and plain in get_args(hint)):
            raise _Misfit(f"la valeur de « {place} » n'est pas de celles prévues")
        return plain
    if origin is tuple:
        if not isinstance(plain, list):
            raise _Misfit(f"« {place} » n'est pas une liste")
        return tuple(_build(get_args(hint)[0], item, f"{place}[{n}]") for n, item in enumerate(plain))
    if is_dataclass(hint):
        return _build_dataclass(cast("type", hint), plain, place)
    if type(plain) is not hint:
        raise _Misfit(f"la valeur de « {place} » n'est pas du bon type")
    if isinstance(plain, int) and plain.bit_length() > _INTEGER_BITS:
        raise _Misfit(f"la valeur de « {place} » est démesurée")
    return plain


def _build_dataclass(kind: type, plain: Any, place: str) -> object:
    wanted = {field.name for field in fields(kind)}
    if not isinstance(plain, dict) or plain.keys() != wanted:
        odd = sorted(wanted ^ plain.keys())[0][:40] if isinstance(plain, dict) else "objet"
        raise _Misfit(f"champ « {odd} » absent ou inconnu{f' dans « {place} »' if place else ''}")
    hints = _hints(kind)
    return kind(**{name: _build(hints[name], plain[name], f"{place}.{name}".lstrip(".")) for name in plain})

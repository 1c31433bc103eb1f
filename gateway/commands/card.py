"""``gateway card list|info|authenticate|sign|change-pin|unblock``: the CPS in the reader, by hand.

The code is asked on the terminal, or read from ``--pin-file``; it is never an argument, for arguments are seen by
every program.  A signature made here carries no claim about a fichier: it is a plain CMS signature of a file.
A reader that does not answer ends the command, not the terminal; ``--trace`` writes the dialogue, without codes.
Where several cards lie in readers none is chosen, and the last try of a code is kept: ``--reader``, ``--last-try``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from functools import partial
from io import BytesIO
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, BinaryIO, TypeVar

from gateway.card import memory
from gateway.card.cps import Contents, Cps
from gateway.card.models import ATRS
from gateway.card.pkcs15 import PinEntry
from gateway.card.proof import digest_info, proof_message
from gateway.card.reader import Readers
from gateway.card.session import Cards
from gateway.commands.terminal import ask_secret
from gateway.envelope import algorithms, signed
from gateway.envelope.attributes import signed_attributes
from gateway.errors import Deferred, Refused, Scope, os_words
from gateway.formats.days import day_of, day_words

T = TypeVar("T")

_ALGORITHM = "rsa-pkcs1-sha256"
_TERMINAL = "gateway card authenticate"
_NO_BATCH = bytes(32)

PATIENCE_S = 300.0
"""Seconds for a command, the typing of codes included."""

TURN_S = 0.2


def register(subparsers: Any) -> None:
    """Add ``card`` and its verbs; each sets ``act``, from the arguments to the exit code."""
    card = subparsers.add_parser("card", help="la carte CPS dans le lecteur")
    verbs = card.add_subparsers(dest="verb", required=True, metavar="VERBE")

    def verb(name: str, words: str, act: Callable[[argparse.Namespace], int], *codes: str) -> Any:
        parser = verbs.add_parser(name, help=words)
        if codes:
            add_card_options(parser, *codes)
        parser.set_defaults(act=partial(bounded, act))
        return parser

    information = verb(
        "info", "titulaire, essais restants, validité ; avec le code, activités et facturation", show_card, "pin"
    )
    information.add_argument("--pin", action="store_true", help="demander le code sur le terminal")
    for listing in (verb("list", "les lecteurs et ce qui s'y trouve", list_readers), information):
        listing.add_argument("--json", action="store_true", help="pour un programme")
    verb("authenticate", "faire prouver à la carte qu'elle porte sa clé", authenticate, "pin")
    sign = verb("sign", "signer un fichier (CMS)", sign_file, "pin")
    sign.add_argument("file", type=Path, metavar="FICHIER", help="ce qui est à signer")
    sign.add_argument("out", type=Path, metavar="SORTIE", help="la signature, avec le contenu (CMS, DER)")
    verb("change-pin", "changer le code porteur", change_pin, "pin", "new-pin")
    verb("unblock", "débloquer la carte et lui donner un nouveau code", unblock, "puk", "new-pin")


def add_card_options(parser: argparse.ArgumentParser, *codes: str) -> None:
    """What every command takes that speaks to a card and has these ``codes`` (of ``_ASKED``) typed or read."""
    for code in codes:
        parser.add_argument(
            f"--{code}-file", type=Path, metavar="FICHIER", help=f"{_ASKED[code]} ; sinon il est demandé"
        )
    parser.add_argument(
        "--reader", metavar="NOM", help="le lecteur, comme « card list » le nomme, s'il y en a plusieurs"
    )
    parser.add_argument(
        "--last-try", action="store_true", help="présenter le code même au dernier essai : faux, il bloque la carte"
    )
    parser.add_argument("--trace", type=Path, metavar="FICHIER", help="y écrire le dialogue avec la carte, sans code")


_NO_CPS = {None: "vide", b"": "carte muette"}
_ASKED = {"pin": "Code porteur", "new-pin": "Nouveau code porteur", "puk": "Code de déblocage"}


def list_readers(arguments: argparse.Namespace) -> int:
    """One line per reader."""
    rows = []
    for slot in Readers().look():
        model = ATRS.get(slot.atr or b"")
        words = model.value if model else _NO_CPS.get(slot.atr, "autre carte")
        rows.append({"reader": slot.reader, "card": words, "atr": slot.atr.hex() if slot.atr else None})
    lines = [f"{row['reader']} : {row['card']}" for row in rows]
    print(json.dumps(rows, ensure_ascii=False) if arguments.json else "\n".join(lines))
    return 0


def show_card(arguments: argparse.Namespace) -> int:
    """What is known without a code; with it, the data objects that only it opens, as they are on the card."""
    with _card(arguments) as cards:
        sight = cards.look(reader=arguments.reader)
        holder = sight.holder
        row: dict[str, Any] = {
            "holder": holder.name,
            "kind": holder.kind,
            "register": holder.register,
            "number": holder.number,
            "identifier": holder.identifier,
            "profession": holder.profession,
            "serial": sight.contents.serial,
            "tries": sight.tries,
            "valid_until": day_of(sight.valid_until),
            "pinpad": sight.pad,
        }
        if arguments.pin or arguments.pin_file:
            row["data"] = _data(cards, arguments, sight.contents.pin)
    if arguments.json:
        print(json.dumps(row, ensure_ascii=False))
        return 0
    print(f"Titulaire : {holder.name}, {holder.profession} ({holder.kind}, {holder.register} {holder.number})")
    print(f"Porteur pour les mandats : {holder.identifier or 'aucun'}")
    print(f"Carte : {sight.contents.serial}, certificats valables jusqu'au {day_words(sight.valid_until)}")
    print(f"Essais de code restants : {sight.tries}")
    for one in row.get("data", ()):
        print(f"{one['label']} : {one['bytes']}  {one['text']}")
    return 0


def _data(cards: Cards, arguments: argparse.Namespace, pin: PinEntry) -> list[dict[str, str]]:
    """The data objects by the card's own pointers; their layout is not established, so they are shown raw."""
    code = _code(arguments, "pin")
    with cards.card(reset=True, reader=arguments.reader) as cps:
        cps.verify(pin, code, arguments.last_try)
        read = [(entry.label, cps.read_data(entry)) for entry in cps.data_objects()]
    return [
        {
            "label": label,
            "bytes": content.hex(),
            "text": "".join(chr(one) if 32 <= one < 127 else "." for one in content),
        }
        for label, content in read
    ]


def authenticate(arguments: argparse.Namespace) -> int:
    """INTERNAL AUTHENTICATE over a nonce, checked with the card's own certificate (whose chain is not looked at)."""
    message = proof_message(_TERMINAL, os.urandom(32), _NO_BATCH)
    contents, signature = prove(arguments, message)
    algorithms.check(_ALGORITHM, contents.authentication.certificate, signature, message)
    print(f"La carte {contents.serial} porte la clé de son certificat d'authentification.")
    return 0


def prove(arguments: argparse.Namespace, message: bytes) -> tuple[Contents, bytes]:
    """What lies on the card, and its authentication key's signature (PKCS#1 v1.5, SHA-256) over ``message``."""
    code = _code(arguments, "pin")
    with _cps(arguments) as cps:
        contents = cps.contents()
        cps.verify(contents.pin, code, arguments.last_try)
        return contents, cps.authenticate(contents.authentication.key, digest_info(message))


def sign_file(arguments: argparse.Namespace) -> int:
    """FILE inside a CMS SignedData in OUT, which appears whole or not at all."""
    part = arguments.out.with_name(f".{arguments.out.name}.part")
    try:
        with arguments.file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").digest()
            code = _code(arguments, "pin")
            with _cps(arguments) as cps:
                signature = _sign(cps, code, digest, arguments.last_try)
            with part.open("wb") as out:
                _write(content, out, signature)
        part.replace(arguments.out)
    except OSError as error:
        raise Refused("CPS-FILE", f"{error.filename} : {os_words(error)}.", Scope.BOX) from None
    finally:
        with suppress(OSError):  # it is not there, or cannot be
            part.unlink()
    return 0


def change_pin(arguments: argparse.Namespace) -> int:
    """A new code for the old."""
    old, new = _code(arguments, "pin"), _new_code(arguments)
    with _cps(arguments) as cps:
        cps.change_pin(cps.contents().pin, old, new, arguments.last_try)
    print("Code porteur changé.")
    return 0


def unblock(arguments: argparse.Namespace) -> int:
    """A new code by the unblocking code."""
    puk, new = _code(arguments, "puk"), _new_code(arguments)
    with _cps(arguments) as cps:
        contents = cps.contents()
        if contents.puk is None:
            raise Refused("CPS-NO-PUK", "La carte ne déclare pas de code de déblocage.", Scope.CARD)
        cps.unblock(contents.pin, contents.puk, puk, new, arguments.last_try)
    print("Carte débloquée.")
    return 0


def sign_content(arguments: argparse.Namespace, content: bytes) -> bytes:
    """``content`` in a CMS SignedData by the card's signature key; the code as ``--pin-file`` says, or asked."""

    def act(arguments: argparse.Namespace) -> bytes:
        code = _code(arguments, "pin")
        with _cps(arguments) as cps:
            signature = _sign(cps, code, hashlib.sha256(content).digest(), arguments.last_try)
        out = BytesIO()
        signed.write_signed(BytesIO(content), len(content), out, signature, ())
        return out.getvalue()

    return bounded(act, arguments)


def bounded(act: Callable[[argparse.Namespace], T], arguments: argparse.Namespace) -> T:
    """``act`` in a thread that may be left behind: a call to a reader that hangs cannot be taken back.  Codes pass
    through this process, so no dump of it is written."""
    memory.seal()
    done: SimpleQueue[T | BaseException] = SimpleQueue()

    def work() -> None:
        try:
            done.put(act(arguments))
        except BaseException as error:
            done.put(error)

    with _terminal_kept():
        threading.Thread(target=work, daemon=True).start()
        result = _within(PATIENCE_S, done)
    if isinstance(result, BaseException):
        raise result
    return result


def _within(seconds: float, done: SimpleQueue[T]) -> T:
    """What comes within that time; looked for in turns, since a Ctrl-C just before a wait is heard at its end."""
    for _ in range(round(seconds / TURN_S)):
        with suppress(Empty):
            return done.get(timeout=TURN_S)
    raise Deferred("CPS-HUNG", "La carte ou son lecteur ne répond pas.", Scope.CARD)


@contextmanager
def _terminal_kept() -> Iterator[None]:
    """The terminal as it was: a thread left behind while it asks for a code had it show nothing of what is typed."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:  # there is none
        yield
        return
    before = termios.tcgetattr(terminal)
    try:
        yield
    finally:
        if termios.tcgetattr(terminal) != before:
            termios.tcsetattr(terminal, termios.TCSADRAIN, before)
        os.close(terminal)


@contextmanager
def _card(arguments: argparse.Namespace) -> Iterator[Cards]:
    """The readers, with a trace where one is asked for."""
    try:
        with arguments.trace.open("w") if arguments.trace else nullcontext() as trace:
            yield Cards(Readers(), (lambda line: print(line, file=trace)) if trace else None)
    except OSError as error:
        raise Refused("CPS-FILE", f"{error.filename} : {os_words(error)}.", Scope.BOX) from None


@contextmanager
def _cps(arguments: argparse.Namespace) -> Iterator[Cps]:
    """The CPS in a reader, reset at the end: it was given a code."""
    with _card(arguments) as cards, cards.card(reset=True, reader=arguments.reader) as cps:
        yield cps


def _sign(cps: Cps, code: bytes, digest: bytes, last_try: bool) -> signed.Signature:
    contents = cps.contents()
    cps.verify(contents.pin, code, last_try)
    credential = contents.signature
    attributes = signed_attributes(digest, datetime.now(UTC), credential.certificate, None)
    return signed.Signature(attributes, cps.sign(credential.key, attributes), credential.certificate, _ALGORITHM)


def _write(content: BinaryIO, out: BinaryIO, signature: signed.Signature) -> None:
    size = content.seek(0, os.SEEK_END)
    content.seek(0)
    signed.write_signed(content, size, out, signature, ())
    out.flush()
    os.fsync(out.fileno())


def _code(arguments: argparse.Namespace, name: str) -> bytes:
    """The digits of a code, from its file or from the terminal."""
    path: Path | None = getattr(arguments, f"{name.replace('-', '_')}_file")
    try:
        typed = path.read_bytes() if path else ask_secret(_ASKED[name], "CPS-CODE").encode()
    except OSError as error:
        raise Refused("CPS-CODE", f"{_ASKED[name]} : {error.filename} : {os_words(error)}.", Scope.BOX) from None
    return typed.strip()


def _new_code(arguments: argparse.Namespace) -> bytes:
    """A new code; on the terminal it is asked twice."""
    code = _code(arguments, "new-pin")
    if arguments.new_pin_file is None and _code(arguments, "new-pin") != code:
        raise Refused("CPS-CODE", "Les deux saisies du nouveau code diffèrent.", Scope.BOX)
    return code

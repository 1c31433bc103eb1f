"""``gateway pesit serve|send|get|message|drill``: PeSIT from a shell.

Rules: a transfer that was cut is taken up by ``--restart`` from a small file beside the file (``.NAME.….pesit``),
also after a kill; where the other side forgot it, it begins again by itself. Ctrl-C suspends the transfer (IDT 8)
so that it can be taken up, and cuts the line if that does not come about. What cannot be done is raised as
Refused or Deferred; ``gateway.__main__`` says it and sets the exit code.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import secrets
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from gateway.commands import pesit_options as options
from gateway.commands.pesit_run import Result, Stop, Tracing, run, said
from gateway.commands.pesit_serve import add_serve
from gateway.commands.progress import Progress, size
from gateway.disk import sync_directory
from gateway.errors import Refused, Scope, Trouble, os_words
from gateway.link.client import Connection, Outcome, RestartRefused, connect
from gateway.link.context import Context
from gateway.link.directory import Incoming, harmless, on_disk
from gateway.link.partners import connect_any
from gateway.pesit import diagnostics, messages
from gateway.pesit.profiles import Profile
from gateway.pesit.records import Form, form_of
from gateway.pesit.transfer import Identity, SyncPoint

UNAVAILABLE = 69
LARGEST_ID = 0xFFFFFF


def register(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add ``pesit`` and its verbs; each sets ``act``, from the arguments to the exit code."""
    parser = subparsers.add_parser("pesit", help="servir, envoyer, relever par PeSIT")
    verbs = parser.add_subparsers(required=True, metavar="VERBE")
    add_serve(verbs)
    _add_send(verbs.add_parser("send", help="envoyer un fichier"))
    _add_get(verbs.add_parser("get", help="relever un fichier"))
    _add_message(verbs.add_parser("message", help="laisser un message, ou l'acquittement d'un fichier"))
    drill = verbs.add_parser("drill", help="essayer chaque adresse d'un correspondant, celles de secours d'abord")
    options.add_calling(drill, "--to")
    drill.set_defaults(act=partial(run, _drill))


def _add_send(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FICHIER", help="ce qui est à envoyer")
    options.add_calling(parser, "--to")
    parser.add_argument("--as", dest="name", required=True, metavar="NOM", help="nom du fichier ou du flux (PI 12)")
    _add_identity(parser)
    parser.add_argument("--label", metavar="TEXTE", help="libellé (PI 37) ; celui du profil : le nom du fichier local")
    parser.add_argument("--note", metavar="TEXTE", help="message libre (PI 99) ; celui du profil : le nom du fichier")
    parser.add_argument("--restart", action="store_true", help="reprendre l'envoi coupé, s'il y en a un")
    parser.add_argument("--context", type=Path, metavar="RÉPERTOIRE", help="où garder de quoi reprendre")
    options.add_form(parser)
    parser.set_defaults(act=partial(run, _send))


def _add_get(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NOM", help="nom du fichier chez le correspondant (PI 12)")
    parser.add_argument("out", type=Path, metavar="SORTIE", help="fichier, remplacé d'un coup ; ou répertoire")
    options.add_calling(parser, "--from")
    _add_identity(parser)
    parser.add_argument("--restart", action="store_true", help="reprendre la relève coupée, s'il y en a une")
    parser.add_argument("--context", type=Path, metavar="RÉPERTOIRE", help="où garder de quoi reprendre")
    parser.add_argument("--binary", action="store_true", help="garder les octets des articles, même d'un texte")
    parser.add_argument("--code-page", type=options.code_page, metavar="PAGE", help="page EBCDIC du correspondant")
    parser.set_defaults(act=partial(run, _get))


def _add_message(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("text", metavar="TEXTE", help="le message (PI 91)")
    options.add_calling(parser, "--to")
    about = parser.add_mutually_exclusive_group(required=True)
    about.add_argument("--about", type=_about, metavar="NOM:ID", help="le fichier dont il s'agit : PI 12 et PI 13")
    about.add_argument("--free", metavar="NOM", help="message libre de ce nom")
    parser.add_argument("--created", default="", metavar="AAMMJJhhmmss", help="date de création du fichier (PI 51)")
    parser.add_argument("--answer", action="store_true", help="demander un texte en réponse")
    _add_identity(parser)
    parser.set_defaults(act=partial(run, _message))


def _add_identity(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--entity", type=options.number(7, 65535), metavar="N", help="taille d'entité proposée (PI 25)")
    add("--file-type", type=options.number(0, 65535), default=0, metavar="N", help="type de fichier (PI 11)")
    add("--priority", type=options.number(0, 2), default=1, metavar="N", help="0 urgent, 1 normal, 2 lent (PI 17)")
    add("--origin", default="", metavar="ID", help="émetteur d'origine (PI 61)")
    add("--final", default="", metavar="ID", help="destinataire final (PI 62)")


def _about(text: str) -> tuple[str, int]:
    name, _, number = text.rpartition(":")
    if not name:
        raise argparse.ArgumentTypeError("NOM:ID attendu")
    return name, options.number(0, LARGEST_ID)(number)


# --- send ------------------------------------------------------------------------------------------------------------


async def _send(arguments: argparse.Namespace, stop: Stop) -> Result:
    profile = options.profile_of(arguments)
    form = options.form_of_options(arguments, profile)
    with _opened(arguments.file) as source:
        state = os.fstat(source.fileno())
        new, version = _identity(arguments, profile, form, state), [state.st_size, state.st_mtime_ns]
        beside = _beside(arguments.file, arguments)
        attempt = partial(_carry, arguments, stop, source, form)
        outcome = None
        if arguments.restart and (known := _taken_up(beside, new, version)):
            try:
                outcome = await attempt(known, SyncPoint())
            except RestartRefused as forgotten:
                said(f"Pas de reprise ({forgotten.text}) L'envoi recommence.")
        if outcome is None:
            context = _begun(beside, {"identity": asdict(new), "version": version})
            try:
                outcome = await attempt(context, None)
            except Refused:
                context.drop()
                raise
    beside.unlink(missing_ok=True)
    return _result(outcome, f"{arguments.file} envoyé sous le nom {arguments.name}")


async def _carry(
    arguments: argparse.Namespace, stop: Stop, source: BinaryIO, form: Form, context: Context, restart: SyncPoint | None
) -> Carried:
    """One attempt to send under ``context``, whose points a restart may begin at."""
    identity = Identity(**context.head["identity"])
    began = time.monotonic()
    with closing(Progress(sys.stderr, identity.file_name, os.fstat(source.fileno()).st_size)) as progress:

        def moved(offset: int) -> None:
            progress(offset)
            stop.check()

        def marked(point: SyncPoint) -> None:
            with on_disk():
                context.record(point, point.offset, durable=False)

        async with _connected(arguments) as connection:
            outcome = await connection.send(
                identity,
                source,
                restart,
                progress=moved,
                acknowledged=lambda point: progress.begin(point.offset),
                form=form,
                points=context.points if restart else {},
                marked=marked,
            )
    return Carried(outcome, time.monotonic() - began)


def _identity(arguments: argparse.Namespace, profile: Profile, form: Form, state: os.stat_result) -> Identity:
    given = {37: arguments.label, 99: arguments.note}
    if given.get(profile.name_in, "") is None:
        given[profile.name_in] = arguments.file.name
    return Identity(
        arguments.name,
        secrets.randbelow(LARGEST_ID) + 1,
        file_type=arguments.file_type,
        created=datetime.fromtimestamp(state.st_mtime).strftime("%y%m%d%H%M%S"),
        initial_sender=arguments.origin,
        final_receiver=arguments.final,
        label=given[37] or "",
        free_text=given[99] or "",
        article_length=form.length,
        article_format=form.article_format,
        entity=profile.entity,
        reserved_kb=-(-state.st_size // 1024),
        data_code=form.data_code,
        priority=arguments.priority,
    )


def _taken_up(beside: Path, new: Identity, version: list[int]) -> Context | None:
    """The context of the transfer that was cut; ``Refused`` where it was another file or another form."""
    context = Context.load(beside)
    if context is None:
        return None
    if context.head["version"] != version:
        raise Refused("PES-2.229", "Le fichier a changé depuis le premier essai : envoyez-le sans --restart.")
    before = Identity(**context.head["identity"])
    if replace(new, transfer_id=before.transfer_id) != before:
        text = "Les options ne sont plus celles du premier essai : reprenez-les, ou envoyez sans --restart."
        raise Refused("PES-OPTION", text, Scope.BOX)
    return context


def _beside(path: Path, arguments: argparse.Namespace) -> Path:
    """Where the context of this file with this partner is kept."""
    call = arguments.calls[0]
    mark = hashlib.sha256(json.dumps([call.identifier, call.server, arguments.name]).encode()).hexdigest()[:8]
    path = arguments.context / path.name if arguments.context else path
    return path.with_name(f".{path.name}.{mark}.pesit")


def _begun(beside: Path, head: Mapping[str, Any]) -> Context:
    try:
        return Context.begin(beside, head)
    except OSError as error:
        text = f"{beside.parent} ne peut garder de contexte de reprise ({os_words(error)}) : --context en dit un autre."
        raise Refused("PES-FILE", text, Scope.BOX) from None


def _opened(path: Path) -> BinaryIO:
    try:
        source = path.open("rb")
    except OSError as error:
        raise Refused("PES-FILE", f"{path} ne peut être lu : {os_words(error)}.", Scope.BOX) from None
    if not source.seekable():
        source.close()
        raise Refused("PES-FILE", f"{path} n'est pas un fichier ordinaire : une reprise doit pouvoir y revenir.")
    return source


# --- get -------------------------------------------------------------------------------------------------------------


async def _get(arguments: argparse.Namespace, stop: Stop) -> Result:
    out: Path = arguments.out / harmless(arguments.name) if arguments.out.is_dir() else arguments.out
    beside = _beside(out, arguments)
    fetched = None
    if arguments.restart and (known := Context.load(beside)):
        if known.ended:
            return _settled(known, out)
        try:
            fetched = await _fetch(arguments, stop, out, beside, Identity(**known.head["identity"]), known)
        except RestartRefused as forgotten:
            said(f"Pas de reprise ({forgotten.text}) La relève recommence.")
    if fetched is None:
        fetched = await _fetch(arguments, stop, out, beside, _request(arguments), None)
    beside.unlink(missing_ok=True)
    return _result(fetched, f"{arguments.name} relevé dans {out}")


async def _fetch(
    arguments: argparse.Namespace, stop: Stop, out: Path, beside: Path, request: Identity, known: Context | None
) -> Carried:
    """One attempt to fetch; with a ``known`` context it goes on from its last point."""
    began = time.monotonic()
    with closing(Progress(sys.stderr, request.file_name, 0)) as progress:

        def moved(offset: int) -> None:
            progress(offset)
            stop.check()

        def selected(identity: Identity) -> Fetching:
            progress.expect(identity.reserved_kb * 1024)
            context = known or _begun(beside, {"identity": asdict(identity)})
            page = options.profile_of(arguments).code_page
            form = form_of(identity, page, as_text=not arguments.binary)
            return Fetching(context, out, form, moved)

        async with _connected(arguments) as connection:
            outcome = await connection.pull(request, selected, restart=known is not None)
    if outcome is None:
        raise diagnostics.trouble("2.205", arguments.name)
    return Carried(outcome, time.monotonic() - began)


class Fetching(Incoming):
    """A file that is fetched: beside ``out`` until it is whole, then in its place; ``moved`` gets its size so far."""

    def __init__(self, context: Context, out: Path, form: Form, moved: Callable[[int], None]) -> None:
        super().__init__(context, _part(out), form, 0, partial(_finish, context, out))
        self._moved = moved

    def write(self, data: bytes, ends: bool) -> None:
        """Append, and say how far it is."""
        super().write(data, ends)
        self._moved(self._own().tell())


def _part(out: Path) -> Path:
    return out.with_name(f".{out.name}.part")


def _finish(context: Context, out: Path, size: int, articles: int) -> None:
    context.end(size=size, articles=articles)
    _place(context, out)


def _place(context: Context, out: Path) -> None:
    _part(out).replace(out)
    sync_directory(out.parent)


def _settled(context: Context, out: Path) -> Result:
    """All of the file came, though the end was not agreed on: give it its name, if that was not done yet."""
    if _part(out).exists():
        _place(context, out)
    context.drop()
    return Result({"path": str(out), **(context.ended or {})}, f"{out} était déjà entier.")


def _request(arguments: argparse.Namespace) -> Identity:
    return Identity(
        arguments.name,
        file_type=arguments.file_type,
        initial_sender=arguments.origin,
        final_receiver=arguments.final,
        entity=options.profile_of(arguments).entity,
        priority=arguments.priority,
    )


# --- message and drill -----------------------------------------------------------------------------------------------


async def _message(arguments: argparse.Namespace, stop: Stop) -> Result:
    if arguments.free:
        identity = messages.free(arguments.free, secrets.randbelow(LARGEST_ID) + 1)
    else:
        name, number = arguments.about
        identity = Identity(name, number, file_type=arguments.file_type, created=arguments.created)
    identity = replace(identity, initial_sender=arguments.origin, final_receiver=arguments.final)
    async with _connected(arguments) as connection:
        answer = await connection.message(identity, arguments.text, answer=arguments.answer)
    text = f"Message accepté : {answer}" if answer else "Message accepté."
    return Result({"name": identity.file_name, "transfer_id": identity.transfer_id, "answer": answer}, text)


async def _drill(arguments: argparse.Namespace, stop: Stop) -> Result:
    """CONNECT and RELEASE at every address, the second first; 69 if one of them does not answer as it should."""
    partner, addresses, tls = options.partner_of(arguments)
    found = []
    with closing(Tracing(arguments.trace, ">")) as tracing:
        for _, host, port in addresses.in_order(1 if len(arguments.calls) > 1 else 0):
            began, trouble = time.monotonic(), ""
            try:
                async with connect(replace(partner, host=host, port=port), tls, tracing.observer()):
                    pass
            except Trouble as cause:
                trouble = f"{cause.code} {cause.text}"
            found.append({"address": f"{host}:{port}", "trouble": trouble, "seconds": time.monotonic() - began})
    lines = [f"{each['address']} : {each['trouble'] or 'répond'} ({each['seconds']:.2f} s)" for each in found]
    failed = any(each["trouble"] for each in found)
    return Result({"addresses": found}, "\n".join(lines), UNAVAILABLE if failed else 0)


# --- common to all ---------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _connected(arguments: argparse.Namespace) -> AsyncIterator[Connection]:
    partner, addresses, tls = options.partner_of(arguments)
    with closing(Tracing(arguments.trace, ">")) as tracing:
        async with connect_any(partner, addresses, tls, observe=tracing.observer()) as connection:
            yield connection


@dataclass(frozen=True)
class Carried:
    """A transfer that succeeded and the seconds that it took."""

    outcome: Outcome
    seconds: float


def _result(carried: Carried, text: str) -> Result:
    outcome = carried.outcome
    rate = outcome.moved / max(carried.seconds, 1e-6)
    values = {
        "name": outcome.identity.file_name,
        "transfer_id": outcome.identity.transfer_id,
        "created": outcome.identity.created,
        "size": outcome.size,
        "articles": outcome.articles,
        "moved": outcome.moved,
        "restarted_from": outcome.restarted_from,
        "seconds": round(carried.seconds, 3),
        "bytes_per_s": round(rate),
    }
    resumed = f", repris au point {outcome.restarted_from}" if outcome.restarted_from else ""
    told = f"{text} : {outcome.size} octets, {size(rate)}/s{resumed}, transfert {outcome.identity.transfer_id}."
    return Result(values, told)

"""What the verbs of ``gateway pesit`` share that call a partner; and ``message`` and ``drill``, which move no file.

Rules: a restart context lies beside its file, or where ``--context`` says; its name tells the partner and the file's
name there, so that one file may be on its way to several.  It knows neither side of a transfer.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gateway.commands import pesit_options as options
from gateway.commands.pesit_run import Result, Stop, Tracing, run
from gateway.commands.progress import size
from gateway.errors import Refused, Scope, Trouble, os_words
from gateway.link.client import Connection, Outcome, connect
from gateway.link.context import Context
from gateway.link.partners import connect_any
from gateway.pesit import messages
from gateway.pesit.transfer import Identity

UNAVAILABLE = 69


@asynccontextmanager
async def connected(arguments: argparse.Namespace) -> AsyncIterator[Connection]:
    """The partner that was typed, at the first of its addresses that answers."""
    partner, addresses, tls = options.partner_of(arguments)
    with closing(Tracing(arguments.trace, ">")) as tracing:
        async with connect_any(partner, addresses, tls, observe=tracing.observer()) as connection:
            yield connection


@dataclass(frozen=True)
class Carried:
    """A transfer that succeeded and the seconds that it took."""

    outcome: Outcome
    seconds: float


def result_of(carried: Carried, text: str) -> Result:
    """What became of a transfer; ``text`` says which it was."""
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


def context_path(path: Path, arguments: argparse.Namespace) -> Path:
    """Where the context of this file with this partner is kept."""
    call = arguments.calls[0]
    mark = hashlib.sha256(json.dumps([call.identifier, call.server, arguments.name]).encode()).hexdigest()[:8]
    path = arguments.context / path.name if arguments.context else path
    return path.with_name(f".{path.name}.{mark}.pesit")


def begin_context(beside: Path, head: Mapping[str, Any]) -> Context:
    """A new context; ``Refused`` where it cannot lie."""
    try:
        return Context.begin(beside, head)
    except OSError as error:
        text = f"{beside.parent} ne peut garder de contexte de reprise ({os_words(error)}) : --context en dit un autre."
        raise Refused("PES-FILE", text, Scope.BOX) from None


# --- message and drill -----------------------------------------------------------------------------------------------


def message(arguments: argparse.Namespace) -> int:
    """Leave a message; the exit code."""
    return run(_message, arguments)


async def _message(arguments: argparse.Namespace, stop: Stop) -> Result:
    if arguments.free:
        identity = messages.free(arguments.free, secrets.randbelow(options.LARGEST_ID) + 1)
    else:
        name, number = arguments.about
        identity = Identity(name, number, file_type=arguments.file_type, created=arguments.created)
    identity = replace(identity, initial_sender=arguments.origin, final_receiver=arguments.final)
    async with connected(arguments) as connection:
        answer = await connection.message(identity, arguments.text, answer=arguments.answer)
    text = f"Message accepté : {answer}" if answer else "Message accepté."
    return Result({"name": identity.file_name, "transfer_id": identity.transfer_id, "answer": answer}, text)


def drill(arguments: argparse.Namespace) -> int:
    """CONNECT and RELEASE at every address, the second first; 69 if one of them does not answer as it should."""
    return run(_drill, arguments)


async def _drill(arguments: argparse.Namespace, stop: Stop) -> Result:
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

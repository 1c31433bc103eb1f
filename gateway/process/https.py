"""The box's one HTTPS conversation: with the concentrator that it is enrolled at, known by its root's fingerprint.

The root comes first, over a line that proves nothing, and counts only if it has the fingerprint that was typed; then
everything else goes over TLS 1.3 under that root, or a later one that the line shows and that it vouches for, with the
name of the server checked.  Revocation of the server's
certificate cannot be checked yet: its lists come with the answer, and ``gateway.process.enrolment`` checks it then.
Sizes and waits are bounded.  It blocks: commands use it, no service does.
"""

from __future__ import annotations

import http.client
import json
import re
import ssl
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from gateway.envelope.succession import believed_roots
from gateway.errors import Deferred, Refused, Scope
from gateway.formats.enrolment import ANSWER_LIMIT, fingerprint
from gateway.link.tls import shown_chain

PATIENCE_S = 30.0
WHOLE_S = 300.0
ROOT_LIMIT = 16 << 10
_URL = re.compile(r"https://(\[[0-9a-fA-F:]+\]|[0-9A-Za-z.-]+):([0-9]{1,5})/?")


@dataclass(frozen=True)
class Place:
    """Where a concentrator enrols boxes."""

    host: str
    port: int


class Declined(Refused):
    """The concentrator itself said no: the same request would be refused again."""


def read_place(url: str) -> Place:
    """``https://HOST:PORT``; Refused ENR-050 (scope box) for anything else."""
    found = _URL.fullmatch(url)
    if found is None or not 0 < int(found[2]) < 1 << 16:
        raise Refused("ENR-050", f"« {url} » n'est pas une adresse de la forme https://hôte:port.", Scope.BOX)
    return Place(found[1].strip("[]"), int(found[2]))


def fetch_roots(place: Place, expected: str, at: datetime) -> tuple[bytes, ...]:
    """The root (DER) of that fingerprint, then those that follow it; Refused ENR-051 (scope box) for another."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    root, shown = _ask(place, context, "GET", "/enrolment/v1/root", None, ROOT_LIMIT)
    if fingerprint(root) != expected:
        text = "La racine que ce serveur présente n'a pas l'empreinte attendue : ce n'est pas le bon concentrateur."
        raise Refused("ENR-051", text, Scope.BOX)
    return believed_roots([root], shown, shown, at)


def post_request(place: Place, roots: Iterable[bytes], signed: bytes) -> tuple[bytes, bytes]:
    """The answer to a signed request, and the server's certificate (DER).

    ``Declined`` with the concentrator's words; Refused ENR-052 where its certificate does not hold.
    """
    context = ssl.create_default_context(cadata="".join(map(ssl.DER_cert_to_PEM_cert, roots)))
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    answer, shown = _ask(place, context, "POST", "/enrolment/v1/requests", signed, ANSWER_LIMIT)
    return answer, shown[0]


def _ask(
    place: Place, context: ssl.SSLContext, method: str, path: str, body: bytes | None, limit: int
) -> tuple[bytes, tuple[bytes, ...]]:
    """The body of the response, and the certificates (DER) that the server showed, its own first."""
    line = http.client.HTTPSConnection(place.host, place.port, timeout=PATIENCE_S, context=context)
    try:
        line.request(method, path, body, {"Content-Type": "application/octet-stream"})
        shown = shown_chain(line.sock)
        response = line.getresponse()
        content = _read(response, limit)
    except ssl.SSLCertVerificationError as trouble:
        text = f"Le certificat de ce serveur n'est pas admis : {trouble.verify_message}."
        raise Refused("ENR-052", text, Scope.BOX) from None
    except (OSError, http.client.HTTPException) as trouble:
        text = f"Le concentrateur n'a pas répondu ({trouble or type(trouble).__name__}) ; la même commande reprendra."
        raise Deferred("ENR-053", text, Scope.ROUTE) from None
    finally:
        line.close()
    if response.status != http.client.OK:
        raise _trouble(response.status, content)
    return content, shown


def _read(response: http.client.HTTPResponse, limit: int) -> bytes:
    """The body, of at most ``limit`` bytes, within a bounded time however slowly it comes."""
    content, end = b"", time.monotonic() + WHOLE_S
    while block := response.read1(1 << 16):
        content += block
        if len(content) > limit or time.monotonic() > end:
            raise http.client.HTTPException("réponse trop longue")
    if response.length:
        raise http.client.IncompleteRead(content, response.length)
    return content


def _trouble(status: int, content: bytes) -> Refused | Deferred:
    """What a server says when it does not do what it was asked."""
    try:
        told = json.loads(content)
        code, text = str(told["code"])[:20], str(told["text"])[:1000]
    except (ValueError, TypeError, KeyError, RecursionError):
        code, text = "ENR-053", f"Le serveur a répondu {status}."
    text = "".join(one if one.isprintable() else " " for one in text)
    if status == 422:
        return Declined(code, text, Scope.BOX)
    return Deferred(code, text, Scope.ROUTE)

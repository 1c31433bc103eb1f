"""TLS of a PeSIT line: its versions, its suites, the age of its keys.

Rules: TLS 1.3; 1.2 only where it is asked for by name, and then with ephemeral ECDH and an AEAD alone.  No
session is resumed and none is renegotiated, so that every connection has keys of its own; how old they get is
bounded by the connection's own life (``line.Timers.life``).  Whose certificates are trusted, and what a peer
must be called, is said by who makes the context; whether it is revoked, by who calls ``client.connect``.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any

from gateway.errors import Refused, Scope, os_words

SUITES_12 = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2; those of 1.3 are all sound, and OpenSSL's own."""

PATIENCE_S = 20.0
"""How long a server is waited for that is only looked at."""

MODERN = "TLSv1.3"
"""As ``ssl`` names the version of a connection."""


def harden(context: ssl.SSLContext, *, tls12: bool = False) -> ssl.SSLContext:
    """The same context, held to the rules above; ``tls12`` lets that version in too."""
    context.minimum_version = ssl.TLSVersion.TLSv1_2 if tls12 else ssl.TLSVersion.TLSv1_3
    context.set_ciphers(SUITES_12)
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    if context.protocol is ssl.PROTOCOL_TLS_SERVER:
        context.num_tickets = 0
    return context


def calling(roots: Path, certificate: Path, key: Path, *, tls12: bool = False) -> ssl.SSLContext:
    """Towards a server under ``roots`` that bears the name that we call it by; ``certificate`` with its chain is ours.

    Refused PES-TLS (scope box) when a file cannot be read.
    """
    try:
        context = harden(ssl.create_default_context(cafile=str(roots)), tls12=tls12)
        context.load_cert_chain(certificate, key)
    except OSError as error:  # an SSLError is one too
        text = f"Le certificat de transport, sa clé ou la racine ne peuvent pas être lus : {os_words(error)}."
        raise Refused("PES-TLS", text, Scope.BOX) from None
    return context


async def shown_by(host: str, port: int, name: str = "", *, tls12: bool = False) -> tuple[bytes, ...]:
    """The certificates (DER) that a server shows, its own first, () when none is to be had.

    Nothing of it is believed, nothing is said to it and it is shown nothing of ours: what becomes of the certificates
    is for who can tell by their signatures.
    """
    context = harden(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), tls12=tls12)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            _, line = await asyncio.open_connection(host, port, ssl=context, server_hostname=name or None)
        secured = line.get_extra_info("ssl_object")
        line.transport.abort()
        return shown_chain(secured)
    return ()


def shown_chain(secured: Any) -> tuple[bytes, ...]:
    """The certificates (DER) that the other side of a TLS socket or object showed, its own first, as they came."""
    if hasattr(secured, "get_unverified_chain"):
        return tuple(secured.get_unverified_chain())
    return tuple(one.public_bytes(_DER) for one in secured._sslobj.get_unverified_chain() or ())  # before Python 3.13


_DER = 2
"""``_ssl.ENCODING_DER``."""

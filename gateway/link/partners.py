"""Partners: who may come in and what they may do; at which addresses a partner of ours is found.

Rules: passwords at rest are salted scrypt hashes. A wrong one costs time, is counted by identifier and slows
the next try; whoever is not known costs as much as who is. What is wrong here stops the route, never a file.
A partner with several addresses is called at the one that answered last, then at the others in their order;
a refusal is not taken to another address, for it would be the same there and count twice.
It reads no settings and keeps nothing on disk.
"""

from __future__ import annotations

import hmac
import secrets
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

from gateway.errors import Deferred, Scope
from gateway.link.client import Connection, Inspection, Partner, connect
from gateway.link.line import Observer
from gateway.link.passwords import SALT, password_fits
from gateway.pesit import diagnostics

_NOTHING_FITS = f"scrypt${'00' * SALT}${'00' * 64}"
"""Against this the password of an unknown identifier is tried: it takes as long as any other."""

_FREE_TRIES, _LONGEST_WAIT_S = 3, 300


@dataclass
class _Attempts:
    """Wrong passwords in a row of one identifier; after three, each try must wait twice as long as the last."""

    wrong: int = 0
    not_before: float = 0.0

    def count(self, now: float) -> None:
        self.wrong += 1
        if self.wrong >= _FREE_TRIES:
            self.not_before = now + min(2.0 ** (self.wrong - _FREE_TRIES), _LONGEST_WAIT_S)


class Passwords:
    """Passwords by identifier. Those nobody has been told of share one count, so that memory is bounded."""

    def __init__(self, hashes: Mapping[str, str]) -> None:
        """``hashes`` are ``password_hash`` by identifier (PI 3)."""
        self._hashes = hashes
        self._attempts: dict[str, _Attempts] = {}
        self._key = secrets.token_bytes(32)
        self._fitted: dict[str, bytes] = {}

    def check(self, identifier: str, password: str, now: float) -> None:
        """Nothing when it fits; 3.304 when it does not, 3.322 before the time has come. ``now`` in seconds."""
        who = identifier if identifier in self._hashes else ""
        attempts = self._attempts.setdefault(who, _Attempts())
        if now < attempts.not_before:
            raise diagnostics.trouble("3.322")
        if not self._fits(who, password):
            attempts.count(now)
            raise diagnostics.trouble("3.304")
        del self._attempts[who]

    def _fits(self, who: str, password: str) -> bool:
        """scrypt once for each partner: hundreds that come back at the same moment do not wait for each other.

        What fitted is remembered with the hash that it fitted: the table may change meanwhile."""
        hashed = self._hashes.get(who, _NOTHING_FITS)
        mark = hmac.digest(self._key, f"{hashed}\n{password}".encode(), "sha256")
        if hmac.compare_digest(mark, self._fitted.get(who, b"")):
            return True
        fits = password_fits(password, hashed)
        if fits:
            self._fitted[who] = mark
        return fits


def _names(certificate: bytes | None, name: str) -> bool:
    """Whether there is a certificate (DER) and its CN is ``name``."""
    from gateway.envelope.names import common_name  # heavy, and only where a certificate comes

    return certificate is not None and common_name(certificate) == name


@dataclass(frozen=True)
class PartnerEntry:
    """One partner that may come in.

    ``password_hash`` "" with a ``client_name``: the TLS certificate of that CN is enough. ``may_send`` and
    ``may_fetch`` are its directions. ``connections`` at one time and ``limit`` bytes of a file: 0 for any.
    ``code_page`` translates its EBCDIC text. ``as_text``: articles of text become lines of a local file.
    """

    identifier: str
    password_hash: str = ""
    client_name: str = ""
    may_send: bool = True
    may_fetch: bool = True
    connections: int = 0
    limit: int = 0
    code_page: str = "cp500"
    as_text: bool = True


class Partners:
    """The table of those who may come in, and how many connections each of them has now."""

    def __init__(self, entries: Iterable[PartnerEntry], clock: Callable[[], float]) -> None:
        """``clock`` gives seconds that never go back."""
        self._entries = {entry.identifier: entry for entry in entries}
        self._passwords = Passwords({entry.identifier: entry.password_hash for entry in self._entries.values()})
        self._clock = clock
        self._present: Counter[str] = Counter()

    def admit(self, identifier: str, password: str, certificate: bytes | None) -> PartnerEntry:
        """The partner, to be counted until ``leave``.

        3.304 for a wrong certificate or password and for whom we do not know, 3.322 too soon after wrong
        passwords, 3.309 for one connection too many. ``certificate`` (DER) was checked by TLS.
        """
        entry = self._entries.get(identifier, PartnerEntry(""))
        if entry.client_name and not _names(certificate, entry.client_name):
            raise diagnostics.trouble("3.304")
        if entry.password_hash or not entry.client_name:
            self._passwords.check(identifier, password, self._clock())
        if entry.connections and self._present[identifier] >= entry.connections:
            raise diagnostics.trouble("3.309")
        self._present[identifier] += 1
        return entry

    def leave(self, entry: PartnerEntry) -> None:
        """One of its connections is gone."""
        self._present[entry.identifier] -= 1


class Addresses:
    """Where one partner is found, as (host, port); at least one. The one that answered last comes first."""

    def __init__(self, addresses: Sequence[tuple[str, int]]) -> None:
        self._addresses = tuple(addresses)
        self.answering = 0
        """Place of the address that answered last."""

    def in_order(self, first: int | None = None) -> list[tuple[int, str, int]]:
        """(place, host, port), beginning at ``first`` or else at the one that answered last."""
        begin = self.answering if first is None else first
        found = [(place, host, port) for place, (host, port) in enumerate(self._addresses)]
        return [found[begin], *found[:begin], *found[begin + 1 :]]


@asynccontextmanager
async def connect_any(
    partner: Partner,
    addresses: Addresses,
    ssl_context: ssl.SSLContext | None = None,
    *,
    first: int | None = None,
    observe: Observer | None = None,
    inspect: Inspection | None = None,
) -> AsyncIterator[Connection]:
    """``client.connect`` at the first of ``addresses`` that answers; ``partner`` says all but host and port.

    ``first`` begins at that place on purpose: a drill. Which one answered is ``addresses.answering``. What is
    ``Refused`` is raised at once; when none answers, one ``Deferred`` of the route names them all.
    """
    failures: list[Deferred] = []
    async with AsyncExitStack() as stack:
        for place, host, port in addresses.in_order(first):
            there = replace(partner, host=host, port=port)
            try:
                connection = await stack.enter_async_context(connect(there, ssl_context, observe, inspect))
            except Deferred as failure:
                failures.append(failure)
                continue
            addresses.answering = place
            yield connection
            return
    if len(failures) == 1:
        raise failures[0]
    raise Deferred(failures[0].code, " ".join(failure.text for failure in failures), Scope.ROUTE)

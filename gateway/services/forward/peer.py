"""Whether who answers on the line is our OCT still: the path and the revocation of its TLS certificate.

TLS has checked the name, the root and the dates before; here the revocation lists are asked, which OpenSSL would only
let decide the whole connection.  Revoked is refused before a word is said.  Where no list can tell, the line serves for
one thing: to fetch lists, which prove themselves; so lists that are out of date never keep their successors out.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from gateway.config import Paths
from gateway.errors import Deferred


def utc_now() -> datetime:
    """The wall clock, as TLS itself reads it."""
    return datetime.now(UTC)


class Peer:
    """The OCT as its certificate shows it; ``doubt`` is why no list could tell of the last one that was shown."""

    def __init__(self, paths: Paths, clock: Callable[[], datetime] = utc_now) -> None:
        self._paths, self._clock = paths, clock
        self.doubt: Deferred | None = None

    def inspect(self, certificate: bytes) -> None:
        """Refused (scope route) CMS-031 … CMS-036 where the certificate (DER) may not stand for the OCT."""
        from gateway.envelope.certificates import Use, check_path  # heavy, and only where there is a line
        from gateway.process.keyring import ListFiles, read_certificates

        trust = self._paths.trust
        roots, chain = read_certificates(trust / "root.pem"), read_certificates(trust / "chain.pem")
        self.doubt = None
        try:
            lists = ListFiles(trust / "crl", self._paths.lists).read()
            check_path(certificate, chain, roots, lists, self._clock(), Use.TRANSPORT)
        except Deferred as doubt:
            self.doubt = doubt

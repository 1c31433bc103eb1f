"""A service renews its own keys: it makes the new one where the old one lies, and asks; the private key never moves.

Rules.  A key is due ``Paths.renew_days`` before its certificate ends, and is looked at on each new day of the clock: a
box that is switched on every morning with a wrong one looks again when it is set.  The new key waits under its mark
until a certificate for it is in force; asked again, the same key asks again.  A key that was renewed and opens
nothing is destroyed by its owner; one that opens (box-seal, box-delivery) stays until the keeper, who sees what was
sealed to it, says that nothing is left.

Run as a program it prints what one service has to ask for, so that a service without cryptography can have it made:
``python -I -m gateway.process.renewal KEYS TRUST DAYS SERVICE``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway.config import Paths
from gateway.envelope.algorithms import PrivateKey, public_key, read_certificate
from gateway.envelope.box_keys import LINE, PASSWORD, BoxKey, owned_by
from gateway.envelope.requests import certified_hosts, make_request, mark, new_key
from gateway.envelope.succession import could_last_longer
from gateway.errors import Scope
from gateway.formats.enrolment import to_base64
from gateway.process import credentials, keyring
from gateway.process.identity import destroy, put_private


@dataclass(frozen=True)
class Wanted:
    """A certificate that a service asks for: the key's name and mark, and the request (DER)."""

    name: str
    mark: str
    request: bytes

    @property
    def entry(self) -> str:
        """Its name at a door."""
        return f"renewal.{self.name}.{self.mark}"


class OwnKeys:
    """The keys of one service, as its daily look sees them."""

    def __init__(self, paths: Paths, service: str) -> None:
        self._paths, self._service = paths, service
        self._day: date | None = None

    def daily(self, now: datetime) -> list[Wanted]:
        """Once a day: what is to be asked for; () in between, and where nothing was enrolled."""
        if self._day == now.date() or not keyring.generation(self._paths):
            return []
        self._day = now.date()
        self.forget()
        return self.wanted(now)

    def wanted(self, now: datetime) -> list[Wanted]:
        """What is due; the new keys are made and durable."""
        return [self._ask(row) for row in owned_by(self._service) if ends_soon(self._paths, row.name, now)]

    def _ask(self, row: BoxKey) -> Wanted:
        key = next(self._waiting(row), None)
        if key is None:
            key = new_key(row)
            pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            if row.name == LINE:  # before its key: a key without its password would be used
                password = keyring.password_file(self._paths).read_bytes()
                put_private(self._paths.key(row.owner, f"{PASSWORD}.{mark(key.public_key())}"), password)
            put_private(self._paths.key(row.owner, f"{row.name}.{mark(key.public_key())}.key"), pem)
        hosts = certified_hosts(read_certificate(self._certificate(row), Scope.BOX))
        return Wanted(row.name, mark(key.public_key()), make_request(row, key, hosts))

    def _certificate(self, row: BoxKey) -> bytes:
        return keyring.read_certificate(self._paths.trust / f"{row.name}.pem")

    def _waiting(self, row: BoxKey) -> Iterator[PrivateKey]:
        """The key that was made and has no certificate yet."""
        certified = {mark(public_key(one)) for one in keyring.generations_of(self._paths, row.name)}
        for which, path in keyring.made_keys(self._paths, row.owner, row.name).items():
            if which not in certified:
                key = keyring.read_key(path)
                if row.kind.fits(key.public_key()):  # or else of an older table
                    yield key

    def forget(self) -> None:
        """Destroy what was renewed and opens nothing, and the password that went with an old line."""
        for row in owned_by(self._service):
            current = mark(public_key(self._certificate(row)))
            former = {mark(public_key(one)) for one in keyring.generations_of(self._paths, row.name)} - {current}
            for one in () if row.opens else former:
                self._end(f"{row.name}.{one}.key")
                self._end(f"{PASSWORD}.{one}")

    def destroy(self, name: str, which: str) -> None:
        """The key of that name and mark is not needed any more; the one in force is not destroyed."""
        if which == mark(public_key(keyring.read_certificate(self._paths.trust / f"{name}.pem"))):
            return
        self._end(f"{name}.{which}.key")
        placed = credentials.secret_file(self._paths, self._service, f"{name}.key")  # by hand, without a mark
        if placed.exists() and mark(keyring.read_key(placed).public_key()) == which:
            self._end(f"{name}.key")

    def _end(self, name: str) -> None:
        """Destroy a secret: in clear at once; sealed it is root's, who is told and sees to it within the hour."""
        word = credentials.condemned(self._paths, self._service, name)
        if credentials.given(name).exists() and not word.exists():
            put_private(word, b"")
        destroy(self._paths.key(self._service, name))


def ends_soon(paths: Paths, name: str, now: datetime) -> bool:
    """Whether the certificate in force of that name is to be renewed.  One that ends with its authority is not: every
    day would bring another key and the same end, until the next authority is known."""
    certificate = keyring.read_certificate(paths.trust / f"{name}.pem")
    left = read_certificate(certificate, Scope.BOX).not_valid_after_utc - now
    soon = left < timedelta(days=paths.renew_days)
    return soon and could_last_longer(certificate, keyring.read_certificates(paths.trust / "chain.pem"))


def main() -> int:
    """Print what a service has to ask for, one JSON list of [name, mark, request in base64]."""
    keys, trust, days, service = sys.argv[1:]
    paths = Paths(keys=Path(keys), trust=Path(trust), renew_days=int(days))
    own = OwnKeys(paths, service)
    told = [[one.name, one.mark, to_base64(one.request)] for one in own.daily(datetime.now(UTC))]
    sys.stdout.write(json.dumps(told))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The keys of the receiving end and what it trusts.

One key, one use: it opens with the seal key and signs with the sign key.  Keys are read once, at start; the
revocation lists whenever they change, since others renew them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from gateway.concentrator.numbers import Numbers
from gateway.concentrator.settings import ConcentratorSettings, FormerSeal
from gateway.disk import Marks, marks
from gateway.envelope import certificates
from gateway.envelope.algorithms import PrivateKey
from gateway.envelope.certificates import Use, check_path, load_certificates, load_key, load_lists
from gateway.envelope.issuing import Authority, authority_of
from gateway.envelope.revocation import NONE_SEEN
from gateway.envelope.ring import Ring
from gateway.envelope.succession import shown_line
from gateway.errors import Refused, Scope, naming, os_words

T = TypeVar("T")


@dataclass(frozen=True)
class Keys:
    """The two certificates (DER) of the OCT with their private keys; ``ring`` opens what was sealed to it, now or
    before."""

    seal_certificate: bytes
    ring: Ring
    sign_certificate: bytes
    sign: PrivateKey


@dataclass(frozen=True)
class Trust:
    """The root, the intermediates and the revocation lists of one moment, all DER; the last numbers seen of lists."""

    roots: tuple[bytes, ...]
    chain: tuple[bytes, ...]
    crls: tuple[bytes, ...]
    seen: Mapping[str, int]

    def check(self, leaf: bytes, chain: Sequence[bytes], at: datetime, use: Use) -> certificates.Path:
        """The path of a certificate, ``chain`` being what came with it; Refused or Deferred as ``check_path``."""
        return check_path(leaf, (*chain, *self.chain), self.roots, self.crls, at, use, seen=self.seen)


def load_keys(settings: ConcentratorSettings) -> Keys:
    """The keys that the settings name; Refused (scope box) for what is absent or unreadable."""
    seals = [FormerSeal(settings.seal_certificate, settings.seal_key), *settings.former_seals]
    pairs = [(_of(one.certificate, load_certificates)[0], _of(one.key, load_key)) for one in seals]
    return Keys(
        seal_certificate=pairs[0][0],
        ring=Ring(pairs),
        sign_certificate=_of(settings.sign_certificate, load_certificates)[0],
        sign=_of(settings.sign_key, load_key),
    )


def load_trust(settings: ConcentratorSettings, numbers: Numbers | None = None) -> Trust:
    """What the settings trust, read now; Refused (scope box) for what is absent or unreadable."""
    chain, roots = _authorities(settings)
    crls = tuple(one for path in (*settings.crls, *_published(settings)) for one in _of(path, load_lists))
    return Trust(roots, chain, crls, numbers.learn(roots, chain, crls) if numbers else NONE_SEEN)


def _authorities(settings: ConcentratorSettings) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """The intermediates and the roots."""
    chain = tuple(one for path in settings.chain for one in _of(path, load_certificates))
    return chain, tuple(_of(settings.root, load_certificates))


class TrustFiles:
    """What the settings trust, as its files are at each call: read again when one of them changed, since lists may have
    megabytes.  It may be asked from any thread."""

    def __init__(self, settings: ConcentratorSettings, numbers: Numbers) -> None:
        self._settings, self._numbers = settings, numbers
        self._last: tuple[Marks, Trust] | None = None

    def __call__(self) -> Trust:
        """Refused as by ``load_trust``."""
        settings, last = self._settings, self._last
        now = marks((settings.root, *settings.chain, *settings.crls, *_published(settings)))
        if last is None or now != last[0]:
            last = self._last = now, load_trust(settings, self._numbers)
        return last[1]


def _published(settings: ConcentratorSettings) -> tuple[Path, ...]:
    """The lists that our own authorities publish."""
    enrolment = settings.enrolment
    return (enrolment.crl, *(one.crl for one in enrolment.former)) if enrolment.enabled else ()


def load_authority(settings: ConcentratorSettings) -> Authority:
    """The authority of the boxes; Refused (scope box) for what is absent, unreadable or does not fit."""
    return _authority(settings.enrolment.authority_certificate, settings.enrolment.authority_key)


def load_publishers(settings: ConcentratorSettings) -> list[tuple[Authority, Path]]:
    """Every authority whose list is published here, with the list's file; Refused as by ``load_authority``."""
    former = [(_authority(one.certificate, one.key), one.crl) for one in settings.enrolment.former]
    return [(load_authority(settings), settings.enrolment.crl), *former]


def _authority(certificate: Path, key: Path) -> Authority:
    return authority_of(_of(certificate, load_certificates)[0], _of(key, load_key))


def load_transport(settings: ConcentratorSettings) -> bytes:
    """The certificate (DER) of the line; Refused (scope box) for what is absent or unreadable."""
    return _of(settings.transport_certificate, load_certificates)[0]


def load_line(settings: ConcentratorSettings) -> tuple[bytes, ...]:
    """What the line shows, its own certificate first (DER); Refused (scope box) for what is absent or unreadable."""
    return shown_line(_of(settings.transport_certificate, load_certificates), *_authorities(settings))


def _of(path: Path, load: Callable[[bytes], T]) -> T:
    try:
        content = path.read_bytes()
    except OSError as trouble:
        raise Refused("OCT-001", f"{path} ne peut pas être lu : {os_words(trouble)}.", Scope.BOX) from None
    with naming(path):
        return load(content)

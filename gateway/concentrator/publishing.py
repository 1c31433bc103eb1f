"""The revocation list of the boxes' authority as a file: published anew when somebody is revoked, and before it ends.

Rules.  The store is the truth of who is revoked, the file follows it: a list that lacks one of them, or is past half
of its life, is followed by another whose number is one more.  It appears whole or not at all, and one writer at a
time makes it: the store's write lock is held meanwhile, for the service and a command may both want to.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.concentrator.boxes import Boxes
from gateway.concentrator.keys import load_authority
from gateway.concentrator.settings import ConcentratorSettings
from gateway.concentrator.store import Store
from gateway.disk import sync_directory
from gateway.envelope.issuing import ends_of_list, named_in, revocation_list


def publish(settings: ConcentratorSettings, store: Store, at: datetime) -> bool:
    """Bring the published list up to date; whether a new one was made.  Refused for unreadable keys or list."""
    enrolment, authority = settings.enrolment, load_authority(settings)
    with store.transaction():
        revoked = Boxes(store).revoked()
        former = enrolment.crl.read_bytes() if enrolment.crl.exists() else None
        if former is not None and revoked.keys() <= named_in(former) and _lasts(former, enrolment.crl_days, at):
            return False
        made = revocation_list(authority, former, revoked, at, enrolment.crl_days)
        if enrolment.crl.suffix == ".pem":
            made = x509.load_der_x509_crl(made).public_bytes(Encoding.PEM)
        _replace(enrolment.crl, made)
    return True


def _lasts(listed: bytes, days: int, at: datetime) -> bool:
    _, end = ends_of_list(listed)
    return end is not None and end - at > timedelta(days=days) / 2


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    temporary.replace(path)
    sync_directory(path.parent)

"""The revocation list of the boxes' authority as a file: published anew when somebody is revoked, and before it ends.
Those of the authorities before it go on.

Rules.  The store is the truth of who is revoked, the file follows it: a list that lacks one of them, or is past half
of its life, is followed by another whose number is one more.  It appears whole or not at all, and one writer at a
time makes it: the store's write lock is held meanwhile, for the service and a command may both want to.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.concentrator.boxes import Boxes
from gateway.concentrator.keys import load_publishers
from gateway.concentrator.settings import ConcentratorSettings
from gateway.concentrator.store import Store
from gateway.disk import sync_directory
from gateway.envelope.issuing import Authority, ends_of_list, named_in, revocation_list


def publish(settings: ConcentratorSettings, store: Store, at: datetime) -> bool:
    """Bring the published lists up to date; whether a new one was made.  Refused for unreadable keys or lists."""
    publishers, days = load_publishers(settings), settings.enrolment.crl_days
    with store.transaction():
        revoked = Boxes(store).revoked()
        made = [_publish(authority, file, revoked, at, days) for authority, file in publishers]
    return any(made)


def _publish(authority: Authority, file: Path, revoked: Mapping[int, datetime], at: datetime, days: int) -> bool:
    former = file.read_bytes() if file.exists() else None
    if former is not None and revoked.keys() <= named_in(former) and _lasts(former, days, at):
        return False
    made = revocation_list(authority, former, revoked, at, days)
    if file.suffix == ".pem":
        made = x509.load_der_x509_crl(made).public_bytes(Encoding.PEM)
    _replace(file, made)
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
